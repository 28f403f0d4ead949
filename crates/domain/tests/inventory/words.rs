//! The words of the inventory's tests: commands, events, and what an item looks like after them.

use domain::inventory::{
    AddItem, AdjustStock, ChangePrice, ChangeReorderPoint, DiscontinueItem, InventoryEvent, Item,
    ItemAdded, ItemDiscontinued, ItemReturned, ItemSold, ReceiveStock, ReleaseReservation,
    RenameItem, ReservationReleased, ReservationShipped, ReserveStock, ReturnItem, SellItem,
    ShipReservation, StockAdjusted, StockItem, StockReceived, StockReserved,
};
use factline_testkit::Given;

// What commands say. Values that cannot be are refused at the border, see wire.rs.

pub fn sell(quantity: i64) -> SellItem {
    SellItem { quantity: quantity.try_into().unwrap(), unit_price_cents: None, country: None }
}

pub fn sell_at(quantity: i64, unit_price_cents: i64) -> SellItem {
    SellItem { unit_price_cents: Some(unit_price_cents.try_into().unwrap()), ..sell(quantity) }
}

pub fn receive(quantity: i64) -> ReceiveStock {
    ReceiveStock { quantity: quantity.try_into().unwrap(), unit_price_cents: None }
}

pub fn receive_at(quantity: i64, unit_price_cents: i64) -> ReceiveStock {
    ReceiveStock {
        unit_price_cents: Some(unit_price_cents.try_into().unwrap()),
        ..receive(quantity)
    }
}

pub fn give_back(quantity: i64) -> ReturnItem {
    ReturnItem {
        quantity: quantity.try_into().unwrap(),
        reason: "broken".try_into().unwrap(),
        unit_price_cents: None,
    }
}

pub fn adjust(delta: i64) -> AdjustStock {
    AdjustStock { delta: delta.try_into().unwrap(), reason: "counted".try_into().unwrap() }
}

pub fn reserve(reservation_id: &str, quantity: i64) -> ReserveStock {
    ReserveStock {
        reservation_id: reservation_id.try_into().unwrap(),
        quantity: quantity.try_into().unwrap(),
    }
}

pub fn release(reservation_id: &str) -> ReleaseReservation {
    ReleaseReservation { reservation_id: reservation_id.try_into().unwrap() }
}

pub fn ship(reservation_id: &str) -> ShipReservation {
    ShipReservation { reservation_id: reservation_id.try_into().unwrap() }
}

pub fn add() -> AddItem {
    AddItem {
        name: "Lantern".try_into().unwrap(),
        quantity: 10.try_into().unwrap(),
        unit_price_cents: 250.try_into().unwrap(),
        reorder_point: None,
        currency: None,
    }
}

pub fn stock(quantity: i64, unit_price_cents: i64) -> StockItem {
    StockItem {
        name: "Lantern".try_into().unwrap(),
        quantity: quantity.try_into().unwrap(),
        unit_price_cents: unit_price_cents.try_into().unwrap(),
    }
}

pub fn price(unit_price_cents: i64) -> ChangePrice {
    ChangePrice { unit_price_cents: unit_price_cents.try_into().unwrap() }
}

pub fn rename(name: &str) -> RenameItem {
    RenameItem { name: name.try_into().unwrap() }
}

pub fn reorder_at(reorder_point: i64) -> ChangeReorderPoint {
    ChangeReorderPoint { reorder_point: reorder_point.try_into().unwrap() }
}

pub fn discontinue() -> DiscontinueItem {
    DiscontinueItem { reason: None }
}

// What has happened.

pub fn added(quantity: i64, unit_price_cents: i64) -> InventoryEvent {
    let (name, currency) = ("Lantern".to_owned(), "USD".to_owned());
    ItemAdded { name, quantity, unit_price_cents, reorder_point: 5, currency }.into()
}

pub fn received(quantity: i64, unit_price_cents: Option<i64>) -> InventoryEvent {
    StockReceived { quantity, unit_price_cents }.into()
}

pub fn sold(quantity: i64, unit_price_cents: i64) -> InventoryEvent {
    let revenue_cents = quantity * unit_price_cents;
    let currency = "USD".to_owned();
    ItemSold { quantity, unit_price_cents, revenue_cents, currency, country: None }.into()
}

pub fn returned(quantity: i64, refund_cents: i64) -> InventoryEvent {
    let (currency, reason) = ("USD".to_owned(), "broken".to_owned());
    ItemReturned { quantity, refund_cents, currency, reason }.into()
}

pub fn adjusted(delta: i64) -> InventoryEvent {
    StockAdjusted { delta, reason: "counted".to_owned() }.into()
}

pub fn reserved(reservation_id: &str, quantity: i64) -> InventoryEvent {
    StockReserved { reservation_id: reservation_id.to_owned(), quantity }.into()
}

pub fn released(reservation_id: &str, quantity: i64) -> InventoryEvent {
    ReservationReleased { reservation_id: reservation_id.to_owned(), quantity }.into()
}

pub fn shipped(reservation_id: &str, quantity: i64) -> InventoryEvent {
    ReservationShipped { reservation_id: reservation_id.to_owned(), quantity }.into()
}

pub fn discontinued(on_hand: i64) -> InventoryEvent {
    ItemDiscontinued { on_hand, reason: None }.into()
}

/// An item of ten units at 2.50.
pub fn lantern() -> Given<Item> {
    Given::events([added(10, 250)])
}

pub fn nothing_known() -> Given<Item> {
    Given::nothing()
}

pub fn on_hand_and_available(on_hand: i64, available: i64) -> impl FnOnce(&Item) {
    move |item| {
        let item = item.known().unwrap();
        assert_eq!((item.on_hand, item.available()), (on_hand, available));
    }
}
