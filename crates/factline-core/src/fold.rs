//! The read side's verb: views fold.

use crate::{DomainEvent, Recorded};

/// A view of one row per key: the runtime loads the rows of a batch, folds every event into its
/// row, and writes each distinct row once.
pub trait Fold: Send + Sync + 'static {
    /// Consumer group, checkpoint row, table, metric label. Permanent.
    const NAME: &'static str;
    /// The events that it reads.
    type Event: DomainEvent;
    /// What identifies a row.
    type Key: Ord + Clone + Send + Sync;
    /// The row.
    type Row: Clone + PartialEq + Send + Sync;

    /// The row that an event touches, or `None` when the view does not care.
    fn key(event: &Recorded<Self::Event>) -> Option<Self::Key>;

    /// The row after the event. Pure: the same row and event give the same answer.
    fn fold(row: Option<Self::Row>, event: &Recorded<Self::Event>) -> Folded<Self::Row>;
}

/// What an event does to its row.
#[derive(Debug, Clone, PartialEq)]
pub enum Folded<Row> {
    /// The row from now on.
    Put(Row),
    /// There is no row from now on.
    Remove,
    /// Nothing changes.
    Unchanged,
    /// The history cannot be: the event's stream is parked, with this reason.
    Impossible(&'static str),
}
