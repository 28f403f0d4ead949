//! The projection's metrics, each named once.

use factline_core::Position;
use factline_kafka::PartitionId;
use metrics::{counter, gauge};

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

pub(crate) fn refused(projection: &'static str) {
    counter!("factline_projection_refused_checkpoints_total", "projection" => projection)
        .increment(1);
}

/// So that each counter is there before its first event.
pub(crate) fn announce(projection: &'static str, parked_streams: i64) {
    settled(projection, Settled { parked_streams: Some(parked_streams), ..Settled::default() }, 0);
    counter!("factline_projection_refused_checkpoints_total", "projection" => projection)
        .increment(0);
    for act in ["retry", "dry_run", "skip"] {
        for outcome in ["done", "refused"] {
            operator_acts(projection, act, outcome, 0);
        }
    }
}
