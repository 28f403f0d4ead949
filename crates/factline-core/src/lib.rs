//! The vocabulary that every other crate speaks: events and what recorded them, aggregates that
//! decide and evolve, views that fold, sagas that react, positions that order, and the partitioner that places a
//! stream. Pure: no I/O, no clock, no async.

mod aggregate;
mod event;
mod event_set;
mod fault;
mod fold;
pub mod heartbeat;
mod identity;
mod partitioner;
mod position;
pub mod saga;
mod token;

pub use aggregate::{Aggregate, Decide, Moment, Refusal, RefusalKind};
pub use event::{DomainEvent, Envelope, EventSchema, ReadData, Recorded, Sample, WriteData};
pub use fault::{Fault, Source};
pub use fold::{Fold, Folded};
pub use identity::{
    CommandKey, InvalidStreamId, MAX_STREAM_ID_BYTES, StreamId, command_key, derived_stream_id,
};
pub use partitioner::{murmur2, partition_for};
pub use position::{Position, Version};
pub use token::{InvalidToken, Token};

/// The Kafka topic of an aggregate kind: `<prefix>.<kind>.v1`. The same name keys the kind's rows
/// in the store, so a token, a checkpoint and a log line all speak of one thing.
#[must_use]
pub fn topic_name(prefix: &str, kind: &str) -> String {
    format!("{prefix}.{kind}.v1")
}
