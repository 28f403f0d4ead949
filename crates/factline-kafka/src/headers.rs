//! An event's envelope as record headers, and back: CloudEvents 1.0, Kafka binary mode.
//!
//! The relay writes what [`envelope_headers`] returns; a consumer reads it with
//! [`read_envelope`], which also proves that key and headers speak of the same stream. Topic and
//! partition are not headers: they are where the record was read.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use factline_core::{Envelope, Position, StreamId, Version};
use uuid::Uuid;

use crate::{HeaderName, Headers, Record};

/// More headers than this are refused unread. The envelope has 15.
pub const MAX_HEADERS: usize = 64;
/// More bytes of names and values than this are refused unread. The envelope has about 700, and
/// at most 1,000 with the longest stream id.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;

/// The envelope's own names, in the order in which [`envelope_headers`] writes them.
const NAMES: [&str; 15] = [
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_subject",
    "ce_dataschema",
    "content-type",
    "ce_sequence",
    "ce_streamversion",
    "ce_correlationid",
    "ce_causationid",
    "ce_recordedat",
    "ce_actor",
    "traceparent",
];

const SPEC_VERSION: &str = "1.0";
/// The value is Avro behind a five-byte frame, which has no registered media type.
const CONTENT_TYPE: &str = "application/vnd.confluent.avro";

/// Why a record's key and headers are not an envelope: the record can never be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// Nothing says which stream it belongs to.
    #[error("the record has no key")]
    KeyMissing,
    /// The key is not a stream id.
    #[error("the record's key is not a stream id")]
    KeyMalformed,
    /// Key and `ce_subject` name different streams.
    #[error("the record's key is not its ce_subject")]
    KeyMismatch,
    /// A required header is absent or null.
    #[error("header {0} is missing")]
    HeaderMissing(&'static str),
    /// A header's value does not read as what it must be.
    #[error("header {0} is malformed")]
    HeaderMalformed(&'static str),
    /// More than [`MAX_HEADERS`] headers or [`MAX_HEADER_BYTES`] of them.
    #[error("{count} headers of {bytes} bytes are over the budget")]
    OverBudget {
        /// How many headers there are.
        count: usize,
        /// Names and values together.
        bytes: usize,
    },
}

impl HeaderFault {
    /// Stable, in `snake_case`; dead letters are listed by it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyMissing => "key_missing",
            Self::KeyMalformed => "key_malformed",
            Self::KeyMismatch => "key_mismatch",
            Self::HeaderMissing(_) => "header_missing",
            Self::HeaderMalformed(_) => "header_malformed",
            Self::OverBudget { .. } => "headers_over_budget",
        }
    }
}

/// The headers of an event. `schema_id` and `registry_url` make `ce_dataschema`, where any
/// consumer finds the schema that the value was written with.
#[must_use]
pub fn envelope_headers(envelope: &Envelope, schema_id: u32, registry_url: &str) -> Headers {
    let registry = registry_url.trim_end_matches('/');
    let mut headers = vec![
        text("ce_specversion", SPEC_VERSION),
        text("ce_id", envelope.event_id.to_string()),
        text("ce_source", format!("/{}/{}", envelope.topic, envelope.partition)),
        text("ce_type", envelope.event_type.to_string()),
        text("ce_time", instant(envelope.occurred_at)),
        text("ce_subject", envelope.stream_id.as_str().to_owned()),
        text("ce_dataschema", format!("{registry}/schemas/ids/{schema_id}")),
        text("content-type", CONTENT_TYPE),
        text("ce_sequence", envelope.position.to_string()),
        text("ce_streamversion", envelope.version.to_string()),
        text("ce_correlationid", envelope.correlation_id.to_string()),
        text("ce_causationid", envelope.causation_id.to_string()),
        text("ce_recordedat", instant(envelope.recorded_at)),
    ];
    headers.extend(envelope.actor.clone().map(|actor| text("ce_actor", actor)));
    headers.extend(envelope.traceparent.clone().map(|parent| text("traceparent", parent)));
    headers
}

