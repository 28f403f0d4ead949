//! What happens to commands when connections, processes and locks fail, on a real Postgres.

use crate::support::{DEADLINE, TestLog, assert_dense_events, assert_only_added, command, pack};
use factline_log::{CommandFault, LogSettings};
use factline_testkit::{FaultProxy, eventually, eventually_ok, parcels::Parcel};
use futures::future::join_all;
use sqlx::PgPool;

/// Ends the sessions of all lanes on the test's own database.
async fn terminate_lanes(pool: &PgPool) {
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name = 'factline-lane'",
    )
    .execute(pool)
    .await
    .unwrap();
}

async fn stored(pool: &PgPool) -> i64 {
    let (events,): (i64,) =
        sqlx::query_as("select count(*) from log.events").fetch_one(pool).await.unwrap();
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ended_before_the_call_is_opened_again_and_the_command_is_done() {
    let log = TestLog::create("killed_before").await;
    let pool = log.pool().await;
    let proxy = FaultProxy::to_postgres(&factline_testkit::stack()).await;
    let settings = LogSettings { lanes: 1, ..log.settings_through(&proxy) };
    let (lanes, _parts) = log.process_with(&settings);
    lanes.execute(command("p", "1", pack(1))).await.unwrap();
    terminate_lanes(&pool).await;
    let done = lanes.execute(command("p", "2", pack(1))).await.unwrap();
    assert!(!done.replayed);
    proxy.cut_once();
    let done = lanes.execute(command("p", "3", pack(1))).await.unwrap();
    assert!(!done.replayed);
    assert_eq!(log.assert_dense().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_during_the_call_leaves_nothing_and_the_command_is_done_once() {
    let log = TestLog::create("killed_during").await;
    let pool = log.pool().await;
    let (lanes, _parts) = log.process();
    lanes.execute(command("p", "1", pack(1))).await.unwrap();
    let holding = log.hold_heads().await;
    let called = tokio::spawn(async move { lanes.execute(command("p", "2", pack(1))).await });
    let first = log.lane_that_waits(&pool).await;
    terminate_lanes(&pool).await;
    eventually(DEADLINE, "another session waits", async || {
        log.lane_that_waits(&pool).await != first
    })
    .await;
    holding.rollback().await.unwrap();
    let done = called.await.unwrap().unwrap();
    assert!(!done.replayed);
    assert_eq!(log.assert_dense().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_goes_on_after_its_connection_broke_is_found_by_its_key() {
    let log = TestLog::create("lost_during").await;
    let pool = log.pool().await;
    let proxy = FaultProxy::to_postgres(&factline_testkit::stack()).await;
    let (lanes, _parts) = log.process_with(&log.settings_through(&proxy));
    lanes.execute(command("p", "1", pack(1))).await.unwrap();
    let holding = log.hold_heads().await;
    let called = tokio::spawn(async move { lanes.execute(command("p", "2", pack(1))).await });
    let lost = log.lane_that_waits(&pool).await;
    proxy.cut_once(); // the server goes on waiting for the lock, and will append
    holding.rollback().await.unwrap();
    let done = called.await.unwrap().unwrap();
    assert_eq!(done.events.len(), 1);
    assert_eq!(log.assert_dense().await, 2, "session {lost} or its heir wrote it, not both");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_between_the_commit_and_its_answer_costs_neither_effect_nor_answer() {
    let log = TestLog::create("lost_answer").await;
    let pool = log.pool().await;
    let proxy = FaultProxy::to_postgres(&factline_testkit::stack()).await;
    let (lanes, _parts) = log.process_with(&log.settings_through(&proxy));
    for round in 1..=5 {
        lanes.execute(command("p", &format!("warm {round}"), pack(1))).await.unwrap();
        proxy.stall_answers();
        let (lanes, key) = (lanes.clone(), format!("lost {round}"));
        let called = tokio::spawn(async move { lanes.execute(command("p", &key, pack(1))).await });
        eventually(DEADLINE, "it is committed", async || stored(&pool).await == 2 * round).await;
        proxy.cut_once();
        let done = called.await.unwrap().unwrap();
        assert_eq!((done.version.0, done.events.len()), (2 * round, 1));
    }
    assert_eq!(log.assert_dense().await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_stay_dense_and_in_commit_order_while_connections_are_killed() {
    const COMMANDS: usize = 1_000;
    let log = TestLog::create("killed_all_along").await;
    let pool = log.pool().await;
    let proxy = FaultProxy::to_postgres(&factline_testkit::stack()).await;
    // Small batches, so that there are many points to be killed at.
    let small = |settings| LogSettings { batch_commands: 4, ..settings };
    let processes = [log.settings(), log.settings_through(&proxy)]
        .map(|settings| log.process_with(&small(settings)).0);
    let load = (0..COMMANDS).map(|index| {
        let lanes = processes[index % 2].clone();
        let (id, key) = (format!("p{}", index % 30), format!("k{index}"));
        async move {
            eventually_ok(DEADLINE, "the command is settled", async || {
                lanes.execute(command(&id, &key, pack(1))).await
            })
            .await
        }
    });
    let killing = async {
        let (mut seen, mut faults) = (Vec::new(), 0);
        while seen.len() < COMMANDS {
            match faults % 2 {
                0 => terminate_lanes(&pool).await,
                _ => proxy.cut_once(),
            }
            faults += 1;
            // The next fault comes when this one was survived: faults that come faster than any
            // command is carried out would prove nothing.
            let more = tokio::time::timeout(DEADLINE, async {
                loop {
                    let now = log.events().await;
                    assert_dense_events(&now);
                    if now.len() > seen.len() {
                        return now;
                    }
                }
            });
            let now = more.await.expect("some command is carried out between two faults");
            assert_only_added(&seen, &now);
            seen = now;
        }
        faults
    };
    let (outcomes, faults) = tokio::join!(join_all(load), killing);
    assert!(faults >= 2, "each fault came at least once: {faults}");
    assert_eq!(outcomes.len(), COMMANDS);
    assert_eq!(log.assert_dense().await, i64::try_from(COMMANDS).unwrap(), "every command once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_error_of_one_command_fails_neither_its_stream_nor_its_neighbours() {
    let log = TestLog::create("data_error").await;
    let settings = LogSettings { lanes: 1, ..log.settings() };
    let (lanes, _parts) = log.process_with(&settings);
    lanes.execute(command("p", "0", pack(1))).await.unwrap();
    let holding = log.hold_heads().await;
    // The first fills the lane; the others wait behind it and make one batch.
    let commands =
        ["first", "a", "bad", "b"].into_iter().flat_map(|key| ["p", "q"].map(|id| (id, key)));
    let calls = commands.map(|(id, key)| {
        let mut command = command(id, key, pack(1));
        if (id, key) == ("p", "bad") {
            command.actor = Some("a text that PostgreSQL does not store: \0".into());
        }
        let call = lanes.execute(command);
        async move { ((id, key), call.await) }
    });
    let answers = async {
        let answers = join_all(calls).await;
        for (name, outcome) in answers {
            assert_eq!(outcome.is_err(), name == ("p", "bad"), "{name:?}: {outcome:?}");
        }
    };
    let pool = log.pool().await;
    let release = async {
        log.lane_that_waits(&pool).await;
        holding.rollback().await.unwrap();
    };
    tokio::join!(answers, release);
    assert_eq!(log.assert_dense().await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_with_a_full_queue_loses_no_acknowledged_command_and_a_repeat_does_the_rest() {
    const COMMANDS: usize = 2_000;
    let log = TestLog::create("crash_full_queue").await;
    let settings = LogSettings { batch_commands: 8, ..log.settings() };
    let (lanes, parts) = log.process_with(&settings);
    let (acknowledged, mut first_ones) = tokio::sync::mpsc::unbounded_channel();
    let calls: Vec<_> = (0..COMMANDS)
        .map(|index| {
            let (lanes, acknowledged) = (lanes.clone(), acknowledged.clone());
            tokio::spawn(async move {
                let done = lanes.execute(numbered(index)).await;
                acknowledged.send(()).unwrap();
                done
            })
        })
        .collect();
    for _ in 0..20 {
        first_ones.recv().await.unwrap();
    }
    let holding = log.hold_heads().await; // the queues stay full from here on
    for task in &parts.tasks {
        task.abort(); // as a killed process would: queue, batch and connection are gone
    }
    let mut answered = Vec::new();
    for (index, call) in calls.into_iter().enumerate() {
        match call.await.unwrap() {
            Ok(done) => answered.push((index, done)),
            Err(CommandFault::OutcomeUnknown(_) | CommandFault::Unavailable(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    holding.rollback().await.unwrap();
    assert!((20..COMMANDS).contains(&answered.len()), "{} of {COMMANDS}", answered.len());
    let (restarted, _parts) = log.process();
    for (index, done) in answered {
        let again = restarted.execute(numbered(index)).await.unwrap();
        assert_eq!((again.replayed, again.events), (true, done.events));
    }
    let all = join_all((0..COMMANDS).map(|index| restarted.execute(numbered(index)))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(log.assert_dense().await, i64::try_from(COMMANDS).unwrap(), "every command once");
}

fn numbered(index: usize) -> factline_log::Command<Parcel> {
    command(&format!("p{}", index % 9), &index.to_string(), pack(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_end_answer_everything_that_they_had_taken() {
    let log = TestLog::create("drained").await;
    let settings = LogSettings { batch_commands: 8, ..log.settings() };
    let (lanes, parts) = log.process_with(&settings);
    let calls: Vec<_> = (0..200)
        .map(|index| {
            let lanes = lanes.clone();
            tokio::spawn(async move { lanes.execute(numbered(index)).await })
        })
        .collect();
    drop(lanes);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    for task in parts.tasks {
        task.await.unwrap();
    }
    assert_eq!(log.assert_dense().await, 200);
}
