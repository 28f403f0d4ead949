//! Names that are parsed once, at the border, and trusted from then on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest stream id. It stands in every index of the log and in every Kafka key.
pub const MAX_STREAM_ID_BYTES: usize = 128;

/// One aggregate's identity: 1 to 128 bytes of text without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId(Arc<str>);

/// Why a text is not a stream id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stream id has 1 to {MAX_STREAM_ID_BYTES} bytes and no control characters")]
pub struct InvalidStreamId;

impl StreamId {
    /// # Errors
    /// The text is empty, longer than [`MAX_STREAM_ID_BYTES`], or holds a control character.
    pub fn parse(text: &str) -> Result<Self, InvalidStreamId> {
        let fits = !text.is_empty() && text.len() <= MAX_STREAM_ID_BYTES;
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidStreamId)
        }
    }

    /// The text, as it stands in the store and in the Kafka key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for StreamId {
    type Error = InvalidStreamId;
    fn try_from(text: String) -> Result<Self, InvalidStreamId> {
        Self::parse(&text)
    }
}

/// A UUID in its canonical form: hyphenated, lower case.
impl From<Uuid> for StreamId {
    fn from(id: Uuid) -> Self {
        Self(id.to_string().into())
    }
}

impl From<StreamId> for String {
    fn from(id: StreamId) -> Self {
        id.0.to_string()
    }
}

/// What makes a command's repeat recognisable: it stands on the first event that the command
/// wrote, unique within the stream's partition.
pub type CommandKey = Uuid;

/// The key of a client's command: UUIDv5 of the stream and the client's own key, so that the same
/// client key on two streams means two commands.
#[must_use]
pub fn command_key(stream_id: &StreamId, client_key: &str) -> CommandKey {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, stream_id.as_str().as_bytes());
    Uuid::new_v5(&namespace, client_key.as_bytes())
}

/// The stream of a creating command that came without an id: UUIDv5 of the kind and the client's
/// key, so that a retry meets its own first attempt.
#[must_use]
pub fn derived_stream_id(kind: &str, client_key: &str) -> StreamId {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, kind.as_bytes());
    Uuid::new_v5(&namespace, client_key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_id_is_refused_when_empty_too_long_or_with_control_characters() {
        for bad in ["", "a\0b", "line\nbreak", &"x".repeat(129)] {
            assert_eq!(StreamId::parse(bad), Err(InvalidStreamId), "{bad:?}");
        }
        let longest = "x".repeat(128);
        for good in ["85123A", "gift_0001_20", "käse", longest.as_str()] {
            assert!(StreamId::parse(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_uuid_is_a_stream_id_in_its_canonical_form() {
        let id = Uuid::parse_str("018F3C1E-7B1A-7000-8000-00000000000A").unwrap();
        assert_eq!(StreamId::from(id).as_str(), "018f3c1e-7b1a-7000-8000-00000000000a");
    }

    #[test]
    fn one_client_key_on_two_streams_is_two_commands() {
        let first = StreamId::parse("a").unwrap();
        let second = StreamId::parse("b").unwrap();
        assert_eq!(command_key(&first, "k"), command_key(&first, "k"));
        assert_ne!(command_key(&first, "k"), command_key(&second, "k"));
    }

    #[test]
    fn a_retried_create_without_an_id_meets_its_own_stream() {
        assert_eq!(derived_stream_id("parcel", "k"), derived_stream_id("parcel", "k"));
        assert_ne!(derived_stream_id("parcel", "k"), derived_stream_id("carrier", "k"));
    }
}
