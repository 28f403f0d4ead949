//! Two relays on one partition, interleaved by a seeded dice, with every failure that the design
//! names: a send that fails with records behind it, a record that lands after its producer was
//! dropped, a crash between acknowledgement and cursor, a cursor that is not saved.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

const EVENTS: i64 = 60;
const SEEDS: u64 = 400;

/// What may go wrong when a page is sent.
#[derive(Clone, Copy, PartialEq)]
enum Failures {
    /// The topic keeps a prefix of the page.
    Prefix,
    /// Any record may expire while those behind it are written.
    Holes,
}

struct World {
    topic: Vec<i64>,
    cursor: i64,
    dice: StdRng,
    failures: Failures,
    /// In flight when their producer was dropped: they may still land, in order.
    adrift: Vec<i64>,
}

struct SimulatedRelay {
    progress: Progress,
}

impl World {
    fn chance(&mut self, percent: u32) -> bool {
        self.dice.random_ratio(percent, 100)
    }

    fn write(&mut self, position: i64) {
        self.topic.push(position);
    }

    /// Sends a page; whether every record was acknowledged.
    fn send(&mut self, page: &[i64]) -> bool {
        for (index, position) in page.iter().enumerate() {
            if !self.chance(6) {
                self.write(*position);
                continue;
            }
            if self.failures == Failures::Holes {
                for behind in &page[index + 1..] {
                    if self.chance(50) {
                        self.write(*behind);
                    } else if self.chance(50) {
                        self.adrift.push(*behind);
                    }
                }
            }
            return false;
        }
        true
    }

    fn drift(&mut self) {
        if !self.adrift.is_empty() && self.chance(50) {
            let landed = self.adrift.remove(0);
            self.write(landed);
        }
    }
}

impl SimulatedRelay {
    fn start(world: &World) -> Self {
        let mut relay = Self { progress: Progress::default() };
        relay.back_to_the_cursor(world);
        relay
    }

    fn back_to_the_cursor(&mut self, world: &World) {
        self.progress.rewind(vec![(0, Position(world.cursor))]);
    }

    /// One turn of the loop. In a turn, one page is sent and the cursor perhaps saved; the other
    /// relay may run before and after.
    fn turn(&mut self, world: &mut World) {
        let after = self.progress.read_after()[0].1.0;
        let length = world.dice.random_range(1..=8);
        let page: Vec<i64> = (after + 1..=EVENTS).take(length).collect();
        self.progress.hand_over(page.iter().map(|n| (0, Position(*n)))).unwrap();
        if !world.send(&page) {
            return self.back_to_the_cursor(world);
        }
        self.progress.acknowledge();
        if world.chance(10) {
            return self.back_to_the_cursor(world); // crashed before the cursor was saved
        }
        if world.chance(70) {
            let unsaved = self.progress.unsaved();
            for (_, end) in &unsaved {
                world.cursor = world.cursor.max(end.0); // as the store does it
            }
            self.progress.saved(&unsaved);
        }
    }
}

fn run(seed: u64, failures: Failures) -> World {
    let dice = StdRng::seed_from_u64(seed);
    let mut world = World { topic: Vec::new(), cursor: 0, dice, failures, adrift: Vec::new() };
    let mut relays = [SimulatedRelay::start(&world), SimulatedRelay::start(&world)];
    for _ in 0..10_000 {
        let one = world.dice.random_range(0..relays.len());
        relays[one].turn(&mut world);
        world.drift();
        assert_prefix_is_there(&world, seed);
        if world.cursor == EVENTS {
            return world;
        }
    }
    panic!("seed {seed}: the relays did not finish; the cursor stands at {}", world.cursor);
}

/// What a reader has that applies only the successor of the last position.
fn applied(topic: &[i64]) -> i64 {
    topic.iter().fold(0, |last, position| if *position == last + 1 { *position } else { last })
}

fn assert_prefix_is_there(world: &World, seed: u64) {
    let reached = applied(&world.topic);
    assert!(reached >= world.cursor, "seed {seed}: cursor {} over {reached}", world.cursor);
}

#[test]
fn the_topic_holds_every_position_up_to_the_cursor_in_order_whatever_fails() {
    for seed in 0..SEEDS {
        for failures in [Failures::Prefix, Failures::Holes] {
            let world = run(seed, failures);
            assert_eq!(applied(&world.topic), EVENTS, "seed {seed}");
        }
    }
}

#[test]
fn of_two_interleaved_relays_the_first_occurrence_of_n_follows_the_first_of_n_minus_1() {
    for seed in 0..SEEDS {
        let world = run(seed, Failures::Prefix);
        let mut seen = 0;
        for position in world.topic {
            assert!(position <= seen + 1, "seed {seed}: {position} came before {}", seen + 1);
            seen = seen.max(position);
        }
        assert_eq!(seen, EVENTS);
    }
}

#[test]
fn a_failed_send_with_records_behind_it_leaves_a_hole_that_the_next_pass_closes() {
    let worlds: Vec<World> = (0..SEEDS).map(|seed| run(seed, Failures::Holes)).collect();
    let jumps = |world: &World| {
        let mut seen = 0;
        world.topic.iter().any(|position| {
            let jump = *position > seen + 1;
            seen = seen.max(*position);
            jump
        })
    };
    assert!(worlds.iter().any(jumps), "the simulation does make holes");
    assert!(worlds.iter().all(|world| applied(&world.topic) == EVENTS));
}
