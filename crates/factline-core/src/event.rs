//! What happened, and what the log knows about it.

use std::{fmt::Debug, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{Position, StreamId, Token, Version};

/// One event type's schema file, compiled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSchema {
    /// The type's own name, in PascalCase and past tense.
    pub name: &'static str,
    /// The schema's file below `schemas/`, without its ending: `parcel/parcel_sent.v1`.
    pub file: &'static str,
    /// The Avro schema, as it stands in the file.
    pub json: &'static str,
}

/// A closed set of event types: an enum with one variant a type, made by
/// [`event_set!`](crate::event_set!).
pub trait DomainEvent: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// The aggregate kind that these events belong to: topic, schema folder. Permanent.
    const KIND: &'static str;
    /// Today's schema of every variant, in the order of the variants.
    const SCHEMAS: &'static [EventSchema];
    /// Older schemas of those types whose data has to be brought up before it is today's. An older
    /// version that differs by optional fields alone needs no place here.
    const OLDER: &'static [EventSchema] = &[];

    /// Which of [`Self::SCHEMAS`] this event is of.
    fn schema_index(&self) -> usize;

    /// Hands the variant's own struct to a writer.
    ///
    /// # Errors
    /// Whatever the writer returns.
    fn write<W: WriteData>(&self, writer: W) -> Result<W::Ok, W::Error>;

    /// Asks a reader for the struct of the variant at `schema_index`.
    ///
    /// # Errors
    /// Whatever the reader returns; [`ReadData::unknown`] when there is no such variant.
    fn read<R: ReadData>(schema_index: usize, reader: R) -> Result<Self, R::Error>;

    /// Asks a reader for data of the version at `older_index` of [`Self::OLDER`], and brings it up
    /// step by step to today's event.
    ///
    /// # Errors
    /// Whatever the reader returns; [`ReadData::unknown`] when there is no such version.
    fn read_older<R: ReadData>(_older_index: usize, reader: R) -> Result<Self, R::Error> {
        Err(reader.unknown())
    }

    /// One example of every variant, in the order of the variants: the input of the generated
    /// round-trip tests and of the documentation.
    fn samples() -> Vec<Self>;

    /// The type's name, `ParcelSent`.
    fn name(&self) -> &'static str {
        Self::SCHEMAS[self.schema_index()].name
    }
}

/// Receives the struct inside an event variant: an Avro or a JSON encoder.
pub trait WriteData {
    /// What a written struct becomes.
    type Ok;
    /// Why it could not be written.
    type Error;
    /// # Errors
    /// The data does not fit the encoder's schema or limits.
    fn write<T: Serialize>(self, data: &T) -> Result<Self::Ok, Self::Error>;
}

/// Gives the struct for an event variant: an Avro or a JSON decoder.
pub trait ReadData: Sized {
    /// Why it could not be read.
    type Error;
    /// # Errors
    /// The bytes do not hold a `T`.
    fn read<T: DeserializeOwned>(self) -> Result<T, Self::Error>;
    /// The error for an index that names no variant.
    fn unknown(self) -> Self::Error;
}

/// An example value, required of every event's struct so that no event goes untested.
pub trait Sample {
    /// A plausible value with every optional field filled.
    fn sample() -> Self;
}

/// Everything that the log records about an event beside its data.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The aggregate kind's topic; the same name in the store and on Kafka.
    pub topic: Arc<str>,
    /// From 0: `murmur2(stream_id) mod P`.
    pub partition: i32,
    /// In the partition, from 1, gapless.
    pub position: Position,
    /// The aggregate.
    pub stream_id: StreamId,
    /// In the stream, from 1, gapless.
    pub version: Version,
    /// UUIDv7, unique for ever.
    pub event_id: Uuid,
    /// The Avro record's full name: `factline.parcel.ParcelSent`.
    pub event_type: Arc<str>,
    /// Follows the whole business flow.
    pub correlation_id: Uuid,
    /// The command or the event that directly caused this one.
    pub causation_id: Uuid,
    /// Who acted, where known.
    pub actor: Option<String>,
    /// W3C trace context of the request that wrote it.
    pub traceparent: Option<String>,
    /// Business time: what the command said, or when it arrived.
    pub occurred_at: DateTime<Utc>,
    /// The database's clock at the append. Rises with the position within a partition.
    pub recorded_at: DateTime<Utc>,
}

impl Envelope {
    /// The token that waits for this event.
    #[must_use]
    pub fn token(&self) -> Token {
        Token { topic: self.topic.clone(), partition: self.partition, position: self.position }
    }
}

/// An event as consumers see it: recorded, placed, typed.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<E> {
    /// What the log knows about it.
    pub envelope: Envelope,
    /// What happened.
    pub event: E,
}
