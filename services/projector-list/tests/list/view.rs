//! The view `inventory_list`, proved on histories.

use chrono::{DateTime, Utc};
use domain::inventory::{
    InventoryEvent, ItemAdded, ItemDiscontinued, ItemRenamed, ItemReturned, ItemSold, PriceChanged,
    ReorderPointChanged, ReservationReleased, ReservationShipped, StockAdjusted, StockReceived,
    StockReserved,
};
use factline_core::{DomainEvent, Fold};
use factline_testkit::{History, ViewSpec, recorded};
use projector_list::inventory_list::{InventoryList, InventoryRow, Status};

fn added(quantity: i64) -> InventoryEvent {
    let (name, currency) = ("Lantern".to_owned(), "GBP".to_owned());
    ItemAdded { name, quantity, unit_price_cents: 255, reorder_point: 5, currency }.into()
}

fn sold(quantity: i64) -> InventoryEvent {
    let (unit_price_cents, revenue_cents) = (255, 255 * quantity);
    let (currency, country) = ("GBP".to_owned(), None);
    ItemSold { quantity, unit_price_cents, revenue_cents, currency, country }.into()
}

fn reserved(id: &str, quantity: i64) -> InventoryEvent {
    StockReserved { reservation_id: id.to_owned(), quantity }.into()
}

/// The row of an item on hand at this version; the history tells a second an event from 09:00:01.
fn row(sku: &str, on_hand: i64, status: Status, version: i64, second: i64) -> InventoryRow {
    let start: DateTime<Utc> = "2026-01-05T09:00:00Z".parse().unwrap();
    InventoryRow {
        sku: sku.to_owned(),
        name: "Lantern".to_owned(),
        unit_price_cents: 255,
        currency: "GBP".to_owned(),
        on_hand,
        reserved: 0,
        available: on_hand,
        reorder_point: 5,
        status,
        last_updated_at: start + chrono::Duration::seconds(second),
        version,
    }
}

#[test]
fn sales_and_receipts_of_several_items_end_in_one_row_each() {
    let history = History::new()
        .then("A", added(10))
        .then("B", added(3))
        .then("A", sold(4))
        .then("C", added(1))
        .then("A", StockReceived { quantity: 2, unit_price_cents: None })
        .then("C", sold(1))
        .then("B", StockReceived { quantity: 9, unit_price_cents: Some(300) })
        .build();
    ViewSpec::<InventoryList>::given(history).then_rows([
        ("A".to_owned(), row("A", 8, Status::InStock, 3, 5)),
        (
            "B".to_owned(),
            InventoryRow { unit_price_cents: 300, ..row("B", 12, Status::InStock, 2, 7) },
        ),
        ("C".to_owned(), row("C", 0, Status::Out, 2, 6)),
    ]);
}

#[test]
fn reservations_lower_what_is_available_until_they_are_released_or_shipped() {
    let history = recorded([
        ("A", added(10)),
        ("A", reserved("r1", 3)),
        ("A", reserved("r2", 2)),
        ("A", ReservationReleased { reservation_id: "r1".to_owned(), quantity: 3 }.into()),
        ("A", ReservationShipped { reservation_id: "r2".to_owned(), quantity: 2 }.into()),
        ("A", reserved("r3", 4)),
    ]);
    let expected = InventoryRow { reserved: 4, available: 4, ..row("A", 8, Status::Low, 6, 6) };
    ViewSpec::<InventoryList>::given(history).then_rows([("A".to_owned(), expected)]);
}

#[test]
fn an_items_card_follows_its_name_price_and_reorder_point_until_it_is_discontinued() {
    let history = recorded([
        ("A", added(10)),
        ("A", ItemRenamed { name: "Lamp".to_owned(), previous_name: "Lantern".to_owned() }.into()),
        ("A", PriceChanged { unit_price_cents: 199, previous_unit_price_cents: 255 }.into()),
        ("A", ReorderPointChanged { reorder_point: 2, previous_reorder_point: 5 }.into()),
        ("A", StockAdjusted { delta: -7, reason: "counted".to_owned() }.into()),
        (
            "A",
            ItemReturned {
                quantity: 1,
                refund_cents: 199,
                currency: "GBP".to_owned(),
                reason: "broken".to_owned(),
            }
            .into(),
        ),
        ("A", ItemDiscontinued { on_hand: 4, reason: None }.into()),
    ]);
    let expected = InventoryRow {
        name: "Lamp".to_owned(),
        unit_price_cents: 199,
        reorder_point: 2,
        ..row("A", 4, Status::Discontinued, 7, 7)
    };
    ViewSpec::<InventoryList>::given(history).then_rows([("A".to_owned(), expected)]);
}

#[test]
fn a_history_that_cannot_be_parks_its_stream_alone() {
    let impossible = "the event does not fit the item's units";
    let never_added = recorded([("A", added(1)), ("B", sold(1))]);
    ViewSpec::<InventoryList>::given(never_added).then_impossible(impossible);
    let twice = recorded([("A", added(1)), ("A", added(1))]);
    ViewSpec::<InventoryList>::given(twice).then_impossible(impossible);
    let too_many = recorded([("A", added(1)), ("A", sold(2))]);
    ViewSpec::<InventoryList>::given(too_many).then_impossible(impossible);
}

#[test]
fn every_event_of_the_inventory_is_one_that_the_view_takes() {
    for sample in InventoryEvent::samples() {
        let history = recorded([("A", sample)]);
        assert_eq!(InventoryList::key(&history[0]).as_deref(), Some("A"));
    }
}
