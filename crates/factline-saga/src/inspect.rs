//! Instances as an operator sees them.

use chrono::{DateTime, Utc};
use factline_projection::row;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

row! {
    /// One instance.
    #[derive(Debug, Clone, PartialEq, Serialize)]
    #[allow(missing_docs)] // the columns of saga.instances, and what is made of them
    pub struct InstanceRow {
        pub saga: String,
        pub instance: String,
        pub definition: i32,
        pub status: String,
        pub attention: Option<String>,
        pub state: Value,
        pub correlation_id: Uuid,
        pub begun_at: DateTime<Utc>,
        pub moved_at: DateTime<Utc>,
        pub ended_at: Option<DateTime<Utc>>,
        /// Since it moved last.
        pub age_seconds: i64,
        pub stuck: bool,
        /// The first timer that runs.
        pub next_timer_at: Option<DateTime<Utc>>,
        pub due_commands: i64,
        pub waiting_inputs: i64,
    }
}

row! {
    /// One step of an instance.
    #[derive(Debug, Clone, PartialEq, Serialize)]
    #[allow(missing_docs)] // the columns of saga.commands
    pub struct CommandRow {
        pub step: String,
        pub command: Value,
        pub state: String,
        pub attempts: i32,
        pub created_at: DateTime<Utc>,
        pub next_attempt_at: DateTime<Utc>,
        pub answered_at: Option<DateTime<Utc>>,
        pub code: Option<String>,
        pub detail: Option<String>,
    }
}

row! {
    /// An input that waits.
    #[derive(Debug, Clone, PartialEq, Serialize)]
    #[allow(missing_docs)] // the columns of saga.waiting_inputs
    pub struct WaitingRow {
        pub input: Value,
        pub causation_id: Uuid,
        pub arrived_at: DateTime<Utc>,
    }
}

/// Which instances are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Only with this status; otherwise those that are open.
    pub status: Option<&'a str>,
    /// Only those that are stuck.
    pub stuck: bool,
    /// Only this one, whatever its status.
    pub instance: Option<&'a str>,
}

/// Whether a database has sagas at all.
///
/// # Errors
/// The database fails.
pub async fn has_sagas(database: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select to_regclass('saga.instances') is not null").fetch_one(database).await
}

/// The oldest first, at most so many. `stuck_after_seconds`: as the service's setting.
///
/// # Errors
/// The database fails.
pub async fn instances(
    database: &PgPool,
    filter: Filter<'_>,
    stuck_after_seconds: f64,
    limit: i64,
) -> Result<Vec<InstanceRow>, sqlx::Error> {
    sqlx::query_as(
        "with shown as (
             select i.saga, i.instance, i.definition, i.status, i.attention, i.state, i.correlation_id,
                    i.begun_at, i.moved_at, i.ended_at,
                    extract(epoch from now() - i.moved_at)::bigint as age_seconds,
                    i.status = 'running' and not i.patient
                        and i.moved_at < now() - make_interval(secs => $1)
                        and not coalesce(t.next_timer_at > now(), false) as stuck,
                    t.next_timer_at
             from saga.instances i
             left join lateral (select max(due_at) as next_timer_at from saga.timers t
                                where t.saga = i.saga and t.instance = i.instance) t on true
             where case when $2::text is not null then i.instance = $2
                        when $3::text is not null then i.status = $3
                        else i.status in ('running', 'needs_attention') end)
         select shown.*,
                (select count(*) from saga.commands c where c.saga = shown.saga
                     and c.instance = shown.instance and c.state = 'due') as due_commands,
                (select count(*) from saga.waiting_inputs w where w.saga = shown.saga
                     and w.instance = shown.instance) as waiting_inputs
         from shown where stuck or not $4 order by moved_at limit $5",
    )
    .bind(stuck_after_seconds)
    .bind(filter.instance)
    .bind(filter.status)
    .bind(filter.stuck)
    .bind(limit)
    .fetch_all(database)
    .await
}

/// Every step that an instance has taken, in the order in which they were taken.
///
/// # Errors
/// The database fails.
pub async fn commands(
    database: &PgPool,
    saga: &str,
    instance: &str,
) -> Result<Vec<CommandRow>, sqlx::Error> {
    sqlx::query_as(
        "select step, command, state, attempts, created_at, next_attempt_at, answered_at, code, detail
         from saga.commands where saga = $1 and instance = $2 order by created_at, step",
    )
    .bind(saga)
    .bind(instance)
    .fetch_all(database)
    .await
}

/// What waits for an instance that needs attention, in order.
///
/// # Errors
/// The database fails.
pub async fn waiting(
    database: &PgPool,
    saga: &str,
    instance: &str,
) -> Result<Vec<WaitingRow>, sqlx::Error> {
    sqlx::query_as(
        "select input, causation_id, arrived_at from saga.waiting_inputs
         where saga = $1 and instance = $2 order by place",
    )
    .bind(saga)
    .bind(instance)
    .fetch_all(database)
    .await
}
