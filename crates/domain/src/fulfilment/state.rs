//! Where a fulfilment stands, and what is due in that place.

use std::collections::BTreeMap;

use factline_core::saga::{Outcome, Unanswered};
use serde::{Deserialize, Serialize};

use super::{
    FulfilmentCommand, Line, News, OrderFact, Reservation,
    steps::{OnRefusal, Step, on_refusal},
};

/// An operator gives the order up: from then on no refusal is without an answer.
pub(super) const OPERATOR: &str = "given_up_by_an_operator";
const NO_STOCK: &str = "insufficient_stock";
const PAYMENT_FAILED: &str = "payment_failed";
const PAYMENT_TIMEOUT: &str = "payment_timeout";

/// The state of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fulfilment {
    /// The order, and the name of its reservations.
    pub order_id: String,
    /// Of the newest event of the order that was seen.
    pub version: i64,
    /// Where the order stands, by the events that were seen.
    pub order: Stage,
    /// What is ordered, by SKU.
    pub lines: BTreeMap<String, Line>,
    /// The order may be paid: that was asked for.
    pub allocate_asked: bool,
    /// Why everything is to be undone, whatever happens.
    pub given_up: Option<String>,
    /// Why the order is to be cancelled unless it is paid.
    pub unpaid: Option<String>,
    /// The cancellation was asked for.
    pub cancel_asked: bool,
    /// The same for an unpaid order, last at this version.
    pub cancel_asked_at: Option<i64>,
    /// The payment, as whoever took the money names it.
    pub payment_id: Option<String>,
    /// What has to be paid back.
    pub refund: Option<Refund>,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its stock is being reserved.
    Confirmed,
    /// It waits for its payment.
    Pending,
    /// It waits to be shipped.
    Paid,
    /// It is on its way.
    Shipped,
    /// It was given up.
    Cancelled,
}

/// Money that goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// In minor units.
    pub amount_cents: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// It was asked for.
    pub asked: bool,
    /// It was done.
    pub done: bool,
}

impl Fulfilment {
    pub(super) fn of(order_id: &str, units: &[(String, i64)]) -> Self {
        let line = |(sku, quantity): &(String, i64)| {
            (sku.clone(), Line { quantity: *quantity, reservation: Reservation::Wanted })
        };
        Self {
            order_id: order_id.to_owned(),
            version: 0,
            order: Stage::Confirmed,
            lines: units.iter().map(line).collect(),
            allocate_asked: false,
            given_up: None,
            unpaid: None,
            cancel_asked: false,
            cancel_asked_at: None,
            payment_id: None,
            refund: None,
        }
    }

    fn is_given_up(&self) -> bool {
        self.given_up.is_some()
    }

    /// Everything is put aside and paid: somebody has to pack it.
    pub(super) fn waits_for_the_warehouse(&self) -> bool {
        let held = |line: &Line| line.reservation == Reservation::Held;
        self.order == Stage::Paid && self.lines.values().all(held)
    }

    /// The first reason stays, but an operator's overrules it: it answers every refusal.
    pub(super) fn give_up(&mut self, why: &str) {
        if self.given_up.is_none() || why == OPERATOR {
            self.given_up = Some(why.to_owned());
        }
    }

    fn is_given_up_by_an_operator(&self) -> bool {
        self.given_up.as_deref() == Some(OPERATOR)
    }

    /// Takes in an event of the order.
    pub(super) fn learn(&mut self, fact: &OrderFact) -> Result<(), Unanswered> {
        match &fact.news {
            News::Confirmed { .. } | News::Other => {}
            News::Allocated => self.order = Stage::Pending,
            News::Paid { payment_id } => {
                self.order = Stage::Paid;
                self.payment_id = Some(payment_id.clone());
                self.unpaid = None;
            }
            News::PaymentFailed => self.unpaid = Some(PAYMENT_FAILED.to_owned()),
            News::Shipped => self.shipped()?,
            News::Cancelled { refund_cents, currency } => {
                self.order = Stage::Cancelled;
                self.refund = (*refund_cents > 0).then(|| Refund {
                    amount_cents: *refund_cents,
                    currency: currency.clone(),
                    asked: false,
                    done: false,
                });
            }
        }
        self.version = fact.version;
        Ok(())
    }

    /// Goods that left the house were put aside for it, or will be: anything else is for a person.
    fn shipped(&mut self) -> Result<(), Unanswered> {
        let is_there =
            |line: &Line| matches!(line.reservation, Reservation::Asked | Reservation::Held);
        let missing = self.lines.iter().find(|(_, line)| !is_there(line));
        if let (Some((sku, _)), false) = (missing, self.is_given_up_by_an_operator()) {
            let why = format!("the order was shipped, and nothing is reserved for it of {sku}");
            return Err(Unanswered(why));
        }
        self.order = Stage::Shipped;
        Ok(())
    }

    /// The time for the payment is over.
    pub(super) fn time_is_up(&mut self) {
        if self.order == Stage::Pending {
            self.unpaid = Some(PAYMENT_TIMEOUT.to_owned());
        }
    }

