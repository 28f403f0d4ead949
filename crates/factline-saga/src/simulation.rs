//! Sagas in a simulated world: seeded dice decide what happens next, and a seed is a run.
//!
//! What runs is what runs in production: the machine, its keys, its waiting inputs, operators' acts. What is
//! made up is around it: the database's rows, the log that knows keys and forgets refusals, two processes
//! that crash between any two steps, freeze with commands in their hands and wake, answers in any order.
//!
//! `FACTLINE_SEED=1234 cargo test -p factline-saga simulation` runs that seed alone.

mod tour;
mod world;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use self::world::{Fence, World};

/// How many worlds there are; they take some 15 seconds.
const SEEDS: u64 = 2_000;

fn run(seed: u64, fence: Fence) -> BTreeMap<&'static str, u64> {
    catch_unwind(AssertUnwindSafe(|| World::new(seed, fence).run())).unwrap_or_else(|panic| {
        eprintln!(
            "seed {seed} failed: FACTLINE_SEED={seed} cargo test -p factline-saga simulation"
        );
        resume_unwind(panic)
    })
}

#[test]
fn in_2_000_worlds_every_step_has_its_effect_once_and_every_instance_ends_or_waits_for_a_person() {
    if let Ok(seed) = std::env::var("FACTLINE_SEED") {
        println!("{:?}", run(seed.parse().unwrap(), Fence::Kept));
        return;
    }
    let mut tally: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..SEEDS {
        for (what, count) in run(seed, Fence::Kept) {
            *tally.entry(what).or_default() += count;
        }
    }
    println!("{tally:?}");
    let must = [
        "completed",
        "compensated",
        "crash before a commit",
        "crash with commands in hand",
        "woke too late",
        "absorbed by its key",
        "answer lost",
        "superseded",
        "timer fired",
        "needed attention",
        "retry",
        "skip",
        "compensate",
        "waited behind attention",
    ];
    let never: Vec<_> = must.into_iter().filter(|what| !tally.contains_key(what)).collect();
    assert!(never.is_empty(), "this never happened: {never:?} {tally:?}");
}

#[test]
fn a_seed_is_a_run() {
    for seed in 0..20 {
        assert_eq!(run(seed, Fence::Kept), run(seed, Fence::Kept), "seed {seed}");
    }
}

#[test]
fn without_its_last_moment_a_frozen_process_would_take_what_the_instance_has_given_up() {
    let leaks = |seed: &u64| World::new(*seed, Fence::Broken).run_and_look().is_err();
    assert!((0..SEEDS).any(|seed| leaks(&seed)), "the simulation does not notice");
}
