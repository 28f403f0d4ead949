//! A command on its way through a lane, and what comes back.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use factline_codec::CodecFault;
use factline_core::{
    Aggregate, CommandKey, Decide, Fault, Moment, Recorded, StreamId, Token, Version,
};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use uuid::Uuid;

/// What a command's key stands for: its route and body. The same key with another fingerprint is
/// a client's mistake, never a repeat.
pub type Fingerprint = [u8; 16];

/// The fingerprint of a route and a body: the first half of a SHA-256.
#[must_use]
pub fn fingerprint(route: &str, body: &[u8]) -> Fingerprint {
    let digest = Sha256::new().chain_update(route).chain_update([0]).chain_update(body).finalize();
    let mut half = Fingerprint::default();
    half.copy_from_slice(&digest[..16]);
    half
}

type Decision<A> = Box<
    dyn Fn(&A, Moment) -> Result<Vec<<A as Aggregate>::Event>, <A as Aggregate>::Refusal>
        + Send
        + Sync,
>;

/// One command for one stream, with everything that its events will record.
pub struct Command<A: Aggregate> {
    /// The aggregate.
    pub stream_id: StreamId,
    /// Recognises a repeat.
    pub key: CommandKey,
    /// Tells a repeat from a reused key.
    pub fingerprint: Fingerprint,
    /// The version that the caller insists on, if any.
    pub expected: Option<Version>,
    /// Follows the whole business flow.
    pub correlation_id: Uuid,
    /// The command's own id, or the event that caused it.
    pub causation_id: Uuid,
    /// Who acts, where known.
    pub actor: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Business time: given by the caller, or when the command arrived.
    pub occurred_at: DateTime<Utc>,
    /// Not decided after this, if given: whoever sent it may have gone on without it.
    pub decide_by: Option<Instant>,
    /// What it would make happen; asked again when the stream has moved on.
    decide: Decision<A>,
}

impl<A: Aggregate> Command<A> {
    /// A command whose metadata is its own: a fresh correlation, itself as the cause.
    pub fn new<C>(
        stream_id: StreamId,
        key: CommandKey,
        fingerprint: Fingerprint,
        at: DateTime<Utc>,
        command: C,
    ) -> Self
    where
        A: Decide<C>,
        C: Send + Sync + 'static,
    {
        Self {
            stream_id,
            key,
            fingerprint,
            expected: None,
            correlation_id: key,
            causation_id: key,
            actor: None,
            traceparent: None,
            occurred_at: at,
            decide_by: None,
            decide: Box::new(move |state, at| state.decide(&command, at)),
        }
    }

    /// Asks for nothing, and so is told the state.
    pub(crate) fn look(stream_id: StreamId) -> Self {
        let key = Uuid::now_v7();
        Self {
            stream_id,
            key,
            fingerprint: Fingerprint::default(),
            expected: None,
            correlation_id: key,
            causation_id: key,
            actor: None,
            traceparent: None,
            occurred_at: DateTime::UNIX_EPOCH,
            decide_by: None,
            decide: Box::new(|_, _| Ok(Vec::new())),
        }
    }

    pub(crate) fn is_too_late(&self) -> bool {
        self.decide_by.is_some_and(|decide_by| Instant::now() > decide_by)
    }

    pub(crate) fn decide(&self, state: &A) -> Result<Vec<A::Event>, A::Refusal> {
        (self.decide)(state, Moment(self.occurred_at))
    }
}

/// A command that was carried out, now or at its first arrival.
#[derive(Debug, Clone)]
pub struct Done<A: Aggregate> {
    /// The stream's version after it.
    pub version: Version,
    /// The aggregate after it.
    pub state: Arc<A>,
    /// What it caused; empty when there was nothing to do.
    pub events: Vec<Arc<Recorded<A::Event>>>,
    /// This answer repeats an earlier one; nothing was written now.
    pub replayed: bool,
}

impl<A: Aggregate> Done<A> {
    /// Waits, in a query, for the last event that the command caused.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        self.events.last().map(|event| event.envelope.token())
    }
}

/// Why a command was not carried out. Unless it says otherwise, nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum CommandFault<R> {
    /// The domain said no.
    #[error("refused: {0}")]
    Refused(R),
    /// The caller insisted on a version that the stream does not have.
    #[error("the stream is at version {current}")]
    VersionMismatch {
        /// Where it stands.
        current: Version,
    },
    /// The key belongs to another command of this stream.
    #[error("the idempotency key was used for another command")]
    KeyReused,
    /// An event cannot be encoded, or would be too large.
    #[error("an event of the command cannot be stored")]
    Unencodable(#[from] CodecFault),
    /// Deciding it panicked: a defect of the domain's code, which the log tells about.
    #[error("the decision panicked")]
    Panicked,
    /// Too many commands wait; try again in a moment.
    #[error("too many commands are waiting")]
    Busy,
    /// It came to its decision after the time that it was given for it.
    #[error("it was too late to decide it")]
    TooLate,
    /// The log cannot be reached or read.
    #[error("the log is not available")]
    Unavailable(#[source] Fault),
    /// The connection was lost while the events were on their way: they may or may not be stored.
    /// A repeat with the same key settles it.
    #[error("the outcome is unknown")]
    OutcomeUnknown(#[source] Fault),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_routes_and_bodies_apart() {
        let of = fingerprint;
        assert_eq!(of("POST /a", b"x"), of("POST /a", b"x"));
        assert_ne!(of("POST /a", b"x"), of("POST /b", b"x"));
        assert_ne!(of("POST /a", b"x"), of("POST /a", b"y"));
        assert_ne!(of("ab", b"c"), of("a", b"bc"));
    }
}
