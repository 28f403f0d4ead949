//! What can happen to an order. Facts only: their time, order and cause stand in the envelope. The
//! fields are those of the schema files, in their order.

use factline_core::{Sample, event_set};
use serde::{Deserialize, Serialize};

use crate::values::Currency;

event_set! {
    /// Everything that can happen to an order.
    pub enum OrderEvent of "order" {
        OrderCreated: "order_created.v2" <- OrderCreatedV1: "order_created.v1",
        OrderItemAdded: "order_item_added.v1",
        OrderItemRemoved: "order_item_removed.v1",
        OrderConfirmed: "order_confirmed.v1",
        OrderAllocated: "order_allocated.v1",
        OrderPaid: "order_paid.v1",
        PaymentFailed: "payment_failed.v1",
        OrderShipped: "order_shipped.v1",
        OrderDelivered: "order_delivered.v1",
        OrderCancelled: "order_cancelled.v1",
        OrderAmountCorrected: "order_amount_corrected.v1",
    }
}

const SAMPLE_CUSTOMER: &str = "018f3c1e-7b1a-7000-8000-0000000000c1";
const SAMPLE_PAYMENT: &str = "pay_3Q8kT2eZvKYlo2C1";

/// Somebody began an order: a draft without items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCreated {
    /// Whose order it is: the id of the customer's stream.
    pub customer_id: String,
    /// Where the goods go.
    pub shipping_address: String,
    /// ISO 4217 code of all the order's amounts, for its whole life.
    pub currency: String,
}

impl Sample for OrderCreated {
    fn sample() -> Self {
        Self {
            customer_id: SAMPLE_CUSTOMER.to_owned(),
            shipping_address: "12 St James's Square, London SW1Y 4JH".to_owned(),
            currency: "GBP".to_owned(),
        }
    }
}

/// What was written before orders had a currency: every amount was in US dollars.
#[derive(Deserialize)]
#[serde(rename = "OrderCreated")]
struct OrderCreatedV1 {
    customer_id: String,
    shipping_address: String,
}

impl From<OrderCreatedV1> for OrderCreated {
    fn from(created: OrderCreatedV1) -> Self {
        let OrderCreatedV1 { customer_id, shipping_address } = created;
        Self { customer_id, shipping_address, currency: Currency::default().into() }
    }
}

/// Units of an item were added to a draft; its total grows by quantity times unit_price_cents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItemAdded {
    /// Which item: the id of its stream.
    pub sku: String,
    /// What the item was called in the catalogue at that time.
    pub name: String,
    /// Units that came on top, at least 1.
    pub quantity: i64,
    /// Price of one unit in minor units of the order's currency, from the catalogue at that time; at
    /// least 0.
    pub unit_price_cents: i64,
}

impl Sample for OrderItemAdded {
    fn sample() -> Self {
        Self {
            sku: "85123A".to_owned(),
            name: "White Hanging Heart T-Light Holder".to_owned(),
            quantity: 6,
            unit_price_cents: 255,
        }
    }
}

/// An item was taken off a draft, with all its units; its total falls by quantity times
/// unit_price_cents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItemRemoved {
    /// Which item.
    pub sku: String,
    /// All the units of the item that were on the order.
    pub quantity: i64,
    /// The price that each of them was on it for.
    pub unit_price_cents: i64,
}

impl Sample for OrderItemRemoved {
    fn sample() -> Self {
        Self { sku: "85123A".to_owned(), quantity: 6, unit_price_cents: 255 }
    }
}

/// The customer means it: items and prices are fixed. It carries all of them, because every process
/// begins here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderConfirmed {
    /// Whose order it is.
    pub customer_id: String,
    /// Every item once, by SKU; at least one.
    pub lines: Vec<ConfirmedLine>,
    /// What the order comes to: the sum of its lines and corrections.
    pub total_cents: i64,
    /// ISO 4217 code of the amounts.
    pub currency: String,
}

/// All the units of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmedLine {
    /// Which item.
    pub sku: String,
    /// What it was called when it was added.
    pub name: String,
    /// Units, at least 1.
    pub quantity: i64,
    /// Price of one unit, at least 0.
    pub unit_price_cents: i64,
}

