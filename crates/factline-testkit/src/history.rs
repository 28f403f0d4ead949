//! Events as the log would have recorded them: gapless positions in their partitions, gapless
//! versions in their streams, envelopes that are the same in every run.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Duration, Utc};
use factline_core::{
    DomainEvent, Envelope, Position, Recorded, StreamId, Version, partition_for, topic_name,
};
use serde_json::Value;
use uuid::Uuid;

/// Few enough to read in a failing test, more than one so that order across partitions is never
/// taken for granted.
const PARTITIONS: i32 = 3;

/// A history under construction.
#[must_use]
pub struct History<E> {
    topic: Arc<str>,
    partitions: i32,
    positions: BTreeMap<i32, Position>,
    versions: BTreeMap<StreamId, Version>,
    recorded: Vec<Recorded<E>>,
    now: DateTime<Utc>,
    occurs_at: Option<DateTime<Utc>>,
}

/// What the log would have recorded of these events; each with the id of its stream.
#[must_use]
pub fn recorded<'a, E: DomainEvent>(events: impl Into<Vec<(&'a str, E)>>) -> Vec<Recorded<E>> {
    let events: Vec<_> = events.into();
    events.into_iter().fold(History::new(), |history, (id, event)| history.then(id, event)).build()
}

impl<E: DomainEvent> Default for History<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: DomainEvent> History<E> {
    /// An empty history on topic `factline.<kind>.v1` that begins at 2026-01-05T09:00:00Z.
    pub fn new() -> Self {
        Self {
            topic: topic_name("factline", E::KIND).into(),
            partitions: PARTITIONS,
            positions: BTreeMap::new(),
            versions: BTreeMap::new(),
            recorded: Vec::new(),
            now: DateTime::from_timestamp(1_767_603_600, 0).expect("a valid time"),
            occurs_at: None,
        }
    }

    /// On this topic instead.
    pub fn on_topic(mut self, topic: &str) -> Self {
        self.topic = topic.into();
        self
    }

    /// With this many partitions instead of three; to be said before the first event.
    pub fn with_partitions(mut self, partitions: i32) -> Self {
        assert!(self.recorded.is_empty(), "the partitions are fixed once there are events");
        self.partitions = partitions;
        self
    }

    /// The next event, and only that, occurred at this time; the others occur when they are
    /// recorded, one a second.
    pub fn at(mut self, occurred_at: &str) -> Self {
        let time = DateTime::parse_from_rfc3339(occurred_at).expect("an RFC 3339 time");
        self.occurs_at = Some(time.to_utc());
        self
    }

    /// Then this happened in this stream.
    pub fn then(mut self, stream_id: &str, event: impl Into<E>) -> Self {
        let event = event.into();
        let stream_id = StreamId::parse(stream_id).expect("a stream id");
        let partition = partition_for(stream_id.as_str(), self.partitions);
        let position = self.positions.entry(partition).or_insert(Position::ZERO);
        *position = position.next();
        let position = *position;
        let version = self.versions.entry(stream_id.clone()).or_insert(Version::ZERO);
        *version = version.next();
        let version = *version;
        self.now += Duration::seconds(1);
        let cause = self.id("command", partition, position);
        let envelope = Envelope {
            topic: self.topic.clone(),
            partition,
            position,
            stream_id,
            version,
            event_id: self.id("event", partition, position),
            event_type: full_name(&event).into(),
            correlation_id: cause,
            causation_id: cause,
            actor: None,
            traceparent: None,
            occurred_at: self.occurs_at.take().unwrap_or(self.now),
            recorded_at: self.now,
        };
        self.recorded.push(Recorded { envelope, event });
        self
    }

    /// The history, in the order in which it was told.
    #[must_use]
    pub fn build(self) -> Vec<Recorded<E>> {
        self.recorded
    }

    fn id(&self, of: &str, partition: i32, position: Position) -> Uuid {
        let place = format!("{of}:{}:{partition}:{position}", self.topic);
        Uuid::new_v5(&Uuid::NAMESPACE_URL, place.as_bytes())
    }
}

fn full_name<E: DomainEvent>(event: &E) -> String {
    let schema: Value = serde_json::from_str(E::SCHEMAS[event.schema_index()].json)
        .expect("the schema file holds JSON");
    let namespace = schema["namespace"].as_str().expect("the schema has a namespace");
    format!("{namespace}.{}", event.name())
}
