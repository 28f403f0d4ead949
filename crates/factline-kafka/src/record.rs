//! Records, owned: what a consumer received and what a producer is to send.

use std::{borrow::Cow, ops::Range, sync::Arc};

use bytes::Bytes;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers as _},
};

use crate::headers::known_name;

/// Borrowed where it is one of the envelope's own.
pub type HeaderName = Cow<'static, str>;

/// Header names and values in the order of the wire; names may repeat, values may be null.
pub type Headers = Vec<(HeaderName, Option<Bytes>)>;

/// A record as it was consumed, nothing interpreted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it was read.
    pub topic: Arc<str>,
    /// From 0.
    pub partition: i32,
    /// From 0; gaps are normal on a topic and mean nothing.
    pub offset: i64,
    /// The stream id, when the producer was ours.
    pub key: Option<Bytes>,
    /// The framed datum; `None` is a tombstone, which no event topic should hold.
    pub value: Option<Bytes>,
    /// As they came.
    pub headers: Headers,
    /// Publish time in Unix milliseconds. No decision rests on it.
    pub timestamp_ms: Option<i64>,
}

/// Values of the envelope's headers have 36 bytes on average. Room for a little more; with longer ones
/// the copy grows.
const HEADER_BYTES: usize = 48;

impl Record {
    /// Copies a record out of the client's memory: key, value and headers into one piece, because a
    /// piece for each of them is most of what receiving a record costs.
    pub(crate) fn copied(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Self {
        let borrowed = message.headers();
        let count = borrowed.as_ref().map_or(0, |headers| headers.count());
        let about = message.key_len() + message.payload_len() + count * HEADER_BYTES;
        let mut copy = Vec::with_capacity(about);
        let mut keep = |bytes: &[u8]| {
            let start = copy.len();
            copy.extend_from_slice(bytes);
            start..copy.len()
        };
        let (key, value) = (message.key().map(&mut keep), message.payload().map(&mut keep));
        let mut headers: Vec<(HeaderName, Option<Range<usize>>)> = Vec::with_capacity(count);
        if let Some(borrowed) = borrowed {
            let kept = borrowed.iter().zip(0..);
            let kept = kept.map(|(one, at)| (known_name(one.key, at), one.value.map(&mut keep)));
            headers.extend(kept);
        }
        let copy = Bytes::from(copy);
        let part = |range: Option<Range<usize>>| range.map(|range| copy.slice(range));
        Self {
            topic: Arc::clone(topic),
            partition: message.partition(),
            offset: message.offset(),
            key: part(key),
            value: part(value),
            headers: headers.into_iter().map(|(name, value)| (name, part(value))).collect(),
            timestamp_ms: message.timestamp().to_millis(),
        }
    }
}

/// A record to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub topic: Arc<str>,
    /// From 0. `None` lets the client place the key as a JVM producer would (murmur2).
    pub partition: Option<i32>,
    /// The stream id for events.
    pub key: Option<Bytes>,
    /// The framed datum for events.
    pub value: Option<Bytes>,
    /// Sent in this order.
    pub headers: Headers,
}