impl Sample for OrderConfirmed {
    fn sample() -> Self {
        let OrderItemAdded { sku, name, quantity, unit_price_cents } = OrderItemAdded::sample();
        Self {
            customer_id: SAMPLE_CUSTOMER.to_owned(),
            lines: vec![ConfirmedLine { sku, name, quantity, unit_price_cents }],
            total_cents: 1_530,
            currency: "GBP".to_owned(),
        }
    }
}

/// Every line is reserved: the order waits for its payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderAllocated {
    /// What has to be paid.
    pub total_cents: i64,
    /// ISO 4217 code of the amount.
    pub currency: String,
}

impl Sample for OrderAllocated {
    fn sample() -> Self {
        Self { total_cents: 1_530, currency: "GBP".to_owned() }
    }
}

/// The order was paid in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPaid {
    /// The payment, as whoever took the money names it.
    pub payment_id: String,
    /// What was paid: exactly the order's total at that time.
    pub amount_cents: i64,
    /// ISO 4217 code of the amount.
    pub currency: String,
    /// card, bank or wallet.
    pub method: String,
}

impl Sample for OrderPaid {
    fn sample() -> Self {
        Self {
            payment_id: SAMPLE_PAYMENT.to_owned(),
            amount_cents: 1_530,
            currency: "GBP".to_owned(),
            method: "card".to_owned(),
        }
    }
}

/// A payment was tried and did not succeed; the order still waits for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentFailed {
    /// The payment, as whoever was to take the money names it.
    pub payment_id: String,
    /// Why it failed.
    pub reason: String,
}

impl Sample for PaymentFailed {
    fn sample() -> Self {
        Self { payment_id: SAMPLE_PAYMENT.to_owned(), reason: "card declined".to_owned() }
    }
}

/// The goods left the house.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderShipped {
    /// The parcel, as its carrier names it.
    pub tracking_number: String,
    /// Who carries it.
    pub carrier: String,
    /// The day on which it should arrive, as 2026-01-31; null when nobody said.
    #[serde(default)]
    pub estimated_delivery_on: Option<String>,
}

impl Sample for OrderShipped {
    fn sample() -> Self {
        Self {
            tracking_number: "RM123456785GB".to_owned(),
            carrier: "Royal Mail".to_owned(),
            estimated_delivery_on: Some("2026-01-31".to_owned()),
        }
    }
}

/// The goods arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDelivered {}

impl Sample for OrderDelivered {
    fn sample() -> Self {
        Self {}
    }
}

/// The order was given up before it was shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// Why.
    pub reason: String,
    /// Who did it, where known.
    #[serde(default)]
    pub cancelled_by: Option<String>,
    /// What has to be paid back: the total when the order was paid, otherwise 0.
    pub refund_cents: i64,
    /// ISO 4217 code of the amount.
    pub currency: String,
}

impl Sample for OrderCancelled {
    fn sample() -> Self {
        Self {
            reason: "ordered twice".to_owned(),
            cancelled_by: Some("ada".to_owned()),
            refund_cents: 1_530,
            currency: "GBP".to_owned(),
        }
    }
}

/// An earlier event of the order stated a wrong amount. It stays as it is; the total is another from
/// now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderAmountCorrected {
    /// Cents added to the total; negative for cents taken away. Never 0.
    pub delta_cents: i64,
    /// What the order comes to from now on, at least 0.
    pub total_cents: i64,
    /// ISO 4217 code of the amounts.
    pub currency: String,
    /// Why the amount was wrong.
    pub reason: String,
    /// The id of the event that was wrong, in this order's stream.
    pub corrects_event_id: String,
}

impl Sample for OrderAmountCorrected {
    fn sample() -> Self {
        Self {
            delta_cents: -30,
            total_cents: 1_500,
            currency: "GBP".to_owned(),
            reason: "voucher forgotten".to_owned(),
            corrects_event_id: "018f3c1e-7b1a-7000-8000-0000000000e1".to_owned(),
        }
    }
}
