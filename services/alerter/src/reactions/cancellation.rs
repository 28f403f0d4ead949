//! A cancelled order is told of by mail. `OrderCancelled` flows in; order id and reason flow out to
//! its customer.

use askama::Template;
use domain::order::{OrderCancelled, OrderEvent};
use factline_core::Recorded;

use super::{Mail, Reaction, Recipient};

/// The reaction.
pub struct TellCancellation;

impl Reaction for TellCancellation {
    const NAME: &'static str = "order_cancellation_email";
    type Event = OrderEvent;

    fn react(event: &Recorded<OrderEvent>) -> Result<Option<Mail>, askama::Error> {
        let Some(OrderCancelled { reason, .. }) = of(&event.event) else { return Ok(None) };
        let order_id = event.envelope.stream_id.as_str();
        Ok(Some(Mail {
            to: Recipient::CustomerOfOrder(order_id.to_owned()), // the event does not name them
            subject: format!("Your order {order_id} was cancelled"),
            text: Text { order_id, reason }.render()?,
            html: Html { order_id, reason }.render()?,
        }))
    }
}

/// The one event that is told of; a new event has to be answered for here.
const fn of(event: &OrderEvent) -> Option<&OrderCancelled> {
    match event {
        OrderEvent::OrderCancelled(cancelled) => Some(cancelled),
        OrderEvent::OrderCreated(_)
        | OrderEvent::OrderItemAdded(_)
        | OrderEvent::OrderItemRemoved(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderAllocated(_)
        | OrderEvent::OrderPaid(_)
        | OrderEvent::PaymentFailed(_)
        | OrderEvent::OrderShipped(_)
        | OrderEvent::OrderDelivered(_)
        | OrderEvent::OrderAmountCorrected(_) => None,
    }
}

#[derive(Template)]
#[template(path = "order-cancelled.txt")]
struct Text<'a> {
    order_id: &'a str,
    reason: &'a str,
}

#[derive(Template)]
#[template(path = "order-cancelled.html")]
struct Html<'a> {
    order_id: &'a str,
    reason: &'a str,
}
