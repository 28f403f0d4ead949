//! What is outside breaks: the projection waits, says so, and goes on by itself. Nothing is parked.

use std::sync::Arc;

use crate::support::{Parcels, SOON, World, pool};
use factline_codec::{Registry, RegistrySettings};
use factline_kafka::KafkaSettings;
use factline_projection::{Condition, FoldedView, ProjectionSettings};
use factline_testkit::{FaultProxy, parcels::packed};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_and_comes_back_costs_nothing() {
    let world = World::create("database_away").await;
    let proxy = FaultProxy::to(&world.postgres_address()).await;
    let mut parts = world.parts(FoldedView::<Parcels>::new(), World::settings());
    parts.database = pool(&world.database.url_through(&proxy));
    let projector = world.run(parts);
    world.write(&[("a", packed(1))]).await;
    world.caught_up(&projector).await;

    proxy.cut();
    world.write(&[("a", packed(2)), ("b", packed(3))]).await;
    projector.becomes("degraded", |s| s.condition == Condition::Degraded).await;
    assert_eq!(world.weight("a").await, Some(1));
    proxy.heal();
    // The gate may still meet a connection of the pool that was cut.
    factline_testkit::eventually(SOON, "it has caught up", async || world.processed().await == 3)
        .await;
    assert_eq!((world.weight("a").await, world.weight("b").await), (Some(3), Some(3)));
    projector.becomes("running", |s| s.condition == Condition::Running).await;
    assert_eq!(world.parked().await, []);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v06_a_registry_that_is_away_is_waited_for_and_parks_nothing() {
    let world = World::create("registry_away").await;
    let proxy = FaultProxy::to_url(&world.registry.url).await;
    proxy.cut();
    let away = RegistrySettings { url: proxy.url(&world.registry.url), ..world.registry.clone() };
    let mut parts = world.parts(FoldedView::<Parcels>::new(), World::settings());
    parts.registry = Arc::new(Registry::new(&away).unwrap());
    let projector = world.run(parts);
    world.write(&[("a", packed(1))]).await;
    projector.becomes("degraded", |s| s.condition == Condition::Degraded).await;
    assert_eq!(world.parked().await, []);
    proxy.heal();
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(1));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_without_the_registry_goes_on_with_the_schemas_it_knows() {
    let world = World::create("known_schemas").await;
    let projector = world.start();
    world.write(&[("a", packed(1))]).await;
    world.caught_up(&projector).await;
    projector.stop().await;

    let nowhere = RegistrySettings { url: "http://127.0.0.1:9".into(), ..world.registry.clone() };
    let mut parts = world.parts(FoldedView::<Parcels>::new(), World::settings());
    parts.registry = Arc::new(Registry::new(&nowhere).unwrap());
    let projector = world.run(parts);
    world.write(&[("a", packed(2))]).await;
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(3));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v04_an_unknown_schema_id_is_waited_for_and_then_parked() {
    let world = World::create("unknown_id").await;
    let patient = ProjectionSettings {
        schema_unknown_for_ms: 1_500,
        schema_ask_again_ms: 100,
        ..World::settings()
    };
    let projector = world.start_with(FoldedView::<Parcels>::new(), patient);
    let event = world.record("a", packed(1));
    world.send_raw(vec![world.outgoing_as(&event, 2_000_000_000)]).await;
    projector.becomes("degraded", |s| s.condition == Condition::Degraded).await;
    assert_eq!(world.parked().await, []);
    world.caught_up(&projector).await;
    assert_eq!(world.parked().await, [("a".to_owned(), "schema_unknown".to_owned())]);
    projector.becomes("running", |s| s.condition == Condition::Running).await;
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d07_a_missing_column_stops_and_heals_when_the_migration_runs() {
    let world = World::create("column").await;
    sqlx::query("alter table parcels rename column sent_to to destination")
        .execute(&world.pool)
        .await
        .unwrap();
    let projector = world.start();
    world.write(&[("a", packed(1))]).await;
    let status =
        projector.becomes("misconfigured", |s| s.condition == Condition::Misconfigured).await;
    assert!(!status.is_ready() && status.reasons[0].contains("sent_to"), "{status:?}");
    assert_eq!(world.parked().await, []);

    sqlx::query("alter table parcels rename column destination to sent_to")
        .execute(&world.pool)
        .await
        .unwrap();
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(1));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d07_a_table_that_is_dropped_at_work_stops_and_parks_nothing() {
    let world = World::create("dropped").await;
    let projector = world.start();
    world.write(&[("a", packed(1))]).await;
    world.caught_up(&projector).await;
    sqlx::query("alter table parcels rename to parcels_elsewhere")
        .execute(&world.pool)
        .await
        .unwrap();
    world.write(&[("a", packed(2))]).await;
    projector.becomes("misconfigured", |s| s.condition == Condition::Misconfigured).await;
    assert_eq!(world.parked().await, []);
    sqlx::query("alter table parcels_elsewhere rename to parcels")
        .execute(&world.pool)
        .await
        .unwrap();
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(3));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_away_are_reported_and_a_stop_still_ends() {
    let world = World::create("brokers_away").await;
    let mut parts = world.parts(FoldedView::<Parcels>::new(), World::settings());
    parts.kafka = KafkaSettings { brokers: "127.0.0.1:9".into(), ..world.kafka.clone() };
    let projector = world.run(parts);
    let status = projector.becomes("degraded", |s| s.condition == Condition::Degraded).await;
    assert!(status.is_ready(), "queries still answer: {status:?}");
    projector.stop().await;
}
