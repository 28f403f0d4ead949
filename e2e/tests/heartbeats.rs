//! A system in which nothing happens: is it idle, or dead?

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use std::time::Duration;

use e2e::{Process, Service, System};
use factline_testkit::eventually_ok;

/// Longer than a group takes to begin on a loaded machine.
const SOON: Duration = Duration::from_secs(60);
/// So often that a test sees some, and no service takes it for missing while the machine is busy.
const EVERY: (&str, &str) = ("FACTLINE__HEARTBEAT__EVERY_MS", "1000");
const AGE: &str = "factline_heartbeat_age_seconds";

/// The newest heartbeat that the list's database shows.
async fn shown(system: &System) -> i64 {
    let pool = system.database(Service::List).pool().await;
    let position = "select coalesce(max(position), 0) from projection.checkpoints
                    where projection = 'heartbeat_list'";
    sqlx::query_scalar(position).fetch_one(&pool).await.unwrap()
}

async fn shows(system: &System, position: i64) -> i64 {
    eventually_ok(SOON, "a further heartbeat is visible", async || {
        let now = shown(system).await;
        if now >= position { Ok(now) } else { Err(format!("{now} of {position}")) }
    })
    .await
}

/// Until the service says that the newest heartbeat is older than that.
async fn older(list: &Process, seconds: f64) -> f64 {
    eventually_ok(SOON, "the newest heartbeat is older than that", async || {
        let age = list.counter(AGE).await;
        if age > seconds { Ok(age) } else { Err(format!("{age} s")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_system_is_known_to_be_alive_and_a_dead_write_side_is_noticed() {
    let system = System::create_with("heartbeat", &[EVERY]).await;
    let mut api = system.start(Service::CommandApi).await;
    let twin = system.start_as(Service::CommandApi, "twin", &[]).await;
    let list = system.start(Service::List).await;
    let begun = shows(&system, 1).await;
    shows(&system, begun + 2).await;
    let log = system.database(Service::CommandApi).pool().await;
    let others = "select count(*) from log.events where topic not like '%.heartbeat.v1'";
    let others: i64 = sqlx::query_scalar(others).fetch_one(&log).await.unwrap();
    assert_eq!(others, 0, "nothing else happened");
    let twice = "select count(*) - count(distinct command_key) from log.events";
    let twice: i64 = sqlx::query_scalar(twice).fetch_one(&log).await.unwrap();
    assert_eq!(twice, 0, "two processes send one event an interval");

    twin.freeze();
    api.kill();
    let dead = older(&list, 4.0).await; // beyond three intervals: it says so
    older(&list, dead).await;
    let ready = list.admin().get("/readyz").await;
    let heartbeat = &ready.body["components"]["heartbeat"];
    assert_eq!((ready.status, &heartbeat["status"]), (200, &"degraded".into()), "{ready:?}");
    assert_eq!(list.client().get("/inventory").await.status, 200, "queries are answered");

    let before = shown(&system).await;
    twin.thaw();
    shows(&system, before + 1).await;
    let operator = system.operator(&[(Service::List, &list)]);
    let status = operator.ask(&["status"]).await.remove(0);
    assert!(status["heartbeat_age_seconds"].is_f64(), "{status}");
    assert_eq!(status["log_events"], 0, "heartbeats are not counted: {status}");
    list.stop().await;
}
