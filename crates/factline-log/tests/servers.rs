//! A server that is there and refuses: read-only, full, without connections. Commands are answered
//! `unavailable`, nothing is half done, and the same commands are taken as soon as it can.

use crate::support::{DEADLINE, PARTITIONS, TestLog, command, pack};
use factline_core::{Fault, Position};
use factline_log::{CommandFault, DatabaseWatch, Lanes};
use factline_testkit::{eventually, eventually_ok, parcels::Parcel};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr as _, time::Duration};

/// A session of the test's own, which sets nothing aside for itself that the database refuses.
async fn session(log: &TestLog) -> PgConnection {
    PgConnection::connect(&log.database.url()).await.unwrap()
}

/// Says something of the database itself; holds for sessions that begin after it.
async fn alter(session: &mut PgConnection, log: &TestLog, what: &str) {
    let alter = format!("alter database {:?} {what}", log.database.name());
    sqlx::raw_sql(AssertSqlSafe(alter)).execute(session).await.unwrap();
}

/// Ends every other session, as a failover does.
async fn throw_out(session: &mut PgConnection) {
    const OTHERS: &str = "select pg_terminate_backend(pid, 10000) from pg_stat_activity
                          where datname = current_database() and pid <> pg_backend_pid()";
    sqlx::raw_sql(OTHERS).execute(session).await.unwrap();
}

/// Refused as something that passes, in the server's own words. Whoever's session was ended under
/// his hands may be told that the outcome is unknown; the next one knows that nothing was written.
async fn assert_unavailable(lanes: &Lanes<Parcel>, stream: &str, words: &str) {
    let refused = lanes.execute(command(stream, "2", pack(1))).await.unwrap_err();
    let passes = matches!(
        refused,
        CommandFault::Unavailable(Fault::Transient { .. })
            | CommandFault::OutcomeUnknown(Fault::Transient { .. })
    );
    assert!(passes, "{refused:?}");
    let refused = lanes.execute(command(stream, "2", pack(1))).await.unwrap_err();
    let CommandFault::Unavailable(fault @ Fault::Transient { .. }) = &refused else {
        panic!("{refused:?}")
    };
    assert!(fault.to_string().contains(words), "{fault}");
}

