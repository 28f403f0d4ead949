//! `order_funnel`: one row per order, with where it stands and what it comes to. An order's events
//! flow in; how many orders stand where, and what they are worth, flows out.

use domain::order::{OrderEvent, OrderStatus};
use factline_core::{Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use read_kit::{Cache, Fresh, Question, Reading};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;

/// The view.
pub struct OrderFunnel;

/// One order, as far as figures need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunnelOrder {
    /// The order's key.
    pub order_id: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// ISO 4217, of its total.
    pub currency: String,
    /// What it comes to: the sum of its items and corrections.
    pub total_cents: i64,
}

impl View for OrderFunnel {
    const TABLE: &'static str = "order_funnel";
    const KEY: &'static [&'static str] = &["order_id"];
    const ROWS: Rows = Rows::OfOneStream;
}

impl Fold for OrderFunnel {
    const NAME: &'static str = "order_funnel";
    type Event = OrderEvent;
    type Key = String;
    type Row = FunnelOrder;

    fn key(event: &Recorded<OrderEvent>) -> Option<String> {
        Some(event.envelope.stream_id.to_string())
    }

    fn fold(
        row: Option<FunnelOrder>,
        Recorded { envelope, event }: &Recorded<OrderEvent>,
    ) -> Folded<FunnelOrder> {
        let row = match (row, event) {
            (None, OrderEvent::OrderCreated(created)) => FunnelOrder {
                order_id: envelope.stream_id.to_string(),
                status: OrderStatus::Draft,
                currency: created.currency.clone(),
                total_cents: 0,
            },
            (Some(_), OrderEvent::OrderCreated(_)) => {
                return Folded::Impossible("the order was created before");
            }
            (Some(row), _) => row.after(event),
            (None, _) => return Folded::Impossible("the order was never created"),
        };
        if row.total_cents < 0 {
            return Folded::Impossible("the order comes to less than nothing");
        }
        Folded::Put(row)
    }
}

impl FunnelOrder {
    fn after(mut self, event: &OrderEvent) -> Self {
        match event {
            OrderEvent::OrderCreated(_) | OrderEvent::PaymentFailed(_) => {} // it stands where it stood
            OrderEvent::OrderItemAdded(added) => {
                self.add(added.quantity.saturating_mul(added.unit_price_cents));
            }
            OrderEvent::OrderItemRemoved(removed) => {
                self.add(
                    removed.quantity.saturating_mul(removed.unit_price_cents).saturating_neg(),
                );
            }
            OrderEvent::OrderConfirmed(confirmed) => {
                self.total_cents = confirmed.total_cents;
                self.status = OrderStatus::Confirmed;
            }
            OrderEvent::OrderAllocated(_) => self.status = OrderStatus::Pending,
            OrderEvent::OrderPaid(_) => self.status = OrderStatus::Paid,
            OrderEvent::OrderShipped(_) => self.status = OrderStatus::Shipped,
            OrderEvent::OrderDelivered(_) => self.status = OrderStatus::Delivered,
            OrderEvent::OrderCancelled(_) => self.status = OrderStatus::Cancelled,
            OrderEvent::OrderAmountCorrected(corrected) => self.total_cents = corrected.total_cents,
        }
        self
    }

    fn add(&mut self, cents: i64) {
        self.total_cents = self.total_cents.saturating_add(cents);
    }
}

/// Where orders stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Funnel {
    /// In the order in which an order moves, then by currency; where none stands is left out.
    pub items: Vec<Stage>,
}

/// The orders of one currency that stand in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stage {
    /// Where they stand: draft, confirmed, pending, paid, shipped, delivered or cancelled.
    #[schema(value_type = String, example = "paid")]
    pub status: OrderStatus,
    /// ISO 4217, of their totals.
    #[schema(example = "GBP")]
    pub currency: String,
    /// How many.
    pub orders: i64,
    /// What they come to together.
    pub total_cents: i64,
}

const FUNNEL: &str = "
    select coalesce(jsonb_agg(to_jsonb(stage)), '[]') from (
        select status, currency, count(*) as orders, fit(sum(total_cents)) as total_cents
        from order_funnel group by status, currency
    ) stage";

/// Reads where orders stand, with how fresh that is. It counts every order, so the answer is kept.
///
/// # Errors
/// The database fails.
pub async fn funnel(
    reading: &Reading,
    cache: &Cache,
    fresh: Fresh,
) -> Result<(Fresh, Funnel), sqlx::Error> {
    let asked = sqlx::query_scalar(FUNNEL).fetch_one(&reading.pool);
    let compute = async { asked.await.map(|Json(stages)| Funnel::of(stages)) };
    cache.get_or(reading, fresh, &Question::of::<OrderFunnel>(FUNNEL), compute).await
}

impl Funnel {
    fn of(mut stages: Vec<Stage>) -> Self {
        let place = |stage: &Stage| OrderStatus::ALL.iter().position(|one| *one == stage.status);
        stages.sort_by_cached_key(|stage| (place(stage), stage.currency.clone()));
        Self { items: stages }
    }
}
