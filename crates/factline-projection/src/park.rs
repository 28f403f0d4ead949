//! Parking: a poisoned event's stream stands still, its later events join it in order, every other
//! stream flows. Records that are no event are kept beside.

use std::{collections::HashSet, fmt};

use factline_core::Envelope;
use factline_kafka::{HeaderFault, HeaderName, Record, envelope_headers};
use sqlx::PgConnection;

use crate::{ProjectionSettings, batch::Origin};

/// A stream of a topic.
pub(crate) type StreamName = (String, String);

/// One event to be parked.
#[derive(Debug)]
pub(crate) struct Parking<'a> {
    pub(crate) envelope: &'a Envelope,
    pub(crate) origin: &'a Origin,
    pub(crate) code: &'a str,
    pub(crate) detail: &'a str,
    /// The stream was flowing until this event.
    pub(crate) first: bool,
}

/// What a later event of a parked stream is parked with.
pub(crate) const STREAM_PARKED: &str = "stream_parked";

const STREAMS: &str =
    "select topic, stream_id from projection.parked_streams where projection = $1";

const PARK_STREAM: &str = "
    insert into projection.parked_streams
        (projection, topic, stream_id, code, detail, fingerprint, first_position)
    values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing";

const PARK_EVENT: &str = "
    insert into projection.parked_events
        (projection, topic, partition, position, stream_id, version, event_id, event_type,
         record_offset, record_at_ms, record_key, record_value, header_names, header_values,
         schema_json, code, detail)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
    on conflict do nothing";

const KEEP_FOREIGN: &str = "
    insert into projection.foreign_records
        (projection, topic, partition, record_offset, record_at_ms, record_key, record_value,
         header_names, header_values, code, detail)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing";

const COUNTS: &str = "
    select (select count(*) from projection.parked_streams where projection = $1),
           count(*), coalesce(sum(octet_length(record_value)), 0)::bigint
    from projection.parked_events where projection = $1";

/// How much is parked, of one projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) streams: i64,
    events: i64,
    /// Of the records' values.
    bytes: i64,
}

impl Parked {
    /// So much that the cause cannot be single streams.
    pub(crate) fn is_too_much(&self, settings: &ProjectionSettings) -> bool {
        self.streams > settings.parked_streams_limit
            || self.events > settings.parked_events_limit
            || self.bytes > settings.parked_bytes_limit
    }
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { streams, events, bytes } = self;
        write!(f, "{streams} streams, {events} events and {bytes} bytes")
    }
}

/// The parked streams, read inside the transaction that relies on them.
pub(crate) async fn streams(
    tx: &mut PgConnection,
    projection: &str,
) -> Result<HashSet<StreamName>, sqlx::Error> {
    let rows: Vec<StreamName> = sqlx::query_as(STREAMS).bind(projection).fetch_all(tx).await?;
    Ok(rows.into_iter().collect())
}

/// Parks an event, and its stream when it is the first.
pub(crate) async fn park(
    tx: &mut PgConnection,
    projection: &str,
    parking: &Parking<'_>,
) -> Result<(), sqlx::Error> {
    let Parking { envelope, origin, code, detail, first } = parking;
    let detail = storable(detail);
    if *first {
        sqlx::query(PARK_STREAM)
            .bind(projection)
            .bind(&*envelope.topic)
            .bind(envelope.stream_id.as_str())
            .bind(code)
            .bind(&detail)
            .bind(fingerprint(code, &envelope.event_type, &detail))
            .bind(envelope.position.0)
            .execute(&mut *tx)
            .await?;
    }
    let raw = Raw::of(envelope, origin);
    sqlx::query(PARK_EVENT)
        .bind(projection)
        .bind(&*envelope.topic)
        .bind(envelope.partition)
        .bind(envelope.position.0)
        .bind(envelope.stream_id.as_str())
        .bind(envelope.version.0)
        .bind(envelope.event_id)
        .bind(storable(&envelope.event_type))
        .bind(raw.offset)
        .bind(raw.at_ms)
        .bind(raw.key)
        .bind(raw.value)
        .bind(raw.header_names)
        .bind(raw.header_values)
        .bind(raw.schema_json)
        .bind(code)
        .bind(detail)
        .execute(tx)
        .await?;
    Ok(())
}

