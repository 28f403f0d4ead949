//! How late a projection says that it is, partition by partition.

use crate::support::{PARTITIONS, Parcels, SOON, World, close, spec};
use chrono::{TimeDelta, Utc};
use factline_core::partition_for;
use factline_kafka::{Consumer, ConsumerEvent, StartAt};
use factline_projection::FoldedView;
use factline_testkit::{Meters, eventually, eventually_ok, parcels::packed};

const LATE: &str = "factline_projection_freshness_seconds";
const VISIBLE: &str = "factline_projection_visible_seconds";

fn lateness(meters: &Meters, world: &World, partition: i32) -> Option<f64> {
    meters.gauge(LATE, &[("topic", &world.topic), ("partition", &partition.to_string())])
}

fn visible(meters: &Meters, world: &World, partition: i32) -> Vec<f64> {
    meters.observations(VISIBLE, &[("topic", &world.topic), ("partition", &partition.to_string())])
}

/// Until the gauge of a partition is above a value; the new one.
async fn above(meters: &Meters, world: &World, partition: i32, value: f64) -> f64 {
    eventually_ok(SOON, "the partition is later than that", async || {
        let now = lateness(meters, world, partition);
        now.filter(|late| *late > value).ok_or(format!("{now:?}, not above {value}"))
    })
    .await
}

async fn is_zero(meters: &Meters, world: &World, partition: i32) {
    let zero = async || lateness(meters, world, partition) == Some(0.0);
    eventually(SOON, "the partition is not late", zero).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_grows_later_while_its_event_is_not_visible_and_is_not_late_afterwards() {
    let meters = Meters::install();
    let world = World::create("lateness").await;
    let projector = world.start();
    world.write(&[("a", packed(1))]).await;
    world.caught_up(&projector).await;
    let partition = partition_for("a", PARTITIONS);
    is_zero(&meters, &world, partition).await;

    let mut holder = world.pool.begin().await.unwrap();
    let hold = "update parcels set version = version where parcel = 'a'";
    sqlx::query(hold).execute(&mut *holder).await.unwrap();
    let mut late = world.record("a", packed(2));
    late.envelope.recorded_at = Utc::now() - TimeDelta::seconds(100);
    world.send(&[late]).await;
    let first = above(&meters, &world, partition, 99.0).await;
    above(&meters, &world, partition, first).await;
    let other = (partition + 1) % PARTITIONS;
    assert_eq!(lateness(&meters, &world, other), Some(0.0), "nothing waits there");

    holder.rollback().await.unwrap();
    world.caught_up(&projector).await;
    is_zero(&meters, &world, partition).await;
    let seen = visible(&meters, &world, partition);
    assert_eq!(seen.len(), 2, "one a batch: {seen:?}");
    assert!(seen[1] >= first && seen[1] < seen[0], "from its commit to its visibility: {seen:?}");
    assert!(visible(&meters, &world, other).is_empty());
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_goes_to_another_process_is_late_no_more_in_this_one() {
    let meters = Meters::install();
    let world = World::create("lateness_revoked").await;
    let mut parts = world.parts(FoldedView::<Parcels>::new(), World::settings());
    parts.history = None; // so that a hole stays one
    let projector = world.run(parts);
    for partition in 0..PARTITIONS {
        let stream = &world.neighbours(partition, 1)[0];
        world.record(stream, packed(1));
        let behind_the_hole = world.record(stream, packed(2));
        world.send(&[behind_the_hole]).await;
        above(&meters, &world, partition, 0.0).await;
    }

    let group = world.kafka.group("parcels");
    let mut other = Consumer::start(&world.kafka, spec(&group, &world.topic)).unwrap();
    let theirs: Vec<i32> = loop {
        if let ConsumerEvent::Assigned { partitions, reply, .. } = other.next().await.unwrap() {
            let theirs = partitions.iter().map(|one| one.id.partition).collect();
            reply.send(partitions.into_iter().map(|one| (one.id, StartAt::Beginning)).collect());
            break theirs;
        }
    };
    assert!(!theirs.is_empty() && theirs.len() < PARTITIONS as usize, "{theirs:?}");
    for partition in &theirs {
        is_zero(&meters, &world, *partition).await;
    }
    for partition in (0..PARTITIONS).filter(|one| !theirs.contains(one)) {
        above(&meters, &world, partition, 0.0).await;
    }
    close(other).await;
    projector.stop().await;
    for partition in 0..PARTITIONS {
        is_zero(&meters, &world, partition).await;
    }
}
