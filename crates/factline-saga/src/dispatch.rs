//! Carries commands out: rows of `saga.commands` that are due flow in, answers flow into their instances.
//!
//! A command is claimed by counting an attempt and moving its next one beyond the lease, in one committed
//! statement; then it is carried out, and no lock is held meanwhile. Its answer counts if no other attempt
//! was begun. So any number of processes may dispatch. After a crash the lease runs out and the command is
//! carried out again under the same key, which whoever carries it out absorbs.
//!
//! **A refusal leaves no trace in a log**, so a repeat of a refused command is decided anew. A process that
//! was frozen with a claimed command in its hands must therefore not decide it after it woke: meanwhile
//! another attempt may have been refused and the instance gone back. Hence `decide_by`, which is well
//! before the lease's end: what was decided before it was decided on a state of the target that no newer
//! attempt's decision is older than.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use factline_core::saga::Saga;
use factline_projection::row;
use futures::future::join_all;
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, types::Json};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::{
    Errand, Executor, Later, SagaSettings, Verdict,
    journal::{self, Setback, lock, transaction},
    machine::{Arrived, Kept, process},
    meters,
};

/// Instances of definitions that this build does not have are left to a build that has them. The rows are
/// named by their place, from a list that is made once: a join could be planned the other way round, and then
/// choose anew for each row.
const CLAIM: &str = "
    update saga.commands c
    set attempts = c.attempts + 1, next_attempt_at = now() + make_interval(secs => $3)
    where c.ctid = any (array(
        select ctid from saga.commands
        where saga = $1 and state = 'due' and next_attempt_at <= now() and definition = any ($4)
        order by next_attempt_at limit $2
        for update skip locked))
    returning c.instance, c.step, c.key, c.command, c.correlation_id, c.traceparent,
              c.causation_id, c.attempts";

/// Only the newest attempt's answer counts. The instances ($3) lead to the rows; `state` would lead to all
/// that is due.
const ANSWER: &str = "
    update saga.commands c
    set state = r.state, code = r.code, detail = r.detail, answered_at = now()
    from jsonb_to_recordset($2) as r (instance text, step text, attempts int, state text, code text,
                                      detail text)
    where c.saga = $1 and c.instance = any ($3) and c.instance = r.instance and c.step = r.step
      and c.attempts = r.attempts and c.answered_at is null
    returning c.instance, c.step";

const POSTPONE: &str = "
    update saga.commands c
    set next_attempt_at = now() + make_interval(secs => r.seconds), detail = r.detail
    from jsonb_to_recordset($2) as r (instance text, step text, attempts int, seconds float8, detail text)
    where c.saga = $1 and c.instance = any ($3) and c.instance = r.instance and c.step = r.step
      and c.attempts = r.attempts and c.answered_at is null";

row! {
    /// A command that this process may carry out until the lease ends.
    #[derive(Debug, Clone)]
    struct Claimed {
        instance: String,
        step: String,
        key: Uuid,
        command: Value,
        correlation_id: Uuid,
        traceparent: Option<String>,
        causation_id: Uuid,
        attempts: i32,
    }
}

/// See the module.
pub(crate) struct Dispatcher<S, E> {
    pub(crate) saga: Arc<S>,
    pub(crate) executor: Arc<E>,
    pub(crate) database: PgPool,
    pub(crate) settings: SagaSettings,
}

#[derive(Serialize)]
struct AnswerRow<'a> {
    instance: &'a str,
    step: &'a str,
    attempts: i32,
    state: &'static str,
    code: Option<&'a str>,
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct LaterRow<'a> {
    instance: &'a str,
    step: &'a str,
    attempts: i32,
    seconds: f64,
    detail: &'a str,
}

impl<S: Saga, E: Executor<S::Command>> Dispatcher<S, E> {
    /// Carries out what is due, as much as may be at once; says how many commands that were.
    pub(crate) async fn round(&self) -> Result<usize, Setback> {
        let decide_by = Instant::now() + self.settings.decide_within(); // before the lease begins
        let claimed = self.claim().await?;
        if claimed.is_empty() {
            return Ok(0);
        }
        factline_failpoints::reach("saga_after_claim").await;
        let carrying = claimed.iter().map(|one| self.carry_out(one, decide_by));
        let ended: Vec<_> = claimed.iter().zip(join_all(carrying).await).collect();
        factline_failpoints::reach("saga_before_answer").await;
        self.postpone(&ended).await?;
        self.answer(&ended).await?;
        factline_failpoints::reach("saga_after_answer").await;
        Ok(claimed.len())
    }

    async fn claim(&self) -> Result<Vec<Claimed>, sqlx::Error> {
        sqlx::query_as(CLAIM)
            .bind(S::NAME)
            .bind(i64::from(self.settings.concurrency))
            .bind(self.settings.lease().as_secs_f64())
            .bind(S::DEFINITIONS)
            .fetch_all(&self.database)
            .await
    }

