//! Carries out what operators ask for, in every process of a projector: any replica may, also one
//! that does not own the stream's partition.
//!
//! **The contract.** An act is one transaction, from the lock of its row to its outcome. It holds the
//! checkpoint row of the stream's partition, which a live batch moves first of all; so nothing of the
//! partition is applied meanwhile, and a live batch that waited reads afterwards which streams are
//! parked. A crash leaves the act asked, and the next process does it. (A stream with more than
//! [`stream::PAGE`] parked events takes several such transactions, each of which removes what it
//! applied.) When an event fails again, everything is rolled back, and a second transaction records
//! the attempt and the refusal. An act that several processes have ended with is refused.

mod reopen;
mod retry;
mod settle;
mod skip;
mod stream;

use std::{sync::Arc, time::Duration};

use sqlx::PgConnection;
use tokio::{sync::watch, time::timeout};
use tracing::info;

use crate::{
    Projection,
    acts::{self, Act, EventCause, Wish},
    attempt::connect,
    failure::{Class, class_of},
    meters,
    patrol::{Rounds, patrol},
    settings::ms,
    shared::Shared,
    trust::DEATHS,
};
use reopen::Reopener;

/// A server that takes longer to roll back loses the connection instead.
const ROLL_BACK_WITHIN: Duration = Duration::from_secs(1);

const LOOK: &str = "
    select (select count(*) from projection.parked_streams where projection = $1),
           (select array_agg(id order by id) from projection.operator_acts
            where projection = $1 and state = 'asked')";

const TAKE: &str = "
    select * from projection.operator_acts where id = $1 and state = 'asked'
    for update skip locked";

/// Nothing, when another process is at it, or has done it.
const BEGIN: &str = "
    update projection.operator_acts set attempts = attempts + 1
    where id = (select id from projection.operator_acts where id = $1 and state = 'asked'
                for update skip locked)
    returning attempts";

const OUTLIVED: &str = "
    update projection.operator_acts set attempts = 0
    where id = (select id from projection.operator_acts where id = $1 for update skip locked)";

/// How events are handed to the projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Together,
    /// To find the one that the database refuses or the projection panics at.
    OneByOne,
}

/// What a transaction of an act did.
#[derive(Debug)]
enum Step {
    /// Another process is at it, or has done it.
    Elsewhere,
    /// A page was applied; more is parked.
    More,
    Finished,
}

/// Why a transaction of an act was rolled back.
#[derive(Debug)]
enum Setback {
    /// One of several events cannot be applied, and nothing says which.
    FindPoison,
    /// This one cannot.
    Poison(EventCause),
    /// The act cannot be done, and no event is to blame.
    Refused(String),
    /// It cannot be done now; time may cure it.
    Wait(String),
}

impl From<sqlx::Error> for Setback {
    fn from(error: sqlx::Error) -> Self {
        Self::of_class(class_of(&error), error.to_string())
    }
}

impl Setback {
    /// Nothing of the runtime's own can be blamed on an event.
    fn of_class(class: Class, why: String) -> Self {
        match class {
            Class::Transient => Self::Wait(why),
            Class::Config | Class::Unknown | Class::Poison => Self::Refused(why),
        }
    }
}

/// See the module.
pub(crate) struct Operator<P: Projection> {
    shared: Arc<Shared<P>>,
    reopener: Reopener,
    /// Opened for acts, closed when there is none.
    session: Option<PgConnection>,
}

impl<P: Projection> Operator<P> {
    pub(crate) fn new(shared: Arc<Shared<P>>) -> Self {
        Self { shared, reopener: Reopener::default(), session: None }
    }

