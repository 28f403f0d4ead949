//! The runner on trial: builds that each break one promise, under faults that should show it. A run
//! that finds nothing has failed.

use std::path::Path;
use std::time::{Duration, Instant};

use local_stack::Stack;
use serde::Serialize;

use crate::failure::Failure;
use crate::run::{self, Order};
use crate::schedule::Kind;

/// Each load lasts for so long: some six faults come in it.
const LOAD: Duration = Duration::from_secs(35);
/// What is broken need not become whole: nobody waits for it any longer than this.
const QUIET_WITHIN: Duration = Duration::from_secs(25);

/// A promise, and the faults that show that it is broken.
struct Breach {
    name: &'static str,
    kinds: &'static [Kind],
}

/// All of them. The names are those that the services' builds know.
const BREACHES: [Breach; 8] = [
    Breach {
        name: "offset_before_commit",
        kinds: &[Kind::KillProjector, Kind::KillPostgres, Kind::KillAlerter],
    },
    Breach { name: "no_compare_and_set", kinds: &[Kind::PauseProjector, Kind::Rebalance] },
    Breach { name: "skip_past_failed_send", kinds: &[Kind::PauseKafka, Kind::KillKafka] },
    Breach { name: "park_one_event_only", kinds: &[Kind::PoisonStream] },
    Breach { name: "position_from_sequence", kinds: &[Kind::KillCommandApi, Kind::KillPostgres] },
    Breach { name: "reset_to_latest", kinds: &[Kind::KillProjector, Kind::Rebalance] },
    Breach {
        name: "plain_pool_write",
        kinds: &[Kind::KillProjector, Kind::KillPostgres, Kind::KillAlerter],
    },
    Breach {
        name: "acknowledge_before_commit",
        kinds: &[Kind::KillCommandApi, Kind::KillPostgres],
    },
];

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
struct Row {
    breach: &'static str,
    caught: bool,
    lost: usize,
    duplicated: usize,
    order_breaks: usize,
    divergent_rows: usize,
    stuck_streams: usize,
    /// Other differences of the places.
    equal: bool,
    seconds: u64,
}

/// The last line.
#[derive(Clone, Debug, Serialize)]
struct Summary {
    caught: usize,
    of: usize,
    /// The same build, the same faults, no promise broken: nothing was found.
    control: bool,
    seed: u64,
    runs: Vec<Row>,
    ok: bool,
}

/// Tries them all, after a control run. Whether each was caught and the control was not.
///
/// # Errors
/// A run cannot be carried out.
pub(crate) async fn run(
    seed: u64,
    only: Option<&str>,
    stack: &Stack,
    programs: &Path,
    out: &Path,
) -> Result<bool, Failure> {
    let order = |name: &'static str, broken, kinds: Vec<Kind>| Order {
        seed,
        load: LOAD,
        kinds,
        broken,
        name: format!("{name}_{seed}"),
        programs: programs.to_owned(),
        folder: out.join(format!("{seed}-{name}")),
        quiet_within: QUIET_WITHIN,
    };
    let wanted = |breach: &&Breach| only.is_none_or(|only| only == breach.name);
    let breaches: Vec<&Breach> = BREACHES.iter().filter(wanted).collect();
    let mut kinds: Vec<Kind> = breaches.iter().flat_map(|one| one.kinds.iter().copied()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    eprintln!("--- control: nothing is broken");
    let mut control = order("control", None, kinds);
    control.quiet_within = run::QUIET_WITHIN;
    let control = run::run(&control, stack).await?;
    let mut runs = Vec::new();
    for breach in breaches {
        eprintln!("--- {}", breach.name);
        let began = Instant::now();
        let order = order(breach.name, Some(breach.name), breach.kinds.to_vec());
        let report = run::run(&order, stack).await?;
        runs.push(Row {
            breach: breach.name,
            caught: report.found_something(),
            lost: report.lost,
            duplicated: report.duplicated,
            order_breaks: report.order_breaks,
            divergent_rows: report.divergent_rows,
            stuck_streams: report.stuck_streams,
            equal: report.equal,
            seconds: began.elapsed().as_secs(),
        });
    }
    tell(&runs);
    let caught = runs.iter().filter(|row| row.caught).count();
    let ok = control.ok && caught == runs.len();
    let summary = Summary { caught, of: runs.len(), control: control.ok, seed, runs, ok };
    let line = serde_json::to_string(&summary);
    println!("{}", line.map_err(|source| Failure::Json { what: "the summary", source })?);
    Ok(ok)
}

fn tell(runs: &[Row]) {
    println!(
        "{:<27} {:>6} {:>6} {:>10} {:>12} {:>14} {:>13} {:>5}",
        "broken",
        "caught",
        "lost",
        "duplicated",
        "order breaks",
        "divergent rows",
        "stuck streams",
        "equal"
    );
    for row in runs {
        let yes = |yes: bool| if yes { "yes" } else { "NO" };
        let Row { breach, lost, duplicated, order_breaks, divergent_rows, stuck_streams, .. } = row;
        let (caught, equal) = (yes(row.caught), yes(row.equal));
        println!(
            "{breach:<27} {caught:>6} {lost:>6} {duplicated:>10} {order_breaks:>12} \
             {divergent_rows:>14} {stuck_streams:>13} {equal:>5}"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn eight_promises_are_broken_each_under_faults_of_its_own() {
        let names: BTreeSet<&str> = BREACHES.iter().map(|breach| breach.name).collect();
        assert_eq!(names.len(), 8);
        assert!(BREACHES.iter().all(|breach| !breach.kinds.is_empty()));
    }
}
