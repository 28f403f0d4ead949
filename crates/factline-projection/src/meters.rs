//! The projection's metrics, each named once.

use chrono::{DateTime, Utc};
use factline_core::Position;
use factline_kafka::PartitionId;
use metrics::{counter, gauge, histogram};

use crate::transaction::Settled;

#[allow(clippy::cast_precision_loss)] // positions stay far below 2^53
pub(crate) fn position(projection: &'static str, id: &PartitionId, position: Position) {
    gauge!(
        "factline_projection_position",
        "projection" => projection,
        "topic" => id.topic.to_string(),
        "partition" => id.partition.to_string(),
    )
    .set(position.0 as f64);
}

/// Events of a partition became visible now. `oldest`: when the log recorded the first of them; none of
/// the batch has waited for longer, so one observation a batch is a bound for each of its events.
pub(crate) fn visible(
    projection: &'static str,
    id: &PartitionId,
    oldest: DateTime<Utc>,
    now: DateTime<Utc>,
) {
    let waited = seconds(oldest, now);
    clock_behind(projection, (-waited).max(0.0)); // the observation does not show it
    histogram!(
        "factline_projection_visible_seconds",
        "projection" => projection,
        "topic" => id.topic.to_string(),
        "partition" => id.partition.to_string(),
    )
    .record(waited.max(0.0));
}

/// Age of the oldest event that is not visible yet; 0 when there is none.
pub(crate) fn freshness(projection: &'static str, id: &PartitionId, seconds: f64) {
    gauge!(
        "factline_projection_freshness_seconds",
        "projection" => projection,
        "topic" => id.topic.to_string(),
        "partition" => id.partition.to_string(),
    )
    .set(seconds);
}

/// By how much this clock is behind the log's, at least: the newest batch's first event was recorded so
/// long after its own commit here.
fn clock_behind(projection: &'static str, seconds: f64) {
    gauge!("factline_projection_clock_behind_seconds", "projection" => projection).set(seconds);
}

pub(crate) fn settled(projection: &'static str, settled: Settled, refilled: u64) {
    let outcomes = [
        ("applied", settled.applied),
        ("repeat", settled.repeats),
        ("parked", settled.parked),
        ("foreign", settled.foreign),
    ];
    for (outcome, count) in outcomes {
        counter!(
            "factline_projection_events_total", "projection" => projection, "outcome" => outcome
        )
        .increment(count as u64);
    }
    if let Some(streams) = settled.parked_streams {
        parked_streams(projection, streams);
    }
    counter!("factline_projection_refilled_events_total", "projection" => projection)
        .increment(refilled);
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn parked_streams(projection: &'static str, streams: i64) {
    gauge!("factline_projection_parked_streams", "projection" => projection).set(streams as f64);
}

/// An act of an operator was finished.
pub(crate) fn operator_act(projection: &'static str, act: &'static str, outcome: &'static str) {
    operator_acts(projection, act, outcome, 1);
}

fn operator_acts(
    projection: &'static str,
    act: &'static str,
    outcome: &'static str,
    finished: u64,
) {
    counter!(
        "factline_projection_operator_acts_total",
        "projection" => projection, "act" => act, "outcome" => outcome
    )
    .increment(finished);
}

/// Events until a table beside the live one has caught up; 0 when none is built here.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn rebuild_remaining(projection: &'static str, events: i64) {
    gauge!("factline_projection_rebuild_remaining_events", "projection" => projection)
        .set(events as f64);
}

/// A rebuild has come to this state, in which it stays until an operator says something.
pub(crate) fn rebuild_ended(projection: &'static str, state: &str) {
    let outcome = REBUILD_OUTCOMES.into_iter().find(|outcome| *outcome == state);
    rebuilds(projection, outcome.unwrap_or("other"), 1);
}

const REBUILD_OUTCOMES: [&str; 4] = ["switched", "ready", "cancelled", "failed"];

fn rebuilds(projection: &'static str, outcome: &'static str, ended: u64) {
    counter!(
        "factline_projection_rebuilds_total", "projection" => projection, "outcome" => outcome
    )
    .increment(ended);
}

pub(crate) fn refused(projection: &'static str) {
    counter!("factline_projection_refused_checkpoints_total", "projection" => projection)
        .increment(1);
}

pub(crate) fn taken_back(projection: &'static str) {
    counter!("factline_projection_taken_back_total", "projection" => projection).increment(1);
}

/// So that each counter is there before its first event.
pub(crate) fn announce(projection: &'static str, parked_streams: i64) {
    settled(projection, Settled { parked_streams: Some(parked_streams), ..Settled::default() }, 0);
    counter!("factline_projection_refused_checkpoints_total", "projection" => projection)
        .increment(0);
    counter!("factline_projection_taken_back_total", "projection" => projection).increment(0);
    for outcome in REBUILD_OUTCOMES {
        rebuilds(projection, outcome, 0);
    }
    rebuild_remaining(projection, 0);
    clock_behind(projection, 0.0);
    for act in ["retry", "dry_run", "skip"] {
        for outcome in ["done", "refused"] {
            operator_acts(projection, act, outcome, 0);
        }
    }
}

/// From one time to a later one, in seconds; below 0 when it is not later.
pub(crate) fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    const PER_SECOND: f64 = 1_000_000.0;
    let micros = (to - from).num_microseconds().unwrap_or(i64::MAX); // of 292,000 years
    #[allow(clippy::cast_precision_loss)] // exact for 285 years
    let micros = micros as f64;
    micros / PER_SECOND
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn a_distance_in_time_is_told_in_seconds_with_its_sign() {
        let at = |micros: i64| Utc.timestamp_micros(1_700_000_000_000_000 + micros).unwrap();
        assert_eq!(seconds(at(0), at(2_500_000)).to_string(), "2.5");
        assert_eq!(seconds(at(2_500_000), at(0)).to_string(), "-2.5");
        assert_eq!(seconds(at(7), at(7)).to_string(), "0");
        assert_eq!(seconds(at(0), at(1)).to_string(), "0.000001");
    }
}
