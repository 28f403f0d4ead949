//! Rebuilds a view beside the live one, in every process of a projector: any may build, one does.
//!
//! **The contract.** Readers see the live table until one transaction puts the rebuilt one in its place,
//! at exactly the same positions. Every step is a transaction that takes the rebuild's row first, so what
//! an operator says is noticed between two of them; positions move by compare-and-set together with the
//! rows. So a process may die anywhere: the next one goes on from the last step that was committed, and no
//! event is applied twice. An advisory lock of the session that writes keeps other processes from trying.
//!
//! The fold is the view's own ([`Projection::beside`]), the events are the log's, and the transaction of a
//! page is the one of live batches ([`crate::transaction::write`]) with another book. Nothing but rows is
//! written: a fold has no other effect.

mod compare;
mod finish;
mod page;
mod places;
mod switch;
mod tables;

use std::{sync::Arc, time::Duration};

use sqlx::PgConnection;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::info;

use crate::{
    Projection,
    attempt::connect,
    failure::{Class, class_of},
    meters,
    park::Parked,
    patrol::{Rounds, patrol},
    rebuilds::{self, Rebuild, Wish},
    shared::Shared,
    transaction,
};
use tables::Tables;

/// A step holds the live view's checkpoints while it compares: some seconds a million rows. What takes
/// longer than this stands still.
const STEP_WITHIN: Duration = Duration::from_secs(300);
/// How long a step waits for a lock that somebody else has. The switch waits for the queries under way,
/// and new ones wait behind it: longer would be noticed by callers.
const LOCK_WITHIN: &str = "set lock_timeout = '2s'";

const NEXT_TO_DO: &str = "
    select id from projection.rebuilds
    where projection = $1 and (state in ('asked', 'building') or wish is not null)
    order by id limit 1";

/// The session's own; it ends with the session, however that ends.
const LOCK: &str = "select pg_try_advisory_lock(hashtextextended('factline rebuild ' || $1, 0))";

/// What a step leaves to be done.
#[derive(Debug)]
enum Step {
    /// Another one, after this time.
    More(Duration),
    /// Nothing, until an operator says so.
    Finished,
    /// Nothing, and what the rebuild came to was told before.
    Aside,
}

/// Why a step was rolled back.
#[derive(Debug)]
enum Setback {
    /// It cannot be done now; time may cure it.
    Wait(String),
    /// It can never be done.
    Failed(String),
    /// An event among those of the switch needs the care that a page has.
    PageFirst,
}

impl From<sqlx::Error> for Setback {
    fn from(error: sqlx::Error) -> Self {
        Self::of_class(class_of(&error), error.to_string())
    }
}

impl From<transaction::Setback> for Setback {
    fn from(setback: transaction::Setback) -> Self {
        use transaction::Setback as Of;
        match setback {
            Of::Poison(_) | Of::Panicked(_) => Self::PageFirst,
            Of::Apply(error) if error.class() == Class::Poison => Self::PageFirst,
            Of::Apply(error) => Self::of_class(error.class(), error.to_string()),
            Of::Database(error) => error.into(),
            Of::Refused => Self::Wait("another process has moved it".into()),
            Of::ParkedLimit(parked) => Self::too_much(parked),
            Of::Fork(..) | Of::SeenBefore => Self::Failed("the log's events do not fit".into()),
        }
    }
}

impl Setback {
    fn of_class(class: Class, why: String) -> Self {
        match class {
            Class::Transient => Self::Wait(why),
            Class::Config | Class::Unknown | Class::Poison => Self::Failed(why),
        }
    }

    fn too_much(parked: Parked) -> Self {
        Self::Failed(format!("{parked} would be parked: over the limit"))
    }
}

/// See the module.
pub(crate) struct Rebuilder<P: Projection> {
    shared: Arc<Shared<P>>,
    /// Opened for a rebuild, with its lock; closed when nothing is to be done.
    session: Option<PgConnection>,
    /// So many events are applied one by one, to find the one that the database refuses.
    single_steps: usize,
    /// What is left goes through a page before the next switch.
    page_first: bool,
}

impl<P: Projection> Rebuilder<P> {
    pub(crate) fn new(shared: Arc<Shared<P>>) -> Self {
        Self { shared, session: None, single_steps: 0, page_first: false }
    }

