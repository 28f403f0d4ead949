//! What the comparison finds, and what an operator does about it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_stops_the_switch_and_says_which_rows() {
    let world = World::create("rb_difference").await;
    let projector = started(&world).await;
    damage(&world, "update parcels set weight_grams = 999 where parcel = 'parcel-3'").await;
    damage(&world, "delete from parcels where parcel = 'parcel-5'").await;
    damage(&world, "insert into parcels values ('nobody', 1, null, 1)").await;
    let id = asked(&world, &wanted("parcels")).await;
    let ready = becomes(&world, id, "ready").await;
    let found = difference(&ready);
    assert_eq!((found.missing, found.extra, found.different), (1, 1, 1), "{found:?}");
    let told: Vec<_> = found.samples.iter().map(|one| (&*one.what, &one.key["parcel"])).collect();
    assert_eq!(told[0], ("extra", &"nobody".into()));
    assert_eq!(told[1], ("different", &"parcel-3".into()));
    assert_eq!(told[2], ("missing", &"parcel-5".into()));
    let columns = &found.samples[1].columns;
    assert_eq!((columns.len(), &*columns[0].column), (1, "weight_grams"));
    assert_eq!((&columns[0].live, &columns[0].rebuilt), (&999.into(), &10.into()));
    assert_eq!(world.weight("parcel-3").await, Some(999), "nothing was switched");

    // Said again without accepting it, the same is found; with it, at a later position, it is switched.
    world.write(&[("parcel-3", packed(1))]).await;
    world.caught_up(&projector).await;
    said(&world, Wish::Switch { accept_difference: false }).await;
    let ready = becomes(&world, id, "ready").await;
    assert_eq!(difference(&ready).rows(), 3);
    assert_eq!(difference(&ready).samples[1].columns[0].live, 1_000);
    said(&world, Wish::Switch { accept_difference: true }).await;
    becomes(&world, id, "switched").await;
    assert_eq!(world.weight("parcel-3").await, Some(11));
    assert_eq!((world.row("nobody").await, world.weight("parcel-5").await), (None, Some(12)));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_difference_is_switched_and_can_be_rolled_back() {
    let world = World::create("rb_rollback").await;
    let projector = started(&world).await;
    damage(&world, "update parcels set weight_grams = 999 where parcel = 'parcel-3'").await;
    let rebuild = NewRebuild { accept_difference: true, ..wanted("parcels") };
    let first = asked(&world, &rebuild).await;
    becomes(&world, first, "switched").await;
    assert_eq!(world.weight("parcel-3").await, Some(10));
    world.write(&[("parcel-3", packed(5)), ("parcel-8", packed(5))]).await;
    world.caught_up(&projector).await;

    let back = NewRebuild { begin: Begin::Previous, ..wanted("parcels") };
    let id = asked(&world, &back).await;
    let done = becomes(&world, id, "switched").await;
    assert_eq!(difference(&done).rows(), 1, "{done:?}");
    assert_eq!(rebuilds::find(&world.pool, first).await.unwrap().state, "rolled_back");
    assert_eq!(world.weight("parcel-3").await, Some(1_004), "its damage, and the events since");
    assert_eq!(world.weight("parcel-8").await, Some(20));
    world.write(&[("parcel-3", packed(1))]).await;
    world.caught_up(&projector).await;
    assert_eq!(world.weight("parcel-3").await, Some(1_005));

    assert_eq!(rebuilds::kept(&world.pool).await.unwrap(), ["parcels"]);
    said(&world, Wish::DropPrevious).await;
    becomes(&world, id, "switched").await;
    assert_eq!(rebuilds::kept(&world.pool).await.unwrap(), Vec::<String>::new());
    let id = asked(&world, &back).await;
    let failed = becomes(&world, id, "failed").await;
    assert!(failed.error.unwrap().contains("no previous table"));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_repairs_a_parked_stream() {
    let world = World::create("rb_parked").await;
    create_order_table(&world.pool).await;
    let view = Switched::new(REFUSES); // the live view refuses what the corrected one passes
    let projector = world.start_with(view, settings());
    world.write(&[("a", sent("Oslo")), ("a", lost("at sea")), ("a", packed(3))]).await;
    world.write(&[("b", lost("never sent"))]).await; // impossible for either
    world.caught_up(&projector).await;
    assert_eq!(world.parked().await.len(), 3);
    let id = asked(&world, &wanted("parcels")).await;
    let ready = becomes(&world, id, "ready").await;
    assert_eq!(difference(&ready).repaired_streams, ["a"]);
    assert_eq!(difference(&ready).newly_parked_streams, Vec::<String>::new());
    said(&world, Wish::Switch { accept_difference: true }).await;
    becomes(&world, id, "switched").await;

    let parked = "select count(*) from projection.parked_events where projection = 'parcels'";
    assert_eq!(world.count(parked).await, 1, "b stands still as before");
    assert_eq!((world.weight("a").await, world.processed().await), (Some(3), 3));
    let from_kafka = "select count(*) from projection.parked_events
                      where projection = 'parcels' and record_offset is not null";
    assert_eq!(world.count(from_kafka).await, 1, "it is kept as it came");
    let again = world.write(&[("a", packed(4))]).await;
    world.send(&again).await;
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(7), "the stream is live, and a repeat is known");

    // Back: what was parked is parked again, and what came since stands behind it.
    let back = NewRebuild { begin: Begin::Previous, ..wanted("parcels") };
    let id = asked(&world, &back).await;
    let done = becomes(&world, id, "switched").await;
    assert_eq!(difference(&done).newly_parked_streams, ["a"]);
    assert_eq!(world.count(parked).await, 4);
    assert_eq!((world.weight("a").await, world.processed().await), (Some(0), 1));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_skipped_stays_skipped() {
    use factline_projection::acts::{self, NewAct};
    let world = World::create("rb_skipped").await;
    let projector = started(&world).await;
    world.write(&[("b", packed(1)), ("b", lost("never sent")), ("b", packed(2))]).await;
    world.caught_up(&projector).await;
    let position = factline_core::partition_for("b", crate::support::PARTITIONS);
    let position: i64 = sqlx::query_scalar(
        "select position from projection.parked_events where partition = $1 and version = 2",
    )
    .bind(position)
    .fetch_one(&world.pool)
    .await
    .unwrap();
    for wish in [acts::Wish::Skip { position }, acts::Wish::Retry] {
        let act = NewAct {
            who: "ada",
            wish,
            projection: "parcels",
            topic: &world.topic,
            stream_id: "b",
            reason: Some("a mistake"),
        };
        let id = acts::ask(&world.pool, &act).await.unwrap();
        eventually(SOON, "the act is done", async || {
            acts::find(&world.pool, id).await.unwrap().is_done()
        })
        .await;
    }
    let id = asked(&world, &wanted("parcels")).await;
    let done = becomes(&world, id, "switched").await;
    assert!(difference(&done).is_none(), "{done:?}");
    assert_eq!((world.weight("b").await, world.parked().await.len()), (Some(3), 0));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_columns_change_meanwhile_is_not_switched() {
    let world = World::create("rb_columns").await;
    let projector = started(&world).await;
    damage(&world, "update parcels set weight_grams = 999 where parcel = 'parcel-3'").await;
    let id = asked(&world, &wanted("parcels")).await;
    becomes(&world, id, "ready").await;
    damage(&world, "alter table parcels alter column version type int").await;
    said(&world, Wish::Switch { accept_difference: true }).await;
    let failed = becomes(&world, id, "failed").await;
    assert!(failed.error.unwrap().contains("differ in columns"), "and which ones");
    assert_eq!(left(&world).await, (0, 0, 0));
    projector.stop().await;
}
