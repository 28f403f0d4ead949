//! `order_list`: one row per order, with its items, from draft to delivered or cancelled. An order's
//! events flow in; [`orders`](crate::orders) asks for the rows.

use chrono::{DateTime, Utc};
use domain::order::{OrderCreated, OrderEvent, OrderItemAdded, OrderStatus};
use factline_core::{Envelope, Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};

/// The view.
pub struct OrderList;

/// One order. A time is the event's own: when it happened, as its command told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderRow {
    /// The order's key.
    #[schema(example = "018f3c1e-7b1a-7000-8000-0000000000a1")]
    pub id: String,
    /// Whose order it is.
    #[schema(example = "018f3c1e-7b1a-7000-8000-0000000000c1")]
    pub customer_id: String,
    /// Where it stands.
    #[schema(schema_with = status_words)]
    pub status: OrderStatus,
    /// ISO 4217, of all its amounts.
    #[schema(example = "GBP")]
    pub currency: String,
    /// What it comes to: the sum of its items and corrections.
    #[schema(example = 1530)]
    pub total_cents: i64,
    /// What is on it, in the order in which it came on it.
    pub items: Vec<OrderItem>,
    /// Where the goods go.
    pub shipping_address: String,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When the customer placed it: items and prices are fixed since then.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// When all of its stock was reserved.
    pub allocated_at: Option<DateTime<Utc>>,
    /// When it was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// The payment that succeeded, or was tried last.
    pub payment_id: Option<String>,
    /// card, bank or wallet.
    pub payment_method: Option<String>,
    /// Why the last payment failed; null when none did or one succeeded after it.
    pub payment_failed_reason: Option<String>,
    /// When it left the house.
    pub shipped_at: Option<DateTime<Utc>>,
    /// The parcel, as its carrier names it.
    pub tracking_number: Option<String>,
    /// Who carries it.
    pub carrier: Option<String>,
    /// The day on which it should arrive, where somebody said.
    #[schema(example = "2026-01-31")]
    pub estimated_delivery_on: Option<String>,
    /// When it arrived.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it was given up.
    pub cancelled_at: Option<DateTime<Utc>>,
    /// Why it was given up.
    pub cancel_reason: Option<String>,
    /// Who gave it up, where known.
    pub cancelled_by: Option<String>,
    /// What had to be paid back when it was given up.
    pub refund_cents: Option<i64>,
    /// When the log recorded the last event of the order.
    pub last_updated_at: DateTime<Utc>,
    /// Of the order's last event; also the `ETag` of a single order.
    pub version: i64,
}

/// All the units of one item on an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderItem {
    /// Which item.
    #[schema(example = "85123A")]
    pub sku: String,
    /// What it was called when it came on the order.
    pub name: String,
    /// Units.
    pub quantity: i64,
    /// Price of one unit.
    pub unit_price_cents: i64,
    /// quantity times unit_price_cents.
    pub total_cents: i64,
}

/// The words for where an order stands.
pub(crate) fn status_words() -> Object {
    let words = OrderStatus::ALL.map(OrderStatus::as_str);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

impl View for OrderList {
    const TABLE: &'static str = "order_list";
    const KEY: &'static [&'static str] = &["id"];
    const ROWS: Rows = Rows::OfOneStream;
}

impl Fold for OrderList {
    const NAME: &'static str = "order_list";
    type Event = OrderEvent;
    type Key = String;
    type Row = OrderRow;

    fn key(event: &Recorded<OrderEvent>) -> Option<String> {
        Some(event.envelope.stream_id.to_string())
    }

    fn fold(
        row: Option<OrderRow>,
        Recorded { envelope, event }: &Recorded<OrderEvent>,
    ) -> Folded<OrderRow> {
        let mut row = match (row, event) {
            (None, OrderEvent::OrderCreated(created)) => OrderRow::new(envelope, created),
            (Some(_), OrderEvent::OrderCreated(_)) => {
                return Folded::Impossible("the order was created before");
            }
            (Some(row), _) => row,
            (None, _) => return Folded::Impossible("the order was never created"),
        };
        row.take(envelope.occurred_at, event);
        if row.total_cents < 0 {
            return Folded::Impossible("the order comes to less than nothing");
        }
        row.last_updated_at = envelope.recorded_at;
        row.version = envelope.version.0;
        Folded::Put(row)
    }
}