/// Keeps a record that is no event.
pub(crate) async fn keep_foreign(
    tx: &mut PgConnection,
    projection: &str,
    fault: &HeaderFault,
    record: &Record,
) -> Result<(), sqlx::Error> {
    let raw = Raw::of_record(record);
    sqlx::query(KEEP_FOREIGN)
        .bind(projection)
        .bind(&*record.topic)
        .bind(record.partition)
        .bind(record.offset)
        .bind(raw.at_ms)
        .bind(raw.key)
        .bind(raw.value)
        .bind(raw.header_names)
        .bind(raw.header_values)
        .bind(fault.code())
        .bind(fault.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

/// How much is parked now, what this transaction parked included.
pub(crate) async fn counts(tx: &mut PgConnection, projection: &str) -> Result<Parked, sqlx::Error> {
    let counting = sqlx::query_as(COUNTS).bind(projection).fetch_one(tx);
    let (streams, events, bytes) = counting.await?;
    Ok(Parked { streams, events, bytes })
}

/// An event as it came, in the columns that keep it.
struct Raw {
    offset: Option<i64>,
    at_ms: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    header_names: Vec<String>,
    header_values: Vec<Option<Vec<u8>>>,
    schema_json: Option<String>,
}

impl Raw {
    fn of(envelope: &Envelope, origin: &Origin) -> Self {
        match origin {
            Origin::Kafka(record) => Self::of_record(record),
            Origin::Log { schema, datum } => Self {
                offset: None,
                at_ms: None,
                key: Some(envelope.stream_id.as_str().as_bytes().to_vec()),
                value: Some(datum.to_vec()),
                // No registry has named the schema, so no address of it can be told.
                ..Self::headers(&envelope_headers(envelope, 0, ""), Some(schema.json().to_owned()))
            },
        }
    }

    fn of_record(record: &Record) -> Self {
        Self {
            offset: Some(record.offset),
            at_ms: record.timestamp_ms,
            key: record.key.as_ref().map(|bytes| bytes.to_vec()),
            value: record.value.as_ref().map(|bytes| bytes.to_vec()),
            ..Self::headers(&record.headers, None)
        }
    }

    fn headers(
        headers: &[(HeaderName, Option<bytes::Bytes>)],
        schema_json: Option<String>,
    ) -> Self {
        Self {
            offset: None,
            at_ms: None,
            key: None,
            value: None,
            header_names: headers.iter().map(|(name, _)| storable(name)).collect(),
            header_values: headers
                .iter()
                .map(|(_, value)| value.as_ref().map(|bytes| bytes.to_vec()))
                .collect(),
            schema_json,
        }
    }
}

/// Text of foreign origin may hold NUL, which the database refuses.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Equal for failures that look alike: digits do not count. FNV-1a, because it
/// must be the same in every build.
pub(crate) fn fingerprint(code: &str, event_type: &str, detail: &str) -> String {
    let plain = detail.chars().filter(|c| !c.is_ascii_digit());
    let text: String = [code, "\n", event_type, "\n"].concat().chars().chain(plain).collect();
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_differ_in_figures_alone_look_alike() {
        let one = fingerprint("data_mismatch", "factline.parcel.ParcelSent", "12 bytes at 7");
        let two = fingerprint("data_mismatch", "factline.parcel.ParcelSent", "480 bytes at 91");
        assert_eq!(one, two);
        assert_ne!(one, fingerprint("bad_magic", "factline.parcel.ParcelSent", "12 bytes at 7"));
    }

    #[test]
    fn h14_text_with_nul_is_made_storable() {
        assert_eq!(storable("a\0b"), "a\u{fffd}b");
    }
}
