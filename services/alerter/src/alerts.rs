//! What is going on: pages of alert episodes, each with what was told of it.

use chrono::{DateTime, Utc};
use read_kit::{Limit, PageError, cursor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgPool, Postgres, QueryBuilder, types::Json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::rules::{Channel, Severity};

/// Which alerts, how many.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertQuery {
    /// Only alerts in this state.
    #[param(inline)]
    pub state: Option<AlertState>,
    /// Only alerts of this rule.
    #[param(pattern = "^[^\\u0000]*$")]
    pub rule: Option<String>,
    /// Only alerts of this subject: an item's key, or `service/what` for a rule about services.
    #[param(pattern = "^[^\\u0000]*$")]
    pub subject: Option<String>,
    /// Only alerts of this severity.
    #[param(inline)]
    pub severity: Option<Severity>,
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
    /// What was wrong is wrong.
    Open,
    /// It is no longer.
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
    /// Of what: an item's key, or `service/what`.
    #[schema(example = "85123A")]
    pub subject: String,
    /// What people called it when the episode opened.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whether it goes on.
    pub state: AlertState,
    /// When the log recorded the event that opened it, or a figure was seen that did.
    pub opened_at: DateTime<Utc>,
    /// The same of what resolved it.
    pub resolved_at: Option<DateTime<Utc>>,
    /// The event that opened it, where one did.
    pub opened_event_id: Option<Uuid>,
    /// What it was judged by when it opened, by name.
    #[schema(value_type = Object, example = json!({"available": 4, "reorder_point": 5}))]
    pub figures: Value,
    /// Who takes care of it, since when.
    pub acknowledgement: Option<Acknowledgement>,
    /// Whether a silence is in force that matches it.
    pub silenced: bool,
    /// What was told of it, over each channel.
    pub deliveries: Vec<Delivery>,
}

/// Somebody takes care of an alert: nobody is reminded of it since then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acknowledgement {
    /// When.
    pub at: DateTime<Utc>,
    /// Who, as the caller claimed.
    pub by: String,
    /// What else there was to say.
    pub note: Option<String>,
}

/// One thing to tell over one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// The `webhook-id`, or in the mail's Message-ID; the same with every attempt.
    pub id: Uuid,
    /// What it tells.
    pub kind: DeliveryKind,
    /// Over what.
    pub channel: Channel,
    /// What became of it.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: i64,
    /// Not told before this: the end of the cooldown, and of the group's window.
    pub not_before: DateTime<Utc>,
    /// When it is due, while it is pending.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the receiver took it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// What the last attempt failed with.
    pub last_error: Option<String>,
    /// The message that told it together with others.
    pub summary_id: Option<Uuid>,
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryKind {
    /// That it opened.
    Opened,
    /// That it is still open.
    Reminded,
    /// That it resolved.
    Resolved,
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
    /// Too many attempts failed, or the receiver refused it for good.
    Abandoned,
    /// It was told together with others.
    Summarised,
}

const ALERTS: &str = "
    select jsonb_build_object(
        'id', e.id, 'rule', e.rule, 'subject', e.subject, 'name', e.name, 'severity', e.severity,
        'state', case when e.resolved_at is null then 'open' else 'resolved' end,
        'opened_at', e.opened_at, 'resolved_at', e.resolved_at,
        'opened_event_id', e.opened_event_id, 'figures', e.figures,
        'acknowledgement', case when e.acknowledged_at is not null then jsonb_build_object(
            'at', e.acknowledged_at, 'by', e.acknowledged_by, 'note', e.acknowledgement_note) end,
        'silenced', exists (
            select from silences s
            where s.ended_at is null and s.starts_at <= now() and s.ends_at > now()
              and coalesce(s.rule, e.rule) = e.rule
              and coalesce(s.subject, e.subject) = e.subject),
        'deliveries', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', d.id, 'kind', d.kind, 'channel', d.channel,
                'state', case when d.delivered_at is not null then 'delivered'
                              when d.withdrawn_at is not null then 'withdrawn'
                              when d.abandoned_at is not null then 'abandoned'
                              when d.summarised_at is not null then 'summarised'
                              else 'pending' end,
                'attempts', d.attempts,
                'not_before', d.not_before,
                'next_attempt_at', case when num_nonnulls(d.delivered_at, d.withdrawn_at,
                    d.abandoned_at, d.summarised_at) = 0 then d.next_attempt_at end,
                'delivered_at', d.delivered_at,
                'last_error', d.last_error,
                'summary_id', d.summary_id
            ) order by d.not_before, d.kind, d.channel desc), '[]')
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
    let AlertQuery { state, rule, subject, severity, limit, cursor } = query;
    let binding = format!("{state:?} {rule:?} {subject:?} {severity:?}");
    let end: Option<PageEnd> =
        cursor.as_deref().map(|text| cursor::open(&binding, text)).transpose()?;
    let mut sql: QueryBuilder<Postgres> = QueryBuilder::new(ALERTS);
    match state {
        Some(AlertState::Open) => drop(sql.push(" and e.resolved_at is null")),
        Some(AlertState::Resolved) => drop(sql.push(" and e.resolved_at is not null")),
        None => {}
    }
    for (column, wanted) in [
        (" and e.rule = ", rule.as_deref()),
        (" and e.subject = ", subject.as_deref()),
        (" and e.severity = ", severity.map(Severity::as_str)),
    ] {
        if let Some(wanted) = wanted {
            sql.push(column).push_bind(wanted.to_owned());
        }
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

/// Reads one.
///
/// # Errors
/// The database fails.
pub async fn find(pool: &PgPool, id: Uuid) -> Result<Option<Alert>, sqlx::Error> {
    let mut sql: QueryBuilder<Postgres> = QueryBuilder::new(ALERTS);
    sql.push(" and e.id = ").push_bind(id);
    let row: Option<Json<Alert>> = sql.build_query_scalar().fetch_optional(pool).await?;
    Ok(row.map(|Json(row)| row))
}

/// Marks that somebody takes care of an open alert, and withdraws what would remind of it. Who did so
/// first stays.
///
/// # Errors
/// The database fails.
pub async fn acknowledge(
    pool: &PgPool,
    id: Uuid,
    by: &str,
    note: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with acknowledged as (
             update alert_episodes
             set acknowledged_at = now(), acknowledged_by = $2, acknowledgement_note = $3
             where id = $1 and resolved_at is null and acknowledged_at is null
             returning id
         )
         update deliveries set withdrawn_at = now()
         where episode_id in (select id from acknowledged) and kind = 'reminded'
           and num_nonnulls(delivered_at, abandoned_at, withdrawn_at, summarised_at) = 0
           and not receiver_may_know",
    )
    .bind(id)
    .bind(by)
    .bind(note)
    .execute(pool)
    .await?;
    Ok(())
}
