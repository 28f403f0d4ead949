//! A customer's first order: somebody calls them when it was paid; an order that is given up first is
//! none.

use std::time::Duration;

use domain::order::OrderEvent;
use factline_core::{
    Recorded,
    saga::{Answer, Input, Outcome, Reaction, Saga, Unanswered},
};
use serde::{Deserialize, Serialize};

/// The process.
pub struct Welcome;

/// What an order's event means to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum News {
    Confirmed { customer_id: String },
    Paid,
    GivenUp,
}

/// Whom to call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guest {
    pub customer_id: String,
}

/// What it asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallCustomer {
    pub customer_id: String,
}

impl Saga for Welcome {
    const NAME: &'static str = "welcome";
    const DEFINITIONS: &'static [i32] = &[1];
    type Event = OrderEvent;
    type Fact = News;
    type State = Guest;
    type Command = CallCustomer;

    fn fact(recorded: &Recorded<OrderEvent>) -> Option<News> {
        match &recorded.event {
            OrderEvent::OrderConfirmed(confirmed) => {
                Some(News::Confirmed { customer_id: confirmed.customer_id.clone() })
            }
            OrderEvent::OrderPaid(_) => Some(News::Paid),
            OrderEvent::OrderCancelled(_) => Some(News::GivenUp),
            OrderEvent::OrderCreated(_)
            | OrderEvent::OrderItemAdded(_)
            | OrderEvent::OrderItemRemoved(_)
            | OrderEvent::OrderAllocated(_)
            | OrderEvent::PaymentFailed(_)
            | OrderEvent::OrderShipped(_)
            | OrderEvent::OrderDelivered(_)
            | OrderEvent::OrderAmountCorrected(_) => None,
        }
    }

    fn begin(news: &News) -> Option<Guest> {
        let News::Confirmed { customer_id } = news else { return None };
        Some(Guest { customer_id: customer_id.clone() })
    }

    fn react(
        &self,
        _definition: i32,
        guest: Guest,
        input: Input<'_, News>,
    ) -> Result<Reaction<Self>, Unanswered> {
        let call = CallCustomer { customer_id: guest.customer_id.clone() };
        let mut reaction: Reaction<Self> = Reaction::to(guest);
        match input {
            Input::Fact(News::Confirmed { .. }) => {
                reaction.timers.push(("week", Some(Duration::from_secs(7 * 24 * 3_600))));
            }
            Input::Fact(News::Paid) => reaction.commands.push(("call".to_owned(), call)),
            Input::Answer { answer: Answer::Accepted, .. } => {
                reaction.outcome = Some(Outcome::Completed);
            }
            Input::Answer { answer: Answer::Refused(code), .. } => {
                return Err(Unanswered(format!("the customer was not called: {code}")));
            }
            Input::Fact(News::GivenUp) | Input::Timer(_) | Input::Compensate => {
                reaction.outcome = Some(Outcome::Compensated);
            }
        }
        Ok(reaction)
    }
}
