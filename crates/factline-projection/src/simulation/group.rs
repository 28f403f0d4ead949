//! The consumer group as the broker sees it: who owns which partition, and the offsets that owners
//! have committed. It knows nothing of what a process believes.

use std::time::{Duration, Instant};

use factline_kafka::{PartitionId, Progress};
use tokio::sync::oneshot;

use super::{
    history::{PARTITIONS, index_of},
    outside::Outside,
    process::Process,
    tally::Happening,
};

/// How long a process may take to give a partition back: as the coordinator allows.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// A process, of which there was perhaps another under this index before.
pub(super) type Member = (usize, u64);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Group {
    owners: [Owner; PARTITIONS],
    pub(super) committed: [i64; PARTITIONS],
}

#[derive(Debug, Default)]
enum Owner {
    #[default]
    Nobody,
    Is(Member),
    /// Was asked for it and has not answered.
    Leaves {
        member: Member,
        until: Instant,
        answer: oneshot::Receiver<Vec<Progress>>,
    },
}

impl Group {
    pub(super) fn is_owner(&self, member: Member, partition: usize) -> bool {
        match &self.owners[partition] {
            Owner::Nobody => false,
            Owner::Is(owner) => *owner == member,
            Owner::Leaves { member: owner, .. } => *owner == member,
        }
    }

    /// Every partition is in the hands of a process that lives.
    pub(super) fn is_at_rest(&self, processes: &[Process]) -> bool {
        let lives = |member: &Member| processes[member.0].member == *member;
        self.owners.iter().all(|owner| match owner {
            Owner::Nobody | Owner::Leaves { .. } => false,
            Owner::Is(member) => lives(member),
        })
    }
}

/// An offset comes from a member. Of one that is no owner it is refused.
pub(super) fn commit(outside: &mut Outside, member: Member, id: &PartitionId, next_offset: i64) {
    let partition = index_of(id.partition);
    if !outside.group.is_owner(member, partition) {
        outside.say(|| format!("group: {member:?} may not commit for {partition}"));
        outside.count(Happening::ZombieOffsetRefused);
    } else if outside.fault(15) {
        outside.count(Happening::OffsetCommitLost);
    } else {
        outside.say(|| format!("group: {partition} is committed at {next_offset}"));
        outside.group.committed[partition] = next_offset;
    }
}

/// One partition's ownership goes on by a step.
pub(super) fn turn(outside: &mut Outside, processes: &mut [Process], partition: usize) {
    let owner = std::mem::take(&mut outside.group.owners[partition]);
    outside.group.owners[partition] = match owner {
        Owner::Nobody => give(outside, processes, partition),
        Owner::Is(member) if processes[member.0].member != member => Owner::Nobody, // it is dead
        Owner::Is(member) if processes[member.0].frozen => {
            outside.say(|| format!("group: {member:?} is not heard, {partition} goes on"));
            outside.count(Happening::MovedUnheard);
            Owner::Nobody
        }
        Owner::Is(member) if outside.fault(25) => {
            take(outside, &mut processes[member.0], partition)
        }
        Owner::Is(member) => Owner::Is(member),
        Owner::Leaves { member, until, answer } => {
            leave(outside, processes, partition, member, until, answer)
        }
    };
    // Whoever holds what it does not own hears of it late, or when it is heard again.
    for process in processes.iter_mut().filter(|process| !process.frozen) {
        let owns = outside.group.is_owner(process.member, partition);
        if !owns && process.holds(partition) && (outside.healed || outside.chance(30)) {
            drop(process.revoke(outside, partition)); // nobody waits for what it answers
        }
    }
}

fn give(outside: &mut Outside, processes: &mut [Process], partition: usize) -> Owner {
    let new = outside.pick(0..processes.len());
    if processes[new].frozen {
        return Owner::Nobody;
    }
    if outside.fault(10) {
        outside.count(Happening::CheckpointsNotToBeRead);
        return Owner::Nobody; // unanswered: it gives the partitions back and joins anew
    }
    processes[new].assign(outside, partition);
    Owner::Is(processes[new].member)
}

/// Asks for a partition back; or a member is thought dead that is not, and nobody asks it.
fn take(outside: &mut Outside, process: &mut Process, partition: usize) -> Owner {
    if outside.chance(25) {
        outside.say(|| format!("group: {:?} is not heard, {partition} goes on", process.member));
        outside.count(Happening::MovedUnheard);
        return Owner::Nobody;
    }
    let until = outside.now + LET_GO_WITHIN;
    let (member, answer) = (process.member, process.revoke(outside, partition));
    Owner::Leaves { member, until, answer }
}

fn leave(
    outside: &mut Outside,
    processes: &mut [Process],
    partition: usize,
    member: Member,
    until: Instant,
    mut answer: oneshot::Receiver<Vec<Progress>>,
) -> Owner {
    if processes[member.0].member != member {
        return Owner::Nobody;
    }
    if let Ok(progress) = answer.try_recv() {
        outside.count(Happening::RevokedInTime);
        outside.group.owners[partition] = Owner::Is(member); // until these are committed
        for one in progress {
            commit(outside, member, &one.id, one.next_offset);
        }
        return Owner::Nobody;
    }
    if outside.now >= until {
        outside.count(Happening::RevokedNotInTime);
        return Owner::Nobody;
    }
    Owner::Leaves { member, until, answer }
}
