//! Instances in and out of the database.
//!
//! **The contract.** Whatever comes for an instance (an event, an answer, a timer, an operator's act) is
//! taken in by one transaction, which holds the instance's row: so an instance has one input at a time,
//! whoever brings it. The same transaction takes away what says that the input is still to come: the
//! projection's checkpoint moves, the command's row is answered at the attempt that was made, the timer's
//! row goes, the act's row is done. So a crash before the commit leaves no trace, after it nothing to do
//! again, and a process that should be dead finds another attempt in the row and changes nothing.
//!
//! Instances are locked before anything else and by name, so two transactions never wait for each other.

use std::collections::{BTreeMap, BTreeSet};

use factline_core::saga::Saga;
use factline_projection::row;
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use crate::machine::{Arrived, Changes, Instance, NewCommand, Status, process};

/// This build cannot run instances that are in flight.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{instances} instances of {saga} in flight, such as {example}, run definition {definition}, which this \
     build does not have"
)]
pub struct Unsupported {
    /// Of which saga.
    pub saga: &'static str,
    /// The definition that is missing.
    pub definition: i32,
    /// How many instances of it are in flight.
    pub instances: i64,
    /// One of them.
    pub example: String,
}

/// Why a transaction was rolled back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Setback {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
}

/// Whether this build can run every instance that is in flight.
///
/// # Errors
/// The database fails. Inside: it cannot.
pub async fn check_definitions<S: Saga>(
    connection: &mut PgConnection,
) -> Result<Result<(), Unsupported>, sqlx::Error> {
    let missing: Option<(i32, i64, String)> = sqlx::query_as(
        "select definition, count(*), min(instance) from saga.instances
         where saga = $1 and status in ('running', 'needs_attention') and definition <> all ($2)
         group by 1 order by 1 limit 1",
    )
    .bind(S::NAME)
    .bind(S::DEFINITIONS)
    .fetch_optional(connection)
    .await?;
    Ok(missing.map_or(Ok(()), |(definition, instances, example)| {
        Err(Unsupported { saga: S::NAME, definition, instances, example })
    }))
}

/// Takes inputs in, in an open transaction. After an error the caller rolls back.
pub(crate) async fn take<S: Saga>(
    tx: &mut PgConnection,
    saga: &S,
    arrived: Vec<Arrived>,
) -> Result<(), Setback> {
    let names = arrived.iter().map(|one| one.instance.as_str()).collect();
    let mut instances = lock::<S>(tx, &names).await?;
    let changes = process(saga, &mut instances, arrived);
    Ok(write::<S>(tx, &instances, &changes).await?)
}

row! {
    struct InstanceRow {
        instance: String,
        definition: i32,
        state: Value,
        status: String,
        attention: Option<String>,
        patient: bool,
        correlation_id: Uuid,
        traceparent: Option<String>,
        causation_id: Uuid,
    }
}

/// Locks those of these instances that exist.
pub(crate) async fn lock<S: Saga>(
    tx: &mut PgConnection,
    names: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Instance>, Setback> {
    let names: Vec<&str> = names.iter().copied().collect();
    let rows: Vec<InstanceRow> = sqlx::query_as(
        "select instance, definition, state, status, attention, patient, correlation_id, traceparent,
                causation_id
         from saga.instances where saga = $1 and instance = any ($2) order by instance for update",
    )
    .bind(S::NAME)
    .bind(names)
    .fetch_all(tx)
    .await?;
    let mut instances = BTreeMap::new();
    for row in rows {
        let (name, instance) = row.read();
        let is_open = matches!(instance.status, Status::Running | Status::NeedsAttention);
        if is_open && !S::DEFINITIONS.contains(&instance.definition) {
            let definition = instance.definition;
            let (saga, instances) = (S::NAME, 1);
            return Err(Unsupported { saga, definition, instances, example: name }.into());
        }
        instances.insert(name, instance);
    }
    Ok(instances)
}

impl InstanceRow {
    fn read(self) -> (String, Instance) {
        let status = match self.status.as_str() {
            "running" => Status::Running,
            "needs_attention" => Status::NeedsAttention,
            "completed" => Status::Completed,
            _ => Status::Compensated, // the table's check admits nothing else
        };
        let instance = Instance {
            definition: self.definition,
            state: self.state,
            status,
            attention: self.attention,
            patient: self.patient,
            correlation_id: self.correlation_id,
            traceparent: self.traceparent,
            causation_id: self.causation_id,
        };
        (self.instance, instance)
    }
}

#[derive(Serialize)]
struct Written<'a> {
    instance: &'a str,
    #[serde(flatten)]
    row: &'a Instance,
}