    async fn carry_out(&self, one: &Claimed, decide_by: Instant) -> Result<Verdict, Later> {
        let command = match serde_json::from_value(one.command.clone()) {
            Ok(command) => command,
            Err(error) => {
                let (code, detail) = ("unreadable_command".to_owned(), error.to_string());
                return Ok(Verdict::Refused { code, detail });
            }
        };
        let errand = Errand {
            command,
            key: one.key,
            correlation_id: one.correlation_id,
            traceparent: one.traceparent.clone(),
            causation_id: one.causation_id,
            actor: format!("saga:{}", S::NAME),
            decide_by,
        };
        let late = |_| Err(Later("there was no answer in time".to_owned()));
        timeout_at(decide_by, self.executor.execute(errand)).await.unwrap_or_else(late)
    }

    async fn postpone(
        &self,
        ended: &[(&Claimed, Result<Verdict, Later>)],
    ) -> Result<(), sqlx::Error> {
        let rows: Vec<LaterRow<'_>> = ended
            .iter()
            .filter_map(|(one, ended)| {
                let Err(Later(detail)) = ended else { return None };
                let seconds = self.settings.back_off(one.attempts).as_secs_f64();
                let Claimed { instance, step, attempts, .. } = one;
                Some(LaterRow { instance, step, attempts: *attempts, seconds, detail })
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        meters::attempts(S::NAME, "later", rows.len());
        let instances: Vec<&str> = rows.iter().map(|row| row.instance).collect();
        let postpone = sqlx::query(POSTPONE).bind(S::NAME).bind(Json(&rows)).bind(instances);
        postpone.execute(&self.database).await?;
        Ok(())
    }

    async fn answer(&self, ended: &[(&Claimed, Result<Verdict, Later>)]) -> Result<(), Setback> {
        let answered: Vec<_> =
            (ended.iter()).filter_map(|(one, ended)| Some((*one, ended.as_ref().ok()?))).collect();
        if answered.is_empty() {
            return Ok(());
        }
        transaction(&self.database, async |tx| self.take(tx, &answered).await).await
    }

    async fn take(
        &self,
        tx: &mut PgConnection,
        answered: &[(&Claimed, &Verdict)],
    ) -> Result<(), Setback> {
        let names: BTreeSet<&str> = answered.iter().map(|(one, _)| one.instance.as_str()).collect();
        let mut instances = lock::<S>(tx, &names).await?;
        let rows: Vec<_> =
            answered.iter().map(|(one, verdict)| AnswerRow::of(one, verdict)).collect();
        let instances_of: Vec<&str> = names.iter().copied().collect();
        let answer = sqlx::query_as(ANSWER).bind(S::NAME).bind(Json(&rows)).bind(instances_of);
        let taken: Vec<(String, String)> = answer.fetch_all(&mut *tx).await?;
        let superseded = rows.len() - taken.len();
        let taken: HashSet<_> = taken.into_iter().collect();
        let counts = |one: &Claimed| taken.contains(&(one.instance.clone(), one.step.clone()));
        let arrived = answered.iter().filter(|(one, _)| counts(one)).map(|(one, verdict)| {
            meters::attempts(S::NAME, verdict.label(), 1);
            Arrived {
                instance: one.instance.clone(),
                input: Kept::Answer { step: one.step.clone(), refused: verdict.code() },
                cause: verdict.event_id().unwrap_or(one.causation_id),
                begins: None,
            }
        });
        let changes = process(&*self.saga, &mut instances, arrived);
        meters::attempts(S::NAME, "superseded", superseded);
        meters::inputs(S::NAME, "answer", taken.len());
        Ok(journal::write::<S>(tx, &instances, &changes).await?)
    }
}

impl<'a> AnswerRow<'a> {
    fn of(one: &'a Claimed, verdict: &'a Verdict) -> Self {
        let (state, code, detail) = match verdict {
            Verdict::Accepted { .. } => ("accepted", None, None),
            Verdict::Refused { code, detail } => {
                ("refused", Some(code.as_str()), Some(detail.as_str()))
            }
        };
        let (instance, step) = (one.instance.as_str(), one.step.as_str());
        Self { instance, step, attempts: one.attempts, state, code, detail }
    }
}

impl Verdict {
    fn code(&self) -> Option<String> {
        match self {
            Self::Accepted { .. } => None,
            Self::Refused { code, .. } => Some(code.clone()),
        }
    }

    fn event_id(&self) -> Option<Uuid> {
        match self {
            Self::Accepted { event_id } => *event_id,
            Self::Refused { .. } => None,
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Refused { .. } => "refused",
        }
    }
}
