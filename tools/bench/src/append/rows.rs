//! Rows of `log.events` as a client that knows everything in advance would make them: their own
//! positions and versions, nothing looked up.

use chrono::{DateTime, Utc};
use factline_core::{StreamId, partition_for};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

/// The columns that differ from row to row, one array each.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) partition: Vec<i32>,
    pub(super) position: Vec<i64>,
    pub(super) stream_id: Vec<String>,
    pub(super) version: Vec<i64>,
    pub(super) event_id: Vec<Uuid>,
    pub(super) payload: Vec<Vec<u8>>,
    pub(super) correlation_id: Vec<Uuid>,
    pub(super) command_key: Vec<Uuid>,
    pub(super) fingerprint: Vec<Vec<u8>>,
}

/// As long as the one that the HTTP layer always gives.
pub(super) const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The rows of one connection: it alone writes to its partitions.
pub(super) struct Rows {
    random: StdRng,
    /// Stream, partition, version.
    streams: Vec<(StreamId, i32, i64)>,
    /// The last position of each partition.
    heads: Vec<i64>,
    with_keys: bool,
}

impl Rows {
    /// The part of `streams` that belongs to connection `index` of `count`.
    pub(super) fn of(
        streams: &[StreamId],
        partitions: i32,
        (index, count): (i32, i32),
        with_keys: bool,
    ) -> Rows {
        let placed =
            streams.iter().map(|id| (id.clone(), partition_for(id.as_str(), partitions), 0));
        Rows {
            random: StdRng::seed_from_u64(u64::from(index.unsigned_abs())),
            streams: placed.filter(|(_, partition, _)| partition % count == index).collect(),
            heads: vec![0; usize::try_from(partitions).unwrap_or_default()],
            with_keys,
        }
    }

    /// The next rows, in the order of partition and position, as ours are.
    pub(super) fn next(&mut self, count: usize) -> Columns {
        let mut chosen: Vec<usize> =
            (0..count).map(|_| self.random.random_range(0..self.streams.len())).collect();
        chosen.sort_by_key(|stream| self.streams[*stream].1);
        let mut columns = Columns::default();
        for stream in chosen {
            let (id, partition, version) = &mut self.streams[stream];
            let head = &mut self.heads[usize::try_from(*partition).unwrap_or_default()];
            *head += 1;
            *version += 1;
            columns.partition.push(*partition);
            columns.position.push(*head);
            columns.stream_id.push(id.as_str().to_owned());
            columns.version.push(*version);
            columns.event_id.push(Uuid::now_v7());
            columns.payload.push(datum());
            columns.correlation_id.push(Uuid::new_v4());
            if self.with_keys {
                columns.command_key.push(Uuid::new_v4());
                columns.fingerprint.push(vec![7; 16]);
            }
        }
        columns
    }
}

/// As large as an event of ours.
fn datum() -> Vec<u8> {
    vec![b'x'; super::ours::DATUM_BYTES]
}

impl Columns {
    /// The rows in PostgreSQL's binary COPY format (its documentation, "COPY", "Binary Format"), in
    /// the order of the table's columns.
    pub(super) fn to_copy(&self, topic: &str, at: DateTime<Utc>) -> Vec<u8> {
        const COLUMNS: i16 = 16;
        const NULL: i32 = -1;
        // Timestamps count from 2000-01-01.
        let at = (at.timestamp_micros() - 946_684_800_000_000).to_be_bytes();
        let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        for row in 0..self.position.len() {
            bytes.extend(COLUMNS.to_be_bytes());
            let mut field = |value: &[u8]| {
                bytes.extend(i32::try_from(value.len()).unwrap_or(NULL).to_be_bytes());
                bytes.extend(value);
            };
            field(topic.as_bytes());
            field(&self.partition[row].to_be_bytes());
            field(&self.position[row].to_be_bytes());
            field(self.stream_id[row].as_bytes());
            field(&self.version[row].to_be_bytes());
            field(self.event_id[row].as_bytes());
            field(&1_i16.to_be_bytes());
            field(&self.payload[row]);
            field(self.correlation_id[row].as_bytes());
            field(self.correlation_id[row].as_bytes());
            bytes.extend(NULL.to_be_bytes()); // actor
            let mut field = |value: &[u8]| {
                bytes.extend(i32::try_from(value.len()).unwrap_or(NULL).to_be_bytes());
                bytes.extend(value);
            };
            field(TRACEPARENT.as_bytes());
            bytes.extend(NULL.to_be_bytes()); // command_key
            bytes.extend(NULL.to_be_bytes()); // command_fingerprint
            for _ in ["occurred_at", "recorded_at"] {
                bytes.extend(8_i32.to_be_bytes());
                bytes.extend(at);
            }
        }
        bytes.extend((-1_i16).to_be_bytes());
        bytes
    }
}
