//! `order_completed`: what happens for the sake of analytics when an order is paid. Payments flow in;
//! completed orders by day and by method of payment flow out. The command side does not know of it.

use chrono::NaiveDate;
use domain::order::{OrderEvent, OrderPaid};
use factline_core::{Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, types::Json};
use utoipa::ToSchema;

/// The view.
pub struct OrderCompleted;

/// One order that was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedOrder {
    /// The order's key.
    pub order_id: String,
    /// The day on which it was paid, UTC.
    pub paid_on: NaiveDate,
    /// card, bank or wallet.
    pub method: String,
    /// ISO 4217, of the amount.
    pub currency: String,
    /// What was paid.
    pub amount_cents: i64,
}

impl View for OrderCompleted {
    const TABLE: &'static str = "order_completed";
    const KEY: &'static [&'static str] = &["order_id"];
    const ROWS: Rows = Rows::OfOneEvent; // an order is paid once
}

impl Fold for OrderCompleted {
    const NAME: &'static str = "order_completed";
    type Event = OrderEvent;
    type Key = String;
    type Row = CompletedOrder;

    fn key(event: &Recorded<OrderEvent>) -> Option<String> {
        payment(&event.event).map(|_| event.envelope.stream_id.to_string())
    }

    fn fold(
        row: Option<CompletedOrder>,
        Recorded { envelope, event }: &Recorded<OrderEvent>,
    ) -> Folded<CompletedOrder> {
        let Some(paid) = payment(event) else { return Folded::Unchanged };
        if row.is_some() {
            return Folded::Impossible("the order was paid before");
        }
        Folded::Put(CompletedOrder {
            order_id: envelope.stream_id.to_string(),
            paid_on: envelope.occurred_at.date_naive(),
            method: paid.method.clone(),
            currency: paid.currency.clone(),
            amount_cents: paid.amount_cents,
        })
    }
}

const fn payment(event: &OrderEvent) -> Option<&OrderPaid> {
    match event {
        OrderEvent::OrderPaid(paid) => Some(paid),
        OrderEvent::OrderCreated(_)
        | OrderEvent::OrderItemAdded(_)
        | OrderEvent::OrderItemRemoved(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderAllocated(_)
        | OrderEvent::PaymentFailed(_)
        | OrderEvent::OrderShipped(_)
        | OrderEvent::OrderDelivered(_)
        | OrderEvent::OrderCancelled(_)
        | OrderEvent::OrderAmountCorrected(_) => None,
    }
}

/// The orders of one day that were paid in one way and one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayOfPayments {
    /// The day on which they were paid, UTC.
    pub day: NaiveDate,
    /// How: card, bank or wallet.
    #[schema(example = "card")]
    pub method: String,
    /// ISO 4217, of the amount.
    #[schema(example = "GBP")]
    pub currency: String,
    /// How many orders.
    pub orders: i64,
    /// What was paid for them.
    pub amount_cents: i64,
}

/// The most rows in one answer: a century of days in one currency, or thirty years in all three ways.
const MOST_ROWS: i64 = 36_525;

/// The days from `from` to `to`, both included, in their order; of one day by method and currency.
///
/// # Errors
/// The database fails.
pub async fn days(
    pool: &PgPool,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<Vec<DayOfPayments>, sqlx::Error> {
    let rows: Vec<Json<DayOfPayments>> = sqlx::query_scalar(
        "select jsonb_build_object('day', paid_on, 'method', method, 'currency', currency,
                                   'orders', count(*), 'amount_cents', fit(sum(amount_cents)))
         from order_completed
         where ($1::date is null or paid_on >= $1) and ($2::date is null or paid_on <= $2)
         group by paid_on, method, currency
         order by paid_on, method, currency limit $3",
    )
    .bind(from)
    .bind(to)
    .bind(MOST_ROWS)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|Json(row)| row).collect())
}
