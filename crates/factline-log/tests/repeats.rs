//! Repeats on a real Postgres: what answers them, and what that costs.

use crate::support::{DEADLINE, PARTITIONS, PackAll, TestLog, command, noon, pack, stream};
use factline_core::{CommandKey, Version, partition_for};
use factline_log::{Command, CommandFault, Done, LogSettings};
use factline_testkit::{FaultProxy, parcels::Parcel};
use futures::future::join_all;

fn assert_same(repeat: &Done<Parcel>, first: &Done<Parcel>) {
    assert!(repeat.replayed);
    assert_eq!((repeat.version, &repeat.events), (first.version, &first.events));
    assert_eq!(repeat.state, first.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recent_repeat_is_answered_without_the_database() {
    let log = TestLog::create("recent_repeat").await;
    let proxy = FaultProxy::to_postgres(&factline_testkit::stack()).await;
    let (lanes, _parts) = log.process_with(&log.settings_through(&proxy));
    let first = lanes.execute(command("p", "1", PackAll(vec![1, 2]))).await.unwrap();
    lanes.execute(command("p", "2", pack(4))).await.unwrap();
    proxy.cut();
    let repeat = lanes.execute(command("p", "1", PackAll(vec![1, 2]))).await.unwrap();
    assert_same(&repeat, &first);
    let reused = lanes.execute(command("p", "1", pack(9))).await.unwrap_err();
    assert!(matches!(reused, CommandFault::KeyReused), "{reused:?}");
    let new = lanes.execute(command("p", "3", pack(8))).await;
    assert!(new.is_err(), "a new command needs the database: {new:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_replay_nobody_waits_for_the_heads_lock() {
    let log = TestLog::create("replay_unlocked").await;
    let (before, _parts) = log.process();
    let mut first_answers = Vec::new();
    for index in 0..20 {
        let done = before.execute(command(&format!("p{}", index % 5), &index.to_string(), pack(1)));
        first_answers.push(done.await.unwrap());
    }
    let (lanes, _parts) = log.process_with(&LogSettings { lanes: 1, ..log.settings() });
    let repeat = |index: usize| {
        lanes.execute(command(&format!("p{}", index % 5), &index.to_string(), pack(1)))
    };
    assert_same(&repeat(0).await.unwrap(), &first_answers[0]); // from here on it is a replay
    let holding = log.hold_heads().await;
    for (repeat, first) in join_all((1..20).map(repeat)).await.iter().zip(&first_answers[1..]) {
        assert_same(repeat.as_ref().unwrap(), first);
    }
    holding.rollback().await.unwrap();
    assert_eq!(log.assert_dense().await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_new_commands_and_reused_keys_in_one_batch_each_get_their_own_answer() {
    let log = TestLog::create("mixed_batch").await;
    let (before, _parts) = log.process();
    let mut first_answers = Vec::new();
    for index in 0..60_i64 {
        let body = PackAll(vec![index, 1, 1]);
        let id = format!("p{}", index % 7);
        first_answers.push(before.execute(command(&id, &index.to_string(), body)).await.unwrap());
    }
    let settings = LogSettings { recent_commands: 0, lanes: 1, ..log.settings() };
    let (lanes, _parts) = log.process_with(&settings);
    for round in 0..3_i64 {
        let commands = (0..60_i64).map(|index| {
            let (lanes, id) = (lanes.clone(), format!("p{}", index % 7));
            async move {
                let key = index.to_string();
                let repeat = lanes.execute(command(&id, &key, PackAll(vec![index, 1, 1])));
                let reused = lanes.execute(command(&id, &key, PackAll(vec![index])));
                let new = lanes.execute(command(&id, &format!("{round}-{index}"), pack(1)));
                tokio::join!(repeat, reused, new)
            }
        });
        for ((repeat, reused, new), first) in join_all(commands).await.iter().zip(&first_answers) {
            assert_same(repeat.as_ref().unwrap(), first);
            assert!(matches!(reused, Err(CommandFault::KeyReused)), "{reused:?}");
            assert!(!new.as_ref().unwrap().replayed);
        }
    }
    assert_eq!(log.assert_dense().await, 60 * 3 + 60 * 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_repeat_reads_from_the_last_snapshot_before_it_and_without_snapshots_says_the_same()
{
    const COMMANDS: usize = 400;
    let log = TestLog::create("late_repeat").await;
    let (lanes, parts) = log.process();
    let mut first_answers = Vec::new();
    for index in 0..COMMANDS {
        first_answers.push(lanes.execute(command("p", &index.to_string(), pack(1))).await.unwrap());
    }
    let before = log.entries_read(lanes, parts).await;
    let (lanes, parts) = log.process();
    let repeat = lanes.execute(command("p", "203", pack(1))).await.unwrap();
    assert_same(&repeat, &first_answers[203]);
    let read = log.entries_read(lanes, parts).await - before;
    // The state to decide on, the append's checks, the key, and at most 10 events twice: a snapshot
    // is never further away.
    assert!(read <= 40, "{read} index entries for one repeat in {COMMANDS} events");

    sqlx::query("delete from log.snapshots").execute(&log.pool().await).await.unwrap();
    let (lanes, _parts) = log.process();
    let repeat = lanes.execute(command("p", "203", pack(1))).await.unwrap();
    assert_same(&repeat, &first_answers[203]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_does_not_read_is_passed_over_by_repeats_too() {
    let log = TestLog::create("repeat_bad_snapshot").await;
    let (lanes, _parts) = log.process();
    let mut first_answers = Vec::new();
    for index in 0..25 {
        first_answers.push(lanes.execute(command("p", &index.to_string(), pack(1))).await.unwrap());
    }
    let spoil = "update log.snapshots set state = '\"broken\"'";
    sqlx::query(spoil).execute(&log.pool().await).await.unwrap();
    let (lanes, _parts) = log.process();
    let repeat = lanes.execute(command("p", "22", pack(1))).await.unwrap();
    assert_same(&repeat, &first_answers[22]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_stream_of_the_partition_used_is_refused() {
    let log = TestLog::create("foreign_key").await;
    let (lanes, _parts) = log.process();
    let of = |id: &str| partition_for(id, PARTITIONS);
    let neighbour = (0..).map(|index| format!("n{index}")).find(|id| of(id) == of("p")).unwrap();
    let key = CommandKey::from_u128(7);
    let with_key = |id: &str| Command::<Parcel>::new(stream(id), key, [0; 16], noon(), pack(1));
    lanes.execute(with_key("p")).await.unwrap();
    let refused = lanes.execute(with_key(&neighbour)).await.unwrap_err();
    assert!(matches!(refused, CommandFault::KeyReused), "{refused:?}");
    assert_eq!(log.assert_dense().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_of_any_size_gives_the_same_answers() {
    let log = TestLog::create("cache_sizes").await;
    for (round, (cached_bytes, recent_commands)) in
        [(1, 0), (1, 32), (2_000, 1), (20_000, 3), (16 << 20, 0)].into_iter().enumerate()
    {
        let settings = LogSettings { cached_bytes, recent_commands, ..log.settings() };
        let (lanes, _parts) = log.process_with(&settings);
        for version in 1..=30 {
            let (id, key) = (format!("p{}-{round}", version % 3), version.to_string());
            let done = lanes.execute(command(&id, &key, pack(1))).await.unwrap();
            let again = lanes.execute(command(&id, &key, pack(1))).await.unwrap();
            assert_same(&again, &done);
            assert_eq!(done.version, Version((version + 2) / 3));
        }
    }
    assert_eq!(log.assert_dense().await, 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_that_races_its_own_first_commit_waits_for_it() {
    let log = TestLog::create("racing_repeat").await;
    let ((one, _parts), (two, _other_parts)) = (log.process(), log.process());
    one.execute(command("p", "0", pack(1))).await.unwrap();
    two.execute(command("p", "1", pack(1))).await.unwrap();
    let holding = log.hold_heads().await;
    let (first, second) = (one.clone(), two.clone());
    let both = tokio::spawn(async move {
        tokio::join!(
            first.execute(command("p", "k", pack(5))),
            second.execute(command("p", "k", pack(5))),
        )
    });
    let pool = log.pool().await;
    factline_testkit::eventually(DEADLINE, "both wait for the lock", async || {
        let (waiting,): (i64,) = sqlx::query_as(
            "select count(*) from pg_stat_activity where datname = current_database()
             and application_name = 'factline-lane' and wait_event_type = 'Lock'",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        waiting == 2
    })
    .await;
    holding.rollback().await.unwrap();
    let (first, second) = both.await.unwrap();
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first.replayed, second.replayed);
    assert_eq!((first.version, first.events), (second.version, second.events));
    assert_eq!(log.assert_dense().await, 3);
}
