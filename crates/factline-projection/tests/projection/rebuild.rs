//! A view is rebuilt beside the live one, compared, switched, rolled back; processes die meanwhile.

mod difference;
mod killed;

use std::time::Duration;

use factline_projection::{
    FoldedView, ProjectionSettings,
    rebuilds::{self, Begin, Difference, NewRebuild, Rebuild, Wish},
};
use factline_testkit::{
    eventually, eventually_ok,
    parcels::{ParcelEvent, lost, packed, sent},
};
use sqlx::PgPool;

use crate::support::{
    EventsByType, Parcels, REFUSES, Running, SOON, Switched, World, create_order_table, pool,
};

/// Small pages, so that a short history takes many.
fn settings() -> ProjectionSettings {
    ProjectionSettings { batch_records: 10, ..World::settings() }
}

fn wanted(projection: &str) -> NewRebuild<'_> {
    NewRebuild {
        who: "ada",
        reason: "the view was corrected",
        projection,
        begin: Begin::Nothing,
        events_per_second: None,
        accept_difference: false,
    }
}

async fn asked(world: &World, rebuild: &NewRebuild<'_>) -> i64 {
    rebuilds::ask(&world.pool, rebuild).await.unwrap()
}

async fn said(world: &World, wish: Wish) -> i64 {
    rebuilds::say(&world.pool, "parcels", wish, "ada", Some("seen")).await.unwrap().unwrap()
}

/// The rebuild, once it is in this state.
async fn becomes(world: &World, id: i64, state: &str) -> Rebuild {
    eventually_ok(SOON, &format!("the rebuild is {state}"), async || {
        let rebuild = rebuilds::find(&world.pool, id).await.unwrap();
        let is = rebuild.state == state && rebuild.wish.is_none();
        if is { Ok(rebuild) } else { Err(format!("{rebuild:?}")) }
    })
    .await
}

fn difference(rebuild: &Rebuild) -> &Difference {
    &rebuild.difference.as_ref().unwrap().0
}

/// Parcels with a history: each is packed many times over, some are sent, some are lost again.
async fn history(world: &World, parcels: i64) {
    let names: Vec<String> = (0..parcels).map(|n| format!("parcel-{n}")).collect();
    let mut events: Vec<(&str, ParcelEvent)> = Vec::new();
    for (n, name) in (0..).zip(&names) {
        events.extend([(name.as_str(), sent("Oslo")), (name, packed(n)), (name, packed(7))]);
        if n % 5 == 4 {
            events.push((name, lost("at sea")));
        }
    }
    world.write(&events).await;
}

/// All rows of a table as one text.
async fn image(pool: &PgPool, table: &str) -> String {
    let sql = format!("select coalesce(string_agg(t::text, ' ' order by t), '') from {table} t");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.unwrap()
}

async fn started(world: &World) -> Running {
    let projector = world.start_with(FoldedView::<Parcels>::new(), settings());
    history(world, 20).await;
    world.caught_up(&projector).await;
    projector
}

