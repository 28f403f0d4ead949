//! A projector's core in a simulated world: seeded dice decide what happens next, and a seed is a
//! run.
//!
//! What runs is what runs in production: desk, partitions, filing, sorting, judging, the worker's
//! decisions. What is made up is around it: log, relays, topic, group, database, time. At every step
//! the offsets are held against the topic, at every commit the delivery contract is checked
//! (`database.rs`), and after the last fault everything must come to its end.
//!
//! `FACTLINE_SEED=1234 cargo test -p factline-projection simulation` runs that seed alone and prints
//! what happens in it.

mod database;
mod group;
mod history;
mod outside;
mod process;
mod tally;
mod topic;
mod worker;
mod world;

use std::{
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};

use self::{tally::Tally, world::World};

/// How many worlds there are.
const SEEDS: u64 = 10_000;
/// They share the worlds: as many as the smallest build machine has cores.
const THREADS: u64 = 2;

/// Past the test harness, which would keep it back until the test has failed.
fn tell(line: &str) {
    writeln!(std::io::stderr(), "{line}").unwrap();
}

/// Runs a world; when it panics, says how to see it again.
fn run(seed: u64, told: bool) -> Tally {
    catch_unwind(AssertUnwindSafe(|| World::new(seed, told).run())).unwrap_or_else(|panic| {
        tell(&format!(
            "seed {seed} failed: FACTLINE_SEED={seed} cargo test -p factline-projection simulation"
        ));
        resume_unwind(panic)
    })
}

fn run_all() -> Tally {
    let share = |first: u64| {
        let seeds = (first..SEEDS).step_by(usize::try_from(THREADS).unwrap());
        seeds.fold(Tally::new(), |mut tally, seed| {
            tally.add(&run(seed, false));
            tally
        })
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|first| scope.spawn(move || share(first))).collect();
        threads.into_iter().fold(Tally::new(), |mut tally, thread| {
            tally.add(&thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            tally
        })
    })
}

#[test]
fn in_10_000_worlds_every_event_has_its_effect_once_and_in_order_or_waits_behind_poison() {
    if let Ok(seed) = std::env::var("FACTLINE_SEED") {
        tell(&run(seed.parse().unwrap(), true).table());
        return;
    }
    let tally = run_all();
    let never = tally.never();
    assert!(never.is_empty(), "this never happened: {never:?}\n{}", tally.table());
}

#[test]
fn a_seed_is_a_run() {
    for seed in 0..20 {
        assert_eq!(run(seed, false), run(seed, false), "seed {seed}");
    }
}
