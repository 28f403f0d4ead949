//! One cell of `bench peers`: another event-sourcing library carries out the decision that ours
//! does (a stock of units; sell one if there is one), closed loop, on a database of its own.
//!
//! In: the library and how it is set up, a database, how many callers and how long. Out: one line of
//! JSON with what was measured and what the database holds afterwards.

mod cqrs;
mod disintegrated;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bench_load::{Gauge, Measured, Meter, Notes, Pace, ProcessTree};
use clap::{Parser, ValueEnum};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// As in our own bench.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Units that every stock begins with: never used up.
pub(crate) const OPENING: i64 = 1_000_000_000;
/// The same in every run; each caller adds its number.
const SEED: u64 = 0x5eed;

/// A library and how it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Setup {
    /// cqrs-es: events alone, its default pool of 10
    CqrsEsDefault,
    /// cqrs-es: a snapshot every 100 events, a connection a caller up to 32
    CqrsEsSnapshots,
    /// cqrs-es: the aggregate stored with every command, a connection a caller up to 32
    CqrsEsAggregate,
    /// disintegrate: no snapshots, sqlx's default pool of 10
    DisintegrateDefault,
    /// disintegrate: a snapshot every 100 events, a connection a caller up to 32
    DisintegrateSnapshots,
}

#[derive(Debug, Parser)]
struct Args {
    #[arg(value_enum)]
    setup: Setup,
    #[arg(long)]
    database: String,
    /// For the CPU time of PostgreSQL
    #[arg(long)]
    postgres_pid: u32,
    #[arg(long)]
    callers: usize,
    #[arg(long)]
    stocks: usize,
    #[arg(long)]
    warm_ms: u64,
    #[arg(long)]
    measure_ms: u64,
}

/// What a library has to offer: one method for each thing that a bench does with it.
pub(crate) trait Peer: Clone + Send + Sync + 'static {
    /// Gives a stock its opening units.
    fn open(&self, stock: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Sells one unit; says whether somebody else was faster, which the caller then tries again.
    fn sell(&self, stock: &str) -> impl Future<Output = Result<Sold, Failure>> + Send;

    /// Sales that the database holds.
    fn stored(&self) -> impl Future<Output = Result<i64, Failure>> + Send;
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sold {
    Once,
    Conflict,
}

/// The line that is printed.
#[derive(Serialize)]
struct Outcome {
    measured: Measured,
    /// Sales that were acknowledged, over all.
    acknowledged: u64,
    /// Attempts that had to be repeated.
    conflicts: u64,
    /// Sales that the database holds.
    stored: i64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let pool = pool(args).await?;
        match args.setup {
            Setup::CqrsEsDefault => measure(args, cqrs::on_events(pool).await?).await,
            Setup::CqrsEsSnapshots => measure(args, cqrs::with_snapshots(pool).await?).await,
            Setup::CqrsEsAggregate => measure(args, cqrs::on_aggregates(pool).await?).await,
            Setup::DisintegrateDefault => measure(args, disintegrated::plain(pool).await?).await,
            Setup::DisintegrateSnapshots => {
                measure(args, disintegrated::with_snapshots(pool).await?).await
            }
        }
    })?;
    Ok(serde_json::to_string(&outcome)?)
}

async fn pool(args: &Args) -> Result<PgPool, Failure> {
    /// The default of both: of sqlx's pool, and of cqrs-es' own helper.
    const DEFAULT: u32 = 10;
    /// Three times what two cores can do at once.
    const MOST: usize = 32;
    let connections = match args.setup {
        Setup::CqrsEsDefault | Setup::DisintegrateDefault => DEFAULT,
        Setup::CqrsEsSnapshots | Setup::CqrsEsAggregate | Setup::DisintegrateSnapshots => {
            u32::try_from(args.callers.clamp(2, MOST))?
        }
    };
    let pool = PgPoolOptions::new().max_connections(connections).min_connections(connections);
    Ok(pool.connect(&args.database).await?)
}

async fn measure<P: Peer>(args: &Args, peer: P) -> Result<Outcome, Failure> {
    let stocks: Arc<[String]> =
        (0..args.stocks).map(|number| format!("stock-{number:06}")).collect();
    for stock in stocks.iter() {
        peer.open(stock).await?;
    }
    let gauge = Gauge::new();
    let (acknowledged, conflicts) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let callers = (0_u64..).take(args.callers).map(|seed| Caller {
        peer: peer.clone(),
        stocks: stocks.clone(),
        notes: gauge.notes(),
        random: StdRng::seed_from_u64(SEED + seed),
        acknowledged: acknowledged.clone(),
        conflicts: conflicts.clone(),
    });
    let processes = vec![ProcessTree::own("bench"), ProcessTree::of("postgres", args.postgres_pid)];
    let pace = Pace {
        warm: Duration::from_millis(args.warm_ms),
        measure: Duration::from_millis(args.measure_ms),
    };
    let workers = callers.map(Caller::run);
    let meter = Meter::new(processes);
    let measured = bench_load::measure(&gauge, pace, &meter, workers, async || {}).await;
    let measured = measured.map_err(|fault| fault.to_string())?;
    Ok(Outcome {
        measured,
        acknowledged: acknowledged.load(Ordering::Relaxed),
        conflicts: conflicts.load(Ordering::Relaxed),
        stored: peer.stored().await?,
    })
}

struct Caller<P> {
    peer: P,
    stocks: Arc<[String]>,
    notes: Notes,
    random: StdRng,
    acknowledged: Arc<AtomicU64>,
    conflicts: Arc<AtomicU64>,
}

impl<P: Peer> Caller<P> {
    async fn run(mut self) -> Result<(), Failure> {
        while !self.notes.is_over() {
            let stock = self.random.random_range(0..self.stocks.len());
            let began = Instant::now();
            while self.peer.sell(&self.stocks[stock]).await? == Sold::Conflict {
                self.conflicts.fetch_add(1, Ordering::Relaxed);
            }
            self.notes.note(1, began.elapsed());
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