impl OrderRow {
    fn new(envelope: &Envelope, created: &OrderCreated) -> Self {
        Self {
            id: envelope.stream_id.to_string(),
            customer_id: created.customer_id.clone(),
            status: OrderStatus::Draft,
            currency: created.currency.clone(),
            total_cents: 0,
            items: Vec::new(),
            shipping_address: created.shipping_address.clone(),
            created_at: envelope.occurred_at,
            confirmed_at: None,
            allocated_at: None,
            paid_at: None,
            payment_id: None,
            payment_method: None,
            payment_failed_reason: None,
            shipped_at: None,
            tracking_number: None,
            carrier: None,
            estimated_delivery_on: None,
            delivered_at: None,
            cancelled_at: None,
            cancel_reason: None,
            cancelled_by: None,
            refund_cents: None,
            last_updated_at: envelope.recorded_at,
            version: envelope.version.0,
        }
    }

    fn take(&mut self, at: DateTime<Utc>, event: &OrderEvent) {
        match event {
            OrderEvent::OrderCreated(_) => {} // made this row
            OrderEvent::OrderItemAdded(added) => self.add(added),
            OrderEvent::OrderItemRemoved(removed) => {
                let cents = removed.quantity.saturating_mul(removed.unit_price_cents);
                self.items.retain(|item| item.sku != removed.sku);
                self.total_cents = self.total_cents.saturating_sub(cents);
            }
            OrderEvent::OrderConfirmed(confirmed) => {
                self.total_cents = confirmed.total_cents;
                self.confirmed_at = self.moved_to(OrderStatus::Confirmed, at);
            }
            OrderEvent::OrderAllocated(_) => {
                self.allocated_at = self.moved_to(OrderStatus::Pending, at);
            }
            OrderEvent::OrderPaid(paid) => {
                self.payment_id = Some(paid.payment_id.clone());
                self.payment_method = Some(paid.method.clone());
                self.payment_failed_reason = None;
                self.paid_at = self.moved_to(OrderStatus::Paid, at);
            }
            OrderEvent::PaymentFailed(failed) => {
                self.payment_id = Some(failed.payment_id.clone());
                self.payment_failed_reason = Some(failed.reason.clone());
            }
            OrderEvent::OrderShipped(shipped) => {
                self.tracking_number = Some(shipped.tracking_number.clone());
                self.carrier = Some(shipped.carrier.clone());
                self.estimated_delivery_on.clone_from(&shipped.estimated_delivery_on);
                self.shipped_at = self.moved_to(OrderStatus::Shipped, at);
            }
            OrderEvent::OrderDelivered(_) => {
                self.delivered_at = self.moved_to(OrderStatus::Delivered, at);
            }
            OrderEvent::OrderCancelled(cancelled) => {
                self.cancel_reason = Some(cancelled.reason.clone());
                self.cancelled_by.clone_from(&cancelled.cancelled_by);
                self.refund_cents = Some(cancelled.refund_cents);
                self.cancelled_at = self.moved_to(OrderStatus::Cancelled, at);
            }
            OrderEvent::OrderAmountCorrected(corrected) => {
                self.total_cents = corrected.total_cents;
            }
        }
    }

    /// The time of the move, for the column that keeps it.
    fn moved_to(&mut self, status: OrderStatus, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.status = status;
        Some(at)
    }

    /// Units of an item that is on the order already are added to its line, as the order itself does.
    fn add(&mut self, added: &OrderItemAdded) {
        let OrderItemAdded { sku, name, quantity, unit_price_cents } = added;
        let cents = quantity.saturating_mul(*unit_price_cents);
        self.total_cents = self.total_cents.saturating_add(cents);
        if let Some(item) = self.items.iter_mut().find(|item| item.sku == *sku) {
            item.quantity = item.quantity.saturating_add(*quantity);
            item.total_cents = item.total_cents.saturating_add(cents);
            return;
        }
        self.items.push(OrderItem {
            sku: sku.clone(),
            name: name.clone(),
            quantity: *quantity,
            unit_price_cents: *unit_price_cents,
            total_cents: cents,
        });
    }
}