    /// Rebuilds what is asked for until told to stop. A step under way is abandoned then.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) {
        let shared = Arc::clone(&self.shared);
        patrol(self, shared.name(), &shared.settings, stop).await;
    }

    /// Whether this process is the one that builds; it is until its session ends.
    async fn holds_lock(&mut self) -> Result<bool, Setback> {
        if self.session.is_some() {
            return Ok(true);
        }
        let opened = connect(&*self.shared).await;
        let mut session =
            opened.map_err(|error| Setback::of_class(error.class(), error.to_string()))?;
        sqlx::raw_sql(LOCK_WITHIN).execute(&mut session).await?;
        let locked =
            sqlx::query_scalar(LOCK).bind(self.shared.name()).fetch_one(&mut session).await?;
        if locked {
            self.session = Some(session);
        }
        Ok(locked)
    }

    /// One step of a rebuild, by what stands in its row.
    async fn step(&mut self, id: i64) -> Result<Step, Setback> {
        let rebuild = rebuilds::find(&self.shared.database, id).await?;
        let Some(mut session) = self.session.take() else { return Ok(Step::Aside) };
        let stepped = timeout(STEP_WITHIN, self.take_step(&mut session, &rebuild)).await;
        let stepped = stepped.unwrap_or_else(|_| {
            Err(Setback::Wait(format!("a step took longer than {} s", STEP_WITHIN.as_secs())))
        });
        match &stepped {
            Ok(_) => self.session = Some(session),
            // What was begun ends with the connection, and so does the lock.
            Err(_) => drop(session),
        }
        stepped
    }

    async fn take_step(
        &mut self,
        session: &mut PgConnection,
        rebuild: &Rebuild,
    ) -> Result<Step, Setback> {
        let tables = self.tables();
        let wish = rebuild.wish.as_deref();
        let is = |one: Wish| wish == Some(one.label());
        if rebuild.is_open() && is(Wish::Cancel) {
            return finish::cancel(session, rebuild, tables.as_ref()).await;
        }
        let tables = tables.ok_or_else(|| {
            Setback::Failed(format!(
                "{} is no view of one table, so there is nothing to build beside it",
                rebuild.projection
            ))
        })?;
        match &*rebuild.state {
            "asked" => switch::begin(session, rebuild, &tables).await,
            "building" => self.build(session, rebuild, &tables).await,
            "ready" if is(Wish::Switch { accept_difference: false }) => {
                finish::resume(session, rebuild).await
            }
            "switched" if is(Wish::DropPrevious) => {
                finish::drop_previous(session, rebuild, &tables).await
            }
            _ => finish::too_late(session, rebuild).await,
        }
    }

    fn tables(&self) -> Option<Tables> {
        let beside = self.shared.projection.beside()?;
        Some(Tables::new(self.shared.name(), beside.table, beside.key))
    }

    async fn build(
        &mut self,
        session: &mut PgConnection,
        rebuild: &Rebuild,
        tables: &Tables,
    ) -> Result<Step, Setback> {
        let places = places::read(session, self.shared.name(), tables).await?;
        let remaining = places::remaining(&places);
        meters::rebuild_remaining(self.shared.name(), remaining);
        let batch = i64::try_from(self.shared.settings.batch_records).unwrap_or(i64::MAX);
        if remaining > batch || (self.page_first && remaining > 0) {
            return self.page(session, rebuild, tables, &places).await;
        }
        self.page_first = false;
        let step = switch::switch(&self.shared, session, rebuild, tables, batch).await?;
        if matches!(step, Step::Finished) {
            // Readers and whoever waits for a token look again.
            self.shared.moved.send_modify(|commits| *commits = commits.wrapping_add(1));
        }
        Ok(step)
    }

    async fn carry_out(&mut self, id: i64) -> Result<(), String> {
        loop {
            match self.holds_lock().await {
                Ok(true) => {}
                Ok(false) => return Ok(()), // another process is at it
                Err(setback) => return self.settle(id, setback).await,
            }
            match self.step(id).await {
                Ok(Step::More(pause)) => sleep(pause).await,
                Ok(Step::Finished) => {
                    self.tell(id).await;
                    return Ok(());
                }
                Ok(Step::Aside) => return Ok(()),
                Err(Setback::PageFirst) => self.page_first = true,
                Err(setback) => return self.settle(id, setback).await,
            }
        }
    }

    async fn settle(&mut self, id: i64, setback: Setback) -> Result<(), String> {
        self.session = None;
        let why = match setback {
            Setback::Wait(why) => {
                finish::wait(&self.shared.database, id, &why).await;
                return Err(why);
            }
            Setback::Failed(why) => why,
            Setback::PageFirst => return Ok(()), // dealt with where it arises
        };
        let failed = finish::fail(&self.shared.database, id, self.tables().as_ref(), &why).await;
        failed.map_err(|setback| format!("{why}; and then: {setback:?}"))?;
        self.tell(id).await;
        Ok(())
    }

    async fn tell(&self, id: i64) {
        let name = self.shared.name();
        let Ok(rebuild) = rebuilds::find(&self.shared.database, id).await else { return };
        let (who, state) = (&rebuild.who, &*rebuild.state);
        meters::rebuild_ended(name, state);
        info!(
            projection = name,
            id,
            who,
            state,
            error = rebuild.error,
            "a rebuild has ended its work"
        );
    }
}

impl<P: Projection> Rounds for Rebuilder<P> {
    /// Carries out what is asked about rebuilds, one after the other.
    async fn round(&mut self) -> Result<(), String> {
        loop {
            let next: Result<Option<i64>, _> = sqlx::query_scalar(NEXT_TO_DO)
                .bind(self.shared.name())
                .fetch_optional(&self.shared.database)
                .await;
            let Some(id) = next.map_err(|error| error.to_string())? else { break };
            self.carry_out(id).await?;
            if self.session.is_none() {
                break; // another process has it, or it has failed: in the next round
            }
        }
        self.session = None;
        meters::rebuild_remaining(self.shared.name(), 0);
        Ok(())
    }
}
