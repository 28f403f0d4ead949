//! Ids of processed events are not kept for ever.

use crate::support::{Parcels, SOON, World};
use factline_projection::{Condition, FoldedView, ProjectionSettings};
use factline_testkit::{eventually, parcels::packed};
use uuid::Uuid;

const DAY_MS: u128 = 86_400_000;

fn keeping_an_hour() -> ProjectionSettings {
    ProjectionSettings { processed_events_kept_ms: 3_600_000, ..World::settings() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_id_was_forgotten_is_a_repeat_and_another_one_in_its_place_is_a_fork() {
    let world = World::create("forgotten").await;
    let (mut old, young) = (world.record("a", packed(10)), world.record("a", packed(20)));
    old.envelope.event_id = Uuid::from_u128(old.envelope.event_id.as_u128() - (DAY_MS << 80));
    let sent = [old, young];
    let projector = world.start();
    world.send(&sent).await;
    world.caught_up(&projector).await;
    assert_eq!(world.processed().await, 2);
    projector.stop().await;

    let projector = world.start_with(FoldedView::<Parcels>::new(), keeping_an_hour());
    eventually(SOON, "the older id is forgotten", async || world.processed().await == 1).await;
    world.send(&sent).await;
    world.write(&[("a", packed(1))]).await;
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(31), "each had its effect once");

    let [mut other, _] = sent;
    other.envelope.event_id = Uuid::now_v7();
    world.send(&[other]).await;
    let stopped = projector.becomes("stopped", |s| s.condition == Condition::Stopped).await;
    assert!(stopped.reasons[0].contains("fork"), "{stopped:?}");
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_ids_are_old_all_of_them_go_and_no_other() {
    let world = World::create("many_forgotten").await;
    let projector = world.start();
    world.write(&[("a", packed(1))]).await;
    world.caught_up(&projector).await;
    projector.stop().await;
    sqlx::query(
        "insert into projection.processed_events (projection, event_id)
         select projection, ('00000000-0001-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
         from generate_series(1, 25000) n, unnest(array['parcels', 'others']) projection",
    )
    .execute(&world.pool)
    .await
    .unwrap();

    let one = world.start_with(FoldedView::<Parcels>::new(), keeping_an_hour());
    let two = world.start_with(FoldedView::<Parcels>::new(), keeping_an_hour());
    eventually(SOON, "all of them are forgotten", async || world.processed().await == 1).await;
    one.stop().await;
    two.stop().await;
}