/// The refused commands are done now, once each.
async fn assert_goes_on(log: &TestLog, lanes: &Lanes<Parcel>) {
    for stream in ["known", "new"] {
        let done = lanes.execute(command(stream, "2", pack(1))).await.unwrap();
        assert!(!done.replayed, "{stream}: what was refused had no effect");
    }
    assert_eq!(log.assert_dense().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_a_server_that_has_become_read_only_refuses_commands_until_it_writes_again() {
    let log = TestLog::create("read_only").await;
    let (lanes, _parts) = log.process();
    lanes.execute(command("known", "1", pack(1))).await.unwrap();
    let mut session = session(&log).await;
    alter(&mut session, &log, "set default_transaction_read_only = on").await;
    throw_out(&mut session).await;
    for stream in ["known", "new"] {
        assert_unavailable(&lanes, stream, "read-only transaction").await;
    }
    alter(&mut session, &log, "set default_transaction_read_only = off").await;
    throw_out(&mut session).await;
    assert_goes_on(&log, &lanes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_a_server_without_a_free_connection_refuses_commands_until_it_has_one() {
    let log = TestLog::create("no_connection").await;
    let (lanes, _parts) = log.process();
    lanes.execute(command("known", "1", pack(1))).await.unwrap();
    let mut session = session(&log).await;
    alter(&mut session, &log, "connection limit 0").await;
    throw_out(&mut session).await;
    for stream in ["known", "new"] {
        assert_unavailable(&lanes, stream, "too many connections").await;
    }
    alter(&mut session, &log, "connection limit -1").await;
    assert_goes_on(&log, &lanes).await;
}

/// The server's own word for a full disk, from a trigger: the disk itself is everybody's.
#[tokio::test(flavor = "multi_thread")]
async fn d11_a_full_disk_refuses_commands_until_there_is_room() {
    const FULL: &str = "
        create function full_disk() returns trigger language plpgsql as $$ begin
            raise exception 'could not extend file: No space left on device' using errcode = '53100';
        end $$;
        create trigger full_disk before insert on log.events execute function full_disk()";
    let log = TestLog::create("full_disk").await;
    let (lanes, _parts) = log.process();
    lanes.execute(command("known", "1", pack(1))).await.unwrap();
    let mut session = session(&log).await;
    sqlx::raw_sql(FULL).execute(&mut session).await.unwrap();
    for stream in ["known", "new"] {
        assert_unavailable(&lanes, stream, "No space left").await;
    }
    sqlx::raw_sql("drop trigger full_disk on log.events").execute(&mut session).await.unwrap();
    assert_goes_on(&log, &lanes).await;
}

/// A reader by transaction ids would stop at the oldest open transaction; this one reads positions,
/// whose order is the order of the commits.
#[tokio::test(flavor = "multi_thread")]
async fn d16_a_session_that_stands_idle_in_a_transaction_hides_nothing_from_who_follows() {
    let log = TestLog::create("idle_in_transaction").await;
    let (lanes, _parts) = log.process();
    lanes.execute(command("p", "1", pack(1))).await.unwrap();
    let mut idle = session(&log).await;
    let begin = "begin isolation level repeatable read;
                 create table held_back (); select count(*) from log.events";
    sqlx::raw_sql(begin).execute(&mut idle).await.unwrap();
    for index in 2..=20 {
        lanes.execute(command("p", &index.to_string(), pack(1))).await.unwrap();
    }
    let pool = log.pool().await;
    const HELD_BACK: &str = "select count(*) from pg_stat_activity
        where datname = current_database() and state = 'idle in transaction'
          and backend_xid is not null";
    eventually(DEADLINE, "the horizon is held back", async || {
        let (held,): (i64,) = sqlx::query_as(HELD_BACK).fetch_one(&pool).await.unwrap();
        held == 1
    })
    .await;
    let starts: Vec<_> = (0..PARTITIONS).map(|partition| (partition, Position(1))).collect();
    let followed = log.reader().read_after(&log.topic, &starts, 100).await.unwrap();
    assert_eq!(followed.len(), 19, "everything that was committed since");
    sqlx::raw_sql("rollback").execute(&mut idle).await.unwrap();
}

/// Looked at by a role that may not see the other session's transaction, and with the oldest snapshot held
/// instead of an id.
#[tokio::test(flavor = "multi_thread")]
async fn d16_for_how_long_a_session_holds_the_horizon_back_is_measured_until_it_ends() {
    let log = TestLog::create("horizon").await;
    let (lanes, _parts) = log.process();
    let mut idle = session(&log).await;
    let begin = "begin isolation level repeatable read; select count(*) from log.events";
    sqlx::raw_sql(begin).execute(&mut idle).await.unwrap();
    lanes.execute(command("p", "1", pack(1))).await.unwrap(); // an id that its snapshot is older than
    let (mut watch, reader) = (DatabaseWatch::default(), log.reader());
    let mut before = Duration::ZERO;
    for _ in 0..3 {
        before = eventually_ok(DEADLINE, "it is held for longer", async || {
            let held = watch.look(reader.pool()).await.unwrap().horizon_held;
            if held > before { Ok(held) } else { Err(format!("{held:?}")) }
        })
        .await;
    }
    sqlx::raw_sql("rollback").execute(&mut idle).await.unwrap();
    eventually(DEADLINE, "nothing is held any more", async || {
        watch.look(reader.pool()).await.unwrap().horizon_held < before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c12_how_far_the_databases_clock_is_from_ours_is_measured() {
    let log = TestLog::create("clock").await;
    // Found before the server's own by whoever looks there first.
    let ahead = "create schema ahead; create function ahead.clock_timestamp() returns timestamptz
                 language sql as $$ select pg_catalog.clock_timestamp() + interval '10 minutes' $$";
    sqlx::raw_sql(ahead).execute(&log.pool().await).await.unwrap();
    let options = PgConnectOptions::from_str(&log.database.url()).unwrap();
    let options = options.options([("search_path", "ahead,pg_catalog")]);
    let (right, wrong) = (log.pool().await, PgPoolOptions::new().connect_lazy_with(options));

    let mut watch = DatabaseWatch::default();
    let far = Duration::from_secs(500);
    assert!(watch.look(&right).await.unwrap().clock_apart < far);
    assert!(watch.look(&wrong).await.unwrap().clock_apart > far);
}
