//! Timers are rows: they outlive processes, and fire by the database's clock, once.

use factline_testkit::{
    eventually,
    parcels::{packed, sent},
    recorded,
};

use crate::support::*;

const TIMERS: &str = "select count(*) from saga.timers";

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_outlives_its_process_and_fires_once_however_the_clock_jumps() {
    let world = World::create("timers").await;
    let process = world.start(Delivery::<1, 1>);
    world.take(Delivery::<1, 1>, &recorded([("p", packed(1))])).await;
    world.step_becomes("p", "label", "accepted").await;
    process.crash().await;

    // The clock jumps back: it has longer to run, and nothing else happens.
    world.does("update saga.timers set due_at = due_at + interval '1 day'").await;
    let (one, two) = (world.start(Delivery::<1, 1>), world.start(Delivery::<1, 1>));
    one.says("").await;
    assert_eq!(world.count(TIMERS).await, 1);

    // And far ahead: both processes find it due.
    world.does("update saga.timers set due_at = due_at - interval '3 days'").await;
    world.becomes("p", "compensated").await;
    assert_eq!(world.count(TIMERS).await, 0);
    let returned = world.post.effects().iter().filter(|one| one.contains("return/")).count();
    assert_eq!(returned, 2, "{:?}", world.post.effects());
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_was_cleared_does_not_fire() {
    let world = World::create("cleared").await;
    let history = recorded([("p", packed(1)), ("p", sent("Oslo"))]);
    world.take(Delivery::<1, 1>, &history).await;
    assert_eq!(world.count(TIMERS).await, 0);
    let process = world.start(Delivery::<1, 1>);
    world.becomes("p", "completed").await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_does_not_move_is_told_as_stuck_unless_its_timer_runs() {
    let world = World::create("stuck").await;
    world.post.is_away(true);
    world.take(Delivery::<1, 1>, &recorded([("p", packed(1))])).await;
    world.does("update saga.instances set moved_at = moved_at - interval '1 hour'").await;
    let process = world.start(Delivery::<1, 1>);
    eventually(SOON, "all is well", async || process.status.borrow().is_empty()).await;
    world.does("delete from saga.timers").await;
    process.says("1 instances are stuck").await;
    world.post.is_away(false);
    eventually(SOON, "all is well", async || process.status.borrow().is_empty()).await;
    process.stop().await;
}
