//! An order's no.

use factline_core::{Refusal, RefusalKind};
use serde_json::{Map, Value, json};

use super::OrderStatus;
use crate::values::{CustomerId, EventId};

/// Why an order refuses a command. Nothing was written; the same command may succeed later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefusal {
    /// There is such an order already.
    #[error("the order exists already")]
    OrderExists,
    /// There is no such order.
    #[error("there is no such order")]
    UnknownOrder,
    /// Whoever orders is no customer.
    #[error("there is no customer {customer_id}")]
    UnknownCustomer {
        /// Who was named.
        customer_id: CustomerId,
    },
    /// The catalogue does not know the item.
    #[error("there is no item {sku}")]
    UnknownItem {
        /// Which item.
        sku: String,
    },
    /// The item is not sold any more.
    #[error("the item {sku} is discontinued")]
    ItemDiscontinued {
        /// Which item.
        sku: String,
    },
    /// An order has one currency, and the item is sold in another.
    #[error("the order is in {order_currency}, and the item {sku} is sold in {item_currency}")]
    CurrencyMismatch {
        /// Which item.
        sku: String,
        /// ISO 4217 code of the order's amounts.
        order_currency: String,
        /// ISO 4217 code of the item's price.
        item_currency: String,
    },
    /// The item is on the order for another price; it has to be taken off first.
    #[error(
        "the item {sku} is on the order for {unit_price_cents} cents and now costs {now_cents}"
    )]
    PriceChanged {
        /// Which item.
        sku: String,
        /// What one unit costs on the order.
        unit_price_cents: i64,
        /// What one unit costs in the catalogue.
        now_cents: i64,
    },
    /// The item is not on the order.
    #[error("the item {sku} is not on the order")]
    ItemNotOnOrder {
        /// Which item.
        sku: String,
    },
    /// The command belongs to another status.
    #[error("the order is {status}, not {required}")]
    WrongStatus {
        /// The one status in which it is accepted.
        required: OrderStatus,
        /// Where the order stands.
        status: OrderStatus,
    },
    /// An order without items is not confirmed.
    #[error("the order has no items")]
    NoItems,
    /// An order is paid in full or not at all.
    #[error("{amount_cents} cents were paid and {total_cents} are due")]
    AmountMismatch {
        /// What the order comes to.
        total_cents: i64,
        /// What was paid.
        amount_cents: i64,
    },
    /// It is too late to give the order up, or it was given up before.
    #[error("the order is {status} and cannot be cancelled")]
    NotCancellable {
        /// Where the order stands.
        status: OrderStatus,
    },
    /// The event to be corrected is none of this order's.
    #[error("the order has no event {event_id}")]
    UnknownEvent {
        /// Which event.
        event_id: EventId,
    },
    /// The order would come to less than nothing.
    #[error("the order would come to {resulting_cents} cents")]
    NegativeTotal {
        /// The total that it would have.
        resulting_cents: i64,
    },
    /// Units, items or an amount would become larger than an order may have.
    #[error("a number would exceed {limit}")]
    OutOfRange {
        /// The most there can be.
        limit: i64,
    },
}

impl Refusal for OrderRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::OrderExists => "order_exists",
            Self::UnknownOrder => "unknown_order",
            Self::UnknownCustomer { .. } => "unknown_customer",
            Self::UnknownItem { .. } => "unknown_item",
            Self::ItemDiscontinued { .. } => "item_discontinued",
            Self::CurrencyMismatch { .. } => "currency_mismatch",
            Self::PriceChanged { .. } => "price_changed",
            Self::ItemNotOnOrder { .. } => "item_not_on_order",
            Self::WrongStatus { required, .. } => not_in(*required),
            Self::NoItems => "no_items",
            Self::AmountMismatch { .. } => "amount_mismatch",
            Self::NotCancellable { .. } => "not_cancellable",
            Self::UnknownEvent { .. } => "unknown_event",
            Self::NegativeTotal { .. } => "negative_total",
            Self::OutOfRange { .. } => "out_of_range",
        }
    }

    fn kind(&self) -> RefusalKind {
        match self {
            Self::OrderExists => RefusalKind::Exists,
            Self::UnknownOrder
            | Self::UnknownCustomer { .. }
            | Self::UnknownItem { .. }
            | Self::ItemNotOnOrder { .. }
            | Self::UnknownEvent { .. } => RefusalKind::Unknown,
            Self::ItemDiscontinued { .. }
            | Self::CurrencyMismatch { .. }
            | Self::PriceChanged { .. }
            | Self::WrongStatus { .. }
            | Self::NoItems
            | Self::AmountMismatch { .. }
            | Self::NotCancellable { .. }
            | Self::NegativeTotal { .. }
            | Self::OutOfRange { .. } => RefusalKind::Rule,
        }
    }

    fn details(&self) -> Map<String, Value> {
        let figures = match self {
            Self::OrderExists | Self::UnknownOrder | Self::NoItems => json!({}),
            Self::UnknownCustomer { customer_id } => json!({"customer_id": customer_id}),
            Self::UnknownItem { sku }
            | Self::ItemDiscontinued { sku }
            | Self::ItemNotOnOrder { sku } => json!({"sku": sku}),
            Self::CurrencyMismatch { sku, order_currency, item_currency } => {
                json!({"sku": sku, "order_currency": order_currency, "item_currency": item_currency})
            }
            Self::PriceChanged { sku, unit_price_cents, now_cents } => {
                json!({"sku": sku, "unit_price_cents": unit_price_cents, "now_cents": now_cents})
            }
            Self::WrongStatus { required, status } => {
                json!({"required_status": required, "order_status": status})
            }
            Self::AmountMismatch { total_cents, amount_cents } => {
                json!({"total_cents": total_cents, "amount_cents": amount_cents})
            }
            Self::NotCancellable { status } => json!({"order_status": status}),
            Self::UnknownEvent { event_id } => json!({"event_id": event_id}),
            Self::NegativeTotal { resulting_cents } => {
                json!({"resulting_cents": resulting_cents})
            }
            Self::OutOfRange { limit } => json!({"limit": limit}),
        };
        figures.as_object().cloned().unwrap_or_default()
    }
}

const fn not_in(required: OrderStatus) -> &'static str {
    match required {
        OrderStatus::Draft => "not_draft",
        OrderStatus::Confirmed => "not_confirmed",
        OrderStatus::Pending => "not_pending",
        OrderStatus::Paid => "not_paid",
        OrderStatus::Shipped => "not_shipped",
        OrderStatus::Delivered => "not_delivered",
        OrderStatus::Cancelled => "not_cancelled",
    }
}
