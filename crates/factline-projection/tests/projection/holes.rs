//! Order on the topic is not what it should be: holes, forks, other owners, lost offsets.

use crate::support::{PARTITIONS, Parcels, SOON, World};
use factline_core::partition_for;
use factline_projection::{
    Condition, FoldedView,
    beginnings::{self, Begun, NewBeginning},
};
use factline_testkit::{
    eventually,
    parcels::{packed, sent},
};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn k10_a_jump_is_refilled_from_the_log() {
    let world = World::create("refill").await;
    let projector = world.start();
    let events: Vec<_> = (1..=30).map(|weight| world.record("a", packed(weight))).collect();
    world.send(&events[..3]).await;
    world.send(&events[9..]).await; // 4 to 9 never reached the topic
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some((1..=30).sum()));
    assert_eq!(world.processed().await, 30);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_event_that_the_relay_sends_again_is_taken_from_the_topic() {
    let world = World::create("late").await;
    let patient =
        factline_projection::ProjectionSettings { gap_wait_ms: 600_000, ..World::settings() };
    let projector = world.start_with(FoldedView::<Parcels>::new(), patient);
    let events: Vec<_> = (1..=6).map(|weight| world.record("a", packed(weight))).collect();
    world.send(&events[..2]).await;
    world.send(&events[3..5]).await; // 3 expired while 4 and 5 were written
    world.send(&events[2..]).await; // back to the cursor: everything again
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(21));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_that_nobody_can_fill_stops_its_partition_and_heals_when_the_event_comes() {
    let world = World::create("no_log").await;
    let mut parts = world.parts(FoldedView::<Parcels>::new(), World::settings());
    parts.history = None;
    let projector = world.run(parts);
    let other = (0..)
        .map(|n| format!("other-{n}"))
        .find(|name| partition_for(name, PARTITIONS) != partition_for("a", PARTITIONS));
    let other = other.unwrap();
    let events: Vec<_> = (1..=3).map(|weight| world.record("a", packed(weight))).collect();
    world.send(&[events[0].clone(), events[2].clone()]).await;
    let stopped = projector.becomes("stopped", |s| s.condition == Condition::Stopped).await;
    assert!(stopped.reasons[0].contains("gap"), "{stopped:?}");
    assert!(!stopped.is_ready());

    let flowing = world.write(&[(&other, packed(7))]).await;
    projector.gate.wait_for(&[flowing[0].envelope.token()], SOON).await.unwrap();
    assert_eq!(world.weight(&other).await, Some(7), "other partitions go on");
    assert_eq!(world.weight("a").await, Some(1));

    world.send(&events[1..]).await;
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(6));
    projector.becomes("running", |s| s.condition == Condition::Running).await;
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k08_a_fork_stops_and_writes_nothing() {
    let world = World::create("fork").await;
    let projector = world.start();
    let written = world.write(&[("a", packed(10)), ("a", packed(20))]).await;
    world.caught_up(&projector).await;

    let mut other = written[1].clone();
    other.envelope.event_id = Uuid::now_v7();
    let next = world.record("a", packed(40));
    world.send(&[other, next]).await;
    let stopped = projector.becomes("stopped", |s| s.condition == Condition::Stopped).await;
    assert!(stopped.reasons[0].contains("fork"), "{stopped:?}");
    assert_eq!(world.weight("a").await, Some(30));
    assert_eq!(world.processed().await, 2);
    assert_eq!(world.parked().await, []);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d06_an_event_that_is_known_beyond_the_checkpoint_is_not_applied_twice() {
    let world = World::create("known").await;
    let events: Vec<_> = (1..=3).map(|weight| world.record("a", packed(weight))).collect();
    sqlx::query("insert into projection.processed_events (projection, event_id) values ($1, $2)")
        .bind("parcels")
        .bind(events[1].envelope.event_id)
        .execute(&world.pool)
        .await
        .unwrap();
    let projector = world.start();
    world.send(&events).await;
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(4), "the second had its effect before");
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_an_owner_that_was_overtaken_while_it_held_a_transaction_writes_nothing() {
    let world = World::create("zombie").await;
    let projector = world.start();
    world.write(&[("a", packed(10))]).await;
    world.caught_up(&projector).await;

    // Another owner takes the next event, and is about to commit.
    let event = world.record("a", packed(20));
    let envelope = &event.envelope;
    let mut other = world.pool.begin().await.unwrap();
    let moved = sqlx::query(
        "update projection.checkpoints set position = $1 where partition = $2 and position = $1 - 1",
    )
    .bind(envelope.position.0)
    .bind(envelope.partition)
    .execute(&mut *other)
    .await
    .unwrap();
    assert_eq!(moved.rows_affected(), 1);
    sqlx::query("insert into projection.processed_events (projection, event_id) values ($1, $2)")
        .bind("parcels")
        .bind(envelope.event_id)
        .execute(&mut *other)
        .await
        .unwrap();
    sqlx::query("update parcels set weight_grams = 30 where parcel = 'a'")
        .execute(&mut *other)
        .await
        .unwrap();

    // Ours gets it too, and waits for the checkpoint's row.
    world.send(std::slice::from_ref(&event)).await;
    eventually(SOON, "our transaction waits", async || {
        world
            .count("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
            .await
            > 0
    })
    .await;
    other.commit().await.unwrap();

    world.write(&[("a", sent("Oslo"))]).await;
    world.caught_up(&projector).await;
    let row = world.row("a").await.unwrap();
    assert_eq!((row.weight_grams, row.sent_to.as_deref()), (30, Some("Oslo")));
    assert_eq!(world.processed().await, 3);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_an_offset_that_the_topic_does_not_have_is_no_silent_jump() {
    let world = World::create("lost_offset").await;
    let projector = world.start();
    world.write(&[("a", packed(10))]).await;
    world.caught_up(&projector).await;
    projector.stop().await;
    // The topic was made anew: the offset that we want next lies far beyond its end.
    sqlx::query("update projection.checkpoints set next_offset = 1000000")
        .execute(&world.pool)
        .await
        .unwrap();

    let projector = world.start();
    world.write(&[("a", packed(5))]).await;
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(15));
    assert_eq!(world.processed().await, 2);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_unread_records_that_are_gone_come_from_the_log_though_no_other_event_comes() {
    let world = World::create("lost_tail").await;
    let projector = world.start();
    world.write(&[("a", packed(10))]).await;
    world.caught_up(&projector).await;
    projector.stop().await;
    world.record("a", packed(5)); // retention took it before anybody had read it
    sqlx::query("update projection.checkpoints set next_offset = 1000000")
        .execute(&world.pool)
        .await
        .unwrap();
    let projector = world.start();
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(15));
    assert_eq!(world.processed().await, 2);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_more_partitions_than_before_is_not_consumed() {
    let world = World::create("partitions").await;
    sqlx::query(
        "insert into projection.checkpoints (projection, topic, partition, partitions)
         select 'parcels', $1, generate_series(0, 1), 2",
    )
    .bind(&*world.topic)
    .execute(&world.pool)
    .await
    .unwrap();
    let projector = world.start();
    let stopped = projector.becomes("stopped", |s| s.condition == Condition::Stopped).await;
    assert!(stopped.reasons[0].contains("partitions"), "{stopped:?}");
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_of_the_views_server_takes_back_comes_again_from_kafka_alone() {
    const FLUSH: &str = "
        create schema disk;
        create table disk.parcels as table parcels;
        create table disk.checkpoints as table projection.checkpoints;
        create table disk.processed_events as table projection.processed_events";
    // Commits that had not reached the disk are gone, whole and from the end.
    const CRASH: &str = "
        begin;
        delete from parcels;
        insert into parcels table disk.parcels;
        delete from projection.checkpoints;
        insert into projection.checkpoints table disk.checkpoints;
        delete from projection.processed_events;
        insert into projection.processed_events table disk.processed_events;
        commit";
    let world = World::create("taken_back").await;
    let mut parts = world.parts(FoldedView::<Parcels>::new(), World::settings());
    parts.history = None;
    let projector = world.run(parts);
    world.write(&[("a", packed(10)), ("b", packed(1))]).await;
    world.caught_up(&projector).await;
    sqlx::raw_sql(FLUSH).execute(&world.pool).await.unwrap();
    world.write(&[("a", packed(20)), ("a", packed(30)), ("b", packed(2))]).await;
    world.caught_up(&projector).await;

    sqlx::raw_sql(CRASH).execute(&world.pool).await.unwrap();
    assert_eq!(world.weight("a").await, Some(10), "two events are gone");
    world.write(&[("a", packed(40)), ("b", packed(4))]).await;
    world.caught_up(&projector).await;
    assert_eq!((world.weight("a").await, world.weight("b").await), (Some(100), Some(7)));
    assert_eq!(world.processed().await, 7);
    assert_eq!(world.parked().await, []);
    projector.becomes("running", |s| s.condition == Condition::Running).await;
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_lets_a_partition_begin_behind_a_gap_that_nobody_can_fill() {
    let world = World::create("begin").await;
    let mut parts = world.parts(FoldedView::<Parcels>::new(), World::settings());
    parts.history = None;
    let projector = world.run(parts);
    let events: Vec<_> = (1..=4).map(|weight| world.record("a", packed(weight))).collect();
    world.send(&[events[0].clone(), events[2].clone()]).await;
    projector.becomes("stopped", |s| s.condition == Condition::Stopped).await;

    let place = &events[1].envelope;
    let beginning = |after| NewBeginning {
        who: "ada",
        reason: "the log of that day is lost",
        projection: "parcels",
        topic: &world.topic,
        partition: place.partition,
        partitions: PARTITIONS,
        after,
    };
    let begun = beginnings::begin(&world.pool, &beginning(2)).await.unwrap();
    assert_eq!(begun, Begun::From { was: 1 });
    let earlier = beginnings::begin(&world.pool, &beginning(0)).await.unwrap();
    assert!(matches!(earlier, Begun::Passed { .. }), "what had its effect is not done again");
    projector.becomes("running", |s| s.condition == Condition::Running).await;
    assert_eq!(world.weight("a").await, Some(4), "1 and 3");

    world.send(&events[1..]).await; // the relay goes back to its cursor
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(8), "the second is no fork, and has no effect");
    assert_eq!(world.processed().await, 3);
    let recorded: (String, String, i64, i64) =
        sqlx::query_as("select who, reason, was, after from projection.beginnings")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(recorded, ("ada".into(), "the log of that day is lost".into(), 1, 2));
    projector.stop().await;
}