/// Tables, positions and parked rows of rebuilds that are still there.
async fn left(world: &World) -> (i64, i64, i64) {
    (
        world.count("select count(*) from pg_class where relname like '%\\_\\_next'").await,
        world.count("select count(*) from projection.rebuild_positions").await,
        world
            .count("select count(*) from projection.parked_events where projection like '%/%'")
            .await,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_view_equals_the_live_one_and_is_switched_while_events_arrive() {
    let world = World::create("rb_switch").await;
    let projector = started(&world).await;
    let before: String = world_oid(&world).await;
    let rebuild = NewRebuild { events_per_second: Some(40), ..wanted("parcels") };
    let id = asked(&world, &rebuild).await;
    for weight in 1..=30 {
        world.write(&[("parcel-1", packed(weight)), ("parcel-77", packed(1))]).await;
        tokio::time::sleep(Duration::from_millis(20)).await; // a load, not a wait
    }
    let done = becomes(&world, id, "switched").await;
    assert!(difference(&done).is_none(), "{done:?}");
    assert_ne!(world_oid(&world).await, before, "another table has the name now");
    world.write(&[("parcel-1", packed(1_000))]).await;
    world.caught_up(&projector).await;
    assert_eq!(world.weight("parcel-1").await, Some(8 + (1..=30).sum::<i64>() + 1_000));
    assert_eq!(world.weight("parcel-77").await, Some(30));
    assert_eq!(world.processed().await, 20 * 3 + 4 + 61);
    let indexes = "select count(*) from pg_indexes where tablename = 'parcels'
                   and indexname = 'parcels_pkey'";
    assert_eq!(world.count(indexes).await, 1, "indexes keep their names with the live table");
    projector.stop().await;
}

async fn world_oid(world: &World) -> String {
    sqlx::query_scalar("select to_regclass('parcels')::oid::text")
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_rebuild_leaves_nothing() {
    let world = World::create("rb_cancel").await;
    let projector = started(&world).await;
    let rebuild = NewRebuild { events_per_second: Some(5), ..wanted("parcels") };
    let id = asked(&world, &rebuild).await;
    becomes(&world, id, "building").await;
    eventually(SOON, "some events are applied", async || {
        world.count("select count(*) from parcels__next").await > 0
    })
    .await;
    let twin = rebuilds::ask(&world.pool, &wanted("parcels")).await.unwrap_err();
    assert!(twin.as_database_error().unwrap().is_unique_violation(), "one at a time");
    let progress = rebuilds::progress(&world.pool).await.unwrap().remove(0);
    assert!(progress.done > 0 && progress.done < progress.total, "{progress:?}");
    assert!(progress.seconds_left().unwrap() > 0.0);

    said(&world, Wish::Cancel).await;
    let cancelled = becomes(&world, id, "cancelled").await;
    let on_record = &cancelled.said.0[0];
    assert_eq!((&*on_record.wish, &*on_record.who), ("cancel", "ada"));
    assert_eq!(left(&world).await, (0, 0, 0));
    let id = asked(&world, &wanted("parcels")).await;
    becomes(&world, id, "switched").await;
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_build_it_once() {
    let world = World::create("rb_twins").await;
    // A row that all streams add to: an event that is applied twice would show.
    let start = || world.start_with(FoldedView::<EventsByType>::new(), settings());
    let (one, other) = (start(), start());
    history(&world, 20).await;
    world.caught_up(&one).await;
    let before = image(&world.pool, "events_by_type").await;
    let rebuild = NewRebuild { events_per_second: Some(30), ..wanted("events_by_type") };
    let id = asked(&world, &rebuild).await;
    let done = becomes(&world, id, "switched").await;
    assert!(difference(&done).is_none(), "{done:?}");
    assert_eq!(image(&world.pool, "events_by_type").await, before);
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_prepared_before_the_switch_read_the_new_table() {
    let world = World::create("rb_prepared").await;
    let projector = started(&world).await;
    let mut reader = world.pool.acquire().await.unwrap();
    let mut read = async || -> Option<i64> {
        sqlx::query_scalar(
            "select (to_jsonb(t)->>'weight_grams')::bigint from parcels t where parcel = $1",
        )
        .bind("parcel-3")
        .fetch_optional(&mut *reader)
        .await
        .unwrap()
    };
    for _ in 0..6 {
        assert_eq!(read().await, Some(10)); // from the sixth time on the plan is a generic one
    }
    damage(&world, "update parcels set weight_grams = 999 where parcel = 'parcel-3'").await;
    assert_eq!(read().await, Some(999));
    let rebuild = NewRebuild { accept_difference: true, ..wanted("parcels") };
    let id = asked(&world, &rebuild).await;
    becomes(&world, id, "switched").await;
    assert_eq!(read().await, Some(10), "a statement that was prepared finds the new table");
    projector.stop().await;
}

async fn damage(world: &World, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&world.pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_that_is_no_view_refuses() {
    let world = World::create("rb_no_view").await;
    let projector = world.start_with(NoView, settings());
    let id = asked(&world, &wanted("no_view")).await;
    let failed = becomes(&world, id, "failed").await;
    assert!(failed.error.unwrap().contains("no view of one table"));
    projector.stop().await;
}

fn without_a_log(world: &World) -> Running {
    let mut parts = world.parts(FoldedView::<Parcels>::new(), settings());
    parts.history = None;
    world.run(parts)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_log_a_view_is_rebuilt_from_its_topic() {
    let world = World::create("rb_topic").await;
    let projector = without_a_log(&world);
    history(&world, 20).await;
    world.caught_up(&projector).await;
    let before = image(&world.pool, "parcels").await;
    damage(&world, "update parcels set weight_grams = 1").await;
    let rebuild = NewRebuild { accept_difference: true, ..wanted("parcels") };
    let id = asked(&world, &rebuild).await;
    becomes(&world, id, "switched").await;
    assert_eq!(image(&world.pool, "parcels").await, before);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_has_lost_its_beginning_makes_no_view() {
    let world = World::create("rb_cut").await;
    world.record("parcel-3", packed(5)); // retention has taken it from the topic
    let projector = started(&world).await;
    projector.stop().await;
    let projector = without_a_log(&world);
    let id = asked(&world, &wanted("parcels")).await;
    let failed = becomes(&world, id, "failed").await;
    assert!(failed.error.unwrap().contains("the topic does not have them"));
    assert_eq!(left(&world).await, (0, 0, 0));
    projector.stop().await;
}

/// Takes events nowhere.
struct NoView;

#[async_trait::async_trait]
impl factline_projection::Projection for NoView {
    type Event = ParcelEvent;

    fn name(&self) -> &'static str {
        "no_view"
    }

    async fn apply(
        &self,
        _tx: &mut sqlx::PgConnection,
        _events: &[factline_core::Recorded<ParcelEvent>],
    ) -> Result<(), factline_projection::ApplyError> {
        Ok(())
    }
}
