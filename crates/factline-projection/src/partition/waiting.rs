//! How old the oldest event is that a partition knows of and that is not visible yet.

use chrono::{DateTime, Utc};
use factline_core::Position;

use super::{Incoming, Intake, Partition};

impl Partition {
    /// When the log recorded the oldest event that is here and not visible yet. `None`: everything
    /// that Kafka has brought is visible. Behind a hole it is the first event beyond it.
    pub(crate) fn waiting_since(&self) -> Option<DateTime<Utc>> {
        let queued = || self.queue.iter().find_map(|one| recorded_beyond(one, self.applied));
        let ran_ahead = || self.ran_ahead_since.filter(|_| self.ran_ahead > self.applied);
        self.in_hand_since.or_else(queued).or_else(ran_ahead)
    }
}

impl Intake {
    /// When the log recorded the oldest event in it that is not visible yet.
    pub(super) fn since(&self) -> Option<DateTime<Utc>> {
        self.incoming.iter().find_map(|one| recorded_beyond(one, self.expected))
    }
}

/// Positions are in the order of the records' times, so the first one beyond is the oldest.
fn recorded_beyond(one: &Incoming, applied: Position) -> Option<DateTime<Utc>> {
    let envelope = one.envelope.as_ref().ok()?;
    (envelope.position > applied).then_some(envelope.recorded_at)
}
