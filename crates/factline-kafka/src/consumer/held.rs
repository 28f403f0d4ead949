//! The partitions that this member holds at the moment, with what the polling thread knows of each.

use std::{sync::Arc, time::Instant};

use super::{Backlog, PartitionId};

/// One held partition.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: PartitionId,
    pub(super) epoch: u64,
    /// See [`crate::Delivery::pass`].
    pub(super) pass: u32,
    pub(super) backlog: Arc<Backlog>,
    /// The next offset to expect; `None` until the first record of a begin "at the beginning".
    pub(super) next_offset: Option<i64>,
    pub(super) paused: bool,
    /// When it last yielded a record, was resumed or was assigned.
    pub(super) active_at: Instant,
}

/// A handful of partitions: a scan of a short list beats a hash of a topic's name.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    pub(super) all: Vec<Held>,
}

impl Holdings {
    pub(super) fn find(&mut self, topic: &str, partition: i32) -> Option<&mut Held> {
        self.all.iter_mut().find(|held| held.id.partition == partition && *held.id.topic == *topic)
    }

    pub(super) fn epoch_of(&self, id: &PartitionId) -> Option<u64> {
        self.all.iter().find(|held| held.id == *id).map(|held| held.epoch)
    }

    pub(super) fn insert(&mut self, held: Held) {
        self.all.retain(|other| other.id != held.id);
        self.all.push(held);
    }

    pub(super) fn remove(&mut self, ids: &[PartitionId]) {
        self.all.retain(|held| !ids.contains(&held.id));
    }

    pub(super) fn ids(&self) -> Vec<PartitionId> {
        self.all.iter().map(|held| held.id.clone()).collect()
    }
}
