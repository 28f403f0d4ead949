//! All that a projector has around it: time, dice, log, topic, database, group.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{
    database::Database,
    group::Group,
    history::{History, Nature, PARTITIONS, history, natures},
    tally::{Happening, Tally},
    topic::Lane,
};
use crate::ProjectionSettings;

/// See the module.
pub(super) struct Outside {
    dice: StdRng,
    pub(super) now: Instant,
    /// Says what happens.
    told: bool,
    /// No fault comes any more.
    pub(super) healed: bool,
    pub(super) settings: ProjectionSettings,
    pub(super) history: &'static History,
    pub(super) natures: [Vec<Nature>; PARTITIONS],
    pub(super) lanes: [Lane; PARTITIONS],
    pub(super) database: Database,
    pub(super) group: Group,
    pub(super) tally: Tally,
}

impl Outside {
    pub(super) fn new(seed: u64, told: bool) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let history = history(seed);
        let natures = natures(history, &mut dice);
        let settings = ProjectionSettings {
            batch_records: dice.random_range(1..12),
            gap_wait_ms: 400, // some steps
            // One value, so that no jitter comes into it: a seed is a run.
            retry_first_ms: 1,
            retry_most_ms: 1,
            config_retry_ms: 200,
            // No fault of this world is of an unknown class.
            unknown_error_attempts: 1,
            ..ProjectionSettings::default()
        };
        Self {
            dice,
            now: Instant::now(),
            told,
            healed: false,
            settings,
            history,
            natures,
            lanes: std::array::from_fn(|_| Lane::new(0)),
            database: Database::default(),
            group: Group::default(),
            tally: Tally::new(),
        }
    }

    /// Something goes wrong in so many of a hundred cases, until the world is healed.
    pub(super) fn fault(&mut self, percent: u32) -> bool {
        !self.healed && self.chance(percent)
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.dice.random_ratio(percent, 100)
    }

    pub(super) fn pick(&mut self, range: Range<usize>) -> usize {
        self.dice.random_range(range)
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(super) fn count(&mut self, happening: Happening) {
        self.tally.count(happening, 1);
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.told {
            super::tell(&what());
        }
    }

    /// The last position that a partition can have.
    pub(super) fn end_of_log(&self, partition: usize) -> i64 {
        i64::try_from(self.history.partitions[partition].len()).unwrap()
    }

    pub(super) fn nature(&self, partition: usize, position: i64) -> Nature {
        self.natures[partition][usize::try_from(position - 1).unwrap()]
    }
}