    /// Carries out acts until told to stop. One under way is abandoned then and stays asked.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) {
        let shared = Arc::clone(&self.shared);
        patrol(self, shared.name(), &shared.settings, stop).await;
    }

    /// Carries an act out, unless processes have ended with it in hand.
    async fn carry_out(&mut self, id: i64) -> Result<(), String> {
        let database = &self.shared.database;
        let begun = sqlx::query_scalar(BEGIN).bind(id).fetch_optional(database).await;
        let begun: Option<i32> = begun.map_err(|error| error.to_string())?;
        let Some(attempt) = begun else { return Ok(()) };
        if u32::try_from(attempt).is_ok_and(|attempt| attempt > DEATHS) {
            let why = format!("{DEATHS} processes ended with it in hand");
            return self.settle(id, &Setback::Refused(why)).await;
        }
        let carried_out = self.until_settled(id).await;
        let outlived = sqlx::query(OUTLIVED).bind(id).execute(&self.shared.database).await;
        outlived.map_err(|error| error.to_string()).and(carried_out)
    }

    async fn until_settled(&mut self, id: i64) -> Result<(), String> {
        let mut pace = Pace::Together;
        loop {
            let setback = match self.one_transaction(id, pace).await {
                Ok(Step::Elsewhere) => return Ok(()),
                Ok(Step::More) => {
                    self.wake();
                    continue;
                }
                Ok(Step::Finished) => {
                    self.wake();
                    return self.tell(id).await;
                }
                Err(setback) => setback,
            };
            match setback {
                Setback::FindPoison if pace == Pace::Together => pace = Pace::OneByOne,
                Setback::FindPoison => {
                    let why = Setback::Refused("the projection named no event as poison".into());
                    return self.settle(id, &why).await;
                }
                Setback::Poison(_) | Setback::Refused(_) => return self.settle(id, &setback).await,
                Setback::Wait(why) => {
                    self.settle(id, &Setback::Wait(why.clone())).await?;
                    return Err(why);
                }
            }
        }
    }

    async fn settle(&self, id: i64, setback: &Setback) -> Result<(), String> {
        let settled = settle::settle(&self.shared.database, id, setback).await;
        if settled.map_err(|error| error.to_string())? { self.tell(id).await } else { Ok(()) }
    }

    /// Whoever waits for this projection looks again.
    fn wake(&self) {
        self.shared.moved.send_modify(|commits| *commits = commits.wrapping_add(1));
    }

    async fn tell(&self, id: i64) -> Result<(), String> {
        let act = acts::find(&self.shared.database, id).await.map_err(|error| error.to_string())?;
        let outcome = if act.is_done() { "done" } else { "refused" };
        meters::operator_act(self.shared.name(), act.wish().label(), outcome);
        info!(
            projection = self.shared.name(),
            act = act.wish().label(),
            id,
            who = act.who,
            topic = act.topic,
            stream_id = act.stream_id,
            outcome,
            "an operator's act was carried out"
        );
        Ok(())
    }

    /// Runs one transaction of an act; after an error it was rolled back.
    async fn one_transaction(&mut self, id: i64, pace: Pace) -> Result<Step, Setback> {
        let act = acts::find(&self.shared.database, id).await?;
        if matches!(act.wish(), Wish::Retry | Wish::DryRun) {
            // Unknown schemas are asked for here, not while the partition is held.
            self.reopener.warm(&*self.shared, &act).await?;
        }
        let connection = match &mut self.session {
            Some(connection) => connection,
            None => {
                let opened = connect(&*self.shared).await;
                let opened =
                    opened.map_err(|error| Setback::of_class(error.class(), error.to_string()))?;
                self.session.insert(opened)
            }
        };
        let within = ms(self.shared.settings.transaction_within_ms);
        let writing = write(&self.shared, &mut self.reopener, connection, id, pace);
        let written = timeout(within, writing).await.unwrap_or_else(|_| {
            Err(Setback::Refused(format!("it took longer than {} s", within.as_secs())))
        });
        if written.is_err() {
            let rollback = sqlx::raw_sql("rollback").execute(&mut *connection);
            drop(timeout(ROLL_BACK_WITHIN, rollback).await); // it ends with the connection anyway
            self.session = None;
        }
        written
    }
}

impl<P: Projection> Rounds for Operator<P> {
    /// Carries out every act that is asked for, in order. One that has to wait holds up no other.
    async fn round(&mut self) -> Result<(), String> {
        let name = self.shared.name();
        let looked: Result<(i64, Option<Vec<i64>>), _> =
            sqlx::query_as(LOOK).bind(name).fetch_one(&self.shared.database).await;
        let (parked, asked) = looked.map_err(|error| error.to_string())?;
        // Other processes park and retry too: each tells what the database says.
        meters::parked_streams(name, parked);
        let mut last = Ok(());
        for id in asked.unwrap_or_default() {
            last = self.carry_out(id).await.and(last);
        }
        self.session = None;
        last
    }
}

async fn write<P: Projection>(
    shared: &Shared<P>,
    reopener: &mut Reopener,
    tx: &mut PgConnection,
    id: i64,
    pace: Pace,
) -> Result<Step, Setback> {
    sqlx::raw_sql("begin").execute(&mut *tx).await?;
    let taken: Option<Act> = sqlx::query_as(TAKE).bind(id).fetch_optional(&mut *tx).await?;
    let Some(act) = taken else {
        sqlx::raw_sql("rollback").execute(tx).await?;
        return Ok(Step::Elsewhere);
    };
    let outcome = match act.wish() {
        Wish::Retry => retry::page(shared, reopener, tx, &act, pace).await?,
        Wish::DryRun => {
            sqlx::raw_sql("savepoint trying").execute(&mut *tx).await?;
            let outcome = retry::dry_run(shared, reopener, tx, &act, pace).await?;
            sqlx::raw_sql("rollback to savepoint trying").execute(&mut *tx).await?;
            outcome
        }
        Wish::Skip { position } => skip::skip(tx, &act, position).await?,
    };
    let more = act.wish() == Wish::Retry && outcome.still_parked > 0;
    settle::record(tx, id, if more { "asked" } else { "done" }, &outcome).await?;
    factline_failpoints::reach("operator_in_act").await; // everything written, nothing committed
    sqlx::raw_sql("commit").execute(tx).await?;
    Ok(if more { Step::More } else { Step::Finished })
}
