//! How a projection is doing: causes come and go, one status comes out.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use factline_kafka::PartitionId;
use tokio::sync::watch;

/// How a projection is doing, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// It follows the log.
    Running,
    /// Something outside is away; it goes on by itself when that is back. Queries still answer.
    Degraded,
    /// Not yet consuming.
    Starting,
    /// An operator must correct something; it is looked at again every few seconds.
    Misconfigured,
    /// It goes no further until a person has looked: a fork, a hole, too much parked.
    Stopped,
}

/// The worst condition, and every reason for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The worst of all.
    pub condition: Condition,
    /// One sentence a cause.
    pub reasons: Vec<String>,
}

impl Status {
    /// May this process be sent queries that this projection answers?
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self.condition {
            Condition::Running | Condition::Degraded => true,
            Condition::Starting | Condition::Misconfigured | Condition::Stopped => false,
        }
    }
}

/// What a reason hangs on, so that it can be taken back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    Start,
    Kafka,
    Assignment,
    Worker(usize),
    Partition(PartitionId),
    Export,
    Parked,
}

/// Where tasks report.
#[derive(Debug)]
pub(crate) struct Board {
    causes: Mutex<BTreeMap<Cause, (Condition, String)>>,
    status: watch::Sender<Status>,
}

impl Board {
    pub(crate) fn new() -> Self {
        let reason = (Condition::Starting, "starting".to_owned());
        let status = Status { condition: reason.0, reasons: vec![reason.1.clone()] };
        let causes = Mutex::new(BTreeMap::from([(Cause::Start, reason)]));
        Self { causes, status: watch::Sender::new(status) }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Reports a cause; says whether it is new or has become another.
    pub(crate) fn set(&self, cause: Cause, condition: Condition, reason: String) -> bool {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let before = causes.insert(cause, (condition, reason.clone()));
        self.publish(&causes);
        before != Some((condition, reason))
    }

    /// Takes a cause back; says whether there was one.
    pub(crate) fn clear(&self, cause: &Cause) -> bool {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = causes.remove(cause).is_some();
        if removed {
            self.publish(&causes);
        }
        removed
    }

    fn publish(&self, causes: &BTreeMap<Cause, (Condition, String)>) {
        let worst = causes.values().map(|(condition, _)| *condition).max();
        let status = Status {
            condition: worst.unwrap_or(Condition::Running),
            reasons: causes.values().map(|(_, reason)| reason.clone()).collect(),
        };
        self.status.send_if_modified(|before| {
            let changed = *before != status;
            *before = status;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_cause_decides_and_every_reason_is_told() {
        let board = Board::new();
        let status = board.watch();
        assert!(!status.borrow().is_ready(), "it has not started");
        board.clear(&Cause::Start);
        assert_eq!(status.borrow().condition, Condition::Running);
        board.set(Cause::Kafka, Condition::Degraded, "brokers are away".into());
        assert!(status.borrow().is_ready());
        board.set(Cause::Worker(0), Condition::Misconfigured, "no table".into());
        assert!(!status.borrow().is_ready());
        assert_eq!(status.borrow().reasons, ["brokers are away", "no table"]);
    }

    #[test]
    fn a_cause_that_is_reported_again_is_no_news() {
        let board = Board::new();
        assert!(board.set(Cause::Kafka, Condition::Degraded, "away".into()));
        assert!(!board.set(Cause::Kafka, Condition::Degraded, "away".into()));
        assert!(board.clear(&Cause::Kafka));
        assert!(!board.clear(&Cause::Kafka));
    }
}
