//! The benches: our own work beside the raw limit of its parts, in the same minute, interleaved.
//!
//! In: a running stack (named by `FACTLINE_STACK`) and the programs in `FACTLINE_PROGRAMS`; both are
//! what `cargo xtask bench` provides. Out: a table, `NAME.json`, and on request the part of
//! `docs/benchmarks.md` between that bench's markers. After every cell its result is checked event
//! by event; one that does not hold is void and fails the run.

mod append;
mod backlog;
mod docs;
mod drain;
mod e2e;
mod failure;
mod figures;
mod http;
mod kafka;
mod log;
mod machine;
mod peers;
mod postgres;
mod project;
mod rebuild;
mod relay;
mod report;
mod surroundings;
mod table;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bench_load::Pace;
use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::report::Report;
use crate::surroundings::Surroundings;

/// As in the services: it is part of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(
    about = "Measures the system beside the raw limits of its parts",
    disable_version_flag = true
)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Commands through the log's lanes, beside bare inserts into the same tables
    Append(Args),
    /// Durable commands over HTTP, beside an axum server that echoes the same body
    Http(Args),
    /// The same decision in other event-sourcing libraries, beside ours
    Peers(Args),
    /// A backlog from the log to Kafka, beside reading alone and producing alone
    Relay(Args),
    /// A backlog from Kafka into views, beside consuming alone and bare upserts
    Project(Args),
    /// A view built anew beside the live one from the log, beside COPY of as many rows
    Rebuild(Args),
    /// From a command that is due to its effect in a view, beside the bare way through the same parts
    E2e(Args),
    /// The server that echoes: the bench starts it by itself
    #[command(hide = true)]
    Echo {
        /// Where to write the bound address
        address_file: PathBuf,
    },
}

/// How long and how often.
#[derive(Clone, Debug, clap::Args)]
struct Args {
    /// Times that every cell is measured; a ratio is computed within one round
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Milliseconds that a cell is measured
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    measure_ms: u64,
    /// Milliseconds that a cell is warmed before
    #[arg(long, default_value_t = 700, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    warm_ms: u64,
    /// Events of a backlog that is worked off, in the benches that have one
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1_000..=50_000_000))]
    events: u64,
    /// Measure only the cells whose name contains this; for a profile, so nothing is written
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Folder of the results
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// Replace this bench's part of docs/benchmarks.md
    #[arg(long)]
    write_docs: bool,
}

impl Args {
    fn pace(&self) -> Pace {
        let (warm, measure) = (self.warm_ms, self.measure_ms);
        Pace { warm: Duration::from_millis(warm), measure: Duration::from_millis(measure) }
    }

    fn wants(&self, cell: &str) -> bool {
        self.only.as_ref().is_none_or(|text| cell.contains(text.as_str()))
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse().bench) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(bench: &Bench) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match bench {
            Bench::Append(args) => finish(args, append::run(args, &Surroundings::find()?).await?),
            Bench::Http(args) => finish(args, http::run(args, &Surroundings::find()?).await?),
            Bench::Peers(args) => finish(args, peers::run(args, &Surroundings::find()?).await?),
            Bench::Relay(args) => finish(args, relay::run(args, &Surroundings::find()?).await?),
            Bench::Project(args) => finish(args, project::run(args, &Surroundings::find()?).await?),
            Bench::Rebuild(args) => finish(args, rebuild::run(args, &Surroundings::find()?).await?),
            Bench::E2e(args) => finish(args, e2e::run(args, &Surroundings::find()?).await?),
            Bench::Echo { address_file } => http::echo::serve(address_file).await,
        }
    })
}

fn finish(args: &Args, report: Report) -> Result<(), Failure> {
    println!("{}", table::text(&report));
    if args.only.is_none() {
        let path = report.write(&args.out)?;
        println!("written to {}", path.display());
        if args.write_docs {
            docs::write(&report)?;
        }
    }
    if report.invariants_held {
        return Ok(());
    }
    Err(Failure::new("an invariant did not hold: see the cells marked void"))
}
