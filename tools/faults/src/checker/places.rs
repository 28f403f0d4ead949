//! The log's events, and whether store, topics and projections agree, as the operator's program
//! tells both.

use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::{Event, Findings};
use crate::failure::Failure;
use crate::place::Place;

/// What is needed of `factline verify --json`.
#[derive(Debug, Deserialize)]
struct Verdict {
    differences: Vec<String>,
    topics: Vec<Topic>,
}

#[derive(Debug, Deserialize)]
struct Topic {
    repeats: u64,
}

/// Every event of the log.
///
/// # Errors
/// The program fails.
pub(super) async fn events(place: &Place) -> Result<Vec<Event>, Failure> {
    let json = |source| Failure::Json { what: "factline events", source };
    let mut child = command(place, "events").stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take();
    let output = output.ok_or_else(|| Failure::told("factline events has no output"))?;
    let mut lines = BufReader::new(output).lines();
    let mut events = Vec::new();
    while let Some(line) = lines.next_line().await? {
        events.push(serde_json::from_str(&line).map_err(json)?);
    }
    let status = child.wait().await?;
    if status.success() {
        Ok(events)
    } else {
        Err(Failure::told(format!("factline events: {status}")))
    }
}

/// Compares the places.
///
/// # Errors
/// The program fails; a difference is no error.
pub(super) async fn verify(
    place: &Place,
    foreign: u64,
    found: &mut Findings,
) -> Result<(), Failure> {
    let output = command(place, "verify").output().await?;
    let verdict: Result<Verdict, _> = serde_json::from_slice(&output.stdout);
    let verdict = verdict.map_err(|error| {
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Failure::told(format!("factline verify: {error}: {told}"))
    })?;
    found.repeats_on_topics = verdict.topics.iter().map(|topic| topic.repeats).sum();
    sort(verdict.differences, foreign, found);
    Ok(())
}

/// Puts every difference where it belongs. As many records that are no event as were produced are
/// none.
fn sort(differences: Vec<String>, foreign: u64, found: &mut Findings) {
    let mut explained = 0;
    for difference in differences {
        if difference.contains(" is no event: ") && explained < foreign {
            explained += 1;
            continue;
        }
        let is = |text: &str| difference.contains(text);
        let list = if is("had no effect") || is(" ends at ") || is("partitions have no checkpoint")
        {
            &mut found.lost
        } else if is(" follows ") || is("is not the store's event") || is("has position") {
            &mut found.order_breaks
        } else if is("both processed and parked") || is("are not in the store up to") {
            &mut found.duplicated
        } else {
            &mut found.differences
        };
        list.push(difference);
    }
}

fn command(place: &Place, verb: &str) -> Command {
    let mut command = Command::new(place.programs.join("factline"));
    command.args([verb, "--json"]).envs(place.operator_settings());
    // Away from the checkout, where a demo's stack would be found.
    command.current_dir(&place.folder);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(differences: &[&str], foreign: u64) -> Findings {
        let mut found = Findings::default();
        sort(differences.iter().map(|one| (*one).to_owned()).collect(), foreign, &mut found);
        found
    }

    #[test]
    fn a_record_that_we_put_there_is_no_difference_and_one_more_is() {
        let ours = ["topic: offset 7 is no event: no headers"; 2];
        assert!(sorted(&ours, 2).is_clean());
        assert_eq!(sorted(&ours, 1).differences.len(), 1);
    }

    #[test]
    fn each_difference_is_the_kind_of_loss_that_it_is() {
        let found = sorted(
            &[
                "inventory_list: 3 events up to its checkpoint had no effect",
                "topic: t/0 ends at 5 of 9",
                "topic: position 3 of t/0 follows 1",
                "topic: position 3 of t/0 is not the store's event",
                "inventory_list: 2 processed events are not in the store up to its checkpoint",
                "inventory_list: at 4 of 9 in t/0",
            ],
            0,
        );
        let counts = found.lists().map(|(_, list)| list.len());
        assert_eq!(counts, [2, 1, 2, 0, 0, 0, 0, 1]);
    }
}
