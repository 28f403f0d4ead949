//! Records, owned: what a consumer received and what a producer is to send.

use std::sync::Arc;

use bytes::Bytes;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers as _},
};

/// Header names and values in the order of the wire; names may repeat, values may be null.
pub type Headers = Vec<(String, Option<Bytes>)>;

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

impl Record {
    /// Copies a record out of the client's memory.
    pub(crate) fn copied(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Self {
        let copied = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|one| (one.key.to_owned(), one.value.map(copied))).collect()
        });
        Self {
            topic: Arc::clone(topic),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(copied),
            value: message.payload().map(copied),
            headers,
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
