//! A world: what may happen next, what must hold at every step, and what must have come of it.

use std::time::Duration;

use super::{
    database, group,
    history::{Nature, PARTITIONS},
    outside::Outside,
    process::Process,
    tally::Tally,
    topic::{self, Relay},
};
use crate::{park::StreamName, testing::TOPIC};

/// Long enough for an event to go the whole way several times.
const STEPS: usize = 300;
/// The rounds that a healed world may take: the longest way is one event at a time.
const ROUNDS: usize = 800;
const PROCESSES: usize = 2;

/// See the module.
pub(super) struct World {
    outside: Outside,
    relays: [Relay; 2],
    processes: Vec<Process>,
}

impl World {
    pub(super) fn new(seed: u64, told: bool) -> Self {
        let mut outside = Outside::new(seed, told);
        let workers = outside.pick(1..3);
        let process = |index| Process::start((index, 0), workers);
        let processes = (0..PROCESSES).map(process).collect();
        Self { outside, relays: Default::default(), processes }
    }

    pub(super) fn run(mut self) -> Tally {
        for _ in 0..STEPS {
            self.step();
            self.check_offsets();
        }
        self.heal();
        let mut rounds = 0;
        while !self.is_done() {
            if rounds == ROUNDS {
                self.outside.say(|| format!("{:#?}\n{:?}", self.processes, self.outside.lanes));
                panic!("it is stuck at {:?}", self.outside.database.checkpoints);
            }
            rounds += 1;
            self.round();
            self.check_offsets();
        }
        self.check_effects();
        self.outside.tally
    }

    /// One thing happens. The shares are such that most worlds are drained before they are healed.
    fn step(&mut self) {
        let outside = &mut self.outside;
        outside.pass(Duration::from_millis(20));
        let partition = outside.pick(0..PARTITIONS);
        let relay = outside.pick(0..self.relays.len());
        let one = outside.pick(0..self.processes.len());
        let process = &mut self.processes[one];
        match outside.pick(0..100) {
            0..12 => append(outside, partition),
            12..27 => self.relays[relay].turn(outside, partition),
            27..30 => topic::drift(outside, partition),
            30..36 => group::turn(outside, &mut self.processes, partition),
            36 => topic::expire(outside, partition),
            37 if outside.chance(20) => database::crash(outside),
            37 => process.crash(outside),
            38 | 39 if process.frozen => process.thaw(outside),
            38 => process.freeze(outside),
            40 | 41 if process.frozen => process.end_transactions(outside),
            _ if process.frozen => {}
            39..=49 => {
                let most = outside.pick(1..8);
                process.fetch(outside, most);
            }
            50..65 => process.forward(),
            _ => {
                let worker = outside.pick(0..process.workers());
                process.work(outside, worker);
            }
        }
    }

    fn heal(&mut self) {
        self.outside.healed = true;
        self.outside.say(|| "the world is healed".into());
        for process in &mut self.processes {
            process.frozen = false;
        }
        for partition in 0..PARTITIONS {
            self.outside.lanes[partition].head = self.outside.end_of_log(partition);
        }
    }

    /// Everybody has a turn.
    fn round(&mut self) {
        self.outside.pass(Duration::from_millis(100));
        for partition in 0..PARTITIONS {
            for relay in &mut self.relays {
                relay.turn(&mut self.outside, partition);
            }
            topic::drift(&mut self.outside, partition);
            group::turn(&mut self.outside, &mut self.processes, partition);
        }
        for process in &mut self.processes {
            process.fetch(&mut self.outside, usize::MAX / 2);
            for _ in 0..PARTITIONS {
                process.forward();
            }
            for worker in 0..process.workers() {
                process.work(&mut self.outside, worker);
            }
        }
    }

    fn is_done(&self) -> bool {
        let outside = &self.outside;
        let applied = outside.database.checkpoints.iter().zip(&outside.lanes);
        outside.lanes.iter().all(topic::Lane::is_relayed)
            && applied.into_iter().all(|(row, lane)| row.position == lane.head)
            && outside.group.is_at_rest(&self.processes)
            && self.processes.iter().all(|process| process.is_quiet(outside))
    }

    /// Neither the checkpoint's offset nor the group's has passed an event without its effect; but for
    /// the group's, as long as a crash of the server has taken effects back.
    fn check_offsets(&self) {
        let Outside { database, group, lanes, .. } = &self.outside;
        for (partition, lane) in lanes.iter().enumerate() {
            let row = database.checkpoints[partition];
            let taken_back = row.position < database.furthest[partition];
            let committed = if taken_back { 0 } else { group.committed[partition] };
            for offset in [row.next_offset.unwrap_or(0), committed] {
                let reached = lane.reached[usize::try_from(offset).unwrap()];
                assert!(
                    row.position >= reached,
                    "offset {offset} of {partition} has passed {reached}; applied is {}",
                    row.position
                );
            }
        }
    }

    /// Every stream has all of its effects in order, up to its first poison; from there on all of it
    /// is parked.
    fn check_effects(&self) {
        let Outside { database, history, .. } = &self.outside;
        let mut parked = 0;
        for (partition, events) in history.partitions.iter().enumerate() {
            for name in streams(events) {
                let all: Vec<i64> = history.stream(partition, name).collect();
                let poison = all.iter().position(|position| {
                    self.outside.nature(partition, *position) != Nature::Harmless
                });
                let (applied, waiting) = all.split_at(poison.unwrap_or(all.len()));
                let stream: StreamName = (TOPIC.to_owned(), name.to_owned());
                let effects = database.effects.get(&stream).map_or(&[][..], Vec::as_slice);
                assert_eq!(effects, applied, "the effects of {name}");
                assert_eq!(database.parked_streams.contains(&stream), poison.is_some(), "{name}");
                let is_parked = |at: &i64| database.parked.contains_key(&(partition, *at));
                assert!(waiting.iter().all(is_parked), "{waiting:?} of {name} wait");
                parked += waiting.len();
            }
        }
        assert_eq!(database.parked.len(), parked, "nothing else is parked");
    }
}

fn streams(events: &[factline_codec::StoredEvent]) -> std::collections::BTreeSet<&str> {
    events.iter().map(|event| event.envelope.stream_id.as_str()).collect()
}

/// The log takes in some events.
fn append(outside: &mut Outside, partition: usize) {
    let end = outside.end_of_log(partition);
    let some = i64::try_from(outside.pick(1..4)).unwrap();
    let lane = &mut outside.lanes[partition];
    lane.head = end.min(lane.head + some);
    let head = lane.head;
    outside.say(|| format!("log: {partition} has {head}"));
}
