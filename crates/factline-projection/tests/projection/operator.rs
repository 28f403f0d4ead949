//! What operators ask for: retries in order, dry runs, skips; each recorded with who, what and why.

use std::time::Duration;

use factline_projection::acts::{self, Act, NewAct, Outcome, Wish};
use factline_testkit::{
    eventually_ok,
    parcels::{lost, packed, sent},
};

use crate::support::{BLOCKS, PASSES, REFUSES, Running, SOON, Switched, World, create_order_table};

async fn world(test: &str) -> World {
    let world = World::create(test).await;
    create_order_table(&world.pool).await;
    world
}

/// A parcel that is sent and then lost, with an event behind it; and a neighbour. The loss parks.
async fn parked(world: &World, view: &Switched) -> (Running, Vec<String>) {
    let names = world.neighbours(0, 2);
    let projector = world.start_with(view.clone(), World::settings());
    let (one, other) = (names[0].as_str(), names[1].as_str());
    world
        .write(&[(one, sent("Oslo")), (one, lost("at sea")), (one, packed(3)), (other, packed(1))])
        .await;
    world.caught_up(&projector).await;
    assert_eq!(world.parked().await.len(), 2);
    (projector, names)
}

fn wish<'a>(world: &'a World, stream_id: &'a str, wish: Wish) -> NewAct<'a> {
    let reason = Some("the view was corrected");
    NewAct { who: "ada", wish, projection: "parcels", topic: &world.topic, stream_id, reason }
}

async fn asked(world: &World, stream: &str, what: Wish) -> i64 {
    acts::ask(&world.pool, &wish(world, stream, what)).await.unwrap()
}

async fn finished(world: &World, id: i64) -> Act {
    eventually_ok(SOON, "the act is finished", async || {
        let act = acts::find(&world.pool, id).await.unwrap();
        if act.is_finished() { Ok(act) } else { Err(format!("{act:?}")) }
    })
    .await
}

async fn done(world: &World, stream: &str, what: Wish) -> (bool, Outcome) {
    let act = finished(world, asked(world, stream, what).await).await;
    (act.is_done(), act.outcome.unwrap().0)
}

