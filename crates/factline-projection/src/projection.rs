//! What a projection is, and how it says no.

use async_trait::async_trait;
use factline_core::{DomainEvent, Fault, Recorded};
use sqlx::PgConnection;

use crate::failure::{Class, class_of, class_of_fault};

/// Takes events into tables of its own. Most are a [`View`](crate::View) behind
/// [`FoldedView`](crate::FoldedView); this trait is for those that need their own SQL.
#[async_trait]
pub trait Projection: Send + Sync + 'static {
    /// The events that it reads; their kind names the topic.
    type Event: DomainEvent;

    /// Consumer group, checkpoint row, metric label. Permanent.
    fn name(&self) -> &'static str;

    /// Called on every new connection before the first batch.
    ///
    /// # Errors
    /// What the projection needs is not there; nothing is consumed until it is.
    async fn prepare(&self, _connection: &mut PgConnection) -> Result<(), ApplyError> {
        Ok(())
    }

    /// Takes events into the tables, in the runtime's transaction. In order within each partition;
    /// never an event twice. May be called again with the same events after a rollback. Workers
    /// call it concurrently for different partitions: rows that streams share must be locked.
    ///
    /// Never begins, commits or rolls back, and never goes on after a failed statement.
    ///
    /// # Errors
    /// Whatever the error, the transaction is rolled back.
    async fn apply(
        &self,
        tx: &mut PgConnection,
        events: &[Recorded<Self::Event>],
    ) -> Result<(), ApplyError>;

    /// The same view on a table beside its own, which a rebuild fills. `None`: it is no view of one
    /// table, or events have effects beyond that table, so it cannot be rebuilt in this way.
    fn beside(&self) -> Option<Beside<Self::Event>> {
        None
    }
}

/// A projection of which nothing is known but its events.
pub(crate) struct AnyProjection<E>(pub(crate) Box<dyn Projection<Event = E>>);

#[async_trait]
impl<E: DomainEvent> Projection for AnyProjection<E> {
    type Event = E;

    fn name(&self) -> &'static str {
        self.0.name()
    }

    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        self.0.prepare(connection).await
    }

    async fn apply(&self, tx: &mut PgConnection, events: &[Recorded<E>]) -> Result<(), ApplyError> {
        self.0.apply(tx, events).await
    }

    fn beside(&self) -> Option<Beside<E>> {
        self.0.beside()
    }
}

/// A view on a table beside its own.
pub struct Beside<E> {
    /// The live table, as in SQL.
    pub table: &'static str,
    /// The columns of its primary key.
    pub key: &'static [&'static str],
    /// Does to `TABLE__next` ([`NEXT`]) what the view does to its table.
    pub projection: Box<dyn Projection<Event = E>>,
}

/// Behind a table's name: the one that a rebuild builds.
pub const NEXT: &str = "__next";

/// One event that can never be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poisoned {
    /// Its index in the events given to [`Projection::apply`].
    pub index: usize,
    /// Stable, in `snake_case`; parked streams are listed by it.
    pub code: &'static str,
    /// For a person.
    pub detail: String,
}

/// Why a batch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// These events can never be applied: their streams are parked and the batch is done again
    /// without them.
    #[error("{} events cannot be applied", .0.len())]
    Poison(Vec<Poisoned>),
    /// The database said no; [`class_of`] says who acts. A constraint violation among several
    /// events makes the runtime look for the one by itself.
    #[error("applying events: {0}")]
    Database(#[from] sqlx::Error),
    /// Something else broke.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl ApplyError {
    /// One event cannot be applied.
    #[must_use]
    pub fn impossible(index: usize, reason: impl Into<String>) -> Self {
        Self::Poison(vec![Poisoned { index, code: "impossible", detail: reason.into() }])
    }

    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Poison(_) => Class::Poison,
            Self::Database(error) => class_of(error),
            Self::Fault(fault) => class_of_fault(fault),
        }
    }
}
