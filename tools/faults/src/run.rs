//! One run, from an empty system to its summary.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use local_stack::{Component, Stack};
use sqlx::Connection;

use crate::checker::{self, Findings};
use crate::dice::Dice;
use crate::failure::Failure;
use crate::history::{self, History};
use crate::lag::{self, Lag};
use crate::load::Load;
use crate::nemesis;
use crate::place::{Place, Service};
use crate::receiver::Receiver;
use crate::report::{Parts, Report};
use crate::schedule::{self, Kind};
use crate::system::System;

/// How long everything may take to be whole after the last fault was healed: a broker that was
/// killed, sessions of 6 s and back-offs of up to 10 s, one after the other, on a loaded machine.
pub(crate) const QUIET_WITHIN: Duration = Duration::from_secs(120);
/// And then the last alerts: a retry comes within 2 s.
const ALERTS_WITHIN: Duration = Duration::from_secs(40);
/// And the processes: a payment's time is 10 s, a command of a killed process is claimed again after as
/// long, and what then follows is a matter of milliseconds.
const SAGAS_WITHIN: Duration = Duration::from_secs(60);
/// Of each list, how many findings are told on standard error.
const TOLD: usize = 8;

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) seed: u64,
    pub(crate) load: Duration,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) broken: Option<&'static str>,
    /// Unique among the runs on this stack.
    pub(crate) name: String,
    pub(crate) programs: PathBuf,
    /// What the run leaves goes here; it is emptied first.
    pub(crate) folder: PathBuf,
    /// See [`QUIET_WITHIN`].
    pub(crate) quiet_within: Duration,
}

/// Runs it.
///
/// # Errors
/// It cannot be carried out; what it finds is no error.
pub(crate) async fn run(order: &Order, stack: &Stack) -> Result<Report, Failure> {
    drop(fs::remove_dir_all(&order.folder)); // of an earlier run, if any
    fs::create_dir_all(&order.folder)?;
    let receiver = Receiver::listen(order.seed).await?;
    let place = Place {
        stack: stack.addresses().clone(),
        name: order.name.clone(),
        programs: order.programs.clone(),
        folder: order.folder.clone(),
        webhook_url: receiver.url().to_owned(),
        broken: order.broken,
    };
    let system = Arc::new(System::new(place, stack.clone()));
    let began = Instant::now();
    system.begin().await?;
    eprintln!("services ready after {:.1} s", began.elapsed().as_secs_f32());
    let outcome = under_load(order, &system, &receiver).await;
    let ended = system.end().await;
    let report = outcome?;
    ended?;
    if !report.ok {
        keep_stack_logs(order, stack);
    }
    Ok(report)
}

async fn under_load(
    order: &Order,
    system: &Arc<System>,
    receiver: &Receiver,
) -> Result<Report, Failure> {
    let history = Arc::new(History::begin(&order.folder)?);
    let load = Arc::new(Load::new(Arc::clone(&system.targets), Arc::clone(&history))?);
    spoil(&system.place).await?;
    load.open(&mut Dice::new(order.seed, 3)).await?;
    let began = Instant::now();
    let watch = Arc::new(Lag::new(&system.place, began)?);
    let watching = Arc::clone(&watch);
    let watching = tokio::spawn(async move { watching.run().await });
    let scraping = tokio::spawn(Arc::clone(&system.meters).run());
    let plan = schedule::plan(order.seed, order.load, &order.kinds);
    let faults = nemesis::run(system, &load, &plan, began);
    let (loaded, fired) = tokio::join!(load.run(order.seed, order.load), faults);
    loaded?;
    eprintln!("load over, {} operations; waiting until quiet", history.len());
    let problems = settle(system, &watch, order.quiet_within).await?;
    tokio::time::sleep(Duration::from_secs(1)).await; // one more scrape
    watching.abort();
    scraping.abort();
    let operations = history.all()?;
    eprintln!("not acknowledged: {:?}", history::codes(&operations));
    let foreign = fired.counts.get(&Kind::ForeignRecord).copied().unwrap_or_default();
    let deliveries = receiver.deliveries();
    let found = checker::check(&system.place, &operations, &deliveries, foreign).await?;
    tell(order, &found)?;
    let samples = watch.samples();
    Ok(Report::of(Parts {
        seed: order.seed,
        load: order.load,
        kinds: &order.kinds,
        fired: &fired,
        counts: history::counts(&operations),
        found: &found,
        alerts: deliveries.len(),
        defences: system.meters.defences(),
        lags: &lag::lags(&samples),
        recoveries: &lag::recoveries(&samples, &fired.ends),
        problems,
    }))
}

