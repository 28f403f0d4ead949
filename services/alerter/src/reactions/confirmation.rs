//! A confirmed order is confirmed by mail. `OrderConfirmed` flows in; order id, items and total flow
//! out to its customer.

use askama::Template;
use domain::order::{ConfirmedLine, OrderConfirmed, OrderEvent};
use factline_core::Recorded;

use super::{Mail, Reaction, Recipient};

/// The reaction.
pub struct ConfirmOrder;

impl Reaction for ConfirmOrder {
    const NAME: &'static str = "order_confirmation_email";
    type Event = OrderEvent;

    fn react(event: &Recorded<OrderEvent>) -> Result<Option<Mail>, askama::Error> {
        let Some(confirmed) = of(&event.event) else { return Ok(None) };
        let order_id = event.envelope.stream_id.as_str();
        let lines: Vec<Line> = confirmed.lines.iter().map(Line::of).collect();
        let (lines, total) = (&lines[..], Amount(confirmed.total_cents.into()));
        let currency = confirmed.currency.as_str();
        Ok(Some(Mail {
            to: Recipient::Customer(confirmed.customer_id.clone()),
            subject: format!("We have your order {order_id}"),
            text: Text { order_id, lines, total, currency }.render()?,
            html: Html { order_id, lines, total, currency }.render()?,
        }))
    }
}

/// The one event that is confirmed by mail; a new event has to be answered for here.
const fn of(event: &OrderEvent) -> Option<&OrderConfirmed> {
    match event {
        OrderEvent::OrderConfirmed(confirmed) => Some(confirmed),
        OrderEvent::OrderCreated(_)
        | OrderEvent::OrderItemAdded(_)
        | OrderEvent::OrderItemRemoved(_)
        | OrderEvent::OrderAllocated(_)
        | OrderEvent::OrderPaid(_)
        | OrderEvent::PaymentFailed(_)
        | OrderEvent::OrderShipped(_)
        | OrderEvent::OrderDelivered(_)
        | OrderEvent::OrderCancelled(_)
        | OrderEvent::OrderAmountCorrected(_) => None,
    }
}

#[derive(Template)]
#[template(path = "order-confirmation.txt")]
struct Text<'a> {
    order_id: &'a str,
    lines: &'a [Line<'a>],
    total: Amount,
    currency: &'a str,
}

#[derive(Template)]
#[template(path = "order-confirmation.html")]
struct Html<'a> {
    order_id: &'a str,
    lines: &'a [Line<'a>],
    total: Amount,
    currency: &'a str,
}

/// All the units of one item.
struct Line<'a> {
    sku: &'a str,
    name: &'a str,
    quantity: i64,
    total: Amount,
}

impl<'a> Line<'a> {
    fn of(line: &'a ConfirmedLine) -> Self {
        let ConfirmedLine { sku, name, quantity, unit_price_cents } = line;
        let total = Amount(i128::from(*quantity) * i128::from(*unit_price_cents));
        Self { sku, name, quantity: *quantity, total }
    }
}

/// Cents, written as a person would: `15.30`.
#[derive(Debug, Clone, Copy)]
struct Amount(i128);

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100) // an order comes to nothing or more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_written_with_two_digits_behind_the_point() {
        let written = [0, 5, 1_530, 100].map(|cents| Amount(cents).to_string());
        assert_eq!(written, ["0.00", "0.05", "15.30", "1.00"]);
    }
}
