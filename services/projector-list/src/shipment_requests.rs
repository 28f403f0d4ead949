//! `shipment_requests`: what the warehouse has to send. Orders flow in; an order that is paid asks for
//! its shipment, and no longer does so when it has left the house or is given up. A reaction to the
//! orders' events that the command side does not know of.

use chrono::{DateTime, Utc};
use domain::order::{ConfirmedLine, OrderEvent};
use factline_core::{Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use read_kit::{Limit, PageError, cursor};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, QueryBuilder};
use utoipa::{IntoParams, ToSchema};

/// The view.
pub struct ShipmentRequests;

/// One order, as the warehouse sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentRow {
    /// The order's key.
    pub order_id: String,
    /// Whose order it is.
    pub customer_id: String,
    /// Where the goods go.
    pub shipping_address: String,
    /// What to send.
    pub items: Vec<ItemToShip>,
    /// When it was paid, which asks for the shipment.
    pub requested_at: Option<DateTime<Utc>>,
    /// When it left the house.
    pub shipped_at: Option<DateTime<Utc>>,
    /// The parcel, as its carrier names it.
    pub tracking_number: Option<String>,
    /// Who carries it.
    pub carrier: Option<String>,
    /// When the order was given up.
    pub withdrawn_at: Option<DateTime<Utc>>,
}

/// All the units of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemToShip {
    /// Which item.
    #[schema(example = "85123A")]
    pub sku: String,
    /// What it was called when it came on the order.
    pub name: String,
    /// Units.
    pub quantity: i64,
}

impl View for ShipmentRequests {
    const TABLE: &'static str = "shipment_requests";
    const KEY: &'static [&'static str] = &["order_id"];
    const ROWS: Rows = Rows::OfOneStream;
}

impl Fold for ShipmentRequests {
    const NAME: &'static str = "shipment_requests";
    type Event = OrderEvent;
    type Key = String;
    type Row = ShipmentRow;

    fn key(event: &Recorded<OrderEvent>) -> Option<String> {
        Some(event.envelope.stream_id.to_string())
    }

    fn fold(
        row: Option<ShipmentRow>,
        Recorded { envelope, event }: &Recorded<OrderEvent>,
    ) -> Folded<ShipmentRow> {
        match (row, event) {
            (None, OrderEvent::OrderCreated(created)) => Folded::Put(ShipmentRow {
                order_id: envelope.stream_id.to_string(),
                customer_id: created.customer_id.clone(),
                shipping_address: created.shipping_address.clone(),
                items: Vec::new(),
                requested_at: None,
                shipped_at: None,
                tracking_number: None,
                carrier: None,
                withdrawn_at: None,
            }),
            (Some(_), OrderEvent::OrderCreated(_)) => {
                Folded::Impossible("the order was created before")
            }
            (Some(row), _) => row.after(envelope.occurred_at, event),
            (None, _) => Folded::Impossible("the order was never created"),
        }
    }
}

impl ShipmentRow {
    fn after(mut self, at: DateTime<Utc>, event: &OrderEvent) -> Folded<Self> {
        match event {
            OrderEvent::OrderConfirmed(confirmed) => {
                self.items = confirmed.lines.iter().map(ItemToShip::of).collect();
            }
            OrderEvent::OrderPaid(_) => self.requested_at = Some(at),
            OrderEvent::OrderShipped(shipped) => {
                self.shipped_at = Some(at);
                self.tracking_number = Some(shipped.tracking_number.clone());
                self.carrier = Some(shipped.carrier.clone());
            }
            OrderEvent::OrderCancelled(_) => self.withdrawn_at = Some(at),
            OrderEvent::OrderCreated(_)
            | OrderEvent::OrderItemAdded(_)
            | OrderEvent::OrderItemRemoved(_)
            | OrderEvent::OrderAllocated(_)
            | OrderEvent::PaymentFailed(_)
            | OrderEvent::OrderDelivered(_)
            | OrderEvent::OrderAmountCorrected(_) => return Folded::Unchanged,
        }
        Folded::Put(self)
    }
}

impl ItemToShip {
    fn of(line: &ConfirmedLine) -> Self {
        let ConfirmedLine { sku, name, quantity, unit_price_cents: _ } = line.clone();
        Self { sku, name, quantity }
    }
}

/// Which requests, how many.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ShipmentQuery {
    /// Only requests in this state.
    #[param(inline)]
    pub state: Option<ShipmentState>,
    /// Requests on a page.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 500, default = 50)]
    pub limit: Limit,
    /// `next_cursor` of the page before, which had the same parameters.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShipmentState {
    /// The warehouse has to send it.
    Open,
    /// It has left the house.
    Shipped,
    /// The order was given up before.
    Withdrawn,
}

/// A request of the warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShipmentRequest {
    /// The order's key.
    #[schema(example = "018f3c1e-7b1a-7000-8000-0000000000a1")]
    pub order_id: String,
    /// Whose order it is.
    pub customer_id: String,
    /// Where the goods go.
    pub shipping_address: String,
    /// What to send, by item.
    pub items: Vec<ItemToShip>,
    /// What became of it.
    pub state: ShipmentState,
    /// When the order was paid.
    pub requested_at: DateTime<Utc>,
    /// When it left the house.
    pub shipped_at: Option<DateTime<Utc>>,
    /// The parcel, as its carrier names it.
    pub tracking_number: Option<String>,
    /// Who carries it.
    pub carrier: Option<String>,
    /// When the order was given up.
    pub withdrawn_at: Option<DateTime<Utc>>,
}

/// A page of requests.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShipmentPage {
    /// The requests, the oldest first.
    pub items: Vec<ShipmentRequest>,
    /// Give it as `cursor` to get the next page; null when this is the last.
    pub next_cursor: Option<String>,
}

/// Where a page ended.
type PageEnd = (DateTime<Utc>, String);

const REQUESTS: &str = "
    select to_jsonb(r) || jsonb_build_object('state',
        case when shipped_at is not null then 'shipped'
             when withdrawn_at is not null then 'withdrawn' else 'open' end)
    from shipment_requests r where requested_at is not null";

/// Reads a page.
///
/// # Errors
/// The cursor is not one that this query gave, or the database fails.
pub async fn page(pool: &PgPool, query: &ShipmentQuery) -> Result<ShipmentPage, PageError> {
    let binding = format!("shipment requests {:?}", query.state);
    let end: Option<PageEnd> =
        query.cursor.as_deref().map(|text| cursor::open(&binding, text)).transpose()?;
    let rows = query.statement(end).build_query_scalar().fetch_all(pool).await?;
    let seal = |row: &ShipmentRequest| cursor::seal(&binding, &(row.requested_at, &row.order_id));
    let (items, next_cursor) = query.limit.page(rows, seal);
    Ok(ShipmentPage { items, next_cursor })
}

impl ShipmentQuery {
    fn statement(&self, end: Option<PageEnd>) -> QueryBuilder<Postgres> {
        let mut sql = QueryBuilder::new(REQUESTS);
        sql.push(match self.state {
            None => "",
            Some(ShipmentState::Open) => " and shipped_at is null and withdrawn_at is null",
            Some(ShipmentState::Shipped) => " and shipped_at is not null",
            Some(ShipmentState::Withdrawn) => " and withdrawn_at is not null",
        });
        if let Some((requested_at, order_id)) = end {
            sql.push(" and (requested_at, order_id) > (").push_bind(requested_at);
            sql.push(", ").push_bind(order_id).push(")");
        }
        sql.push(" order by requested_at, order_id limit ").push_bind(self.limit.and_one());
        sql
    }
}