/// The versions of a parcel in the order in which they had their effect.
async fn order(world: &World, parcel: &str) -> Vec<i64> {
    sqlx::query_scalar("select version from applied where parcel = $1 order by nth")
        .bind(parcel)
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

async fn parked_streams(world: &World) -> i64 {
    world.count("select count(*) from projection.parked_streams").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_stream_is_retried_in_order_and_is_live_again() {
    let world = world("retried").await;
    let view = Switched::new(REFUSES);
    let (projector, names) = parked(&world, &view).await;
    view.set(PASSES);
    let (is_done, outcome) = done(&world, &names[0], Wish::Retry).await;
    assert!(is_done, "{outcome:?}");
    assert_eq!(outcome, Outcome { applied: 2, ..Outcome::default() });
    assert_eq!((world.parked().await, parked_streams(&world).await), (vec![], 0));
    assert_eq!(world.weight(&names[0]).await, Some(3), "it was lost, then packed anew");

    world.write(&[(&names[0], packed(4))]).await;
    world.caught_up(&projector).await;
    assert_eq!(order(&world, &names[0]).await, [1, 2, 3, 4]);
    assert_eq!(world.weight(&names[0]).await, Some(7), "later events are applied at once");
    assert_eq!(world.processed().await, 5);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_a_retried_event_is_recognised() {
    let world = world("repeat").await;
    let view = Switched::new(REFUSES);
    let names = world.neighbours(0, 1);
    let projector = world.start_with(view.clone(), World::settings());
    let events = world.write(&[(&names[0], sent("Oslo")), (&names[0], lost("at sea"))]).await;
    world.caught_up(&projector).await;
    view.set(PASSES);
    assert!(done(&world, &names[0], Wish::Retry).await.0);
    world.send(&events).await;
    world.write(&[(&names[0], packed(4))]).await;
    world.caught_up(&projector).await;
    assert_eq!(order(&world, &names[0]).await, [1, 2, 3]);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_arrive_during_a_retry_join_behind_it() {
    let world = world("during").await;
    let view = Switched::new(REFUSES);
    let (projector, names) = parked(&world, &view).await;
    view.set(BLOCKS);
    let id = asked(&world, &names[0], Wish::Retry).await;
    tokio::time::timeout(SOON, view.reached.notified()).await.unwrap();
    let events = world.write(&[(&names[0], packed(10)), (&names[0], packed(20))]).await;
    let token = [events[1].envelope.token()];
    // The live batch waits for the partition's row, seen from the database itself.
    factline_testkit::eventually(SOON, "the live batch waits for the retry", async || {
        world
            .count(
                "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'",
            )
            .await
            > 0
    })
    .await;
    assert!(projector.gate.wait_for(&token, Duration::ZERO).await.is_err());
    view.set(PASSES);
    view.released.notify_one();
    assert!(finished(&world, id).await.is_done());
    world.caught_up(&projector).await;
    assert_eq!(order(&world, &names[0]).await, [1, 2, 3, 4, 5]);
    assert_eq!(world.parked().await, [], "the batch that waited saw that the stream is live");
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_fails_again_changes_nothing_but_the_attempts() {
    let world = world("again").await;
    let view = Switched::new(REFUSES);
    let (projector, names) = parked(&world, &view).await;
    let (is_done, outcome) = done(&world, &names[0], Wish::Retry).await;
    let failed = outcome.failed.unwrap();
    assert!(!is_done);
    assert_eq!((failed.position, failed.version, &*failed.code), (2, 2, "impossible"));
    assert_eq!(failed.detail, "not yet understood");
    assert_eq!((outcome.applied, outcome.still_parked), (0, 2));

    let attempts: Vec<(i64, i32)> =
        sqlx::query_as("select version, attempts from projection.parked_events order by version")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(attempts, [(2, 2), (3, 1)]);
    assert_eq!((order(&world, &names[0]).await, parked_streams(&world).await), (vec![1], 1));
    assert_eq!(world.processed().await, 2);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_names_the_event_that_the_database_refuses_or_the_view_panics_at() {
    let world = world("named").await;
    let view = Switched::new(REFUSES);
    let projector = world.start_with(view.clone(), World::settings());
    for (weight, code) in [(2_000_000, "constraint_violation"), (-7, "bug")] {
        let name = format!("parcel-{code}");
        world
            .write(&[
                (&name, sent("Oslo")),
                (&name, lost("at sea")),
                (&name, packed(1)),
                (&name, packed(weight)),
            ])
            .await;
        world.caught_up(&projector).await;
        view.set(PASSES);
        let (is_done, outcome) = done(&world, &name, Wish::Retry).await;
        let failed = outcome.failed.unwrap();
        assert!(!is_done);
        assert_eq!((failed.version, &*failed.code), (4, code));
        assert_eq!((outcome.still_parked, order(&world, &name).await), (3, vec![1]));
        view.set(REFUSES);
    }
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing() {
    let world = world("dry").await;
    let view = Switched::new(REFUSES);
    let (projector, names) = parked(&world, &view).await;
    let rows =
        "select md5(string_agg(t::text, '' order by t::text)) from projection.parked_events t";
    let image = async || {
        let of: String = sqlx::query_scalar(rows).fetch_one(&world.pool).await.unwrap();
        (of, world.processed().await, order(&world, &names[0]).await, parked_streams(&world).await)
    };
    factline_testkit::eventually(SOON, "the rows are exported", async || {
        world.count("select count(*) from projection.parked_events where exported_at is null").await
            == 0
    })
    .await;
    let before = image().await;
    let (is_done, outcome) = done(&world, &names[0], Wish::DryRun).await;
    assert!(!is_done, "it tells that it would fail");
    assert_eq!(outcome.failed.unwrap().version, 2);
    assert_eq!(image().await, before);

    view.set(PASSES);
    let (is_done, outcome) = done(&world, &names[0], Wish::DryRun).await;
    assert!(is_done);
    assert_eq!((outcome.applied, outcome.still_parked), (2, 2));
    assert_eq!(image().await, before);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn skipping_takes_only_the_first_event_and_needs_a_reason() {
    let world = world("skipping").await;
    let view = Switched::new(REFUSES);
    let (projector, names) = parked(&world, &view).await;
    let skip = |position| Wish::Skip { position };
    for reason in [None, Some("")] {
        let act = NewAct { reason, ..wish(&world, &names[0], skip(2)) };
        assert!(acts::ask(&world.pool, &act).await.is_err(), "without a reason: {reason:?}");
    }
    let (is_done, outcome) = done(&world, &names[0], skip(3)).await;
    assert!(!is_done);
    assert!(outcome.refused.unwrap().contains("position 2"));

    let (is_done, outcome) = done(&world, &names[0], skip(2)).await;
    let skipped = outcome.skipped.unwrap();
    assert!(is_done);
    assert_eq!((skipped.position, skipped.version, outcome.still_parked), (2, 2, 1));
    assert!(skipped.event_type.ends_with("ParcelLost"), "{skipped:?}");
    assert_eq!(parked_streams(&world).await, 1, "the next event waits for a retry");

    let (is_done, outcome) = done(&world, &names[0], Wish::Retry).await;
    assert!(is_done, "{outcome:?}");
    assert_eq!(order(&world, &names[0]).await, [1, 3]);
    assert_eq!(world.processed().await, 4, "a skipped event counts as processed");
    assert_eq!(parked_streams(&world).await, 0);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn skipping_the_last_event_makes_the_stream_live() {
    let world = world("skip_last").await;
    let view = Switched::new(REFUSES);
    let projector = world.start_with(view.clone(), World::settings());
    world.write(&[("a", sent("Oslo")), ("a", lost("at sea"))]).await;
    world.caught_up(&projector).await;
    assert!(done(&world, "a", Wish::Skip { position: 2 }).await.0);
    world.write(&[("a", packed(4))]).await;
    world.caught_up(&projector).await;
    assert_eq!((order(&world, "a").await, world.weight("a").await), (vec![1, 3], Some(4)));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_is_recorded_with_who_what_and_why() {
    let world = world("recorded").await;
    let view = Switched::new(REFUSES);
    let (projector, names) = parked(&world, &view).await;
    let id = asked(&world, &names[0], Wish::Skip { position: 2 }).await;
    let act = finished(&world, id).await;
    assert_eq!((&*act.who, &*act.act, &*act.projection), ("ada", "skip", "parcels"));
    assert_eq!((&*act.topic, &*act.stream_id, act.position), (&*world.topic, &*names[0], Some(2)));
    assert_eq!(act.reason.as_deref(), Some("the view was corrected"));
    assert!(act.finished_at.unwrap() >= act.asked_at);
    let nobody = NewAct { who: "", ..wish(&world, &names[0], Wish::Retry) };
    assert!(acts::ask(&world.pool, &nobody).await.is_err());
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_about_a_stream_that_is_not_parked_is_refused() {
    let world = world("not_parked").await;
    let projector = world.start();
    world.write(&[("a", packed(4))]).await;
    world.caught_up(&projector).await;
    for what in [Wish::Retry, Wish::DryRun, Wish::Skip { position: 1 }] {
        let (is_done, outcome) = done(&world, "a", what).await;
        assert!(!is_done);
        assert_eq!(outcome.refused.as_deref(), Some("a is not parked"));
    }
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_leaves_the_act_asked_and_the_next_process_finishes_it() {
    let world = world("crash").await;
    let view = Switched::new(REFUSES);
    let (projector, names) = parked(&world, &view).await;
    view.set(BLOCKS);
    let id = asked(&world, &names[0], Wish::Retry).await;
    tokio::time::timeout(SOON, view.reached.notified()).await.unwrap();
    projector.crash().await;
    let act = acts::find(&world.pool, id).await.unwrap();
    assert_eq!((&*act.state, act.outcome), ("asked", None));
    assert_eq!(world.parked().await.len(), 2);

    let view = Switched::new(PASSES);
    let projector = world.start_with(view, World::settings());
    assert!(finished(&world, id).await.is_done());
    assert_eq!(order(&world, &names[0]).await, [1, 2, 3]);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_parked_stream_is_retried_page_by_page() {
    let world = world("pages").await;
    let view = Switched::new(REFUSES);
    let projector = world.start_with(view.clone(), World::settings());
    let mut events = vec![("a", sent("Oslo")), ("a", lost("at sea"))];
    events.resize(502, ("a", packed(1)));
    world.write(&events).await;
    world.caught_up(&projector).await;
    view.set(PASSES);
    let (is_done, outcome) = done(&world, "a", Wish::DryRun).await;
    assert_eq!((is_done, outcome.applied, outcome.still_parked), (true, 501, 501));
    let (is_done, outcome) = done(&world, "a", Wish::Retry).await;
    assert_eq!((is_done, outcome.applied, outcome.still_parked), (true, 501, 0));
    assert_eq!(order(&world, "a").await, (1..=502).collect::<Vec<i64>>());
    assert_eq!(world.weight("a").await, Some(500));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_one_carries_out_an_act_whoever_owns_the_partition() {
    let world = world("replicas").await;
    let view = Switched::new(REFUSES);
    let (projector, names) = parked(&world, &view).await;
    let other = world.start_with(view.clone(), World::settings());
    view.set(PASSES);
    for _ in 0..4 {
        // Each of them looks at another moment; none does it twice.
        let (_, outcome) = done(&world, &names[0], Wish::DryRun).await;
        assert_eq!(outcome.applied, 2);
    }
    let twins =
        [asked(&world, &names[0], Wish::Retry).await, asked(&world, &names[0], Wish::Retry).await];
    let mut applied = Vec::new();
    for id in twins {
        let act = finished(&world, id).await;
        applied.push((act.is_done(), act.outcome.unwrap().0.applied));
    }
    applied.sort_unstable();
    assert_eq!(applied, [(false, 0), (true, 2)], "the other found it live");
    assert_eq!(order(&world, &names[0]).await, [1, 2, 3]);
    projector.stop().await;
    other.stop().await;
}
