//! A database that is there and refuses: deadlocks, serialisation failures, no room, no connections,
//! read-only. The projection waits, says so, and goes on by itself; nothing is parked, nothing lost.

use crate::support::{Parcels, Running, SOON, World, pool};
use factline_projection::{Condition, FoldedView};
use factline_testkit::{eventually, parcels::packed};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinHandle;

/// So many collisions in a row are a storm: with a back-off of at most 200 ms all of them are met
/// within one event.
const STORM: i64 = 4;

const HOLD_ROW: &str = "update parcels set version = version where parcel = 'a'";
const HOLD_CHECKPOINTS: &str = "update projection.checkpoints set updated_at = now()";

async fn run(world: &World, statement: String) {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&world.pool).await.unwrap();
}

/// Says something of the database itself; holds for sessions that begin after it.
async fn alter(world: &World, what: &str) {
    run(world, format!("alter database {:?} {what}", world.database.name())).await;
}

/// Ends the sessions of whoever is at work, as a failover does.
async fn throw_out(world: &World) {
    let others = "select pg_terminate_backend(pid, 10000) from pg_stat_activity
                  where datname = current_database() and pid <> pg_backend_pid()";
    let mut one = world.pool.acquire().await.unwrap();
    sqlx::raw_sql(others).execute(&mut *one).await.unwrap();
}

/// Until so many sessions wait for a lock.
async fn waiting(world: &World, sessions: i64) {
    const WAITING: &str = "select count(*) from pg_stat_activity
        where wait_event_type = 'Lock' and datname = current_database()";
    let enough = async || world.count(WAITING).await == sessions;
    eventually(SOON, "sessions wait for a lock", enough).await;
}

