//! What becomes of the units of one item of an order.

use serde::{Deserialize, Serialize};

use super::{FulfilmentCommand, steps::Step};

/// One item of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Units.
    pub quantity: i64,
    /// What became of them.
    pub reservation: Reservation,
}

/// What became of a line's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reservation {
    /// Nothing was asked for yet.
    Wanted,
    /// Asked for; they may be put aside or not.
    Asked,
    /// Put aside.
    Held,
    /// Never put aside.
    Refused,
    /// To be free again; asked for.
    Releasing,
    /// Free again.
    Released,
    /// Gone; the item has to know.
    Shipping,
    /// Gone.
    Shipped,
}

impl Line {
    /// What the line's state asks for and was not asked for yet.
    pub(super) fn due(
        &mut self,
        sku: &str,
        order_id: &str,
        undo: bool,
        ship: bool,
    ) -> Option<(String, FulfilmentCommand)> {
        let (sku, reservation_id) = (sku.to_owned(), order_id.to_owned());
        let (step, next, command) = match self.reservation {
            Reservation::Wanted if undo => {
                self.reservation = Reservation::Released;
                return None;
            }
            Reservation::Wanted => {
                let quantity = self.quantity;
                let command =
                    FulfilmentCommand::ReserveStock { sku: sku.clone(), reservation_id, quantity };
                (Step::Reserve, Reservation::Asked, command)
            }
            Reservation::Held if undo => {
                let command =
                    FulfilmentCommand::ReleaseReservation { sku: sku.clone(), reservation_id };
                (Step::Release, Reservation::Releasing, command)
            }
            Reservation::Held if ship => {
                let command =
                    FulfilmentCommand::ShipReservation { sku: sku.clone(), reservation_id };
                (Step::Ship, Reservation::Shipping, command)
            }
            Reservation::Held
            | Reservation::Asked
            | Reservation::Refused
            | Reservation::Releasing
            | Reservation::Released
            | Reservation::Shipping
            | Reservation::Shipped => return None,
        };
        self.reservation = next;
        Some((step.about(sku), command))
    }
}

impl Reservation {
    /// Nothing is put aside any more.
    pub(super) const fn is_settled(self) -> bool {
        match self {
            Self::Refused | Self::Released | Self::Shipped => true,
            Self::Wanted | Self::Asked | Self::Held | Self::Releasing | Self::Shipping => false,
        }
    }
}
