//! The relay on the real stack, while everything works: order, places, cursors, leases.

use crate::support::{PARTITIONS, Running, World, position};
use factline_codec::unframe;
use factline_core::partition_for;
use factline_kafka::{header, read_envelope};
use factline_relay::RelayStatus;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_reaches_its_own_partition_in_the_order_of_its_position() {
    let world = World::new("every event reaches its partition").await;
    world.pack(25, 12).await;
    let mut relay = Running::start(world.parts());
    relay.reaches("the relay runs", RelayStatus::is_healthy).await;
    world.relayed().await;
    world.pack(25, 2).await; // while it runs
    world.relayed().await;
    relay.stop().await;

    let (records, stored) = (world.records().await, world.stored().await);
    assert_eq!(stored.iter().map(Vec::len).sum::<usize>(), 25 * 14);
    for (records, stored) in records.iter().zip(&stored) {
        assert_eq!(records.len(), stored.len(), "nothing failed, so nothing came twice");
        for (record, event) in records.iter().zip(stored) {
            let envelope = read_envelope(record).unwrap();
            assert_eq!(envelope, event.envelope);
            assert_eq!(partition_for(envelope.stream_id.as_str(), PARTITIONS), record.partition);
            let (id, datum) = unframe(record.value.as_deref().unwrap()).unwrap();
            assert_eq!(datum, &*event.datum);
            let schema = String::from_utf8_lossy(header(&record.headers, "ce_dataschema").unwrap());
            assert!(schema.ends_with(&format!("/schemas/ids/{id}")), "{schema}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_orderly_stop_nothing_is_sent_again() {
    let world = World::new("after an orderly stop").await;
    let relay = Running::start(world.parts());
    world.pack(10, 5).await;
    relay.stop().await; // in the middle or not
    let relay = Running::start(world.parts());
    world.relayed().await;
    relay.stop().await;
    assert_eq!(world.assert_complete().await, 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_was_gone_between_sending_and_saving_sends_again_and_loses_nothing() {
    let world = World::new("gone between sending and saving").await;
    world.pack(10, 5).await;
    let relay = Running::start(world.parts());
    world.relayed().await;
    relay.crash().await;
    // What a crash before the cursor's commit leaves behind: the events on Kafka, the cursor old.
    sqlx::query("update log.relay_cursors set position = position / 2")
        .execute(&world.pool)
        .await
        .unwrap();
    let relay = Running::start(world.parts());
    world.relayed().await;
    relay.stop().await;
    assert!(world.assert_complete().await > 50, "a suffix came twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_crashes_anywhere_again_and_again_loses_nothing() {
    let world = World::new("a relay that crashes anywhere").await;
    world.pack(20, 30).await;
    for round in 0..6 {
        let mut relay = Running::start(world.parts());
        if round % 2 == 0 {
            relay.reaches("the relay runs", RelayStatus::is_healthy).await;
        } else {
            let before = world.cursors().await;
            factline_testkit::eventually(crate::support::SOON, "a cursor moves", async || {
                let now = world.cursors().await;
                now != before || now == world.heads().await
            })
            .await;
        }
        relay.crash().await;
    }
    let relay = Running::start(world.parts());
    world.relayed().await;
    relay.stop().await;
    world.assert_complete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_relay_stands_by_and_takes_over() {
    let world = World::new("a second relay stands by").await;
    let mut first = Running::start(world.parts());
    first.reaches("the first runs", |status| *status == RelayStatus::Running).await;
    let mut second = Running::start(world.parts());
    second.reaches("the second waits", |status| *status == RelayStatus::Standby).await;
    world.pack(5, 2).await;
    world.relayed().await;
    first.crash().await; // its lease ends with its connection
    second.reaches("the second takes over", |status| *status == RelayStatus::Running).await;
    world.pack(5, 2).await;
    world.relayed().await;
    second.stop().await;
    assert_eq!(world.assert_complete().await, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_relays_at_once_repeat_but_keep_the_first_occurrences_in_order() {
    let world = World::new("two relays at once").await;
    world.pack(20, 20).await;
    let (first, second) = (Running::start(world.parts()), Running::start(world.parts()));
    // Take the lease away from whoever holds it, so that the other one starts in the midst of its
    // work; the old one learns it only at its next look.
    for _ in 0..5 {
        sqlx::query(
            "select pg_terminate_backend(pid) from pg_locks
             where locktype = 'advisory' and granted and pid <> pg_backend_pid()
               and database = (select oid from pg_database where datname = current_database())",
        )
        .execute(&world.pool)
        .await
        .unwrap();
        world.pack(20, 2).await;
    }
    world.relayed().await;
    first.stop().await;
    second.stop().await;
    world.assert_complete().await;
    for records in world.records().await {
        let mut seen = 0;
        for position in records.iter().map(position) {
            assert!(position <= seen + 1, "{position} came before {}", seen + 1);
            seen = seen.max(position);
        }
    }
}
