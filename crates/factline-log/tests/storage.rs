//! What the log's tables allow, and what may be thrown away.

use crate::support::{DEADLINE, PackAll, TestLog, command, pack, stream};
use factline_core::{StreamId, Version};
use factline_log::{LogReader, LogSettings, RelayCursors};
use factline_testkit::eventually;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

#[tokio::test(flavor = "multi_thread")]
async fn the_run_time_role_cannot_change_history() {
    let log = TestLog::create("role").await;
    let (lanes, _parts) = log.process();
    lanes.execute(command("p", "1", pack(1))).await.unwrap();
    let mut writer = PgConnection::connect(&log.settings().url).await.unwrap();
    // Without a grant option this gives nothing away; the updates below are still refused.
    let give = sqlx::query("grant update on log.events to factline_log_writer");
    give.execute(&mut writer).await.unwrap();
    for forbidden in [
        "update log.events set version = 9",
        "delete from log.events",
        "truncate log.events",
        "drop table log.events",
        "alter table log.events disable trigger all",
        "create trigger t before update on log.events for each row
             execute function suppress_redundant_updates_trigger()",
        "create rule r as on insert to log.events do instead nothing",
        "alter table log.events owner to factline_log_writer",
        "do $$ begin lock table log.events in access exclusive mode; end $$",
        "with gone as (delete from log.events returning 1) select * from gone",
        "insert into log.events select * from log.events
             on conflict (topic, partition, position) do update set version = 9",
        "merge into log.events e using log.heads h on e.partition = h.partition
             when matched then delete",
        "create or replace function log.lock_heads(p_topic text, p_partitions integer[])
             returns void language sql as ''",
        "update log.topics set partitions = 9",
        "delete from log.heads",
        "update log.schemas set json = ''",
        "set role postgres",
        "set session authorization postgres",
        "set session_replication_role = replica",
        "alter role factline_log_writer superuser",
        "grant postgres to factline_log_writer",
        "alter system set fsync = off",
        "copy (select 1) to program 'true'",
        "create table log.mine ()",
    ] {
        let refused = sqlx::query(AssertSqlSafe(forbidden)).execute(&mut writer).await;
        let refused = refused.expect_err(forbidden);
        let code = refused.as_database_error().and_then(|error| error.code()).unwrap();
        assert_eq!(code, "42501", "not for want of a right: {forbidden}: {refused}");
    }
    assert_eq!(log.assert_dense().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_appear_at_crossings_and_deleting_them_changes_nothing() {
    let log = TestLog::create("snapshots").await;
    let (lanes, _parts) = log.process();
    for index in 0..25 {
        lanes.execute(command("p", &format!("{index}"), pack(2))).await.unwrap();
    }
    let pool = log.pool().await;
    let versions: Vec<(i64,)> =
        sqlx::query_as("select version from log.snapshots order by version")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(versions, [(10,), (20,)]);

    let (with_snapshot, _parts) = log.process();
    let done = with_snapshot.execute(command("p", "a", pack(2))).await.unwrap();
    assert_eq!((done.version, done.state.weight_grams), (Version(26), 52));

    sqlx::query("delete from log.snapshots").execute(&pool).await.unwrap();
    let (without, _parts) = log.process();
    let done = without.execute(command("p", "b", pack(2))).await.unwrap();
    assert_eq!((done.version, done.state.weight_grams), (Version(27), 54));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_fifty_thousand_events_is_loaded_from_its_last_snapshot() {
    let log = TestLog::create("long_stream").await;
    let settings = LogSettings { snapshot_every: 100, ..log.settings() };
    let (lanes, parts) = log.process_with(&settings);
    for index in 0..100 {
        lanes.execute(command("p", &index.to_string(), PackAll(vec![1; 500]))).await.unwrap();
    }
    lanes.execute(command("p", "last", PackAll(vec![1; 37]))).await.unwrap();
    let before = log.entries_read(lanes, parts).await;

    let (with_snapshot, parts) = log.process_with(&settings);
    for further in 1..=10 {
        let done = with_snapshot.execute(command("p", &format!("a{further}"), pack(1))).await;
        let done = done.unwrap();
        assert_eq!((done.version.0, done.state.weight_grams), (50_037 + further, 50_037 + further));
    }
    let read = log.entries_read(with_snapshot, parts).await - before;
    // The 37 events after the snapshot, once; an append looks nothing up.
    assert!((37..=37 + 5).contains(&read), "{read} index entries for 10 commands");

    sqlx::query("delete from log.snapshots").execute(&log.pool().await).await.unwrap();
    let (without, parts) = log.process_with(&settings);
    let done = without.execute(command("p", "b", pack(1))).await.unwrap();
    assert_eq!((done.version, done.state.weight_grams), (Version(50_048), 50_048));
    let read = log.entries_read(without, parts).await - before;
    assert!(read > 50_000, "{read} index entries");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_load_is_followed_by_a_snapshot() {
    let log = TestLog::create("slow_load").await;
    let (lanes, _parts) = log.process();
    for index in 0..3 {
        lanes.execute(command("p", &format!("{index}"), pack(2))).await.unwrap();
    }
    let every_load_is_slow = LogSettings { snapshot_after_load_ms: 0, ..log.settings() };
    let (lanes, _parts) = log.process_with(&every_load_is_slow);
    lanes.execute(command("p", "next", pack(2))).await.unwrap();
    lanes.look(stream("p")).await.unwrap(); // the lane has written its snapshot
    let (version,): (i64,) = sqlx::query_as("select version from log.snapshots")
        .fetch_one(&log.pool().await)
        .await
        .unwrap();
    assert_eq!(version, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn d13_a_snapshot_that_does_not_read_or_of_another_version_is_passed_over() {
    let log = TestLog::create("bad_snapshot").await;
    let (lanes, _parts) = log.process();
    for index in 0..12 {
        lanes.execute(command("p", &format!("{index}"), pack(2))).await.unwrap();
    }
    let pool = log.pool().await;
    for (round, spoil) in [
        "update log.snapshots set state = '\"broken\"'",
        "update log.snapshots set state_version = 99",
    ]
    .into_iter()
    .enumerate()
    {
        sqlx::query(spoil).execute(&pool).await.unwrap();
        let (fresh, _parts) = log.process();
        let done = fresh.execute(command("p", &format!("after {round}"), pack(2))).await.unwrap();
        assert_eq!(done.state.weight_grams, 24 + 2 * (i64::try_from(round).unwrap() + 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d02_a_stream_with_a_hole_is_closed_to_commands_and_its_neighbours_are_not() {
    let log = TestLog::create("hole").await;
    let (lanes, _parts) = log.process();
    for index in 0..3 {
        lanes.execute(command("p", &format!("{index}"), pack(2))).await.unwrap();
    }
    let pool = log.pool().await;
    sqlx::query("delete from log.events where version = 2").execute(&pool).await.unwrap();
    let (fresh, _parts) = log.process();
    let (broken, whole) = tokio::join!(
        fresh.execute(command("p", "next", pack(2))),
        fresh.execute(command("q", "next", pack(2))),
    );
    assert!(broken.is_err(), "{broken:?}");
    assert!(whole.is_ok(), "{whole:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_held_by_one_and_free_when_its_connection_ends() {
    let log = TestLog::create("lease").await;
    let reader = LogReader::new(&log.settings().url, 2).unwrap();
    let cursors = RelayCursors::new(&reader);
    let mut held = cursors.try_lease(&log.topic).await.unwrap().unwrap();
    assert!(held.still_held().await);
    assert!(cursors.try_lease(&log.topic).await.unwrap().is_none());
    held.release().await.unwrap();
    eventually(DEADLINE, "the server has ended its session", async || {
        cursors.try_lease(&log.topic).await.unwrap().is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_never_moves_back() {
    use factline_core::Position;
    let log = TestLog::create("cursor").await;
    let cursors = RelayCursors::new(&log.reader());
    cursors.advance(&log.topic, &[(0, Position(5)), (2, Position(7))]).await.unwrap();
    cursors.advance(&log.topic, &[(0, Position(3)), (2, Position(9))]).await.unwrap();
    let positions: Vec<i64> =
        cursors.load(&log.topic).await.unwrap().iter().map(|cursor| cursor.1.0).collect();
    assert_eq!(positions, [5, 0, 9, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_a_connection_that_comes_back_inside_a_transaction_is_closed_and_takes_nobody_along() {
    use factline_core::Position;
    const SESSION: &str = "select pg_backend_pid()";
    let log = TestLog::create("open_transaction").await;
    let reader = LogReader::new(&log.settings().url, 1).unwrap();
    let (pool, cursors) = (reader.pool(), RelayCursors::new(&reader));
    for (round, left_open) in [
        "begin; update log.relay_cursors set position = 99 where partition = 3",
        "begin; select 1 / 0", // the server answers nothing more until it is rolled back
    ]
    .into_iter()
    .enumerate()
    {
        let mut borrowed = pool.acquire().await.unwrap();
        let (before,): (i32,) = sqlx::query_as(SESSION).fetch_one(&mut *borrowed).await.unwrap();
        let left = sqlx::raw_sql(left_open).execute(&mut *borrowed).await;
        assert_eq!(left.is_err(), round == 1, "{left:?}");
        drop(borrowed);

        let to = Position(i64::try_from(round).unwrap() + 1);
        cursors.advance(&log.topic, &[(0, to)]).await.unwrap();
        let seen: Vec<(i64,)> =
            sqlx::query_as("select position from log.relay_cursors order by partition")
                .fetch_all(&log.pool().await)
                .await
                .unwrap();
        assert_eq!(seen, [(to.0,), (0,), (0,), (0,)], "committed, and the other thing is not");
        let (after,): (i32,) = sqlx::query_as(SESSION).fetch_one(pool).await.unwrap();
        assert_ne!(before, after);
        let (same,): (i32,) = sqlx::query_as(SESSION).fetch_one(pool).await.unwrap();
        assert_eq!(after, same, "whoever comes back in order is kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_twice_is_harmless_and_another_partition_count_is_refused() {
    let log = TestLog::create("migrate_twice").await;
    let mut owner = factline_log::migrate(&log.database.url()).await.unwrap();
    factline_log::ensure_topic(&mut owner, &log.topic, crate::support::PARTITIONS).await.unwrap();
    let refused = factline_log::ensure_topic(&mut owner, &log.topic, 9).await.unwrap_err();
    assert!(refused.to_string().contains("for ever"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_counts_other_partitions_than_the_log_writes_nothing() {
    let log = TestLog::create("other_count").await;
    let settings = factline_log::LogSettings { partitions: 9, ..log.settings() };
    let (lanes, _parts) =
        factline_log::Lanes::<factline_testkit::parcels::Parcel>::start(&settings, &log.topic)
            .unwrap();
    let refused = lanes.execute(command("p", "1", pack(1))).await;
    assert!(matches!(refused, Err(factline_log::CommandFault::Unavailable(_))), "{refused:?}");
    assert_eq!(log.assert_dense().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_remembers_more_than_a_restored_log_holds_decides_again() {
    let log = TestLog::create("restored").await;
    let (lanes, _parts) = log.process();
    for index in 0..2 {
        lanes.execute(command("p", &format!("{index}"), pack(2))).await.unwrap();
    }
    let backup = log.database.back_up().await;
    lanes.execute(command("p", "2", pack(2))).await.unwrap();
    log.database.restore(backup).await;
    let done = lanes.execute(command("p", "next", pack(2))).await.unwrap();
    assert_eq!((done.version, done.state.weight_grams), (Version(3), 6));
    assert_eq!(log.assert_dense().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_starts_on_an_empty_log_reads_nothing_to_append_and_one_entry_to_look() {
    const COMMANDS: i64 = 400;
    let log = TestLog::create("plans").await;
    let stream = |index: i64| format!("p{}", index % 40);
    let (lanes, parts) = log.process();
    for index in 0..COMMANDS {
        lanes.execute(command(&stream(index), &format!("{index}"), pack(1))).await.unwrap();
    }
    let read = log.entries_read(lanes, parts).await;
    assert!(read < COMMANDS / 10, "{read} index entries for {COMMANDS} commands");

    let log = TestLog::create("plans_of_looks").await;
    let (lanes, parts) = log.process();
    for index in 0..COMMANDS {
        let id = StreamId::parse(&stream(index)).unwrap();
        let seen = lanes.look(id).await.unwrap().version;
        assert_eq!(seen.0, index / 40);
        lanes.execute(command(&stream(index), &format!("{index}"), pack(1))).await.unwrap();
    }
    let read = log.entries_read(lanes, parts).await;
    // A look reads its stream's last version. Reading a partition for each would be a hundred times
    // that.
    assert!((COMMANDS - 40..5 * COMMANDS).contains(&read), "{read} entries, {COMMANDS} looks");
}
