//! `cargo xtask faults`: the services under load and faults from one seed, on a stack of their own.
//!
//! In: a seed and how long. The order of things: build, bring up the stack `faults`, empty, run the
//! program `faults` against it, and take the stack down in every case. What happens and how it is
//! judged is that program's; what it leaves stands in `<target>/faults/SEED`. With `--broken` it is
//! itself on trial: the services are built with the feature that lets them break a promise each.

use std::path::Path;

use local_stack::StackOptions;
use tokio::process::Command;

use crate::building::{self, Built};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::session::Session;
use crate::workspace;

/// The stack's name: never the demo's, so that both may run.
const STACK: &str = "faults";
/// What is built: the services, the operator's program and the runner.
const PROGRAMS: [&str; 6] =
    ["command-api", "projector-list", "projector-stats", "alerter", "factline", "faults"];
/// Lets the services break a promise that `FACTLINE_BROKEN` names. Cargo keeps such a build beside
/// the usual one: only the finished programs take one another's place, and each run copies its own.
const BROKEN: &str = "--features=factline-failpoints/broken";

/// Arguments of `faults`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Decides load and faults: the same seed asks for the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long the load lasts; from 2 on every kind of fault must fire, from 5 on every defence
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// Run eight builds that each break a promise, and see that each is caught
    #[arg(long)]
    broken: bool,
    /// Handed on to the program: --only KIND,KIND
    #[arg(last = true, value_name = "OPTION")]
    options: Vec<String>,
}

/// Builds, runs, cleans up.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(faults(args))
}

async fn faults(args: &Args) -> Result<(), Failure> {
    let mut interrupt = Interrupt::listen()?;
    let mut options = StackOptions::new(&workspace::root(), STACK);
    options.fresh = true;
    let out = workspace::target(&options).join("faults");
    let mut arguments = vec!["build", "--workspace"];
    arguments.extend(PROGRAMS.iter().flat_map(|name| ["--bin", name]));
    arguments.extend(args.broken.then_some(BROKEN));
    let built = building::build(&arguments, &mut interrupt).await?;
    let work = async |session: &Session| under_faults(args, session, &built, &out).await;
    Session::with(options, &mut interrupt, work).await
}

async fn under_faults(
    args: &Args,
    session: &Session,
    built: &[Built],
    out: &Path,
) -> Result<(), Failure> {
    let programs = session.copy_programs(built)?;
    let mut command = Command::new(programs.join("faults"));
    command.arg("--seed").arg(args.seed.to_string());
    command.arg("--minutes").arg(args.minutes.to_string());
    command.args(args.broken.then_some("--broken"));
    command.arg("--out").arg(out).args(&args.options);
    command.env("FACTLINE_STACK_ROOT", session.root());
    command.env("FACTLINE_PROGRAMS", &programs);
    session.run(command).await
}