/// Has the database store the second event of every stream that is to be poisoned with bytes that no
/// schema reads: nothing that a caller may ask for can.
async fn spoil(place: &Place) -> Result<(), Failure> {
    const SPOIL: &str = "
        create function log.spoil() returns trigger language plpgsql as $$
        begin
            new.payload := '\\xffffffffffffffffffffff';
            return new;
        end $$;
        create trigger spoil before insert on log.events for each row
        when (new.stream_id like 'poison-%' and new.version = 2) execute function log.spoil()";
    let mut log = sqlx::PgConnection::connect(&place.database(Service::CommandApi)).await?;
    sqlx::raw_sql(SPOIL).execute(&mut log).await?;
    Ok(log.close().await?)
}

/// Waits until the processes, the log, the views and the alerts stand still; what did not come to that.
async fn settle(system: &System, watch: &Lag, within: Duration) -> Result<Vec<String>, Failure> {
    let mut problems = Vec::new();
    let ended = system.mend().await?;
    problems.extend(ended.iter().map(|name| format!("{name} ended by itself")));
    // What the processes have not heard of yet they cannot be at work on.
    watch.quiet(within).await;
    sagas_ended(&system.place).await?;
    if !watch.quiet(within).await {
        problems.push(format!("the views are behind after {} s", within.as_secs()));
    }
    const DUE: &str = "select count(*) from deliveries
        where delivered_at is null and abandoned_at is null and withdrawn_at is null";
    none_left(&system.place.database(Service::Alerter), DUE, ALERTS_WITHIN).await?;
    Ok(problems)
}

/// Waits a while until no process is at work; whoever waits for somebody outside is not. The checker says
/// which are.
async fn sagas_ended(place: &Place) -> Result<(), Failure> {
    const AT_WORK: &str =
        "select count(*) from saga.instances where status = 'running' and not patient";
    none_left(&place.saga_database(), AT_WORK, SAGAS_WITHIN).await
}

/// Waits a while until there is nothing left to count.
async fn none_left(database: &str, count: &'static str, within: Duration) -> Result<(), Failure> {
    let pool = sqlx::PgPool::connect(database).await?;
    let deadline = Instant::now() + within;
    while Instant::now() < deadline {
        let left: i64 = sqlx::query_scalar(count).fetch_one(&pool).await?;
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    pool.close().await;
    Ok(())
}

/// Everything that was found goes to `findings.json`, the first of it to standard error.
fn tell(order: &Order, found: &Findings) -> Result<(), Failure> {
    for (name, list) in found.lists() {
        list.iter().take(TOLD).for_each(|one| eprintln!("{name}: {one}"));
        if list.len() > TOLD {
            eprintln!("{name}: and {} more", list.len() - TOLD);
        }
    }
    let lists: BTreeMap<&str, &[String]> = found.lists().into();
    let json = serde_json::to_vec_pretty(&lists);
    let json = json.map_err(|source| Failure::Json { what: "the findings", source })?;
    Ok(fs::write(order.folder.join("findings.json"), json)?)
}

/// Beside the services' own logs, which are there already.
fn keep_stack_logs(order: &Order, stack: &Stack) {
    for component in Component::ALL {
        let to = order.folder.join(format!("{component}.log"));
        if let Err(error) = fs::copy(stack.log(component), to) {
            eprintln!("the log of {component} is not kept: {error}");
        }
    }
    eprintln!("logs, history and findings are in {}", order.folder.display());
}
