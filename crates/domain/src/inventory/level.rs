//! How much of an item there is, folded from its events: the part that several views and rules
//! share. An item's events flow in, in order; its level flows out.

use serde::{Deserialize, Serialize};

use super::InventoryEvent;

/// How much of an item there is, and how much is too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLevel {
    /// Units in the warehouse, reserved ones included.
    pub on_hand: i64,
    /// Units promised to reservations.
    pub reserved: i64,
    /// The item is low when the available units are at or below this.
    pub reorder_point: i64,
    /// Neither bought nor sold any more.
    pub discontinued: bool,
}

impl StockLevel {
    /// Units that can be sold or promised.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }

    /// Whether somebody should order more.
    #[must_use]
    pub const fn is_low(&self) -> bool {
        !self.discontinued && self.available() <= self.reorder_point
    }

    /// The level after an event. `None` when the history cannot be: something happened to an item
    /// that was never added, or it was added twice, or its units do not add up.
    #[must_use]
    pub fn after(before: Option<Self>, event: &InventoryEvent) -> Option<Self> {
        if let InventoryEvent::ItemAdded(added) = event {
            let level = Self {
                on_hand: added.quantity,
                reserved: 0,
                reorder_point: added.reorder_point,
                discontinued: false,
            };
            return if before.is_none() { Some(level) } else { None };
        }
        let level = before?;
        let after = match event {
            InventoryEvent::ItemAdded(_)
            | InventoryEvent::PriceChanged(_)
            | InventoryEvent::ItemRenamed(_) => level,
            InventoryEvent::StockReceived(event) => level.moved(event.quantity, 0)?,
            InventoryEvent::ItemSold(event) => level.moved(-event.quantity, 0)?,
            InventoryEvent::ItemReturned(event) => level.moved(event.quantity, 0)?,
            InventoryEvent::StockAdjusted(event) => level.moved(event.delta, 0)?,
            InventoryEvent::StockReserved(event) => level.moved(0, event.quantity)?,
            InventoryEvent::ReservationReleased(event) => level.moved(0, -event.quantity)?,
            InventoryEvent::ReservationShipped(event) => {
                level.moved(-event.quantity, -event.quantity)?
            }
            InventoryEvent::ReorderPointChanged(event) => {
                Self { reorder_point: event.reorder_point, ..level }
            }
            InventoryEvent::ItemDiscontinued(_) => Self { discontinued: true, ..level },
        };
        Some(after)
    }

    fn moved(self, on_hand: i64, reserved: i64) -> Option<Self> {
        let on_hand = self.on_hand.checked_add(on_hand)?;
        let reserved = self.reserved.checked_add(reserved)?;
        let adds_up = reserved >= 0 && reserved <= on_hand;
        adds_up.then_some(Self { on_hand, reserved, ..self })
    }
}
