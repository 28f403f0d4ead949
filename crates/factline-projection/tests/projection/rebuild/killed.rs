//! The process that builds dies, in every step.

use std::sync::Arc;

use super::*;
use crate::support::Gated;

/// Waits until a statement of a rebuild waits for a lock.
async fn waits_for_readers(world: &World) {
    eventually(SOON, "the switch waits for a reader", async || {
        world
            .count(
                "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'
                   and query like 'lock table parcels in access exclusive%'",
            )
            .await
            > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_killed_at_each_step_is_finished_by_the_next_process() {
    let world = World::create("rb_killed").await;
    // Adds up, so that an event that is applied twice would show.
    let projector = world.start_with(FoldedView::<EventsByType>::new(), settings());
    history(&world, 20).await;
    world.caught_up(&projector).await;
    projector.stop().await;
    let before = image(&world.pool, "events_by_type").await;
    let id = asked(&world, &wanted("events_by_type")).await;
    // Each process is killed in the page after so many; together they are 50 of 64 events at most.
    for pages in [0, 1, 1, 2, 1] {
        let gated = Gated::after(&world.log, pages);
        let mut parts = world.parts(FoldedView::<EventsByType>::new(), settings());
        parts.history = Some(Arc::new(gated.clone()));
        let projector = world.run(parts);
        tokio::time::timeout(SOON, gated.reached.notified()).await.unwrap();
        projector.crash().await;
        assert_eq!(rebuilds::find(&world.pool, id).await.unwrap().state, "building");
    }
    assert!(rebuilds::progress(&world.pool).await.unwrap()[0].done > 0, "something was kept");
    let projector = world.start_with(FoldedView::<EventsByType>::new(), settings());
    let done = becomes(&world, id, "switched").await;
    assert!(difference(&done).is_none(), "{done:?}");
    assert_eq!(image(&world.pool, "events_by_type").await, before);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_in_the_switch_has_switched_nothing_and_the_next_one_does() {
    let world = World::create("rb_killed_switch").await;
    let projector = started(&world).await;
    let mut reader = pool(&world.database.url()).begin().await.unwrap();
    let query = "select count(*) from parcels";
    let before: i64 = sqlx::query_scalar(query).fetch_one(&mut *reader).await.unwrap();
    let id = asked(&world, &wanted("parcels")).await;
    waits_for_readers(&world).await;
    projector.crash().await;
    assert_eq!(rebuilds::find(&world.pool, id).await.unwrap().state, "building");

    let projector = world.start_with(FoldedView::<Parcels>::new(), settings());
    waits_for_readers(&world).await;
    let within: i64 = sqlx::query_scalar(query).fetch_one(&mut *reader).await.unwrap();
    assert_eq!(within, before, "a reader's transaction goes on undisturbed");
    reader.commit().await.unwrap();
    becomes(&world, id, "switched").await;
    world.write(&[("parcel-3", packed(1))]).await;
    world.caught_up(&projector).await;
    assert_eq!(world.weight("parcel-3").await, Some(11));
    projector.stop().await;
}
