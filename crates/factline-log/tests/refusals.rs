//! When the write side says no on its own behalf, on a real Postgres: its queue is full, a lock is
//! not granted, or the server is not to be trusted.

use crate::support::{TestLog, command, pack};
use factline_core::Fault;
use factline_log::{CommandFault, LogReader, LogSettings};
use factline_testkit::parcels::ParcelRefusal;
use futures::future::join_all;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_as_busy_and_takes_commands_again_once_it_moves() {
    let log = TestLog::create("busy").await;
    let settings = LogSettings { lanes: 1, lane_queue: 4, batch_commands: 1, ..log.settings() };
    let (lanes, _parts) = log.process_with(&settings);
    lanes.execute(command("p", "warm", pack(1))).await.unwrap();
    let holding = log.hold_heads().await;
    let working = tokio::spawn({
        let lanes = lanes.clone();
        async move { lanes.execute(command("p", "working", pack(1))).await }
    });
    log.lane_that_waits(&log.pool().await).await;
    let waiting = join_all((0..4).map(|index| {
        let lanes = lanes.clone();
        async move { lanes.execute(command("p", &format!("waiting {index}"), pack(1))).await }
    }));
    let beyond = async {
        let busy = lanes.execute(command("p", "beyond", pack(1))).await.unwrap_err();
        assert!(matches!(busy, CommandFault::Busy), "{busy:?}");
        holding.rollback().await.unwrap();
    };
    let (waiting, ()) = tokio::join!(waiting, beyond);
    assert!(waiting.iter().all(Result::is_ok), "{waiting:?}");
    working.await.unwrap().unwrap();
    lanes.execute(command("p", "beyond", pack(1))).await.unwrap();
    assert_eq!(log.assert_dense().await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn d12_a_lock_that_a_migration_holds_refuses_commands_and_loses_nothing() {
    let log = TestLog::create("migration_lock").await;
    let pool = log.pool().await;
    let settings = LogSettings { lock_timeout_ms: 50, ..log.settings() };
    let ((cached, _parts), (fresh, _other_parts)) =
        (log.process_with(&settings), log.process_with(&settings));
    cached.execute(command("p", "1", pack(1))).await.unwrap();
    for locked in ["log.events", "log.heads"] {
        let mut migrating = pool.begin().await.unwrap();
        let lock = format!("lock table {locked} in access exclusive mode");
        sqlx::query(sqlx::AssertSqlSafe(lock)).execute(&mut *migrating).await.unwrap();
        for lanes in [&cached, &fresh] {
            let refused = lanes.execute(command("p", locked, pack(1))).await.unwrap_err();
            assert_refused_for_the_lock(&refused);
        }
        migrating.rollback().await.unwrap();
    }
    assert_eq!(log.assert_dense().await, 1, "a refused command wrote nothing");
    for lanes in [cached, fresh] {
        lanes.execute(command("p", "log.events", pack(1))).await.unwrap();
        lanes.execute(command("p", "log.heads", pack(1))).await.unwrap();
    }
    assert_eq!(log.assert_dense().await, 3);
}

fn assert_refused_for_the_lock(refused: &CommandFault<ParcelRefusal>) {
    let CommandFault::Unavailable(fault @ Fault::Transient { .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(fault.to_string().contains("lock timeout"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c09_a_server_that_may_forget_takes_no_commands_unless_that_is_wanted() {
    let log = TestLog::create("forgetful").await;
    let name = log.database.name();
    let off = format!("alter database {name:?} set synchronous_commit = off");
    sqlx::query(sqlx::AssertSqlSafe(off)).execute(&log.pool().await).await.unwrap();
    let told = log.reader().audit().await.unwrap_err();
    assert!(matches!(told, Fault::Fatal { .. }), "{told:?}");
    assert!(told.to_string().contains("synchronous_commit is off"), "{told}");

    let refused = log.process().0.execute(command("p", "1", pack(1))).await.unwrap_err();
    assert!(matches!(&refused, CommandFault::Unavailable(Fault::Fatal { .. })), "{refused:?}");
    assert_eq!(log.assert_dense().await, 0);

    let wanted = LogSettings { allow_unsafe_database: true, ..log.settings() };
    let (lanes, _parts) = log.process_with(&wanted);
    lanes.execute(command("p", "1", pack(1))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn c09_a_role_that_may_change_history_takes_no_commands() {
    let log = TestLog::create("mighty_role").await;
    log.reader().audit().await.unwrap();
    let owner = LogReader::new(&log.settings().owner_url, 1).unwrap();
    let told = owner.audit().await.unwrap_err();
    assert!(told.to_string().contains("the role postgres may change history"), "{told}");
    let settings = LogSettings { url: log.settings().owner_url, ..log.settings() };
    let refused = log.process_with(&settings).0.execute(command("p", "1", pack(1))).await;
    assert!(matches!(refused, Err(CommandFault::Unavailable(Fault::Fatal { .. }))), "{refused:?}");
}
