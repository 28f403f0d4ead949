//! Records of producers that are not the relay: other clocks, other partitioners, transactions,
//! events that the log does not have.

use crate::support::{PARTITIONS, Raw, SOON, World, take_any_timestamp};
use chrono::{DateTime, Utc};
use factline_core::{Position, partition_for};
use factline_kafka::Admin;
use factline_projection::Condition;
use factline_testkit::{
    eventually,
    parcels::{lost, packed},
};
use uuid::Uuid;

const YEAR_1970: i64 = 0;
const YEAR_2100: i64 = 4_102_444_800_000;

#[tokio::test(flavor = "multi_thread")]
async fn k14_a_records_timestamp_of_1970_or_2100_is_taken_and_not_used() {
    let world = World::create("timestamps").await;
    take_any_timestamp(&world.kafka, &world.topic).await;
    let raw = Raw::plain(&world.kafka);
    let names = world.neighbours(0, 2);
    let mut last = world.record(&names[0], packed(1));
    raw.send(&world.outgoing(&last), Some(YEAR_2100));
    for (weight, at) in [(10, YEAR_1970), (100, YEAR_2100), (1_000, YEAR_1970)] {
        last = world.record(&names[0], packed(weight));
        raw.send(&world.outgoing(&last), Some(at));
    }
    let poisoned = world.record(&names[1], lost("too early"));
    raw.send(&world.outgoing(&poisoned), Some(YEAR_2100));

    let projector = world.start();
    world.caught_up(&projector).await;
    assert_eq!(world.weight(&names[0]).await, Some(1_111));
    let (recorded_at,): (DateTime<Utc>,) =
        sqlx::query_as("select recorded_at from projection.checkpoints where partition = 0")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(recorded_at, poisoned.envelope.recorded_at, "freshness is by the envelope");
    let kept = world.count("select record_at_ms from projection.parked_events").await;
    assert_eq!(kept, YEAR_2100, "a dead letter says what the record said");
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k15_a_record_in_a_partition_that_is_not_its_streams_parks_the_stream() {
    let world = World::create("misplaced").await;
    let home = partition_for("a", PARTITIONS);
    let elsewhere = (home + 1) % PARTITIONS;
    let neighbour = world.neighbours(elsewhere, 1).remove(0);
    let misplaced = world.record_in(elsewhere, "a", packed(7));
    let good = world.record(&neighbour, packed(3));

    let projector = world.start();
    world.send(&[misplaced, good]).await;
    world.caught_up(&projector).await;
    assert_eq!(world.parked().await, [("a".to_owned(), "wrong_partition".to_owned())]);
    assert_eq!((world.weight("a").await, world.weight(&neighbour).await), (None, Some(3)));
    let detail = "select count(*) from projection.parked_streams where detail like \
                  'a belongs to partition %'";
    assert_eq!(world.count(detail).await, 1);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k16_records_of_an_aborted_transaction_are_not_there() {
    let world = World::create("aborted").await;
    let (a, admin) = (world.neighbours(0, 1).remove(0), Admin::new(&world.kafka).unwrap());
    let raw = Raw::transactional(&world.kafka);
    let events: Vec<_> = (1..=3).map(|weight| world.record(&a, packed(weight))).collect();
    let mut never = events[0].clone();
    never.envelope.event_id = Uuid::now_v7();
    let mut nowhere = events[1].clone();
    nowhere.envelope.position = Position(1_000);

    let projector = world.start();
    raw.begin();
    raw.send(&world.outgoing(&never), None);
    raw.send(&world.outgoing(&nowhere), None);
    raw.abort();
    raw.begin();
    raw.send(&world.outgoing(&events[0]), None);
    raw.commit();
    world.send(&events[1..]).await;
    world.caught_up(&projector).await;

    assert_eq!(world.weight(&a).await, Some(6));
    assert_eq!(world.processed().await, 3);
    assert_eq!(world.parked().await, []);
    assert_eq!(world.count("select count(*) from projection.foreign_records").await, 0);
    // Two aborted, what ends a transaction, and three that count.
    let end = admin.watermarks(&world.topic).await.unwrap()[0].high;
    assert!(end >= 2 + 1 + 3, "the topic ends at {end}: the aborted records are on it");
    let next = "select next_offset from projection.checkpoints where partition = 0";
    assert!(world.count(next).await >= 2 + 1 + 3, "reading goes on behind all of them");
    projector.becomes("running", |s| s.condition == Condition::Running).await;
    projector.stop().await;
}

/// A record that names a position ahead of the log is a jump: the log is asked, and does not know it.
#[tokio::test(flavor = "multi_thread")]
async fn k11_a_foreign_event_ahead_of_the_log_is_not_applied_and_holds_up_no_event_of_ours() {
    let world = World::create("foreign_ahead").await;
    let names = world.neighbours(0, 2);
    let projector = world.start();
    world.write(&[(&names[0], packed(1))]).await;
    world.caught_up(&projector).await;

    let mut foreign = world.record(&names[1], packed(500));
    world.log.forget(&foreign);
    foreign.envelope.position = Position(40);
    world.send(&[foreign]).await;
    let stopped = projector.becomes("stopped", |s| s.condition == Condition::Stopped).await;
    assert!(stopped.reasons[0].contains("the log does not have them"), "{stopped:?}");
    assert!(!stopped.is_ready());

    world.write(&[(&names[0], packed(2)), (&names[0], packed(4))]).await;
    world.caught_up(&projector).await;
    assert_eq!(world.weight(&names[0]).await, Some(7));
    assert_eq!(world.weight(&names[1]).await, None, "its stream is unknown to the store");
    assert_eq!(world.processed().await, 3);
    assert_eq!(world.parked().await, []);
    projector.stop().await;
}

/// A record that takes the very next position cannot be told from ours by the topic alone. The log's
/// own event of that position tells: its id is unknown, which is a fork.
#[tokio::test(flavor = "multi_thread")]
async fn k11_a_foreign_event_in_the_next_place_is_found_out_by_the_logs_own_event() {
    let world = World::create("foreign_next").await;
    let names = world.neighbours(0, 2);
    let projector = world.start();
    let foreign = world.record(&names[1], packed(500));
    world.log.forget(&foreign);
    world.send(std::slice::from_ref(&foreign)).await;
    eventually(SOON, "it is taken for ours", async || world.processed().await == 1).await;

    world.write(&[(&names[0], packed(1)), (&names[0], packed(2))]).await;
    let stopped = projector.becomes("stopped", |s| s.condition == Condition::Stopped).await;
    assert!(stopped.reasons[0].contains("fork"), "{stopped:?}");
    assert_eq!(world.weight(&names[0]).await, None, "nothing further is applied");
    assert_eq!(world.processed().await, 1);
    projector.stop().await;
}
