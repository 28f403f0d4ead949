//! The system under faults: load, faults and a checker, all from one seed.
//!
//! `cargo xtask faults` builds the services and starts this on a stack of its own. Out: a line of
//! JSON on standard output, progress on standard error, and what happened in a folder.

mod broken;
mod checker;
mod commands;
mod dice;
mod failure;
mod history;
mod lag;
mod load;
mod meters;
mod nemesis;
mod place;
mod process;
mod receiver;
mod report;
mod run;
mod schedule;
mod system;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use local_stack::Stack;

use crate::failure::Failure;
use crate::run::Order;
use crate::schedule::Kind;

/// See the module.
#[derive(Debug, Parser)]
#[command(about = "Runs the system under faults, and proves what is left of it")]
struct Args {
    /// Decides load and faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long the load lasts
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// Only these kinds of faults, separated by commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
    /// Break one promise after the other, and see that each breach is caught: services that were built
    /// with the feature `broken`
    #[arg(long)]
    broken: bool,
    /// Of those, only this
    #[arg(long, requires = "broken")]
    promise: Option<String>,
    /// The folder of the stack
    #[arg(long, env = "FACTLINE_STACK_ROOT")]
    stack: PathBuf,
    /// The folder of the services' programs
    #[arg(long, env = "FACTLINE_PROGRAMS")]
    programs: PathBuf,
    /// The folder that takes a folder for each run
    #[arg(long)]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<bool, Failure> {
    let stack = Stack::attach(&args.stack)?;
    let stack = stack.ok_or_else(|| Failure::told("there is no stack there"))?;
    if args.broken {
        let Args { seed, promise, programs, out, .. } = &args;
        return broken::run(*seed, promise.as_deref(), &stack, programs, out).await;
    }
    let load = Duration::try_from_secs_f64(args.minutes * 60.0);
    let load = load.map_err(|error| Failure::told(format!("--minutes: {error}")))?;
    let kinds = if args.only.is_empty() { Kind::ALL.to_vec() } else { args.only };
    let order = Order {
        seed: args.seed,
        load,
        kinds,
        broken: None,
        name: format!("faults_{}", args.seed),
        programs: args.programs,
        folder: args.out.join(args.seed.to_string()),
        quiet_within: run::QUIET_WITHIN,
    };
    let report = run::run(&order, &stack).await?;
    let line = serde_json::to_string(&report);
    println!("{}", line.map_err(|source| Failure::Json { what: "the summary", source })?);
    Ok(report.ok)
}
