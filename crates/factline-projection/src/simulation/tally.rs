//! Which faults came and which defences met them, over all seeds: a simulation that never makes a
//! fault proves nothing about it.

use std::fmt::Write as _;

macro_rules! happenings {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// What may happen in a simulated world.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Happening { $($(#[$meta])* $name,)* }

        const ALL: &[Happening] = &[$(Happening::$name,)*];
    };
}

happenings! {
    // Of the relays and the topic.
    RecordLandedBehindAFailedSend,
    RecordLandedAfterItsProducer,
    RelayCrashed,
    ForeignRecordSent,
    RetentionPassedAnOffset,
    // Of the processes.
    CrashedWithNothingUnderWay,
    CrashedWithABatchInHand,
    CrashedInATransaction,
    CrashedAfterACommit,
    Frozen,
    TransactionFailed,
    CommitFailed,
    CommitAnswerLost,
    IdleTransactionEnded,
    ServerCrashed,
    SchemaNotToBeHad,
    LogNotToBeRead,
    CheckpointsNotToBeRead,
    // Of the group.
    MovedUnheard,
    AssignedUnderSuspicion,
    RevokedInTime,
    RevokedNotInTime,
    Abandoned,
    OffsetCommitLost,
    // Defences.
    RepeatSkipped,
    RanAheadDropped,
    GapRefilled,
    CheckpointRefused,
    BegunAgain,
    OldDeliveryDropped,
    OldProgressDropped,
    ZombieOffsetRefused,
    LockAwaited,
    PoisonLookedForOneByOne,
    PanicTriedAgain,
    UnreadableParked,
    PoisonParked,
    LaterEventParked,
    ForeignRecordKept,
}

/// Counts by happening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally([u64; ALL.len()]);

impl Tally {
    pub(super) const fn new() -> Self {
        Self([0; ALL.len()])
    }

    pub(super) fn count(&mut self, happening: Happening, times: usize) {
        self.0[happening as usize] += u64::try_from(times).unwrap();
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    pub(super) fn never(&self) -> Vec<Happening> {
        ALL.iter().copied().filter(|one| self.0[*one as usize] == 0).collect()
    }

    pub(super) fn table(&self) -> String {
        ALL.iter().fold(String::new(), |mut table, one| {
            writeln!(table, "{:>10}  {one:?}", self.0[*one as usize]).unwrap();
            table
        })
    }
}
