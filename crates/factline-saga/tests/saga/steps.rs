//! Commands: once in effect, whoever dies between two steps.

use factline_projection::Projection as _;
use factline_testkit::{
    History, eventually,
    parcels::{lost, packed, sent},
    recorded,
};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_any_two_steps_does_each_step_once() {
    let world = World::create("crashes").await;
    let history = recorded([("p", packed(1)), ("p", sent("Oslo"))]);
    let (begin, rest) = history.split_at(1);

    // Before the commit of the event's transaction: nothing was there.
    let projection = world.runtime(Delivery::<1, 1>).projection();
    let mut tx = world.pool.begin().await.unwrap();
    projection.apply(&mut tx, begin).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(world.count("select count(*) from saga.commands").await, 0);
    world.take(Delivery::<1, 1>, begin).await;

    // After the claim, before the effect.
    world.post.hang(Some(Hang::BeforeItsEffect));
    let process = world.start(Delivery::<1, 1>);
    eventually(SOON, "both bookings are on their way", async || world.post.attempts() == 2).await;
    process.crash().await;
    assert_eq!(world.post.effects(), [""; 0]);

    // After the effect, before the answer.
    world.post.hang(Some(Hang::AfterItsEffect));
    let process = world.start(Delivery::<1, 1>);
    eventually(SOON, "both were booked", async || world.post.effects().len() == 2).await;
    process.crash().await;
    assert_eq!(world.count("select count(*) from saga.commands where state <> 'due'").await, 0);

    // After the answer, before the next command.
    world.post.hang(None);
    let process = world.start(Delivery::<1, 1>);
    world.step_becomes("p", "book/rail", "accepted").await;
    process.crash().await;

    let process = world.start(Delivery::<1, 1>);
    world.take(Delivery::<1, 1>, rest).await;
    world.becomes("p", "completed").await;
    eventually(SOON, "all is done", async || world.post.effects() == whole_way("p")).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_do_each_step_of_each_instance_once() {
    let world = World::create("two").await;
    let names: Vec<String> = (10..60).map(|n| format!("p-{n}")).collect();
    let mut history = History::new();
    for name in &names {
        history = history.then(name, packed(1));
    }
    for name in &names {
        history = history.then(name, sent("Oslo"));
    }
    let (one, two) = (world.start(Delivery::<1, 1>), world.start(Delivery::<1, 1>));
    for batch in history.build().chunks(7) {
        world.take(Delivery::<1, 1>, batch).await;
    }
    for name in &names {
        world.becomes(name, "completed").await;
    }
    let expected: Vec<String> = names.iter().flat_map(|name| whole_way(name)).collect();
    eventually(SOON, "all is done", async || world.post.effects() == expected).await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_undone_when_a_step_is_refused_and_nothing_else_is() {
    let world = World::create("refused").await;
    world.post.refuse("book/road", "full");
    let process = world.start(Delivery::<1, 1>);
    world.take(Delivery::<1, 1>, &recorded([("p", packed(1))])).await;
    world.becomes("p", "compensated").await;
    assert_eq!(world.post.effects(), ["p: book/rail", "p: return/rail"]);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_away_is_waited_for_and_decides_nothing() {
    let world = World::create("away").await;
    world.post.is_away(true);
    let process = world.start(Delivery::<1, 1>);
    let history = recorded([("p", packed(1)), ("p", sent("Oslo"))]);
    world.take(Delivery::<1, 1>, &history).await;
    eventually(SOON, "it is tried again and again", async || world.post.attempts() > 10).await;
    let undecided = "select count(*) from saga.commands where state = 'due' and detail is not null";
    assert_eq!(world.count(undecided).await, 2);
    world.post.is_away(false);
    world.becomes("p", "completed").await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_crosses_an_answer_leaves_nothing_booked() {
    let world = World::create("crossing").await;
    world.post.hang(Some(Hang::AfterItsEffect));
    let history = recorded([("p", packed(1)), ("p", lost("on the way"))]);
    world.take(Delivery::<1, 1>, &history[..1]).await;
    let process = world.start(Delivery::<1, 1>);
    eventually(SOON, "both were booked", async || world.post.effects().len() == 2).await;
    world.take(Delivery::<1, 1>, &history[1..]).await; // their answers are not in yet
    world.post.hang(None);
    world.becomes("p", "compensated").await;
    let both = ["p: book/rail", "p: book/road", "p: return/rail", "p: return/road"];
    assert_eq!(world.post.effects(), both);
    process.stop().await;
}
