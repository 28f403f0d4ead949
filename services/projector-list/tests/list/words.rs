//! Events of orders and customers, in few words.

use domain::{
    customer::{CustomerEmailChanged, CustomerEvent, CustomerRegistered, CustomerRenamed},
    order::{
        ConfirmedLine, OrderAllocated, OrderAmountCorrected, OrderCancelled, OrderConfirmed,
        OrderCreated, OrderDelivered, OrderEvent, OrderItemAdded, OrderItemRemoved, OrderPaid,
        OrderShipped, PaymentFailed,
    },
};

pub const ADA: &str = "018f3c1e-7b1a-7000-8000-0000000000c1";
pub const BOB: &str = "018f3c1e-7b1a-7000-8000-0000000000c2";

fn gbp() -> String {
    "GBP".to_owned()
}

/// The id of an order, the same for every number.
pub fn order(number: u32) -> String {
    format!("018f3c1e-7b1a-7000-8000-0000000a{number:04}")
}

pub fn created_for(customer_id: &str) -> OrderEvent {
    let shipping_address = "12 St James's Square, London".to_owned();
    let customer_id = customer_id.to_owned();
    OrderCreated { customer_id, shipping_address, currency: gbp() }.into()
}

pub fn added(sku: &str, quantity: i64, unit_price_cents: i64) -> OrderEvent {
    let (sku, name) = (sku.to_owned(), format!("The {sku}"));
    OrderItemAdded { sku, name, quantity, unit_price_cents }.into()
}

pub fn removed(sku: &str, quantity: i64, unit_price_cents: i64) -> OrderEvent {
    OrderItemRemoved { sku: sku.to_owned(), quantity, unit_price_cents }.into()
}

/// The view takes the total of a confirmation, and the items of the events before it.
pub fn confirmed(customer_id: &str, total_cents: i64) -> OrderEvent {
    let (customer_id, lines) = (customer_id.to_owned(), Vec::<ConfirmedLine>::new());
    OrderConfirmed { customer_id, lines, total_cents, currency: gbp() }.into()
}

pub fn allocated(total_cents: i64) -> OrderEvent {
    OrderAllocated { total_cents, currency: gbp() }.into()
}

pub fn payment_failed() -> OrderEvent {
    PaymentFailed { payment_id: "pay_1".to_owned(), reason: "card declined".to_owned() }.into()
}

pub fn paid(amount_cents: i64) -> OrderEvent {
    let (payment_id, method) = ("pay_2".to_owned(), "card".to_owned());
    OrderPaid { payment_id, amount_cents, currency: gbp(), method }.into()
}

pub fn shipped() -> OrderEvent {
    OrderShipped {
        tracking_number: "RM123456785GB".to_owned(),
        carrier: "Royal Mail".to_owned(),
        estimated_delivery_on: Some("2026-01-31".to_owned()),
    }
    .into()
}

pub fn delivered() -> OrderEvent {
    OrderDelivered {}.into()
}

pub fn cancelled(refund_cents: i64) -> OrderEvent {
    let (reason, cancelled_by) = ("ordered twice".to_owned(), Some("ada".to_owned()));
    OrderCancelled { reason, cancelled_by, refund_cents, currency: gbp() }.into()
}

pub fn corrected(delta_cents: i64, total_cents: i64) -> OrderEvent {
    OrderAmountCorrected {
        delta_cents,
        total_cents,
        currency: gbp(),
        reason: "voucher forgotten".to_owned(),
        corrects_event_id: "018f3c1e-7b1a-7000-8000-0000000000e1".to_owned(),
    }
    .into()
}

pub fn registered(name: &str, email: &str) -> CustomerEvent {
    CustomerRegistered { name: name.to_owned(), email: email.to_owned() }.into()
}

pub fn renamed(name: &str) -> CustomerEvent {
    CustomerRenamed { name: name.to_owned() }.into()
}

pub fn email_changed(email: &str) -> CustomerEvent {
    CustomerEmailChanged { email: email.to_owned() }.into()
}