/// It runs again by itself, and blames no event.
async fn assert_nothing_is_left(world: &World, projector: &Running) {
    projector.becomes("running", |s| s.condition == Condition::Running).await;
    assert_eq!(world.parked().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn d09_a_storm_of_deadlocks_is_waited_out_and_nothing_is_parked() {
    let world = World::create("deadlocks").await;
    // Ours looks for a deadlock after so long, the adversary never: ours is the victim each time.
    alter(&world, "set deadlock_timeout = '2s'").await;
    let projector = world.start();
    world.write(&[("a", packed(1))]).await;
    world.caught_up(&projector).await;

    let mut adversary = PgConnection::connect(&world.database.url()).await.unwrap();
    sqlx::query("set deadlock_timeout = '1h'").execute(&mut adversary).await.unwrap();
    let mut other = adversary.begin().await.unwrap();
    sqlx::query(HOLD_ROW).execute(&mut *other).await.unwrap();
    world.write(&[("a", packed(2))]).await;
    for _ in 0..STORM {
        // Ours holds its checkpoint and waits for the row; then each waits for the other.
        waiting(&world, 1).await;
        let mut inner = other.begin().await.unwrap();
        sqlx::query(HOLD_CHECKPOINTS).execute(&mut *inner).await.unwrap();
        inner.rollback().await.unwrap(); // the row stays held
        assert_eq!(world.weight("a").await, Some(1));
    }
    let told = projector.becomes("degraded", |s| s.condition == Condition::Degraded).await;
    assert!(told.reasons.iter().any(|reason| reason.contains("deadlock")), "{told:?}");
    other.rollback().await.unwrap();

    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(3));
    const COUNTED: &str =
        "select deadlocks from pg_stat_database where datname = current_database()";
    let counted = async || world.count(COUNTED).await >= STORM;
    eventually(SOON, "the server has counted them", counted).await;
    assert_nothing_is_left(&world, &projector).await;
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d09_a_storm_of_serialisation_failures_is_waited_out_and_nothing_is_parked() {
    let world = World::create("serialisation").await;
    alter(&world, "set default_transaction_isolation = 'repeatable read'").await;
    let projector = world.start();
    world.write(&[("a", packed(1))]).await;
    world.caught_up(&projector).await;

    let mut holding = change_row(&world).await.await.unwrap();
    world.write(&[("a", packed(2))]).await;
    for _ in 0..STORM {
        // Ours waits for the row, and another adversary behind it: the row is never free.
        waiting(&world, 1).await;
        let next = change_row(&world).await;
        waiting(&world, 2).await;
        // Now the row is another than in the snapshot of ours.
        sqlx::raw_sql("commit").execute(&mut holding).await.unwrap();
        holding = next.await.unwrap();
        assert_eq!(world.weight("a").await, Some(1));
    }
    let told = projector.becomes("degraded", |s| s.condition == Condition::Degraded).await;
    assert!(told.reasons.iter().any(|reason| reason.contains("could not serialize")), "{told:?}");
    sqlx::raw_sql("rollback").execute(&mut holding).await.unwrap();

    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(3));
    assert_nothing_is_left(&world, &projector).await;
    projector.stop().await;
}

/// An adversary that changes the row, as soon as it gets it, and holds it.
async fn change_row(world: &World) -> JoinHandle<PgConnection> {
    let mut adversary = PgConnection::connect(&world.database.url()).await.unwrap();
    let begin = "begin isolation level read committed";
    sqlx::raw_sql(begin).execute(&mut adversary).await.unwrap();
    tokio::spawn(async move {
        sqlx::query(HOLD_ROW).execute(&mut adversary).await.unwrap();
        adversary
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_a_server_that_has_become_read_only_is_waited_for() {
    let world = World::create("read_only").await;
    let projector = world.start();
    world.write(&[("a", packed(1))]).await;
    world.caught_up(&projector).await;

    alter(&world, "set default_transaction_read_only = on").await;
    throw_out(&world).await;
    world.write(&[("a", packed(2))]).await;
    let read_only = |s: &factline_projection::Status| {
        s.condition == Condition::Degraded && s.reasons.iter().any(|r| r.contains("read-only"))
    };
    projector.becomes("waiting for a server that writes", read_only).await;
    assert_eq!(world.weight("a").await, Some(1));

    let back = "set default_transaction_read_only = off";
    let mut writer = PgConnection::connect(&world.database.url()).await.unwrap();
    sqlx::raw_sql(back).execute(&mut writer).await.unwrap();
    let off = format!("alter database {:?} {back}", world.database.name());
    sqlx::raw_sql(AssertSqlSafe(off)).execute(&mut writer).await.unwrap();
    throw_out(&world).await;
    eventually(SOON, "it goes on", async || world.weight("a").await == Some(3)).await;
    assert_nothing_is_left(&world, &projector).await;
    projector.stop().await;
}

/// The server's own word for a full disk, from a trigger: the disk itself is everybody's.
#[tokio::test(flavor = "multi_thread")]
async fn d11_a_full_disk_is_waited_for() {
    const FULL: &str = "
        create function full_disk() returns trigger language plpgsql as $$ begin
            raise exception 'could not extend file: No space left on device' using errcode = '53100';
        end $$;
        create trigger full_disk before insert or update on parcels execute function full_disk()";
    let world = World::create("full_disk").await;
    let projector = world.start();
    world.write(&[("a", packed(1))]).await;
    world.caught_up(&projector).await;

    run(&world, FULL.to_owned()).await;
    world.write(&[("a", packed(2)), ("b", packed(4))]).await;
    let told = projector.becomes("degraded", |s| s.condition == Condition::Degraded).await;
    assert!(told.reasons.iter().any(|reason| reason.contains("No space left")), "{told:?}");
    assert_eq!((world.weight("a").await, world.processed().await), (Some(1), 1));

    run(&world, "drop trigger full_disk on parcels".to_owned()).await;
    world.caught_up(&projector).await;
    assert_eq!((world.weight("a").await, world.weight("b").await), (Some(3), Some(4)));
    assert_nothing_is_left(&world, &projector).await;
    projector.stop().await;
}

/// A role that is no superuser, because those are let in beyond every limit.
const ROLE: &str = "
    do $$ begin create role factline_test_projector login;
    exception when duplicate_object or unique_violation then null; end $$;
    grant usage on schema projection, public to factline_test_projector;
    grant all on all tables in schema projection, public to factline_test_projector;
    grant all on all sequences in schema projection, public to factline_test_projector";

#[tokio::test(flavor = "multi_thread")]
async fn d11_a_server_without_a_free_connection_is_waited_for() {
    let world = World::create("no_connection").await;
    run(&world, ROLE.to_owned()).await;
    let mut parts = world.parts(FoldedView::<Parcels>::new(), World::settings());
    let url = world.database.url().replace("//postgres@", "//factline_test_projector@");
    parts.database = pool(&url);
    let projector = world.run(parts);
    world.write(&[("a", packed(1))]).await;
    world.caught_up(&projector).await;

    alter(&world, "connection limit 0").await;
    throw_out(&world).await;
    world.write(&[("a", packed(2))]).await;
    let full = |s: &factline_projection::Status| {
        s.condition == Condition::Degraded
            && s.reasons.iter().any(|reason| reason.contains("too many connections"))
    };
    projector.becomes("waiting for a connection", full).await;
    assert_eq!(world.weight("a").await, Some(1));

    alter(&world, "connection limit -1").await;
    eventually(SOON, "it goes on", async || world.weight("a").await == Some(3)).await;
    assert_nothing_is_left(&world, &projector).await;
    projector.stop().await;
}
