//! The state of one item, made by its events.

use std::collections::BTreeMap;

use factline_core::Aggregate;
use serde::{Deserialize, Serialize};

use super::{InventoryEvent, InventoryRefusal};

/// An item of the catalogue, or the place where one could be added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Item(Option<KnownItem>);

/// An item that was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownItem {
    /// What people call it.
    pub name: String,
    /// Sales price of one unit in minor units of [`Self::currency`].
    pub unit_price_cents: i64,
    /// ISO 4217 code of all its amounts.
    pub currency: String,
    /// Units in the warehouse, reserved ones included.
    pub on_hand: i64,
    /// Units promised to reservations: the sum of [`Self::reservations`].
    pub reserved: i64,
    /// Units promised to each open reservation.
    pub reservations: BTreeMap<String, i64>,
    /// The item is low when the available units are at or below this.
    pub reorder_point: i64,
    /// Neither bought nor sold any more.
    pub discontinued: bool,
}

impl Item {
    /// The item, if it was ever added.
    #[must_use]
    pub fn known(&self) -> Option<&KnownItem> {
        self.0.as_ref()
    }
}

impl KnownItem {
    /// Units that can be sold or promised; never negative.
    #[must_use]
    pub fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }

    /// Sums saturate: decisions keep them far from the edge, and taking in an event never fails.
    fn take(&mut self, event: &InventoryEvent) {
        match event {
            InventoryEvent::ItemAdded(_) => {} // made this state
            InventoryEvent::StockReceived(event) => {
                self.add_on_hand(event.quantity);
                self.unit_price_cents = event.unit_price_cents.unwrap_or(self.unit_price_cents);
            }
            InventoryEvent::ItemSold(event) => self.add_on_hand(-event.quantity),
            InventoryEvent::ItemReturned(event) => self.add_on_hand(event.quantity),
            InventoryEvent::StockAdjusted(event) => self.add_on_hand(event.delta),
            InventoryEvent::StockReserved(event) => {
                self.reserved = self.reserved.saturating_add(event.quantity);
                self.reservations.insert(event.reservation_id.clone(), event.quantity);
            }
            InventoryEvent::ReservationReleased(event) => {
                self.close_reservation(&event.reservation_id);
            }
            InventoryEvent::ReservationShipped(event) => {
                self.close_reservation(&event.reservation_id);
                self.add_on_hand(-event.quantity);
            }
            InventoryEvent::PriceChanged(event) => self.unit_price_cents = event.unit_price_cents,
            InventoryEvent::ReorderPointChanged(event) => self.reorder_point = event.reorder_point,
            InventoryEvent::ItemRenamed(event) => self.name.clone_from(&event.name),
            InventoryEvent::ItemDiscontinued(_) => self.discontinued = true,
        }
    }

    fn add_on_hand(&mut self, delta: i64) {
        self.on_hand = self.on_hand.saturating_add(delta);
    }

    fn close_reservation(&mut self, reservation_id: &str) {
        self.reserved -= self.reservations.remove(reservation_id).unwrap_or(0);
    }
}

impl Aggregate for Item {
    const STATE_VERSION: i32 = 1;
    type Event = InventoryEvent;
    type Refusal = InventoryRefusal;

    fn evolve(&mut self, event: &InventoryEvent) {
        if let InventoryEvent::ItemAdded(added) = event {
            self.0 = Some(KnownItem {
                name: added.name.clone(),
                unit_price_cents: added.unit_price_cents,
                currency: added.currency.clone(),
                on_hand: added.quantity,
                reserved: 0,
                reservations: BTreeMap::new(),
                reorder_point: added.reorder_point,
                discontinued: false,
            });
        } else if let Some(known) = &mut self.0 {
            known.take(event);
        }
    }
}
