//! Callers against the log: pure.
//!
//! Every operation carried a correlation id of its own, which stands on every event that it caused;
//! so the log's events are matched with operations by something that no promise rests on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::{Event, Findings, sagas};
use crate::history::{Operation, Outcome};

/// Judges operations and order.
pub(super) fn judge(operations: &[Operation], events: &[Event], found: &mut Findings) {
    let mut caused: HashMap<Uuid, Vec<&Event>> = HashMap::new();
    // What a process does stands in the flow of what began it, and is judged by itself.
    for event in events.iter().filter(|event| !sagas::is_a_step(event)) {
        caused.entry(event.correlation_id).or_default().push(event);
    }
    for operation in operations {
        let events = caused.remove(&operation.correlation_id).unwrap_or_default();
        of_operation(operation, &events, found);
    }
    for (correlation_id, events) in caused {
        let count = events.len();
        found
            .duplicated
            .push(format!("{count} events of {correlation_id}, which nobody asked for"));
    }
    ids(events, found);
    streams(events, found);
    partitions(events, found);
    as_callers_saw_it(operations, found);
}

fn of_operation(operation: &Operation, events: &[&Event], found: &mut Findings) {
    let Operation { path, key, .. } = operation;
    match operation.outcome {
        Outcome::Failed => {
            if let Some(event) = events.first() {
                let what = format!("{path} ({key}) failed, and {} is in the log", event.event_id);
                found.duplicated.push(what);
            }
        }
        Outcome::Unknown => twice(operation, events, found),
        Outcome::Acknowledged => {
            for told in &operation.events {
                let same = |event: &&&Event| {
                    event.event_id == told.event_id
                        && event.stream_id == told.stream_id
                        && (event.version, event.partition, event.position)
                            == (told.version, told.partition, told.position)
                };
                if !events.iter().any(|event| same(&event)) {
                    let what = format!("{path} ({key}): {told:?} was told and is not in the log");
                    found.lost.push(what);
                }
            }
            let told: BTreeSet<Uuid> = operation.events.iter().map(|told| told.event_id).collect();
            for event in events.iter().filter(|event| !told.contains(&event.event_id)) {
                let what = format!("{path} ({key}): {} beside what was told", event.event_id);
                found.duplicated.push(what);
            }
        }
    }
}

/// One command changes one stream in one piece: its events follow one another. Two pieces are two
/// effects.
fn twice(operation: &Operation, events: &[&Event], found: &mut Findings) {
    let mut events = events.to_vec();
    events.sort_by_key(|event| (&event.topic, event.partition, event.position));
    let apart = |pair: &[&Event]| {
        pair[0].stream_id != pair[1].stream_id || pair[0].position + 1 != pair[1].position
    };
    let again = |pair: &[&Event]| pair[0].event_type == pair[1].event_type && !many(pair[0]);
    if events.windows(2).any(|pair| apart(pair) || again(pair)) {
        let Operation { path, key, .. } = operation;
        found.duplicated.push(format!("{path} ({key}) has had its effect twice"));
    }
}

/// Of these one command makes several.
fn many(event: &Event) -> bool {
    event.name() == "OrderItemAdded"
}

fn ids(events: &[Event], found: &mut Findings) {
    let mut seen = BTreeSet::new();
    for event in events.iter().filter(|event| !seen.insert(event.event_id)) {
        found.duplicated.push(format!("the event {} is in the log twice", event.event_id));
    }
}

/// A stream's versions are 1, 2, 3 … in the order of its positions.
fn streams(events: &[Event], found: &mut Findings) {
    let mut streams: BTreeMap<(&str, &str), Vec<&Event>> = BTreeMap::new();
    for event in events {
        streams.entry((&event.topic, &event.stream_id)).or_default().push(event);
    }
    for ((_, stream), mut events) in streams {
        events.sort_by_key(|event| event.position);
        for (expected, event) in (1..).zip(&events) {
            if event.version != expected {
                let version = event.version;
                found
                    .order_breaks
                    .push(format!("{stream}: version {version} where {expected} must be"));
                break;
            }
        }
    }
}

/// A partition's positions are 1, 2, 3 …, and its times rise with them.
fn partitions(events: &[Event], found: &mut Findings) {
    for ((topic, partition), events) in by_partition(events) {
        for (expected, event) in (1..).zip(&events) {
            if event.position != expected {
                let position = event.position;
                found.order_breaks.push(format!(
                    "{topic}/{partition}: position {position} where {expected} must be"
                ));
                break;
            }
        }
        for pair in events.windows(2).filter(|pair| pair[1].recorded_at < pair[0].recorded_at) {
            let position = pair[1].position;
            found.order_breaks.push(format!("{topic}/{partition}: time goes back at {position}"));
        }
    }
}

fn by_partition(events: &[Event]) -> BTreeMap<(&str, i32), Vec<&Event>> {
    let mut partitions: BTreeMap<(&str, i32), Vec<&Event>> = BTreeMap::new();
    for event in events {
        partitions.entry((&event.topic, event.partition)).or_default().push(event);
    }
    partitions.values_mut().for_each(|events| events.sort_by_key(|event| event.position));
    partitions
}

/// Whoever was answered before another began stands before it in their partition: positions are in
/// the order of commits.
fn as_callers_saw_it(operations: &[Operation], found: &mut Findings) {
    let mut partitions: BTreeMap<(&str, i32), Vec<(i64, &Operation)>> = BTreeMap::new();
    for operation in operations {
        let topic = operation.path.split('/').nth(1).unwrap_or_default();
        // A repeat of what another attempt did long ago began with that attempt: it may stand.
        for told in operation.events.iter().take(1) {
            let place = partitions.entry((topic, told.partition)).or_default();
            place.push((told.position, operation));
        }
    }
    for ((topic, partition), mut placed) in partitions {
        placed.sort_by_key(|(position, _)| *position);
        let mut earliest_end = u64::MAX; // of everything that stands behind
        for (position, operation) in placed.iter().rev() {
            if earliest_end < operation.began_us {
                found.order_breaks.push(format!(
                    "{topic}/{partition}: {} at {position} began after one behind it was answered",
                    operation.key
                ));
            }
            earliest_end = earliest_end.min(operation.ended_us);
        }
    }
}

#[cfg(test)]
mod tests;
