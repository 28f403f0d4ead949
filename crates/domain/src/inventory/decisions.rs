//! What an item answers to each command: the events it causes, none when nothing would change, or
//! a refusal.

use factline_core::{Decide, Moment};

use super::{
    AddItem, AdjustStock, ChangePrice, ChangeReorderPoint, DEFAULT_REORDER_POINT, DiscontinueItem,
    InventoryEvent, InventoryRefusal, Item, ItemAdded, ItemDiscontinued, ItemRenamed, ItemReturned,
    ItemSold, KnownItem, PriceChanged, ReceiveStock, ReleaseReservation, RenameItem,
    ReorderPointChanged, ReservationReleased, ReservationShipped, ReserveStock, ReturnItem,
    SellItem, ShipReservation, StockAdjusted, StockItem, StockReceived, StockReserved,
};
use crate::values::{Country, Currency, MAX_TOTAL, Quantity, Reason, UnitPriceCents, Units};

type Decision = Result<Vec<InventoryEvent>, InventoryRefusal>;

impl Decide<AddItem> for Item {
    fn decide(&self, command: &AddItem, _at: Moment) -> Decision {
        if self.known().is_some() {
            return Err(InventoryRefusal::ItemExists);
        }
        happened(ItemAdded {
            name: command.name.as_str().to_owned(),
            quantity: command.quantity.get(),
            unit_price_cents: command.unit_price_cents.get(),
            reorder_point: command.reorder_point.map_or(DEFAULT_REORDER_POINT, Units::get),
            currency: command.currency.clone().unwrap_or_default().into(),
        })
    }
}

impl Decide<ReceiveStock> for Item {
    fn decide(&self, command: &ReceiveStock, _at: Moment) -> Decision {
        self.existing()?.receive(command.quantity, command.unit_price_cents)
    }
}

impl Decide<StockItem> for Item {
    fn decide(&self, command: &StockItem, _at: Moment) -> Decision {
        if let Some(item) = self.known() {
            return item.receive(command.quantity, Some(command.unit_price_cents));
        }
        happened(ItemAdded {
            name: command.name.as_str().to_owned(),
            quantity: command.quantity.get(),
            unit_price_cents: command.unit_price_cents.get(),
            reorder_point: DEFAULT_REORDER_POINT,
            currency: Currency::default().into(),
        })
    }
}

impl Decide<SellItem> for Item {
    fn decide(&self, command: &SellItem, _at: Moment) -> Decision {
        let item = self.existing()?;
        item.check_offered()?;
        let unit_price_cents = item.price_or(command.unit_price_cents);
        if unit_price_cents < 1 {
            return Err(InventoryRefusal::InvalidPrice { unit_price_cents });
        }
        item.check_available(command.quantity)?;
        happened(ItemSold {
            quantity: command.quantity.get(),
            unit_price_cents,
            revenue_cents: amount_cents(command.quantity, unit_price_cents)?,
            currency: item.currency.clone(),
            country: command.country.clone().map(Country::into),
        })
    }
}

impl Decide<ReturnItem> for Item {
    fn decide(&self, command: &ReturnItem, _at: Moment) -> Decision {
        let item = self.existing()?;
        item.on_hand_after(command.quantity.get())?;
        let unit_price_cents = item.price_or(command.unit_price_cents);
        happened(ItemReturned {
            quantity: command.quantity.get(),
            refund_cents: amount_cents(command.quantity, unit_price_cents)?,
            currency: item.currency.clone(),
            reason: command.reason.clone().into(),
        })
    }
}

impl Decide<AdjustStock> for Item {
    fn decide(&self, command: &AdjustStock, _at: Moment) -> Decision {
        let item = self.existing()?;
        let delta = command.delta.get();
        if delta == 0 {
            return nothing();
        }
        let resulting = item.on_hand_after(delta)?;
        if resulting < item.reserved {
            return Err(InventoryRefusal::BelowReserved { reserved: item.reserved, resulting });
        }
        happened(StockAdjusted { delta, reason: command.reason.clone().into() })
    }
}

impl Decide<ReserveStock> for Item {
    fn decide(&self, command: &ReserveStock, _at: Moment) -> Decision {
        let item = self.existing()?;
        let requested = command.quantity.get();
        match item.reservations.get(command.reservation_id.as_str()) {
            Some(reserved) if *reserved == requested => return nothing(),
            Some(&reserved) => {
                return Err(InventoryRefusal::ReservationConflict { reserved, requested });
            }
            None => {}
        }
        item.check_offered()?;
        item.check_available(command.quantity)?;
        happened(StockReserved {
            reservation_id: command.reservation_id.clone().into(),
            quantity: requested,
        })
    }
}

