//! Progress in, lists of offsets to commit out: coalesced, and never of an assignment that ended.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{Offset, TopicPartitionList, error::KafkaResult};

use super::{PartitionId, Progress};

/// The broker's offset is only a hint for the next start, so it may be this late; each commit costs
/// the broker as much as a produce request.
const AT_MOST_EVERY: Duration = Duration::from_millis(100);

/// What is to be committed.
#[derive(Debug, Default)]
pub(super) struct Commits {
    pending: BTreeMap<PartitionId, (u64, i64)>,
    last: Option<Instant>,
}

impl Commits {
    /// Takes progress in. `epoch_of` is the partition's present assignment; anything of another one
    /// is dropped.
    pub(super) fn add(
        &mut self,
        progress: Progress,
        epoch_of: impl Fn(&PartitionId) -> Option<u64>,
    ) {
        if epoch_of(&progress.id) == Some(progress.epoch) {
            self.pending.insert(progress.id, (progress.epoch, progress.next_offset));
        }
    }

    /// What to commit now, if it is time. Checks the epochs again: a partition may have gone since.
    pub(super) fn take(
        &mut self,
        now: Instant,
        epoch_of: impl Fn(&PartitionId) -> Option<u64>,
    ) -> Option<Vec<(PartitionId, i64)>> {
        let early = self.last.is_some_and(|last| now.duration_since(last) < AT_MOST_EVERY);
        if early || self.pending.is_empty() {
            return None;
        }
        self.last = Some(now);
        let pending = std::mem::take(&mut self.pending).into_iter();
        let current = pending.filter(|(id, (epoch, _))| epoch_of(id) == Some(*epoch));
        let offsets: Vec<_> = current.map(|(id, (_, next_offset))| (id, next_offset)).collect();
        (!offsets.is_empty()).then_some(offsets)
    }

    /// Something waits to be committed.
    pub(super) fn any(&self) -> bool {
        !self.pending.is_empty()
    }
}

/// The list form takes the offset of the next record as it is.
pub(super) fn list(offsets: &[(PartitionId, i64)]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (id, next_offset) in offsets {
        list.add_partition_offset(&id.topic, id.partition, Offset::Offset(*next_offset))?;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(partition: i32) -> PartitionId {
        PartitionId { topic: "factline.parcel.v1".into(), partition }
    }

    fn progress(partition: i32, epoch: u64, next_offset: i64) -> Progress {
        Progress { id: id(partition), epoch, next_offset }
    }

    #[test]
    fn of_several_commits_for_a_partition_the_last_is_sent() {
        let mut commits = Commits::default();
        for next in [5, 9, 12] {
            commits.add(progress(0, 1, next), |_| Some(1));
        }
        commits.add(progress(1, 1, 3), |_| Some(1));
        let taken = commits.take(Instant::now(), |_| Some(1)).unwrap();
        assert_eq!(taken, [(id(0), 12), (id(1), 3)]);
        assert!(!commits.any());
    }

    #[test]
    fn r1_a_completion_of_an_ended_assignment_is_dropped() {
        let mut commits = Commits::default();
        commits.add(progress(0, 1, 5), |_| Some(2));
        assert!(!commits.any(), "the partition came back under a new epoch");
        commits.add(progress(0, 2, 5), |_| Some(2));
        assert_eq!(commits.take(Instant::now(), |_| None), None, "the partition went since");
    }

    #[test]
    fn commits_are_spaced() {
        let (mut commits, now) = (Commits::default(), Instant::now());
        commits.add(progress(0, 1, 5), |_| Some(1));
        assert!(commits.take(now, |_| Some(1)).is_some());
        commits.add(progress(0, 1, 6), |_| Some(1));
        assert!(commits.take(now, |_| Some(1)).is_none());
        assert!(commits.take(now + AT_MOST_EVERY, |_| Some(1)).is_some());
    }

    #[test]
    fn r2_the_list_holds_the_next_offset_unchanged() {
        let list = list(&[(id(3), 42)]).unwrap();
        assert_eq!(list.elements()[0].offset(), Offset::Offset(42));
    }
}
