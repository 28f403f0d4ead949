//! What is going on: pages of alert episodes, each with what was told of it.

use chrono::{DateTime, Utc};
use read_kit::{Limit, PageError, cursor};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, QueryBuilder, types::Json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which alerts, how many.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertQuery {
    /// Only alerts in this state.
    #[param(inline)]
    pub state: Option<AlertState>,
    /// Only alerts of this item.
    #[param(pattern = "^[^\\u0000]*$")]
    pub sku: Option<String>,
    /// Alerts on a page.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 500, default = 50)]
    pub limit: Limit,
    /// `next_cursor` of the page before, which had the same parameters.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

/// Whether an episode goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The item is low.
    Open,
    /// It is no longer low.
    Resolved,
}

/// A page of alerts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    /// The alerts, the one opened last first.
    pub items: Vec<Alert>,
    /// Give it as `cursor` to get the next page; null when this is the last.
    pub next_cursor: Option<String>,
}

/// An episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// The episode's id; the same for ever.
    pub id: Uuid,
    /// What was judged.
    #[schema(example = "low_stock")]
    pub rule: String,
    /// The item's key.
    #[schema(example = "85123A")]
    pub sku: String,
    /// What people called it when the episode opened.
    pub name: String,
    /// Whether it goes on.
    pub state: AlertState,
    /// When the log recorded the event that opened it.
    pub opened_at: DateTime<Utc>,
    /// When the log recorded the event that resolved it.
    pub resolved_at: Option<DateTime<Utc>>,
    /// The event that opened it.
    pub opened_event_id: Uuid,
    /// Available units when it opened.
    pub available: i64,
    /// The reorder point when it opened.
    pub reorder_point: i64,
    /// What was told of it.
    pub delivery: Told,
}

/// What was told of an episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Told {
    /// That it opened.
    #[serde(default)]
    pub opened: Option<Delivery>,
    /// That it resolved.
    #[serde(default)]
    pub resolved: Option<Delivery>,
}

/// One thing to tell the receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// The `webhook-id`; the same with every attempt.
    pub id: Uuid,
    /// What became of it.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: i64,
    /// Not told before this: the end of the cooldown.
    pub not_before: DateTime<Utc>,
    /// When it is due, while it is pending.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the receiver took it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// What the last attempt failed with.
    pub last_error: Option<String>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is to be told.
    Pending,
    /// The receiver took it.
    Delivered,
    /// The episode resolved before it was told.
    Withdrawn,
    /// Too many attempts failed.
    Abandoned,
}

const ALERTS: &str = "
    select jsonb_build_object(
        'id', e.id, 'rule', e.rule, 'sku', e.subject, 'name', e.name,
        'state', case when e.resolved_at is null then 'open' else 'resolved' end,
        'opened_at', e.opened_at, 'resolved_at', e.resolved_at,
        'opened_event_id', e.opened_event_id,
        'available', e.available, 'reorder_point', e.reorder_point,
        'delivery', (
            select coalesce(jsonb_object_agg(d.kind, jsonb_build_object(
                'id', d.id,
                'state', case when d.delivered_at is not null then 'delivered'
                              when d.withdrawn_at is not null then 'withdrawn'
                              when d.abandoned_at is not null then 'abandoned'
                              else 'pending' end,
                'attempts', d.attempts,
                'not_before', d.not_before,
                'next_attempt_at', case when num_nonnulls(
                    d.delivered_at, d.withdrawn_at, d.abandoned_at) = 0 then d.next_attempt_at end,
                'delivered_at', d.delivered_at,
                'last_error', d.last_error
            )), '{}')
            from deliveries d where d.episode_id = e.id
        )
    )
    from alert_episodes e where true";

/// Where a page ended.
type PageEnd = (DateTime<Utc>, Uuid);

/// Reads a page.
///
/// # Errors
/// The cursor is not one that this query gave, or the database fails.
pub async fn page(pool: &PgPool, query: &AlertQuery) -> Result<Page, PageError> {
    let AlertQuery { state, sku, limit, cursor } = query;
    let binding = format!("{state:?} {sku:?}");
    let end: Option<PageEnd> =
        cursor.as_deref().map(|text| cursor::open(&binding, text)).transpose()?;
    let mut sql: QueryBuilder<Postgres> = QueryBuilder::new(ALERTS);
    match state {
        Some(AlertState::Open) => drop(sql.push(" and e.resolved_at is null")),
        Some(AlertState::Resolved) => drop(sql.push(" and e.resolved_at is not null")),
        None => {}
    }
    if let Some(sku) = sku {
        sql.push(" and e.subject = ").push_bind(sku.clone());
    }
    if let Some((opened_at, id)) = end {
        sql.push(" and (e.opened_at, e.id) < (").push_bind(opened_at);
        sql.push(", ").push_bind(id).push(")");
    }
    sql.push(" order by e.opened_at desc, e.id desc limit ");
    sql.push_bind(limit.and_one());
    let rows: Vec<Json<Alert>> = sql.build_query_scalar().fetch_all(pool).await?;
    let seal = |row: &Alert| cursor::seal(&binding, &(row.opened_at, row.id));
    let (items, next_cursor) = limit.page(rows, seal);
    Ok(Page { items, next_cursor })
}
