//! Everything that touches the Kafka client, and nothing else does.
//!
//! In flow settings ([`KafkaSettings`]) and records to publish ([`Outgoing`]); out flow consumed
//! records ([`Record`]) and faults classified by who must act. Every rule that librdkafka's
//! defaults break is in one place, the rendered client configuration, with a golden test.
//!
//! - [`Producer`]: in order, acknowledged by all replicas, and never past a failure.
//! - [`Consumer`]: a group's member that only polls, on a thread of its own.
//! - [`Admin`]: topics, watermarks, a group's committed offsets.
//! - [`envelope_headers`] and [`read_envelope`]: what an event's headers say.

mod admin;
mod client_config;
mod consumer;
mod context;
mod fault;
mod headers;
mod producer;
mod record;
mod settings;

pub use admin::{Admin, TopicConfig, TopicInfo, Watermarks};
pub use client_config::librdkafka_version;
pub use consumer::{
    AssignedPartition, Backlog, Consumer, ConsumerEvent, ConsumerHandle, ConsumerSpec, Delivery,
    PartitionId, Progress, Reply, StartAt, next_offset,
};
pub use fault::classify;
pub use headers::{
    HeaderFault, MAX_HEADER_BYTES, MAX_HEADERS, envelope_headers, header, read_envelope,
};
pub use producer::{Producer, SendFailure};
pub use record::{HeaderName, Headers, Outgoing, Record};
pub use settings::{Compression, KafkaSettings};