    /// A step was carried out.
    pub(super) fn accepted(&mut self, name: &str) -> Result<(), Unanswered> {
        match read(name)? {
            (Step::Reserve, sku) => self.settle(sku, Reservation::Held),
            (Step::Release, sku) => self.settle(sku, Reservation::Released),
            (Step::Ship, sku) => self.settle(sku, Reservation::Shipped),
            (Step::Refund, _) => {
                if let Some(refund) = &mut self.refund {
                    refund.done = true;
                }
            }
            (Step::Allocate | Step::Cancel | Step::Payment, _) => {} // the order's event says it
        }
        Ok(())
    }

    /// A step was refused.
    pub(super) fn refused(&mut self, name: &str, code: &str) -> Result<(), Unanswered> {
        let (step, about) = read(name)?;
        let meaning = on_refusal(step, code);
        if meaning.is_none() && !self.is_given_up_by_an_operator() {
            return Err(Unanswered(format!("{name} was refused: {code}")));
        }
        match step {
            Step::Reserve if self.order == Stage::Shipped && !self.is_given_up_by_an_operator() => {
                Err(Unanswered(format!("the order was shipped, and {name} was refused: {code}")))
            }
            Step::Reserve | Step::Release | Step::Ship => {
                self.settle(about, Reservation::Refused);
                if meaning == Some(OnRefusal::GiveUp) {
                    self.give_up(NO_STOCK);
                }
                Ok(())
            }
            Step::Refund => self.accepted(name), // the operator sees to it
            Step::Allocate | Step::Cancel | Step::Payment => Ok(()),
        }
    }

    fn settle(&mut self, sku: &str, reservation: Reservation) {
        if let Some(line) = self.lines.get_mut(sku) {
            line.reservation = reservation;
        }
    }

    /// Everything that the state asks for and that was not asked for yet; the state then knows.
    pub(super) fn due(&mut self) -> Vec<(String, FulfilmentCommand)> {
        let undo = self.is_given_up() || self.order == Stage::Cancelled;
        let ship = self.order == Stage::Shipped;
        let mut due = Vec::new();
        for (sku, line) in &mut self.lines {
            due.extend(line.due(sku, &self.order_id, undo, ship));
        }
        due.extend(self.allocation());
        due.extend(self.cancellation());
        due.extend(self.refunding());
        due
    }

    fn allocation(&mut self) -> Option<(String, FulfilmentCommand)> {
        let held = |line: &Line| line.reservation == Reservation::Held;
        let ready = self.order == Stage::Confirmed && !self.is_given_up();
        if !ready || self.allocate_asked || !self.lines.values().all(held) {
            return None;
        }
        self.allocate_asked = true;
        let order_id = self.order_id.clone();
        Some((Step::Allocate.as_str().to_owned(), FulfilmentCommand::AllocateOrder { order_id }))
    }

    fn cancellation(&mut self) -> Option<(String, FulfilmentCommand)> {
        let cancel = |reason: &String, at_version| FulfilmentCommand::CancelOrder {
            order_id: self.order_id.clone(),
            reason: reason.clone(),
            at_version,
        };
        let over = matches!(self.order, Stage::Shipped | Stage::Cancelled);
        match (&self.given_up, &self.unpaid) {
            (Some(reason), _) if !over && !self.cancel_asked => {
                let command = cancel(reason, None);
                self.cancel_asked = true;
                Some((Step::Cancel.as_str().to_owned(), command))
            }
            // Each event of the order that is no payment makes it worth another try.
            (None, Some(reason))
                if self.order == Stage::Pending && self.cancel_asked_at != Some(self.version) =>
            {
                let command = cancel(reason, Some(self.version));
                self.cancel_asked_at = Some(self.version);
                Some((Step::Cancel.about(self.version), command))
            }
            (Some(_) | None, Some(_) | None) => None,
        }
    }

    fn refunding(&mut self) -> Option<(String, FulfilmentCommand)> {
        let refund = self.refund.as_mut().filter(|refund| !refund.asked)?;
        refund.asked = true;
        let command = FulfilmentCommand::RefundPayment {
            order_id: self.order_id.clone(),
            payment_id: self.payment_id.clone(),
            amount_cents: refund.amount_cents,
            currency: refund.currency.clone(),
        };
        Some((Step::Refund.as_str().to_owned(), command))
    }

    /// Set once nothing is left to do.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        let all =
            |is: fn(Reservation) -> bool| self.lines.values().all(|line| is(line.reservation));
        let refunded = self.refund.as_ref().is_none_or(|refund| refund.done);
        match self.order {
            Stage::Shipped if all(|one| one == Reservation::Shipped) => Some(Outcome::Completed),
            Stage::Shipped if self.is_given_up() && all(Reservation::is_settled) => {
                Some(Outcome::Compensated)
            }
            Stage::Cancelled if refunded && all(Reservation::is_settled) => {
                Some(Outcome::Compensated)
            }
            Stage::Confirmed | Stage::Pending | Stage::Paid | Stage::Shipped | Stage::Cancelled => {
                None
            }
        }
    }
}

fn read(name: &str) -> Result<(Step, &str), Unanswered> {
    Step::read(name).ok_or_else(|| Unanswered(format!("there is no step {name}")))
}
