//! `bench peers`: the same decision (a stock of units; sell one if there is one) in other
//! event-sourcing libraries and in ours, on the same server with the same durability, in turns.
//!
//! The others run in the program `peers`, which has a workspace of its own; each cell of either side
//! has a fresh database and the same stocks, callers, seeds and times.

mod ours;

use std::process::Stdio;

use bench_load::Measured;
use factline_testkit::TestDatabase;
use serde::Deserialize;
use tokio::process::Command;

use crate::Args;
use crate::failure::Failure;
use crate::postgres::{SerialCommits, checkpoint};
use crate::report::{Aim, Cell, Report, Round, Slot};
use crate::surroundings::Surroundings;

/// Callers of the closed loops.
const CALLERS: [usize; 4] = [1, 16, 64, 256];
/// Stocks that they sell from, at random.
const STOCKS: usize = 1_000;

/// How the others are set up: what the program `peers` calls it, and what the tables do.
const SETUPS: [(&str, &str); 5] = [
    ("cqrs-es-default", "cqrs-es, defaults"),
    ("cqrs-es-snapshots", "cqrs-es, snapshots"),
    ("cqrs-es-aggregate", "cqrs-es, aggregate store"),
    ("disintegrate-default", "disintegrate, defaults"),
    ("disintegrate-snapshots", "disintegrate, snapshots"),
];

/// The line that the program `peers` prints.
#[derive(Deserialize)]
struct Outcome {
    measured: Measured,
    acknowledged: u64,
    conflicts: u64,
    stored: i64,
}

/// Measures everything.
///
/// # Errors
/// A cell cannot be measured; one whose invariant does not hold is in the report.
pub(crate) async fn run(args: &Args, surroundings: &Surroundings) -> Result<Report, Failure> {
    let mut report = Report::begin("peers", args.rounds);
    report.conditions = conditions();
    let mut serial = SerialCommits::prepare().await?;
    for round in 1..=args.rounds {
        for callers in CALLERS {
            let name = |who: &str| format!("{who}, {callers} callers");
            let mut names = vec![(None, name("ours"))];
            names.extend(SETUPS.map(|(setup, who)| (Some(setup), name(who))));
            for (setup, name) in names {
                if !args.wants(&name) {
                    continue;
                }
                let commits = serial.measure().await?;
                let slot = Slot { name: &name, round, pace: args.pace(), serial: &commits };
                report.push(match setup {
                    None => ours::measure(callers, STOCKS, &slot, surroundings).await?,
                    Some(setup) => other(setup, callers, &slot, surroundings).await?,
                });
            }
        }
    }
    ratios(&mut report);
    Ok(report.end())
}

fn conditions() -> Vec<String> {
    vec![
        format!(
            "a sale of one unit from one of {STOCKS} stocks, chosen by fixed seeds; a conflict is \
             tried again at once and counts as one command; ours also checks and stores an \
             idempotency key, which the others do not have"
        ),
        "the same PostgreSQL with `fsync=on`, `synchronous_commit=on`; a new database for every \
         cell, which begins after a checkpoint"
            .to_owned(),
        "`defaults` as the library's guide sets it up: no snapshots, a pool of 10; `snapshots` \
         every 100 events and `aggregate store` have a connection a caller, up to 32; ours has \
         command-api's defaults: 2 connections"
            .to_owned(),
        "cqrs-es 0.5 with postgres-es 0.5; disintegrate 4.0 with disintegrate-postgres 4.0, on sqlx \
         0.8; events as JSON"
            .to_owned(),
    ]
}

async fn other(
    setup: &str,
    callers: usize,
    slot: &Slot<'_>,
    surroundings: &Surroundings,
) -> Result<Cell, Failure> {
    let database = TestDatabase::create("peers").await;
    checkpoint(&database.url()).await?;
    let mut command = Command::new(surroundings.program("peers"));
    let millis = |time: std::time::Duration| time.as_millis().to_string();
    command.arg(setup).args(["--database", &database.url()]);
    command.args(["--postgres-pid", &surroundings.postgres_pid.to_string()]);
    command.args(["--callers", &callers.to_string(), "--stocks", &STOCKS.to_string()]);
    command.args(["--warm-ms", &millis(slot.pace.warm)]);
    command.args(["--measure-ms", &millis(slot.pace.measure)]);
    command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = command.output().await?;
    if !output.status.success() {
        return Err(Failure::new(format!("the peer {setup} failed: see above")));
    }
    let outcome: Outcome =
        serde_json::from_slice(&output.stdout).map_err(|error| Failure::new(error.to_string()))?;
    let mut cell = Cell::of(slot, "command", &outcome.measured);
    let Outcome { acknowledged, stored, conflicts, .. } = outcome;
    cell.invariant = match u64::try_from(stored) {
        Ok(stored) if stored == acknowledged => {
            Ok(format!("{stored} sales, each once; {conflicts} attempts were repeated"))
        }
        _ => Err(format!("{acknowledged} sales were acknowledged, and {stored} are stored")),
    };
    Ok(cell)
}

fn ratios(report: &mut Report) {
    let best_other = |round: &Round, suffix: &str| {
        let cells = SETUPS.iter().filter_map(|(_, who)| round.cell(&format!("{who}, {suffix}")));
        cells.map(|cell| cell.per_second).max_by(f64::total_cmp)
    };
    for callers in CALLERS {
        let suffix = format!("{callers} callers");
        let what = format!("commands / best peer, both with {suffix}");
        report.ratio(&format!("G3 {callers}"), &what, Aim::None, |round| {
            Some(round.cell(&format!("ours, {suffix}"))?.per_second / best_other(round, &suffix)?)
        });
    }
    report.ratio(
        "G3",
        "commands / best peer library, same durability, best cell each",
        Aim::AtLeast { floor: 5.0, goal: 10.0 },
        |round| {
            let suffixes = CALLERS.map(|callers| format!("{callers} callers"));
            let best = suffixes.iter().filter_map(|suffix| best_other(round, suffix));
            Some(round.best("ours")?.per_second / best.max_by(f64::total_cmp)?)
        },
    );
}
