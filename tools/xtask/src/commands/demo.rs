//! `cargo xtask demo`: six days of a real shop's invoices through the whole system.
//!
//! In: a file of invoice lines. The order of things: build, bring up the stack, migrate and start
//! the services, import the file over HTTP, wait until every projection has seen every event, show
//! what a person wants to see, and stay up; or, with `--check`, compare every total with the
//! file's own, print one JSON object, and stop. However it ends, no process is left.

mod books;
mod catalogue;
mod compare;
mod display;
mod expected;
mod fulfil;
mod http;
mod import;
mod invoices;
mod memory;
mod operator;
mod ordered;
mod orders;
mod play;
mod queue;
mod report;
mod requests;
pub(crate) mod services;
mod settings;
mod summary;
mod system;
pub(crate) mod webhooks;

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use local_stack::{Ports, StackOptions};
use serde::{Deserialize, Serialize};

use crate::building;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, interrupted};
use crate::session::Session;
use crate::stack_args::StackName;
use crate::workspace;

use memory::{Memory, Next};
use operator::Operator;
use play::{Play, Programs};
use services::SERVICES;

const SHIPPED: &str = "data/online_retail_2010-12-01_06.csv.gz";
/// The stack that has the usual ports.
const USUAL: &str = "demo";

/// Arguments of `demo`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Invoice lines to import, CSV or CSV.gz, of the columns of the shipped file
    #[arg(long, value_name = "CSV", default_value = SHIPPED, hide_default_value = true)]
    file: PathBuf,
    /// Compare the totals with the file's, print one JSON object as the last line, and stop
    #[arg(long)]
    check: bool,
    /// Make orders of what registered customers bought, and sales of the other lines only
    #[arg(long)]
    orders: bool,
    /// Throw away the data of earlier runs first
    #[arg(long)]
    fresh: bool,
    /// Requests in flight at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    in_flight: u16,
    #[command(flatten)]
    stack: StackName,
    /// Let the stack and the services listen on any free ports, as every demo does on a stack that
    /// is not named demo
    #[arg(long)]
    free_ports: bool,
}

/// What a valid line becomes whose invoice names a customer; one without becomes a sale either way,
/// and goods that come back a return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LinesBecome {
    /// Each a sale of its own, at the line's price.
    #[default]
    Sales,
    /// Part of the customer's order, at the catalogue's prices.
    Orders,
}

impl fmt::Display for LinesBecome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            LinesBecome::Sales => "sales only",
            LinesBecome::Orders => "orders and sales",
        })
    }
}

impl Args {
    fn lines_become(&self) -> LinesBecome {
        if self.orders { LinesBecome::Orders } else { LinesBecome::Sales }
    }

    fn has_free_ports(&self) -> bool {
        self.free_ports || self.stack.name != USUAL
    }

    fn options(&self, fresh: bool) -> StackOptions {
        let mut options = StackOptions::new(&workspace::root(), &self.stack.name);
        options.fresh = fresh;
        if self.has_free_ports() {
            options.ports = Ports::FREE;
        }
        options
    }
}

/// Runs the demo; with `--check` it fails when anything differs.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let bytes = unpacked(&args.file)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(demo(args, bytes))
}

async fn demo(args: &Args, bytes: Vec<u8>) -> Result<(), Failure> {
    let invoices = invoices::read(&bytes)?;
    if args.orders && !invoices.has_customers {
        return Err(Failure::new("--orders needs a column CustomerID, and the file has none"));
    }
    let mut interrupt = Interrupt::listen()?;
    let programs = build(&mut interrupt).await?;
    let session = begin(args, &bytes, &programs, &mut interrupt).await?;
    let mut play = Play { args, bytes, invoices, programs, session, services: None };
    let outcome = tokio::select! {
        outcome = play.run() => outcome,
        () = interrupt.wait() => Err(interrupted()),
    };
    let stays = outcome.as_ref().is_ok_and(|_| !args.check);
    if stays {
        tokio::select! {
            () = interrupt.wait() => eprintln!("ending"),
            died = play.watch() => eprintln!("{died}"),
        }
    }
    let ended = play.end().await;
    let report = outcome?;
    ended?;
    if args.check {
        println!("{}", report.line()?);
    }
    if stays { Ok(()) } else { report.verdict() }
}

/// The services and the operator's program. They are chosen among the whole workspace, as this
/// program was, so that all share one build of every dependency.
async fn build(interrupt: &mut Interrupt) -> Result<Programs, Failure> {
    let names: Vec<&'static str> =
        SERVICES.map(|(service, _, _)| service).into_iter().chain(["factline"]).collect();
    let mut arguments = vec!["build", "--workspace"];
    arguments.extend(names.iter().flat_map(|name| ["--bin", name]));
    let built = building::build(&arguments, interrupt).await?;
    let program = |name| Ok((name, building::binary(&built, name)?));
    names.into_iter().map(program).collect()
}

/// Brings up the stack; with data that a check could not compare, without that data.
async fn begin(
    args: &Args,
    bytes: &[u8],
    programs: &Programs,
    interrupt: &mut Interrupt,
) -> Result<Session, Failure> {
    let session = Session::begin(args.options(args.fresh), interrupt).await?;
    if !args.has_free_ports()
        && let Err(failure) = services::check_ports()
    {
        session.end().await?;
        return Err(failure);
    }
    let Some(memory) = Memory::read(session.root()) else { return Ok(session) };
    let operator = Operator::new(programs["factline"].clone(), &session, None);
    let log_events = operator.status().await.map(|status| status.log_events).unwrap_or_default();
    match memory.next(&Memory::of(bytes, args.lines_become()), log_events) {
        Next::Repeat => return Ok(session),
        Next::More if !args.check => {
            eprintln!(
                "the stack holds more than this file's import; it stays (--fresh removes it)"
            );
            return Ok(session);
        }
        Next::Otherwise(became) if !args.check => {
            session.end().await?;
            let told =
                format!("the stack holds this file's lines as {became}: --fresh removes them");
            return Err(Failure::new(told));
        }
        Next::More => eprintln!(
            "the stack holds more than this file's import: starting from nothing, to compare"
        ),
        Next::Otherwise(became) => eprintln!(
            "the stack holds this file's lines as {became}: starting from nothing, to compare"
        ),
    }
    session.end().await?;
    Session::begin(args.options(true), interrupt).await
}

/// The file's bytes, out of their gzip wrapping if they have one.
fn unpacked(file: &Path) -> Result<Vec<u8>, Failure> {
    let path = if file == Path::new(SHIPPED) { workspace::root().join(file) } else { file.into() };
    let told = |error| Failure::new(format!("cannot read {}: {error}", path.display()));
    let bytes = fs::read(&path).map_err(told)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).map_err(told)?;
    Ok(plain)
}