impl Decide<ReleaseReservation> for Item {
    fn decide(&self, command: &ReleaseReservation, _at: Moment) -> Decision {
        let reservation_id = command.reservation_id.as_str();
        match self.known().and_then(|item| item.reservations.get(reservation_id)) {
            Some(&quantity) => happened(ReservationReleased {
                reservation_id: reservation_id.to_owned(),
                quantity,
            }),
            None => nothing(), // released before, or never made: what the caller wants is so
        }
    }
}

impl Decide<ShipReservation> for Item {
    fn decide(&self, command: &ShipReservation, _at: Moment) -> Decision {
        let reservation_id = command.reservation_id.as_str();
        let reservation = self.existing()?.reservations.get(reservation_id);
        let &quantity = reservation.ok_or(InventoryRefusal::UnknownReservation)?;
        happened(ReservationShipped { reservation_id: reservation_id.to_owned(), quantity })
    }
}

impl Decide<ChangePrice> for Item {
    fn decide(&self, command: &ChangePrice, _at: Moment) -> Decision {
        let previous_unit_price_cents = self.existing()?.unit_price_cents;
        let unit_price_cents = command.unit_price_cents.get();
        if unit_price_cents == previous_unit_price_cents {
            return nothing();
        }
        happened(PriceChanged { unit_price_cents, previous_unit_price_cents })
    }
}

impl Decide<ChangeReorderPoint> for Item {
    fn decide(&self, command: &ChangeReorderPoint, _at: Moment) -> Decision {
        let previous_reorder_point = self.existing()?.reorder_point;
        let reorder_point = command.reorder_point.get();
        if reorder_point == previous_reorder_point {
            return nothing();
        }
        happened(ReorderPointChanged { reorder_point, previous_reorder_point })
    }
}

impl Decide<RenameItem> for Item {
    fn decide(&self, command: &RenameItem, _at: Moment) -> Decision {
        let previous_name = self.existing()?.name.clone();
        let name = command.name.as_str().to_owned();
        if name == previous_name {
            return nothing();
        }
        happened(ItemRenamed { name, previous_name })
    }
}

impl Decide<DiscontinueItem> for Item {
    fn decide(&self, command: &DiscontinueItem, _at: Moment) -> Decision {
        let item = self.existing()?;
        if item.discontinued {
            return nothing();
        }
        let reason = command.reason.clone().map(Reason::into);
        happened(ItemDiscontinued { on_hand: item.on_hand, reason })
    }
}

fn happened(event: impl Into<InventoryEvent>) -> Decision {
    Ok(vec![event.into()])
}

fn nothing() -> Decision {
    Ok(Vec::new())
}

fn amount_cents(quantity: Quantity, unit_price_cents: i64) -> Result<i64, InventoryRefusal> {
    let amount = quantity.get().checked_mul(unit_price_cents);
    amount.filter(|cents| *cents <= MAX_TOTAL).ok_or(InventoryRefusal::OutOfRange)
}

impl Item {
    fn existing(&self) -> Result<&KnownItem, InventoryRefusal> {
        self.known().ok_or(InventoryRefusal::UnknownItem)
    }
}

impl KnownItem {
    fn receive(&self, quantity: Quantity, price: Option<UnitPriceCents>) -> Decision {
        self.check_offered()?;
        self.on_hand_after(quantity.get())?;
        let changed = price.map(UnitPriceCents::get).filter(|new| *new != self.unit_price_cents);
        happened(StockReceived { quantity: quantity.get(), unit_price_cents: changed })
    }

    fn price_or(&self, given: Option<UnitPriceCents>) -> i64 {
        given.map_or(self.unit_price_cents, UnitPriceCents::get)
    }

    fn check_offered(&self) -> Result<(), InventoryRefusal> {
        if self.discontinued { Err(InventoryRefusal::ItemDiscontinued) } else { Ok(()) }
    }

    fn check_available(&self, quantity: Quantity) -> Result<(), InventoryRefusal> {
        let (available, requested) = (self.available(), quantity.get());
        if requested > available {
            return Err(InventoryRefusal::InsufficientStock { available, requested });
        }
        Ok(())
    }

    fn on_hand_after(&self, delta: i64) -> Result<i64, InventoryRefusal> {
        let sum = self.on_hand.checked_add(delta);
        sum.filter(|units| *units <= MAX_TOTAL).ok_or(InventoryRefusal::OutOfRange)
    }
}