/// Writes what inputs did.
pub(crate) async fn write<S: Saga>(
    tx: &mut PgConnection,
    instances: &BTreeMap<String, Instance>,
    changes: &Changes,
) -> Result<(), sqlx::Error> {
    let Changes { moved, commands, timers, waiting, ended } = changes;
    let written = |name: &'_ String| instances.get_key_value(name);
    let moved = moved.iter().filter_map(written);
    let moved: Vec<_> = moved.map(|(instance, row)| Written { instance, row }).collect();
    write_instances(tx, S::NAME, &moved).await?;
    write_commands(tx, S::NAME, commands).await?;
    let (mut set, mut cleared) = (Vec::new(), Vec::new());
    for ((instance, timer), change) in timers {
        let causation_id = change.causation_id;
        match change.after.map(|after| after.as_secs_f64()) {
            Some(seconds) => set.push(SetTimer { instance, timer, seconds, causation_id }),
            None => cleared.push((instance.as_str(), timer.as_str())),
        }
    }
    set_timers(tx, S::NAME, &set).await?;
    clear_timers(tx, S::NAME, &cleared, ended).await?;
    keep_waiting(tx, S::NAME, waiting).await
}

async fn write_commands(
    tx: &mut PgConnection,
    saga: &str,
    commands: &[NewCommand],
) -> Result<(), sqlx::Error> {
    if commands.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into saga.commands (saga, instance, step, definition, key, command,
                                    correlation_id, traceparent, causation_id)
         select $1, r.* from jsonb_to_recordset($2) as r (
             instance text, step text, definition int, key uuid, command jsonb,
             correlation_id uuid, traceparent text, causation_id uuid)
         on conflict do nothing",
    )
    .bind(saga)
    .bind(Json(commands))
    .execute(tx)
    .await?;
    Ok(())
}

async fn keep_waiting(
    tx: &mut PgConnection,
    saga: &str,
    waiting: &[Arrived],
) -> Result<(), sqlx::Error> {
    for one in waiting {
        sqlx::query(
            "insert into saga.waiting_inputs (saga, instance, input, causation_id)
             values ($1, $2, $3, $4)",
        )
        .bind(saga)
        .bind(&one.instance)
        .bind(Json(&one.input))
        .bind(one.cause)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

async fn write_instances(
    tx: &mut PgConnection,
    saga: &str,
    moved: &[Written<'_>],
) -> Result<(), sqlx::Error> {
    if moved.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into saga.instances as i (saga, instance, definition, state, status, attention, patient,
                                          correlation_id, traceparent, causation_id, ended_at)
         select $1, r.*, case when r.status in ('completed', 'compensated') then now() end
         from jsonb_to_recordset($2) as r (
             instance text, definition int, state jsonb, status text, attention text, patient boolean,
             correlation_id uuid, traceparent text, causation_id uuid)
         on conflict (saga, instance) do update set
             state = excluded.state, status = excluded.status, attention = excluded.attention,
             attention_told = i.attention_told and i.attention is not distinct from excluded.attention,
             patient = excluded.patient, causation_id = excluded.causation_id,
             moved_at = now(), ended_at = excluded.ended_at",
    )
    .bind(saga)
    .bind(Json(moved))
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(Serialize)]
struct SetTimer<'a> {
    instance: &'a str,
    timer: &'a str,
    seconds: f64,
    causation_id: Uuid,
}

/// From now on, by the database's clock.
async fn set_timers(
    tx: &mut PgConnection,
    saga: &str,
    timers: &[SetTimer<'_>],
) -> Result<(), sqlx::Error> {
    if timers.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into saga.timers (saga, instance, timer, due_at, causation_id)
         select $1, r.instance, r.timer, now() + make_interval(secs => r.seconds), r.causation_id
         from jsonb_to_recordset($2) as r (instance text, timer text, seconds float8,
                                           causation_id uuid)
         on conflict (saga, instance, timer) do update
             set due_at = excluded.due_at, causation_id = excluded.causation_id",
    )
    .bind(saga)
    .bind(Json(timers))
    .execute(tx)
    .await?;
    Ok(())
}

async fn clear_timers(
    tx: &mut PgConnection,
    saga: &str,
    cleared: &[(&str, &str)],
    ended: &[String],
) -> Result<(), sqlx::Error> {
    if cleared.is_empty() && ended.is_empty() {
        return Ok(());
    }
    let (instances, timers): (Vec<&str>, Vec<&str>) = cleared.iter().copied().unzip();
    let either: Vec<&str> =
        instances.iter().copied().chain(ended.iter().map(String::as_str)).collect();
    sqlx::query(
        "delete from saga.timers where saga = $1 and instance = any ($5) and (instance = any ($4)
             or (instance, timer) in (select * from unnest($2::text[], $3::text[])))",
    )
    .bind(saga)
    .bind(instances)
    .bind(timers)
    .bind(ended)
    .bind(either)
    .execute(tx)
    .await?;
    Ok(())
}

/// Runs a transaction on a pool; after an error it was rolled back.
pub(crate) async fn transaction<T>(
    pool: &PgPool,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Setback>,
) -> Result<T, Setback> {
    let mut tx = pool.begin().await?;
    let done = work(&mut tx).await?;
    tx.commit().await?;
    Ok(done)
}
