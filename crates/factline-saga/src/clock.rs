//! What time does: timers that have run out fire, and instances that do not move are noticed.
//!
//! Timers are rows, and due by the database's clock alone: a restart forgets none, and this process's
//! clock decides nothing. A timer fires with its row's deletion in the transaction of the reaction: once,
//! however many processes look. Should the database's clock jump, timers fire early or late, and each once
//! all the same.

use std::collections::BTreeSet;

use factline_core::saga::Saga;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    journal::{self, Setback, Unsupported, check_definitions, lock, transaction},
    machine::{Arrived, Kept, process},
    meters,
};

/// Timers of one transaction: a few milliseconds of locks.
const AT_ONCE: i64 = 500;

const DUE: &str = "
    select instance, timer from saga.timers t
    where saga = $1 and due_at <= now() and $3 @> array[
        (select definition from saga.instances i where i.saga = t.saga and i.instance = t.instance)]
    order by due_at limit $2";

/// Another process may have fired them meanwhile, or an instance may have set them anew.
const TAKE: &str = "
    delete from saga.timers
    where saga = $1 and due_at <= now() and instance = any ($2)
      and (instance, timer) in (select * from unnest($2::text[], $3::text[]))
    returning instance, timer, causation_id";

/// Fires the timers that are due; says how many it found.
pub(crate) async fn fire<S: Saga>(database: &PgPool, saga: &S) -> Result<usize, Setback> {
    let due: Vec<(String, String)> = sqlx::query_as(DUE)
        .bind(S::NAME)
        .bind(AT_ONCE)
        .bind(S::DEFINITIONS)
        .fetch_all(database)
        .await?;
    if due.is_empty() {
        return Ok(0);
    }
    factline_failpoints::reach("saga_before_timer").await;
    let (instances, timers): (Vec<&str>, Vec<&str>) =
        due.iter().map(|(instance, timer)| (instance.as_str(), timer.as_str())).unzip();
    let names: BTreeSet<&str> = instances.iter().copied().collect();
    transaction(database, async |tx| {
        let mut known = lock::<S>(tx, &names).await?;
        let mut taken: Vec<(String, String, Uuid)> = sqlx::query_as(TAKE)
            .bind(S::NAME)
            .bind(&instances)
            .bind(&timers)
            .fetch_all(&mut *tx)
            .await?;
        taken.sort(); // the same whatever the order of the rows
        meters::inputs(S::NAME, "timer", taken.len());
        let arrived = taken.into_iter().map(|(instance, timer, cause)| Arrived {
            instance,
            input: Kept::Timer { timer },
            cause,
            begins: None,
        });
        let changes = process(saga, &mut known, arrived);
        Ok(journal::write::<S>(tx, &known, &changes).await?)
    })
    .await?;
    Ok(due.len())
}

/// How the open instances are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) running: i64,
    pub(crate) needs_attention: i64,
    pub(crate) stuck: i64,
    pub(crate) unsupported: Option<Unsupported>,
}

/// One that waits for somebody outside is not stuck, nor one whose timer still runs.
const SIGHT: &str = "
    select count(*) filter (where status = 'running'),
           count(*) filter (where status = 'needs_attention'),
           count(*) filter (where status = 'running' and not patient
               and moved_at < now() - make_interval(secs => $2)
               and not exists (select from saga.timers t
                               where t.saga = i.saga and t.instance = i.instance and t.due_at > now()))
    from saga.instances i where saga = $1 and status in ('running', 'needs_attention')";

/// Each is told by one process, once.
const TELL: &str = "
    update saga.instances set attention_told = true
    where saga = $1 and status = 'needs_attention' and not attention_told
    returning instance, attention";

/// Looks at the open instances, and tells a person of those that have come to need one.
pub(crate) async fn look<S: Saga>(
    database: &PgPool,
    stuck_after: std::time::Duration,
) -> Result<Sight, sqlx::Error> {
    let told: Vec<(String, Option<String>)> =
        sqlx::query_as(TELL).bind(S::NAME).fetch_all(database).await?;
    meters::attention(S::NAME, told.len());
    for (instance, why) in told {
        let why = why.unwrap_or_default();
        tracing::error!(saga = S::NAME, instance, why, "an instance of a saga needs attention");
    }
    let (running, needs_attention, stuck) = sqlx::query_as(SIGHT)
        .bind(S::NAME)
        .bind(stuck_after.as_secs_f64())
        .fetch_one(database)
        .await?;
    meters::open(S::NAME, running, needs_attention, stuck);
    let mut connection = database.acquire().await?;
    let unsupported = check_definitions::<S>(&mut connection).await?.err();
    Ok(Sight { running, needs_attention, stuck, unsupported })
}

impl Sight {
    /// What is not as it should be, for readiness.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let mut tell = |count: i64, what: &str| {
            if count > 0 {
                reasons.push(format!("{count} {what}"));
            }
        };
        tell(self.needs_attention, "instances need attention");
        tell(self.stuck, "instances are stuck");
        reasons.extend(self.unsupported.as_ref().map(Unsupported::to_string));
        reasons
    }
}
