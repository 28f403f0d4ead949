//! What two relays have around them: a log that grows, its cursors, and a topic on which sends fail.
//! Checks at every write and every step what the topic promises to its readers.

use std::ops::Range;

use factline_core::Position;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{Tally, tell};

const PARTITIONS: usize = 2;
/// In each partition: some pages of it, and a run takes microseconds.
const EVENTS: i64 = 20;

/// What may go wrong when a page is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Failures {
    /// The topic keeps a prefix of the page.
    Prefix,
    /// Any record may expire while those behind it are written.
    Holes,
}

/// See the module.
pub(super) struct World {
    lanes: [Lane; PARTITIONS],
    dice: StdRng,
    failures: Failures,
    healed: bool,
    told: bool,
    tally: Tally,
}

#[derive(Debug, Default, Clone, Copy)]
struct Lane {
    /// How many events the log has.
    head: i64,
    cursor: i64,
    /// What a reader has that applies only the successor of the last position.
    reached: i64,
    /// The highest position on the topic.
    highest: i64,
    /// In flight when its producer was dropped: it may still land.
    adrift: Option<i64>,
}

fn index(partition: i32) -> usize {
    usize::try_from(partition).unwrap()
}

impl World {
    pub(super) fn new(seed: u64, failures: Failures, told: bool) -> Self {
        let dice = StdRng::seed_from_u64(seed);
        let (lanes, tally) = (Default::default(), Tally::new());
        Self { lanes, dice, failures, healed: false, told, tally }
    }

    pub(super) fn pick(&mut self, range: Range<usize>) -> usize {
        self.dice.random_range(range)
    }

    /// Something goes wrong in so many of a hundred cases, until the world is healed.
    pub(super) fn fault(&mut self, percent: u32) -> bool {
        !self.healed && self.dice.random_ratio(percent, 100)
    }

    pub(super) fn heal(&mut self) {
        self.say(|| "the world is healed".into());
        self.healed = true;
    }

    pub(super) fn count(&mut self, happening: &'static str) {
        *self.tally.entry(happening).or_default() += 1;
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.told {
            tell(&what());
        }
    }

    /// The log takes in some events.
    pub(super) fn grow(&mut self) {
        let (lane, some) = (self.pick(0..PARTITIONS), self.dice.random_range(0..3));
        let lane = &mut self.lanes[lane];
        lane.head = EVENTS.min(lane.head + some);
    }

    pub(super) fn cursors(&self) -> Vec<(i32, Position)> {
        (0..).zip(&self.lanes).map(|(nth, lane)| (nth, Position(lane.cursor))).collect()
    }

    /// The next events of each partition.
    pub(super) fn page(&mut self, after: &[(i32, Position)]) -> Vec<(i32, Position)> {
        let limit = self.dice.random_range(1..=5);
        let of = |(partition, after): &(i32, Position)| {
            let (partition, after) = (*partition, after.0);
            let last = self.lanes[index(partition)].head.min(after + limit);
            (after + 1..=last).map(move |position| (partition, Position(position)))
        };
        after.iter().flat_map(of).collect()
    }

    /// Sends a page; whether every record was acknowledged.
    pub(super) fn send(&mut self, page: &[(i32, Position)]) -> bool {
        for (nth, (partition, position)) in page.iter().enumerate() {
            if !self.fault(5) {
                self.write(*partition, position.0);
                continue;
            }
            self.say(|| format!("{position} of {partition} is lost"));
            self.count("a send failed");
            if self.failures == Failures::Holes {
                self.send_behind(&page[nth + 1..]);
            }
            return false;
        }
        true
    }

    fn send_behind(&mut self, behind: &[(i32, Position)]) {
        for (partition, position) in behind {
            if self.fault(50) {
                self.count("a record landed behind a failed send");
                self.write(*partition, position.0);
            } else if self.fault(50) {
                self.lanes[index(*partition)].adrift = Some(position.0);
            }
        }
    }

    /// A record whose producer is gone may land.
    pub(super) fn drift(&mut self) {
        let partition = self.pick(0..PARTITIONS);
        if let Some(landed) = self.lanes[partition].adrift.take_if(|_| self.dice.random()) {
            self.count("a record landed after its producer");
            self.write(i32::try_from(partition).unwrap(), landed);
        }
    }

    fn write(&mut self, partition: i32, position: i64) {
        self.say(|| format!("{position} of {partition} is on the topic"));
        let (failures, lane) = (self.failures, &mut self.lanes[index(partition)]);
        if failures == Failures::Prefix {
            assert!(
                position <= lane.highest + 1,
                "the first {position} came before the first {}",
                lane.highest + 1
            );
        }
        lane.highest = lane.highest.max(position);
        if position == lane.reached + 1 {
            lane.reached = position;
        }
    }

    pub(super) fn store(&mut self, cursors: &[(i32, Position)]) {
        for (partition, position) in cursors {
            self.say(|| format!("the cursor of {partition} is to be {position}"));
            let lane = &mut self.lanes[index(*partition)];
            let behind = position.0 < lane.cursor;
            lane.cursor = lane.cursor.max(position.0); // as the store does it
            if behind {
                self.count("a stored cursor was behind another");
            }
        }
    }

    /// No cursor has passed what the topic lacks.
    pub(super) fn check(&self) {
        for Lane { cursor, reached, .. } in self.lanes {
            assert!(reached >= cursor, "cursor {cursor} over {reached}");
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.healed && self.lanes.iter().all(|lane| lane.cursor == EVENTS)
    }

    pub(super) fn end(self) -> Tally {
        for lane in self.lanes {
            assert_eq!(lane.reached, EVENTS, "all of it is on the topic, in order");
        }
        self.tally
    }
}
