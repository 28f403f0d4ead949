//! Streams with a past: events of types that are gone, rows that somebody has changed, and a million
//! of them.

use crate::support::{PARTITIONS, TestLog, command, pack};
use factline_core::{Fault, Version, partition_for};
use factline_log::{CommandFault, LogSettings};
use factline_testkit::parcels::Parcel;
use sqlx::types::Json;

/// The stream's second event becomes one of another schema.
const RETIRE: &str = r#"
    with retired as (
        insert into log.schemas (full_name, json) values ('factline.parcel.ParcelWrapped',
            '{"type": "record", "name": "ParcelWrapped", "namespace": "factline.parcel",
              "fields": [{"name": "weight_grams", "type": "long"}]}')
        returning schema_id
    )
    update log.events e set schema_id = r.schema_id from retired r
    where e.stream_id = 'p' and e.version = 2"#;

async fn assert_closed(log: &TestLog, words: &str) {
    let (fresh, _parts) = log.process();
    let (closed, open) = tokio::join!(
        fresh.execute(command("p", "next", pack(2))),
        fresh.execute(command("q", "next", pack(2))),
    );
    let Err(CommandFault::Unavailable(fault @ Fault::Fatal { .. })) = &closed else {
        panic!("{closed:?}")
    };
    assert!(fault.to_string().contains(words), "{fault}");
    assert_eq!(open.unwrap().version, Version(4), "its neighbours are open");
}

async fn three_of_each(test: &str) -> TestLog {
    let log = TestLog::create(test).await;
    let (lanes, _parts) = log.process();
    for index in 0..3 {
        for stream in ["p", "q"] {
            lanes.execute(command(stream, &index.to_string(), pack(2))).await.unwrap();
        }
    }
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn d14_an_event_of_a_retired_type_closes_its_stream_and_is_named() {
    let log = three_of_each("retired").await;
    sqlx::raw_sql(RETIRE).execute(&log.pool().await).await.unwrap();
    assert_closed(&log, "no event is called factline.parcel.ParcelWrapped").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d01_a_stored_event_that_was_changed_and_no_longer_decodes_closes_its_stream() {
    let log = three_of_each("edited").await;
    let edit = "update log.events set payload = '\\xffff' where stream_id = 'p' and version = 2";
    sqlx::raw_sql(edit).execute(&log.pool().await).await.unwrap();
    assert_closed(&log, "does not match its schema").await;
}

/// The events after the first, as one statement writes them.
const MILLION: &str = "
    insert into log.events
        (topic, partition, position, stream_id, version, event_id, schema_id, payload,
         correlation_id, causation_id, occurred_at, recorded_at)
    select topic, partition, nth, stream_id, nth, gen_random_uuid(), schema_id, payload,
           correlation_id, causation_id, occurred_at, recorded_at
    from log.events, generate_series(2, 1000000) nth where position = 1";

#[tokio::test(flavor = "multi_thread")]
async fn d15_a_stream_of_a_million_events_is_loaded_by_its_tail_once_there_is_a_snapshot() {
    let log = TestLog::create("million").await;
    let settings = LogSettings { lanes: 1, snapshot_every: 100, ..log.settings() };
    let (lanes, parts) = log.process_with(&settings);
    lanes.execute(command("p", "first", pack(3))).await.unwrap();
    let pool = log.pool().await;
    sqlx::query(MILLION).execute(&pool).await.unwrap();
    sqlx::query("update log.heads set position = 1000000 where partition = $1")
        .bind(partition_for("p", PARTITIONS))
        .execute(&pool)
        .await
        .unwrap();
    let before = log.entries_read(lanes, parts).await;

    // A snapshot at the last crossing, as the lane writes them.
    let state = Parcel { weight_grams: 3 * 999_900, ..Parcel::default() };
    let save = "insert into log.snapshots (topic, stream_id, version, state_version, state)
                values ($1, 'p', 999900, $2, $3)";
    sqlx::query(save)
        .bind(&log.topic)
        .bind(<Parcel as factline_core::Aggregate>::STATE_VERSION)
        .bind(Json(&state))
        .execute(&pool)
        .await
        .unwrap();
    let (short, parts) = log.process_with(&settings);
    let done = short.execute(command("p", "next", pack(3))).await.unwrap();
    assert_eq!((done.version, done.state.weight_grams), (Version(1_000_001), 3_000_003));
    let read = log.entries_read(short, parts).await - before;
    assert!((100..=100 + 5).contains(&read), "{read} index entries");

    // Without one the whole stream is read, once: a load that took long leaves a snapshot.
    sqlx::query("delete from log.snapshots").execute(&pool).await.unwrap();
    let slow = LogSettings { snapshot_after_load_ms: 0, ..settings.clone() };
    let (long, _parts) = log.process_with(&slow);
    let done = long.execute(command("p", "again", pack(3))).await.unwrap();
    assert_eq!((done.version, done.state.weight_grams), (Version(1_000_002), 3_000_006));
    long.look(crate::support::stream("p")).await.unwrap(); // the lane has written its snapshot
    let versions: Vec<(i64,)> =
        sqlx::query_as("select version from log.snapshots").fetch_all(&pool).await.unwrap();
    assert_eq!(versions, [(1_000_001,)]);
}
