//! Carries out what operators ask for, in every process: whichever comes first.
//!
//! An act is one transaction, from the lock of the instance to its outcome. A crash leaves the act asked,
//! and the next process does it.

use std::collections::{BTreeSet, VecDeque};

use factline_core::saga::Saga;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use crate::{
    acts::Act,
    journal::{self, Setback, lock, transaction},
    machine::{Arrived, Instance, Kept},
    meters,
    wishes::{Acted, Wish, act},
};

/// What is asked of an instance whose definition this build does not have is left to one that has it.
const ASKED: &str = "
    select id, instance from saga.operator_acts a
    where saga = $1 and state = 'asked' and coalesce(
        (select i.definition from saga.instances i where i.saga = a.saga and i.instance = a.instance)
            = any ($2), true)
    order by id";

/// Carries out every act that is asked for, in order; says how many were found.
pub(crate) async fn carry_out<S: Saga>(database: &PgPool, saga: &S) -> Result<usize, Setback> {
    let asked: Vec<(i64, String)> =
        sqlx::query_as(ASKED).bind(S::NAME).bind(S::DEFINITIONS).fetch_all(database).await?;
    for (id, instance) in &asked {
        let done = transaction(database, async |tx| one(tx, saga, *id, instance).await).await?;
        if let Some(act) = done {
            meters::operator_act(S::NAME, Wish::read(&act.act).as_str(), outcome_of(&act));
            let Act { who, act, instance, reason, state, .. } = act;
            tracing::info!(
                saga = S::NAME,
                act,
                id,
                who,
                instance,
                reason,
                state,
                "an operator's act was carried out"
            );
        }
    }
    Ok(asked.len())
}

fn outcome_of(act: &Act) -> &'static str {
    if act.is_done() { "done" } else { "refused" }
}

/// One act; nothing when another process has done it.
async fn one<S: Saga>(
    tx: &mut PgConnection,
    saga: &S,
    id: i64,
    name: &str,
) -> Result<Option<Act>, Setback> {
    let mut instances = lock::<S>(tx, &BTreeSet::from([name])).await?;
    let asked: Option<Act> = sqlx::query_as(
        "select * from saga.operator_acts where id = $1 and state = 'asked' for update",
    )
    .bind(id)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(asked) = asked else { return Ok(None) };
    let (state, outcome) = match instances.get_mut(name) {
        None => ("refused", "there is no such instance".to_owned()),
        Some(instance) => match attempt(tx, saga, name, instance, Wish::read(&asked.act)).await? {
            Err(why) => ("refused", why),
            Ok(acted) => {
                settle_commands::<S>(tx, name, &acted).await?;
                journal::write::<S>(tx, &instances, &acted.changes).await?;
                ("done", acted.told)
            }
        },
    };
    let finished = sqlx::query_as(
        "update saga.operator_acts set state = $2, outcome = $3, finished_at = now()
         where id = $1 returning *",
    );
    Ok(Some(finished.bind(id).bind(state).bind(outcome).fetch_one(tx).await?))
}

async fn attempt<S: Saga>(
    tx: &mut PgConnection,
    saga: &S,
    name: &str,
    instance: &mut Instance,
    wish: Wish,
) -> Result<Result<Acted, String>, sqlx::Error> {
    let waiting = waiting::<S>(tx, name).await?;
    let acted = act(saga, name, instance, waiting, wish);
    if acted.is_ok() {
        // All of them are used up; what has to wait again is written again.
        sqlx::query("delete from saga.waiting_inputs where saga = $1 and instance = $2")
            .bind(S::NAME)
            .bind(name)
            .execute(tx)
            .await?;
    }
    Ok(acted)
}

async fn waiting<S: Saga>(
    tx: &mut PgConnection,
    name: &str,
) -> Result<VecDeque<Arrived>, sqlx::Error> {
    let rows: Vec<(Json<Kept>, Uuid)> = sqlx::query_as(
        "select input, causation_id from saga.waiting_inputs
         where saga = $1 and instance = $2 order by place",
    )
    .bind(S::NAME)
    .bind(name)
    .fetch_all(tx)
    .await?;
    let arrived = |(Json(input), cause)| {
        let instance = name.to_owned();
        Arrived { instance, input, cause, begins: None }
    };
    Ok(rows.into_iter().map(arrived).collect())
}

/// What an act says of the command whose refusal had no answer.
async fn settle_commands<S: Saga>(
    tx: &mut PgConnection,
    name: &str,
    acted: &Acted,
) -> Result<(), sqlx::Error> {
    let again = "update saga.commands
        set state = 'due', next_attempt_at = now(), code = null, detail = null, answered_at = null
        where saga = $1 and instance = $2 and step = $3";
    let skipped = "update saga.commands set state = 'skipped'
        where saga = $1 and instance = $2 and step = $3";
    for (statement, step) in [(again, &acted.again), (skipped, &acted.skipped)] {
        if let Some(step) = step {
            sqlx::query(statement).bind(S::NAME).bind(name).bind(step).execute(&mut *tx).await?;
        }
    }
    Ok(())
}
