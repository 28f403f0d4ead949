//! An instance keeps the definition that it began with, and a build says which ones it cannot run.

use factline_projection::Projection as _;
use factline_saga::check_definitions;
use factline_testkit::{
    eventually,
    parcels::{packed, sent},
    recorded,
};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_in_flight_keeps_its_definition_and_a_new_one_takes_the_newest() {
    let world = World::create("pinned").await;
    let history = recorded([
        ("old", packed(1)),
        ("new", packed(1)),
        ("old", sent("Oslo")),
        ("new", sent("Oslo")),
    ]);
    world.take(Delivery::<1, 1>, &history[..1]).await;

    world.take(Delivery::<1, 2>, &history[1..2]).await;
    let process = world.start(Delivery::<1, 2>);
    world.step_becomes("old", "label", "accepted").await;
    world.step_becomes("new", "barcode", "accepted").await;
    world.take(Delivery::<1, 2>, &history[2..]).await;
    world.becomes("old", "completed").await;
    world.becomes("new", "completed").await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_without_the_definition_of_an_instance_in_flight_stops_and_says_so() {
    let world = World::create("unsupported").await;
    let history = recorded([("old", packed(1)), ("old", sent("Oslo"))]);
    world.take(Delivery::<1, 1>, &history[..1]).await;

    let mut connection = world.pool.acquire().await.unwrap();
    let supported = check_definitions::<Delivery<2, 2>>(&mut connection).await.unwrap();
    let why = supported.unwrap_err().to_string();
    assert!(why.contains("such as old, run definition 1"), "{why}");
    let projection = world.runtime(Delivery::<2, 2>).projection();
    assert!(projection.prepare(&mut connection).await.is_err(), "no event is taken in");
    drop(connection);

    let wrong = world.start(Delivery::<2, 2>);
    wrong.says("run definition 1, which this build does not have").await;
    assert_eq!(world.post.attempts(), 0, "it carries nothing out");
    wrong.stop().await;

    let right = world.start(Delivery::<1, 2>);
    world.take(Delivery::<1, 2>, &history[1..]).await;
    world.becomes("old", "completed").await;
    let wrong = world.start(Delivery::<2, 2>); // nothing of it is in flight any more
    eventually(SOON, "all is well", async || wrong.status.borrow().is_empty()).await;
    right.stop().await;
    wrong.stop().await;
}