/// The envelope of a consumed record.
///
/// # Errors
/// The record is not an event as the relay writes it; see [`HeaderFault`].
pub fn read_envelope(record: &Record) -> Result<Envelope, HeaderFault> {
    check_budget(&record.headers)?;
    let headers = record.headers.as_slice();
    let key = record.key.as_deref().ok_or(HeaderFault::KeyMissing)?;
    let key = std::str::from_utf8(key).map_err(|_| HeaderFault::KeyMalformed)?;
    let stream_id = StreamId::parse(key).map_err(|_| HeaderFault::KeyMalformed)?;

    if required(headers, "ce_specversion")? != SPEC_VERSION {
        return Err(HeaderFault::HeaderMalformed("ce_specversion"));
    }
    if required(headers, "ce_subject")? != stream_id.as_str() {
        return Err(HeaderFault::KeyMismatch);
    }
    Ok(Envelope {
        topic: Arc::clone(&record.topic),
        partition: record.partition,
        position: Position(counter(headers, "ce_sequence")?),
        stream_id,
        version: Version(counter(headers, "ce_streamversion")?),
        event_id: parsed::<Uuid>(headers, "ce_id")?,
        event_type: event_type(headers)?,
        correlation_id: parsed::<Uuid>(headers, "ce_correlationid")?,
        causation_id: parsed::<Uuid>(headers, "ce_causationid")?,
        actor: optional(headers, "ce_actor")?.map(str::to_owned),
        traceparent: optional(headers, "traceparent")?.map(str::to_owned),
        occurred_at: moment(headers, "ce_time")?,
        recorded_at: moment(headers, "ce_recordedat")?,
    })
}

/// The name of a record's header number `at`, copied only where it is none of the envelope's. Those of
/// a relay stand where the envelope has them.
pub(crate) fn known_name(name: &str, at: usize) -> HeaderName {
    let expected = NAMES.get(at).copied().filter(|expected| *expected == name);
    let known = expected.or_else(|| NAMES.into_iter().find(|known| *known == name));
    known.map_or_else(|| name.to_owned().into(), HeaderName::Borrowed)
}

/// The value of the first header of this name: of duplicates the first wins. `None` when there is
/// no such header or its value is null.
#[must_use]
pub fn header<'a>(headers: &'a [(HeaderName, Option<Bytes>)], name: &str) -> Option<&'a Bytes> {
    headers.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_ref())
}

fn text(name: &'static str, value: impl Into<String>) -> (HeaderName, Option<Bytes>) {
    (name.into(), Some(Bytes::from(value.into())))
}

/// RFC 3339 in UTC with as many digits as the instant has, so that it reads back exactly.
fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn check_budget(headers: &[(HeaderName, Option<Bytes>)]) -> Result<(), HeaderFault> {
    let size = |(name, value): &(HeaderName, Option<Bytes>)| {
        name.len() + value.as_ref().map_or(0, Bytes::len)
    };
    let count = headers.len();
    let bytes = headers.iter().map(size).sum();
    if count > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(HeaderFault::OverBudget { count, bytes });
    }
    Ok(())
}

fn optional<'a>(
    headers: &'a [(HeaderName, Option<Bytes>)],
    name: &'static str,
) -> Result<Option<&'a str>, HeaderFault> {
    header(headers, name)
        .map(|value| std::str::from_utf8(value).map_err(|_| HeaderFault::HeaderMalformed(name)))
        .transpose()
}

fn required<'a>(
    headers: &'a [(HeaderName, Option<Bytes>)],
    name: &'static str,
) -> Result<&'a str, HeaderFault> {
    optional(headers, name)?.ok_or(HeaderFault::HeaderMissing(name))
}

fn moment(
    headers: &[(HeaderName, Option<Bytes>)],
    name: &'static str,
) -> Result<DateTime<Utc>, HeaderFault> {
    let at = DateTime::parse_from_rfc3339(required(headers, name)?);
    at.map(|at| at.to_utc()).map_err(|_| HeaderFault::HeaderMalformed(name))
}

fn parsed<T: std::str::FromStr>(
    headers: &[(HeaderName, Option<Bytes>)],
    name: &'static str,
) -> Result<T, HeaderFault> {
    required(headers, name)?.parse().map_err(|_| HeaderFault::HeaderMalformed(name))
}

/// Positions and versions start at 1.
fn counter(
    headers: &[(HeaderName, Option<Bytes>)],
    name: &'static str,
) -> Result<i64, HeaderFault> {
    let value = parsed::<i64>(headers, name)?;
    if value < 1 { Err(HeaderFault::HeaderMalformed(name)) } else { Ok(value) }
}

fn event_type(headers: &[(HeaderName, Option<Bytes>)]) -> Result<Arc<str>, HeaderFault> {
    let name = required(headers, "ce_type")?;
    if name.is_empty() { Err(HeaderFault::HeaderMalformed("ce_type")) } else { Ok(name.into()) }
}

#[cfg(test)]
mod tests;
