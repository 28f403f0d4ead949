//! `cargo xtask bench`: release builds on a stack of their own, measured beside the raw limits.
//!
//! In: which bench, and how long. The order of things: build, bring up the stack `bench`, empty,
//! run the program `bench` against it, and take the stack down in every case. What is measured and
//! how is that program's; what it found stands in `<target>/bench/NAME.json`.

use std::path::Path;

use local_stack::StackOptions;
use tokio::process::Command;

use crate::building::{self, Built};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::session::Session;
use crate::workspace;

/// The stack's name: never the demo's, so that both may run.
const STACK: &str = "bench";
/// The other libraries' program has a workspace and a lock file of its own.
pub(crate) const PEERS: &str = "tools/peers/Cargo.toml";

/// Arguments of `bench`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// What to measure
    #[arg(value_enum)]
    name: Name,
    /// Handed on to the bench: --rounds, --measure-ms, --warm-ms, --events, --only, --write-docs
    #[arg(last = true, value_name = "OPTION")]
    options: Vec<String>,
}

/// The benches.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// Commands through the log's lanes, beside bare inserts into the same tables
    Append,
    /// Durable commands over HTTP, beside an axum server that echoes the same body
    Http,
    /// The same decision in other event-sourcing libraries, beside ours
    Peers,
    /// A backlog from the log to Kafka, beside reading alone and producing alone
    Relay,
    /// A backlog from Kafka into views, beside consuming alone and bare upserts
    Project,
    /// A view built anew beside the live one from the log, beside COPY of as many rows
    Rebuild,
    /// From a command that is due to its effect in a view, beside the bare way through the same parts
    E2e,
}

impl Name {
    /// As the program `bench` and its results call it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Name::Append => "append",
            Name::Http => "http",
            Name::Peers => "peers",
            Name::Relay => "relay",
            Name::Project => "project",
            Name::Rebuild => "rebuild",
            Name::E2e => "e2e",
        }
    }
}

/// Builds, measures, cleans up.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(bench(args))
}

async fn bench(args: &Args) -> Result<(), Failure> {
    let mut interrupt = Interrupt::listen()?;
    let mut options = StackOptions::new(&workspace::root(), STACK);
    options.fresh = true;
    let target = workspace::target(&options);
    let built = build(args.name, &target, &mut interrupt).await?;
    let out = target.join("bench");
    let work = async |session: &Session| measure(args, session, &built, &out).await;
    Session::with(options, &mut interrupt, work).await
}

/// The bench, and what it starts.
async fn build(
    name: Name,
    target: &Path,
    interrupt: &mut Interrupt,
) -> Result<Vec<Built>, Failure> {
    let mut ours = vec!["build", "--release", "-p", "bench"];
    match name {
        Name::Append | Name::Peers | Name::Relay | Name::Project | Name::Rebuild => {}
        Name::Http => ours.extend(["-p", "command-api"]),
        Name::E2e => ours.extend(["-p", "command-api", "-p", "projector-list"]),
    }
    let mut built = building::build(&ours, interrupt).await?;
    if name == Name::Peers {
        let target = target.to_string_lossy();
        let others =
            ["build", "--release", "--locked", "--manifest-path", PEERS, "--target-dir", &target];
        built.extend(building::build(&others, interrupt).await?);
    }
    Ok(built)
}

async fn measure(
    args: &Args,
    session: &Session,
    built: &[Built],
    out: &Path,
) -> Result<(), Failure> {
    let programs = session.copy_programs(built)?;
    let mut command = Command::new(programs.join("bench"));
    command.arg(args.name.text()).arg("--out").arg(out).args(&args.options);
    command.env("FACTLINE_STACK", session.record_file());
    command.env("FACTLINE_PROGRAMS", &programs);
    session.run(command).await
}
