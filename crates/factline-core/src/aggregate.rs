//! The write side's verbs: commands decide, events evolve.

use std::error::Error;

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::DomainEvent;

/// When a command takes place: given by the caller or read from the clock at the border, never
/// inside a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub DateTime<Utc>);

/// The state of one stream, made by its events alone.
///
/// The state serialises because snapshots hold it; they are a cache, so a change of its shape
/// needs only another [`Self::STATE_VERSION`].
pub trait Aggregate:
    Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The topic's and the schema folder's name. Permanent.
    const KIND: &'static str = <Self::Event as DomainEvent>::KIND;
    /// Raised when the serialised state changes its shape: older snapshots are then ignored.
    const STATE_VERSION: i32;
    /// What can happen to it.
    type Event: DomainEvent;
    /// The domain said no.
    type Refusal: Refusal;

    /// Takes one event into the state. Total: it never fails and never asks a question.
    fn evolve(&mut self, event: &Self::Event);
}

/// One command, one implementation: what it would make happen to this state.
pub trait Decide<C>: Aggregate {
    /// An empty list means "nothing to do" and is a success.
    ///
    /// # Errors
    /// The domain refuses; nothing is written.
    fn decide(&self, command: &C, at: Moment) -> Result<Vec<Self::Event>, Self::Refusal>;
}

/// What kind of no a refusal is; the HTTP border turns it into a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// What the command speaks of does not exist: 404.
    Unknown,
    /// What the command would create exists: 409.
    Exists,
    /// A rule of the business: 422.
    Rule,
}

/// The domain's no: never retried, always explained.
pub trait Refusal: Error + Clone + Send + Sync + 'static {
    /// Stable, in `snake_case`; clients branch on it.
    fn code(&self) -> &'static str;
    /// What kind of no.
    fn kind(&self) -> RefusalKind;
    /// The figures behind it, as members of the problem document.
    fn details(&self) -> Map<String, Value> {
        Map::new()
    }
}
