//! Order fulfilment: from a confirmed order to goods on their way, or back to where everything was.
//!
//! An order's events and the answers to its own commands flow in; commands to items and to the order flow
//! out. [`steps::STEPS`] is the process as a table. The state follows what the log says of the order and
//! what each line's item has answered, and what is due follows from the state alone, whatever came first:
//! so crossing events (a cancellation while stock is being reserved, a payment while the time for it runs
//! out) need no case of their own.
//!
//! - A line whose reservation was asked for is settled (released, refused or shipped) before the instance
//!   ends. A release waits for the reservation's answer: the other way round it would release nothing, and
//!   the reservation would stay for ever.
//! - An order that was not paid is cancelled at the version that the process has seen, so a payment that
//!   came first wins, and the process learns of it.
//! - The refund is what the cancellation says, asked for once.

pub mod steps;

mod commands;
mod lines;
mod state;

use std::time::Duration;

use factline_core::{
    Recorded,
    saga::{Answer, Input, Reaction, Saga, Unanswered},
};
use serde::{Deserialize, Serialize};

pub use commands::FulfilmentCommand;
pub use lines::{Line, Reservation};
pub use state::{Fulfilment, Refund, Stage};

use crate::order::OrderEvent;

/// The timer that runs while an order waits for its payment.
pub const PAYMENT: &str = "payment";

/// The process.
#[derive(Debug, Clone, Copy)]
pub struct OrderFulfilment {
    /// How long an order waits for its payment.
    pub payment_timeout: Duration,
}

/// What an event of an order means to its fulfilment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFact {
    /// Which order.
    pub order_id: String,
    /// The order's version after it.
    pub version: i64,
    /// What happened.
    pub news: News,
}

/// See [`OrderFact`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // as the events say
pub enum News {
    Confirmed {
        /// Units by SKU.
        units: Vec<(String, i64)>,
    },
    Allocated,
    Paid {
        payment_id: String,
    },
    PaymentFailed,
    Shipped,
    Cancelled {
        refund_cents: i64,
        currency: String,
    },
    /// The order's version moved, and nothing else that matters here.
    Other,
}

impl Saga for OrderFulfilment {
    const NAME: &'static str = "order_fulfilment";
    const DEFINITIONS: &'static [i32] = &[1];
    type Event = OrderEvent;
    type Fact = OrderFact;
    type State = Fulfilment;
    type Command = FulfilmentCommand;

    fn fact(Recorded { envelope, event }: &Recorded<OrderEvent>) -> Option<OrderFact> {
        let news = match event {
            OrderEvent::OrderConfirmed(confirmed) => {
                let lines = confirmed.lines.iter();
                News::Confirmed {
                    units: lines.map(|line| (line.sku.clone(), line.quantity)).collect(),
                }
            }
            OrderEvent::OrderAllocated(_) => News::Allocated,
            OrderEvent::OrderPaid(paid) => News::Paid { payment_id: paid.payment_id.clone() },
            OrderEvent::PaymentFailed(_) => News::PaymentFailed,
            OrderEvent::OrderShipped(_) => News::Shipped,
            OrderEvent::OrderCancelled(cancelled) => News::Cancelled {
                refund_cents: cancelled.refund_cents,
                currency: cancelled.currency.clone(),
            },
            OrderEvent::OrderAmountCorrected(_) | OrderEvent::OrderDelivered(_) => News::Other,
            // Of a draft, of which there is no instance yet.
            OrderEvent::OrderCreated(_)
            | OrderEvent::OrderItemAdded(_)
            | OrderEvent::OrderItemRemoved(_) => return None,
        };
        let order_id = envelope.stream_id.to_string();
        Some(OrderFact { order_id, version: envelope.version.0, news })
    }

    fn begin(fact: &OrderFact) -> Option<Fulfilment> {
        match &fact.news {
            News::Confirmed { units } => Some(Fulfilment::of(&fact.order_id, units)),
            News::Allocated
            | News::Paid { .. }
            | News::PaymentFailed
            | News::Shipped
            | News::Cancelled { .. }
            | News::Other => None,
        }
    }

    fn react(
        &self,
        _definition: i32,
        mut state: Fulfilment,
        input: Input<'_, OrderFact>,
    ) -> Result<Reaction<Self>, Unanswered> {
        let was = state.order;
        match input {
            Input::Fact(fact) => state.learn(fact)?,
            Input::Answer { step, answer: Answer::Accepted } => state.accepted(step)?,
            Input::Answer { step, answer: Answer::Refused(code) } => state.refused(step, code)?,
            Input::Timer(_) => state.time_is_up(),
            Input::Compensate => state.give_up(state::OPERATOR),
        }
        let commands = state.due();
        let timer = match (was == Stage::Pending, state.order == Stage::Pending) {
            (false, true) => Some((PAYMENT, Some(self.payment_timeout))),
            (true, false) => Some((PAYMENT, None)),
            (true, true) | (false, false) => None,
        };
        let outcome = state.outcome();
        Ok(Reaction { state, commands, timers: timer.into_iter().collect(), outcome })
    }

    fn is_patient(state: &Fulfilment) -> bool {
        state.waits_for_the_warehouse()
    }
}
