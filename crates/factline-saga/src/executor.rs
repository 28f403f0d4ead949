//! The port by which commands leave: whoever can carry them out implements it.

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

/// One command of an instance, on its way to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand<C> {
    /// What is asked for.
    pub command: C,
    /// The same for every attempt, and for no other command: whoever carries it out has its effect once
    /// and gives a repeat the first answer again.
    pub key: Uuid,
    /// The flow that it belongs to.
    pub correlation_id: Uuid,
    /// W3C trace context of the event that began the instance: what is caused belongs to its trace.
    pub traceparent: Option<String>,
    /// The event that it follows from.
    pub causation_id: Uuid,
    /// Who asks: `saga:<name>`.
    pub actor: String,
    /// After this it must not be decided any more: another attempt may have been answered, and the
    /// instance may have acted upon that.
    pub decide_by: Instant,
}

/// How an errand ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was carried out, now or before.
    Accepted {
        /// The last event that it caused, if it caused any.
        event_id: Option<Uuid>,
    },
    /// It never will be.
    Refused {
        /// Stable.
        code: String,
        /// For a person.
        detail: String,
    },
}

/// It could not be carried out now, or nobody knows whether it was; says why. It is tried again, for ever:
/// infrastructure decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Later(pub String);

/// Carries commands out.
#[async_trait]
pub trait Executor<C>: Send + Sync + 'static {
    /// Carries one out. May be dropped at any time; then nobody knows what became of it, and it is tried
    /// again.
    ///
    /// # Errors
    /// [`Later`].
    async fn execute(&self, errand: Errand<C>) -> Result<Verdict, Later>;
}
