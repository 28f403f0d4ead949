//! What a projection does with a healthy log: everything once, whatever is repeated, interrupted or
//! shared with another process.

use std::time::Duration;

use crate::support::{EventsByType, PARTITIONS, SOON, World, rewind};
use factline_core::Token;
use factline_kafka::Admin;
use factline_projection::{Condition, FoldedView, GateError};
use factline_testkit::{
    eventually_ok,
    parcels::{lost, packed, sent},
};

#[tokio::test(flavor = "multi_thread")]
async fn events_are_applied_in_order_and_the_next_offset_is_committed() {
    let world = World::create("applied").await;
    let projector = world.start();
    let written = world
        .write(&[
            ("a", packed(100)),
            ("b", packed(5)),
            ("a", packed(50)),
            ("a", sent("Oslo")),
            ("b", sent("Bergen")),
            ("b", lost("a storm")),
        ])
        .await;
    world.caught_up(&projector).await;

    let row = world.row("a").await.unwrap();
    assert_eq!((row.weight_grams, row.sent_to.as_deref(), row.version), (150, Some("Oslo"), 3));
    assert_eq!(world.row("b").await, None, "a lost parcel has no row");
    assert_eq!(world.processed().await, 6);
    assert_eq!(projector.becomes("running", |s| s.is_ready()).await.condition, Condition::Running);

    let (admin, group) = (Admin::new(&world.kafka).unwrap(), world.kafka.group("parcels"));
    let expected: Vec<_> = (0..PARTITIONS)
        .map(|p| written.iter().filter(|one| one.envelope.partition == p).count() as i64)
        .map(|count| (count > 0).then_some(count)) // offsets from 0: the next one is the count
        .collect();
    eventually_ok(SOON, "the offsets are committed", async || {
        let committed = admin.committed(&group, &world.topic).await.unwrap();
        let found: Vec<_> = committed.into_iter().map(|(_, next)| next).collect();
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suffix_that_is_sent_again_changes_nothing() {
    let world = World::create("resent").await;
    let projector = world.start();
    let mut written = Vec::new();
    for weight in 1..=20 {
        written.push(world.record("a", packed(weight)));
    }
    world.send(&written).await;
    world.send(&written[7..]).await;
    world.send(&written[..3]).await;
    let last = world.write(&[("a", packed(1_000))]).await;
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(1_210));
    assert_eq!(world.processed().await, 21);

    world.send(&last).await;
    world.write(&[("a", packed(1))]).await;
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(1_211));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_rewound_group_offset_changes_nothing() {
    let world = World::create("rewound").await;
    let projector = world.start();
    world.write(&[("a", packed(10)), ("b", packed(20)), ("a", packed(30))]).await;
    world.caught_up(&projector).await;
    projector.stop().await;

    let group = world.kafka.group("parcels");
    rewind(&world.kafka, &group, &world.topic, 0).await;

    let projector = world.start();
    world.write(&[("a", packed(1))]).await;
    world.caught_up(&projector).await;
    assert_eq!((world.weight("a").await, world.weight("b").await), (Some(41), Some(20)));
    assert_eq!(world.processed().await, 4);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_at_any_moment_lose_and_repeat_nothing() {
    let world = World::create("crashes").await;
    let streams: Vec<String> = (0..40).map(|n| format!("parcel-{n}")).collect();
    let mut total = 0;
    for round in 1..=4 {
        let projector = world.start();
        let events: Vec<_> =
            streams.iter().map(|stream| (stream.as_str(), packed(round))).collect();
        for _ in 0..25 {
            world.write(&events).await;
            total += round * 40;
        }
        // Somewhere in the middle of it: the group finds out when the session ends.
        projector.crash().await;
    }
    let projector = world.start();
    world.caught_up(&projector).await;
    let sum = world.count("select sum(weight_grams)::bigint from parcels").await;
    assert_eq!(sum, total);
    assert_eq!(world.processed().await, 4 * 25 * 40);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_come_and_go_share_the_work_without_losing_or_repeating() {
    let world = World::create("members").await;
    let streams: Vec<String> = (0..40).map(|n| format!("parcel-{n}")).collect();
    let events: Vec<_> = streams.iter().map(|stream| (stream.as_str(), packed(1))).collect();
    let mut members = vec![world.start()];
    for round in 0..30 {
        match round {
            5 | 10 => members.push(world.start()),
            15 | 20 => members.remove(0).stop().await,
            _ => {}
        }
        world.write(&events).await;
    }
    world.caught_up(&members[0]).await;
    let sum = world.count("select sum(weight_grams)::bigint from parcels").await;
    assert_eq!(sum, 30 * 40);
    assert_eq!(world.processed().await, 30 * 40);
    for member in members {
        member.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_all_streams_share_counts_every_event() {
    let world = World::create("shared_rows").await;
    // Small batches, so that the workers meet at the row often.
    let settings = factline_projection::ProjectionSettings {
        workers: 4,
        batch_records: 7,
        ..World::settings()
    };
    let projector = world.start_with(FoldedView::<EventsByType>::new(), settings);
    let streams: Vec<String> = (0..50).map(|n| format!("parcel-{n}")).collect();
    let events: Vec<_> = streams.iter().map(|stream| (stream.as_str(), packed(1))).collect();
    for _ in 0..20 {
        world.write(&events).await;
    }
    world.caught_up(&projector).await;
    let counted =
        world.count("select events from events_by_type where event_type = 'ParcelPacked'").await;
    assert_eq!(counted, 1_000);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h38_a_query_waits_for_its_token_and_says_how_far_it_is_when_it_gives_up() {
    let world = World::create("tokens").await;
    let projector = world.start();
    let event = world.record("a", packed(10));
    let token = event.envelope.token();
    let early = projector.gate.wait_for(std::slice::from_ref(&token), Duration::ZERO).await;
    let Err(GateError::NotYet { current, .. }) = early else { panic!("{early:?}") };
    assert_eq!(current.0, 0);

    let gate = projector.gate.clone();
    let waiting = tokio::spawn(async move { gate.wait_for(&[token], SOON).await });
    world.send(&[event]).await;
    let freshness = waiting.await.unwrap().unwrap();
    assert_eq!(world.weight("a").await, Some(10));
    assert!(freshness.header().contains(":1"), "{}", freshness.header());

    let beyond = Token { partition: PARTITIONS, ..world.record("a", packed(1)).envelope.token() };
    let unknown = projector.gate.wait_for(&[beyond], SOON).await;
    assert!(matches!(unknown, Err(GateError::Unknown { .. })), "{unknown:?}");
    projector.stop().await;
}
