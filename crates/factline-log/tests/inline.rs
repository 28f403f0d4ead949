//! Views that are kept in the append's own transaction, on a real Postgres.

use std::sync::Arc;

use async_trait::async_trait;
use factline_core::{Fault, Recorded};
use factline_log::{CommandFault, InlineView, LaneParts, Lanes, LogSettings, classify};
use factline_testkit::{
    FaultProxy,
    parcels::{Parcel, ParcelEvent},
};
use futures::future::join_all;
use sqlx::{PgConnection, PgPool};

use crate::support::{TestLog, command, pack};

/// What each parcel weighs, and of how many events that is made.
struct Weights;

/// More than this the table does not take.
const TOO_HEAVY: i64 = 1_000_000;

#[async_trait]
impl InlineView<ParcelEvent> for Weights {
    fn name(&self) -> &'static str {
        "weights"
    }

    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), Fault> {
        let look = sqlx::query("select from inline.weights limit 0").execute(connection).await;
        look.map(drop).map_err(|error| classify("looking for the table", error))
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        events: &[Recorded<ParcelEvent>],
    ) -> Result<(), Fault> {
        for Recorded { envelope, event } in events {
            let ParcelEvent::ParcelPacked(packed) = event else { continue };
            sqlx::query(
                "insert into inline.weights values ($1, $2, 1) on conflict (parcel) do update
                 set grams = weights.grams + excluded.grams, events = weights.events + 1",
            )
            .bind(envelope.stream_id.as_str())
            .bind(packed.weight_grams)
            .execute(&mut *tx)
            .await
            .map_err(|error| classify("weighing a parcel", error))?;
        }
        Ok(())
    }
}

/// A log whose database has the view's table.
async fn log_with_a_table(test: &str) -> TestLog {
    let log = TestLog::create(test).await;
    let table = format!(
        "create table inline.weights (parcel text primary key, grams bigint check (grams < {TOO_HEAVY}),
                                      events bigint not null)"
    );
    sqlx::query(sqlx::AssertSqlSafe(table)).execute(&log.pool().await).await.unwrap();
    log
}

fn process_with_the_view(log: &TestLog, settings: &LogSettings) -> (Lanes<Parcel>, LaneParts) {
    Lanes::with_views(settings, &log.topic, vec![Arc::new(Weights)]).unwrap()
}

async fn row(pool: &PgPool, parcel: &str) -> Option<(i64, i64)> {
    sqlx::query_as("select grams, events from inline.weights where parcel = $1")
        .bind(parcel)
        .fetch_optional(pool)
        .await
        .unwrap()
}

/// Fails unless the view has every event of the log once, and says so.
async fn assert_whole(log: &TestLog) {
    let pool = log.pool().await;
    let (events, behind): (i64, i64) = sqlx::query_as(
        "select (select coalesce(sum(events), 0)::bigint from inline.weights),
                (select count(*) from log.heads h join log.inline_checkpoints c using (topic, partition)
                 where h.position <> c.position)",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!((events, behind), (log.assert_dense().await, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_answered_reads_the_row_in_any_process() {
    let log = log_with_a_table("inline_answered").await;
    let pool = log.pool().await;
    let settings = log.settings();
    let processes =
        [process_with_the_view(&log, &settings), process_with_the_view(&log, &settings)];
    let callers = (0..40).map(|caller: i64| {
        let (lanes, pool) = (&processes[usize::from(caller % 2 == 0)].0, &pool);
        async move {
            let parcel = format!("p{}", caller % 8); // so that streams move under each other
            for round in 0..5 {
                let packed = command(&parcel, &format!("{caller}-{round}"), pack(1));
                let version = lanes.execute(packed).await.unwrap().version.0;
                let (grams, _) = row(pool, &parcel).await.expect("it was answered");
                assert!(grams >= version, "{parcel}: {grams} grams at version {version}");
            }
        }
    });
    join_all(callers).await;
    assert_whole(&log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_appended_without_the_view_is_taken_in_before_the_next_command() {
    let log = log_with_a_table("inline_without").await;
    let pool = log.pool().await;
    let (without, _parts) = log.process();
    for round in 0..30 {
        let parcel = format!("p{}", round % 5);
        without.execute(command(&parcel, &format!("{round}"), pack(2))).await.unwrap();
    }
    assert_eq!(row(&pool, "p0").await, None);
    let (with, _parts) = process_with_the_view(&log, &log.settings());
    with.execute(command("p0", "first", pack(2))).await.unwrap();
    assert_eq!(row(&pool, "p0").await, Some((14, 7)));
    assert_whole(&log).await;
    without.execute(command("p0", "meanwhile", pack(2))).await.unwrap();
    assert_eq!(row(&pool, "p0").await, Some((14, 7)), "this process has no view");
    with.execute(command("p0", "second", pack(2))).await.unwrap();
    assert_eq!(row(&pool, "p0").await, Some((18, 9)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_and_a_refusal_leave_the_view_as_it_is() {
    let log = log_with_a_table("inline_repeats").await;
    let pool = log.pool().await;
    let settings = LogSettings { recent_commands: 1, ..log.settings() };
    let (lanes, _parts) = process_with_the_view(&log, &settings);
    lanes.execute(command("p", "1", pack(5))).await.unwrap();
    lanes.execute(command("p", "2", pack(5))).await.unwrap();
    assert!(lanes.execute(command("p", "1", pack(5))).await.unwrap().replayed);
    let mut insisting = command("p", "3", pack(5));
    insisting.expected = Some(factline_core::Version(7));
    let refused = lanes.execute(insisting).await.unwrap_err();
    assert!(matches!(refused, CommandFault::VersionMismatch { .. }), "{refused:?}");
    assert_eq!(row(&pool, "p").await, Some((10, 2)));
    assert_whole(&log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_a_view_cannot_take_fails_its_command_and_no_other() {
    let log = log_with_a_table("inline_poison").await;
    let (lanes, _parts) = process_with_the_view(&log, &log.settings());
    let commands = (0..40).map(|number| {
        let grams = if number == 13 { TOO_HEAVY } else { 1 };
        lanes.execute(command(&format!("p{}", number % 4), &format!("{number}"), pack(grams)))
    });
    let outcomes = join_all(commands).await;
    let failed: Vec<usize> =
        (0..).zip(&outcomes).filter(|(_, outcome)| outcome.is_err()).map(|one| one.0).collect();
    assert_eq!(failed, [13]);
    assert_eq!(log.assert_dense().await, 39, "it is not in the log either");
    assert_whole(&log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_at_any_moment_leave_events_and_rows_together_or_neither() {
    let log = log_with_a_table("inline_cut").await;
    let proxy = FaultProxy::to_postgres(&factline_testkit::stack()).await;
    let (lanes, _parts) = process_with_the_view(&log, &log.settings_through(&proxy));
    let mut cuts = 0;
    for round in 0..40 {
        let commands = (0..8).map(|caller| {
            let key = format!("{round}-{caller}");
            lanes.execute(command(&format!("p{caller}"), &key, pack(1)))
        });
        let all = join_all(commands);
        if round % 2 == 0 {
            proxy.cut_once();
            cuts += 1;
        }
        for outcome in all.await {
            match outcome {
                Ok(_) | Err(CommandFault::OutcomeUnknown(_) | CommandFault::Unavailable(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(cuts, 20);
    // A command more, in every partition, takes in whatever a lost answer has left.
    for number in 0..8 {
        let last = command(&format!("p{number}"), "last", pack(1));
        lanes.execute(last).await.unwrap();
    }
    assert_whole(&log).await;
}
