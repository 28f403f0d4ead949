//! What the log holds: events of a few streams over a few partitions, ready as envelopes, as records
//! and as stored events. Built once; a world picks one and says which of its events are poison.

use std::sync::{Arc, LazyLock};

use factline_codec::{StoredEvent, WriterSchema};
use factline_core::{DomainEvent as _, Envelope, Version, partition_for};
use factline_kafka::{PartitionId, Record, envelope_headers};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

use crate::testing::{ParcelEvent, TOPIC, envelope};

/// Two for one worker and one for another.
pub(super) const PARTITIONS: usize = 3;
/// In all partitions: enough for streams to be parked in the middle, few enough for 10,000 worlds.
pub(super) const EVENTS: usize = 36;
const STREAMS: usize = 7;
/// Of different shapes. Making one costs more than running a world in it.
const HISTORIES: u64 = 32;

/// One partition's events, by position less one.
pub(super) type Events = Vec<StoredEvent>;

/// See the module.
pub(super) struct History {
    pub(super) partitions: [Events; PARTITIONS],
    /// The records of these events, their offsets still to be given.
    pub(super) records: [Vec<Record>; PARTITIONS],
}

/// What an event does to whoever applies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    Harmless,
    /// Its data cannot be read.
    Unreadable,
    /// The projection names it.
    Named,
    /// The database refuses the statement that it is in.
    Refused,
    Panics,
}

static ALL: LazyLock<Vec<History>> = LazyLock::new(|| (0..HISTORIES).map(History::make).collect());

pub(super) fn history(seed: u64) -> &'static History {
    &ALL[usize::try_from(seed % HISTORIES).unwrap()]
}

pub(super) fn partition_id(partition: usize) -> PartitionId {
    static NAME: LazyLock<Arc<str>> = LazyLock::new(|| TOPIC.into());
    PartitionId { topic: Arc::clone(&NAME), partition: i32::try_from(partition).unwrap() }
}

pub(super) fn index_of(partition: i32) -> usize {
    usize::try_from(partition).unwrap()
}

impl History {
    fn make(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let schema = WriterSchema::admit(ParcelEvent::SCHEMAS[1].json).unwrap();
        let mut versions = [0; STREAMS];
        let mut history = Self { partitions: Default::default(), records: Default::default() };
        for _ in 0..EVENTS {
            let stream = dice.random_range(0..STREAMS);
            versions[stream] += 1;
            let name = format!("parcel-{stream}");
            let partition = partition_for(&name, i32::try_from(PARTITIONS).unwrap());
            let events = &mut history.partitions[index_of(partition)];
            let position = i64::try_from(events.len()).unwrap() + 1;
            let envelope = Envelope {
                partition,
                topic: partition_id(0).topic,
                event_id: event_id(partition, position),
                ..envelope(&name, position, Version(versions[stream]), "ParcelLost")
            };
            history.records[index_of(partition)].push(record(&envelope));
            events.push(StoredEvent { envelope, schema: Arc::clone(&schema), datum: "".into() });
        }
        history
    }

    /// The positions of a stream, in order.
    pub(super) fn stream<'a>(
        &'a self,
        partition: usize,
        stream: &'a str,
    ) -> impl Iterator<Item = i64> + 'a {
        let mine = move |one: &&StoredEvent| one.envelope.stream_id.as_str() == stream;
        self.partitions[partition].iter().filter(mine).map(|one| one.envelope.position.0)
    }

    pub(super) fn event(&self, partition: usize, position: i64) -> &StoredEvent {
        &self.partitions[partition][usize::try_from(position - 1).unwrap()]
    }
}

fn event_id(partition: i32, position: i64) -> Uuid {
    Uuid::from_u64_pair(partition.unsigned_abs().into(), position.unsigned_abs())
}

fn record(envelope: &Envelope) -> Record {
    Record {
        topic: Arc::clone(&envelope.topic),
        partition: envelope.partition,
        offset: 0,
        key: Some(envelope.stream_id.as_str().to_owned().into()),
        value: Some("12345678".into()),
        headers: envelope_headers(envelope, 1, "http://registry"),
        timestamp_ms: None,
    }
}

/// The poison of a world: about one event in eighteen, so that some worlds have none.
pub(super) fn natures(history: &History, dice: &mut StdRng) -> [Vec<Nature>; PARTITIONS] {
    history.partitions.each_ref().map(|events| {
        let nature = |_: &StoredEvent| match dice.random_range(0..72) {
            0 => Nature::Unreadable,
            1 => Nature::Named,
            2 => Nature::Refused,
            3 => Nature::Panics,
            _ => Nature::Harmless,
        };
        events.iter().map(nature).collect()
    })
}
