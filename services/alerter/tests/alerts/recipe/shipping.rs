//! A shipped order is told of by mail. `OrderShipped` flows in; order id, carrier and tracking number
//! flow out to its customer.

use askama::Template;
use domain::order::{OrderEvent, OrderShipped};
use factline_core::Recorded;

use super::{Mail, Reaction, Recipient};

/// The reaction.
pub struct TellShipment;

impl Reaction for TellShipment {
    const NAME: &'static str = "order_shipment_email";
    type Event = OrderEvent;

    fn react(event: &Recorded<OrderEvent>) -> Result<Option<Mail>, askama::Error> {
        let Some(shipped) = of(&event.event) else { return Ok(None) };
        let OrderShipped { carrier, tracking_number, estimated_delivery_on: _ } = shipped;
        let order_id = event.envelope.stream_id.as_str();
        Ok(Some(Mail {
            to: Recipient::CustomerOfOrder(order_id.to_owned()), // the event does not name them
            subject: format!("Your order {order_id} is on its way"),
            text: Text { order_id, carrier, tracking_number }.render()?,
            html: Html { order_id, carrier, tracking_number }.render()?,
        }))
    }
}

/// The one event that is told of; a new event has to be answered for here.
const fn of(event: &OrderEvent) -> Option<&OrderShipped> {
    match event {
        OrderEvent::OrderShipped(shipped) => Some(shipped),
        OrderEvent::OrderCreated(_)
        | OrderEvent::OrderItemAdded(_)
        | OrderEvent::OrderItemRemoved(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderAllocated(_)
        | OrderEvent::OrderPaid(_)
        | OrderEvent::PaymentFailed(_)
        | OrderEvent::OrderDelivered(_)
        | OrderEvent::OrderCancelled(_)
        | OrderEvent::OrderAmountCorrected(_) => None,
    }
}

#[derive(Template)]
#[template(path = "order-shipped.txt")]
struct Text<'a> {
    order_id: &'a str,
    carrier: &'a str,
    tracking_number: &'a str,
}

#[derive(Template)]
#[template(path = "order-shipped.html")]
struct Html<'a> {
    order_id: &'a str,
    carrier: &'a str,
    tracking_number: &'a str,
}
