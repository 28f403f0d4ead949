//! Bytes that are not as they were written: on the disk of a broker, where `check.crcs` finds them.

use crate::support::{SOON, Segment, World};
use factline_projection::{Condition, Status};
use factline_testkit::{
    eventually,
    parcels::{packed, sent},
};

const SPOILED: &str = "a town that is easily found";

#[tokio::test(flavor = "multi_thread")]
async fn k17_a_spoiled_batch_stops_its_partition_until_the_bytes_are_right_again() {
    let world = World::create("spoiled").await;
    let (a, other) = (world.neighbours(0, 1).remove(0), world.neighbours(1, 1).remove(0));
    for event in [packed(1), sent(SPOILED), packed(2)] {
        world.write(&[(&a, event)]).await; // a batch of its own
    }
    let segment = Segment::of(&world.topic, 0);
    segment.flip_behind(SPOILED);

    let projector = world.start();
    let told = |s: &Status| {
        s.condition == Condition::Misconfigured && s.reasons.iter().any(|r| r.contains("disk"))
    };
    let status = projector.becomes("told", told).await;
    assert!(!status.is_ready(), "a person must look: {status:?}");
    world.write(&[(&other, packed(5))]).await;
    eventually(SOON, "what was before it is applied", async || world.weight(&a).await == Some(1))
        .await;
    eventually(SOON, "others go on", async || world.weight(&other).await == Some(5)).await;
    projector.becomes("still told", told).await;
    let row = world.row(&a).await.unwrap();
    assert_eq!((row.weight_grams, row.sent_to), (1, None), "nothing behind it is applied");
    assert_eq!(world.parked().await, []);
    assert_eq!(world.count("select count(*) from projection.foreign_records").await, 0);

    segment.flip_behind(SPOILED);
    world.caught_up(&projector).await;
    let row = world.row(&a).await.unwrap();
    assert_eq!((row.weight_grams, row.sent_to.as_deref()), (3, Some(SPOILED)));
    projector.becomes("running", |s| s.condition == Condition::Running).await;
    projector.stop().await;
}
