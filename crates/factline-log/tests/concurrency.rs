//! Many writers at once, on a real Postgres.

use crate::support::{TestLog, command, pack};
use factline_core::Version;
use factline_log::CommandFault;
use futures::future::join_all;

#[tokio::test(flavor = "multi_thread")]
async fn of_32_writers_that_insist_on_one_version_one_wins_each_time() {
    const ROUNDS: i64 = 12;
    let log = TestLog::create("one_winner").await;
    let ((one, _parts), (two, _other_parts)) = (log.process(), log.process());
    for round in 0..ROUNDS {
        let writers = (0..32).map(|writer| {
            let lanes = if writer % 2 == 0 { &one } else { &two };
            let mut command = command("hot", &format!("{round}-{writer}"), pack(1));
            command.expected = Some(Version(round));
            lanes.execute(command)
        });
        let mut winners = 0;
        for outcome in join_all(writers).await {
            match outcome {
                Ok(done) => {
                    assert_eq!(done.version, Version(round + 1));
                    winners += 1;
                }
                Err(CommandFault::VersionMismatch { current }) => {
                    assert_eq!(current, Version(round + 1), "a loser is told who won");
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(winners, 1, "for version {}", round + 1);
    }
    assert_eq!(log.assert_dense().await, ROUNDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_hammer_one_stream_see_no_mismatch_and_lose_nothing() {
    let log = TestLog::create("hammered").await;
    let processes = [log.process(), log.process()];
    let workers = (0..64).map(|worker| {
        let lanes = processes[worker % 2].0.clone();
        async move {
            let mut versions = Vec::new();
            for round in 0..25 {
                let key = format!("{worker}-{round}");
                versions.push(lanes.execute(command("hot", &key, pack(1))).await.unwrap().version);
            }
            versions
        }
    });
    let mut versions: Vec<i64> =
        join_all(workers).await.into_iter().flatten().map(|version| version.0).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=1_600).collect::<Vec<_>>(), "every command has a version of its own");
    assert_eq!(log.assert_dense().await, 1_600);
}

/// A fixed sequence that looks like chance (Steele and Vigna's SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_random_concurrent_commands_conserve_the_sum() {
    const MOVERS: u64 = 250;
    const MOVES: u64 = 20; // of two commands each
    const PARCELS: u64 = 100;
    let log = TestLog::create("conserved_sum").await;
    let ((one, _parts), (two, _other_parts)) = (log.process(), log.process());
    // Mostly the same process for a parcel, so that both what is remembered and conflicts are met.
    let somewhere = |random: &mut Random, parcel: u64| {
        let stray = u64::from(random.below(10) == 0);
        if (parcel + stray).is_multiple_of(2) { one.clone() } else { two.clone() }
    };
    let movers = (0..MOVERS).map(|mover| {
        let somewhere = &somewhere;
        async move {
            let mut random = Random(mover);
            for round in 0..MOVES {
                let weight = i64::try_from(random.below(1_000)).unwrap() + 1;
                for (side, weight) in [("out", -weight), ("in", weight)] {
                    let parcel = random.below(PARCELS);
                    let (id, key) = (format!("p{parcel}"), format!("{mover}-{round}-{side}"));
                    let lanes = somewhere(&mut random, parcel);
                    let first = lanes.execute(command(&id, &key, pack(weight))).await.unwrap();
                    assert!(!first.replayed);
                    if random.below(10) == 0 {
                        let lanes = somewhere(&mut random, parcel);
                        let again = lanes.execute(command(&id, &key, pack(weight))).await.unwrap();
                        assert_eq!((again.replayed, again.version), (true, first.version));
                    }
                }
            }
        }
    });
    join_all(movers).await;
    let commands = i64::try_from(MOVERS * MOVES * 2).unwrap();
    assert_eq!(log.assert_dense().await, commands);
    let (fresh, _parts) = log.process();
    let mut sum = 0;
    for parcel in 0..PARCELS {
        sum += fresh
            .execute(command(&format!("p{parcel}"), "look", pack(0)))
            .await
            .unwrap()
            .state
            .weight_grams;
    }
    assert_eq!(sum, 0, "what one parcel lost another one gained");
}
