//! The read-your-writes token: out of commands, into queries.

use std::{fmt, str::FromStr, sync::Arc};

use crate::Position;

/// "Show me nothing older than this": a query that carries it waits until its projection has
/// passed `position` of `partition` of `topic`. On the wire `topic:partition:position`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The topic, as in the store and on Kafka.
    pub topic: Arc<str>,
    /// From 0.
    pub partition: i32,
    /// The last position that the command wrote.
    pub position: Position,
}

/// The text is not `topic:partition:position`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a consistency token reads topic:partition:position")]
pub struct InvalidToken;

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.topic, self.partition, self.position)
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let (rest, position) = text.rsplit_once(':').ok_or(InvalidToken)?;
        let (topic, partition) = rest.rsplit_once(':').ok_or(InvalidToken)?;
        let partition: i32 = partition.parse().map_err(|_| InvalidToken)?;
        let position: i64 = position.parse().map_err(|_| InvalidToken)?;
        if topic.is_empty() || topic.len() > 249 || partition < 0 || position < 0 {
            return Err(InvalidToken); // 249 bytes: Kafka's limit for a topic's name
        }
        Ok(Self { topic: topic.into(), partition, position: Position(position) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_as_it_was_written() {
        let token: Token = "factline.parcel.v1:3:1042".parse().unwrap();
        assert_eq!(
            (&*token.topic, token.partition, token.position.0),
            ("factline.parcel.v1", 3, 1042)
        );
        assert_eq!(token.to_string(), "factline.parcel.v1:3:1042");
    }

    #[test]
    fn a_malformed_token_is_refused() {
        for bad in [
            "",
            "x",
            "x:1",
            "x:y:1",
            "x:1:y",
            ":1:1",
            "x:-1:1",
            "x:1:-1",
            "x:1:99999999999999999999",
        ] {
            assert_eq!(bad.parse::<Token>(), Err(InvalidToken), "{bad:?}");
        }
    }
}
