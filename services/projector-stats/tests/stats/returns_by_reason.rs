//! `returns_by_reason`: one row per reason for which something came back. Returns flow in; reasons
//! by units flow out.

use domain::inventory::{InventoryEvent, ItemReturned};
use factline_core::{Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use serde::{Deserialize, Serialize};

/// The view.
pub struct ReturnsByReason;

/// What came back for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonOfReturns {
    /// As it was given.
    pub reason: String,
    /// How many returns.
    pub returns: i64,
    /// Units in them.
    pub units_returned: i64,
}

impl View for ReturnsByReason {
    const TABLE: &'static str = "returns_by_reason";
    const KEY: &'static [&'static str] = &["reason"];
    const ROWS: Rows = Rows::Shared; // items of every partition come back for one reason
}

impl Fold for ReturnsByReason {
    const NAME: &'static str = "returns_by_reason";
    type Event = InventoryEvent;
    type Key = String;
    type Row = ReasonOfReturns;

    fn key(event: &Recorded<InventoryEvent>) -> Option<String> {
        of(&event.event).map(|returned| returned.reason.clone())
    }

    fn fold(
        row: Option<ReasonOfReturns>,
        event: &Recorded<InventoryEvent>,
    ) -> Folded<ReasonOfReturns> {
        let Some(returned) = of(&event.event) else { return Folded::Unchanged };
        let (returns, units) = row.map_or((0, 0), |row| (row.returns, row.units_returned));
        Folded::Put(ReasonOfReturns {
            reason: returned.reason.clone(),
            returns: returns + 1,
            units_returned: units.saturating_add(returned.quantity),
        })
    }
}

/// The one event that this view is made of; a new event has to be answered for here.
const fn of(event: &InventoryEvent) -> Option<&ItemReturned> {
    match event {
        InventoryEvent::ItemReturned(returned) => Some(returned),
        InventoryEvent::ItemAdded(_)
        | InventoryEvent::StockReceived(_)
        | InventoryEvent::ItemSold(_)
        | InventoryEvent::StockAdjusted(_)
        | InventoryEvent::StockReserved(_)
        | InventoryEvent::ReservationReleased(_)
        | InventoryEvent::ReservationShipped(_)
        | InventoryEvent::PriceChanged(_)
        | InventoryEvent::ReorderPointChanged(_)
        | InventoryEvent::ItemRenamed(_)
        | InventoryEvent::ItemDiscontinued(_) => None,
    }
}
