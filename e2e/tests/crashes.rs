//! Processes that are really killed or frozen at the worst moments, and what is left of it: nothing.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use std::{fs, time::Duration};

use e2e::{Client, Process, Service, System};
use factline_testkit::{eventually, eventually_ok};
use serde_json::{Value, json};

/// That projector-stats runs; each is a consumer group of its own.
const PROJECTIONS: usize = 3;
/// Longer than the shortest Kafka session and everything that follows on a loaded machine.
const SOON: Duration = Duration::from_secs(60);

async fn add(client: &Client, sku: &str, quantity: i64) {
    let item =
        json!({"sku": sku, "name": "Lantern", "quantity": quantity, "unit_price_cents": 100});
    assert_eq!(client.post("/inventory", item).await.status, 201);
}

async fn sell(client: &Client, sku: &str, quantity: i64) -> String {
    let sold = client.post(&format!("/inventory/{sku}/sales"), json!({"quantity": quantity})).await;
    assert_eq!(sold.status, 201, "{sold:?}");
    sold.token.unwrap()
}

/// The totals, once they show this many sales.
async fn totals_after(stats: &Process, sales: i64) -> Value {
    eventually_ok(SOON, "the sales are counted", async || {
        let totals = stats.client().get("/inventory/stats").await;
        if totals.body["total_sales"] == sales {
            Ok(totals.body)
        } else {
            Err(format!("{totals:?}"))
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_the_commit_and_before_the_answer_is_answered_by_the_retry() {
    let system = System::create("crash_api").await;
    let ready = system.start(Service::CommandApi).await;
    add(&ready.client(), "71053", 10).await;
    assert_eq!(ready.stop().await, 0);

    let armed = [("FACTLINE_FAILPOINT", "lane_after_append")];
    let mut doomed = system.start_as(Service::CommandApi, "doomed", &armed).await;
    let client = doomed.client();
    let lost = tokio::spawn(async move {
        client.try_post("/inventory/71053/sales", "k", &json!({"quantity": 3})).await
    });
    doomed.reached("lane_after_append").await;
    doomed.kill();
    assert!(lost.await.unwrap().is_err(), "the answer never came");

    let restarted = system.start_as(Service::CommandApi, "restarted", &[]).await;
    let client = restarted.client();
    let again = client.post_with("/inventory/71053/sales", "k", json!({"quantity": 3})).await;
    assert_eq!((again.status, again.replayed), (201, true), "{again:?}");
    let trail = client.get("/inventory/71053/history").await;
    assert_eq!(trail.body["events"].as_array().map(Vec::len), Some(2), "one sale, not two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_killed_between_send_and_cursor_sends_again_and_nothing_counts_twice() {
    let system = System::create("crash_relay").await;
    let stats = system.start(Service::Stats).await;
    let api = system.start_as(Service::CommandApi, "api", &[("FACTLINE__ROLES", "http")]).await;
    add(&api.client(), "71053", 100).await;
    for _ in 0..20 {
        sell(&api.client(), "71053", 2).await;
    }
    let armed = [("FACTLINE__ROLES", "relay"), ("FACTLINE_FAILPOINT", "relay_before_cursor")];
    let mut doomed = system.start_as(Service::CommandApi, "doomed", &armed).await;
    doomed.reached("relay_before_cursor").await;
    totals_after(&stats, 20).await;
    doomed.kill();

    let relay = [("FACTLINE__ROLES", "relay")];
    let _restarted = system.start_as(Service::CommandApi, "relay", &relay).await;
    eventually(SOON, "the repeats are skipped", async || {
        stats.counter("factline_projection_events_total{projection=\"inventory_stats\",outcome=\"repeat\"}").await >= 21.0
    })
    .await;
    sell(&api.client(), "71053", 2).await;
    let totals = totals_after(&stats, 21).await;
    assert_eq!((&totals["units_sold"], &totals["revenue_cents"]), (&json!(42), &json!(4_200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_killed_between_its_commit_and_the_offsets_does_not_count_a_sale_twice() {
    let system = System::create("crash_projector").await;
    let api = system.start(Service::CommandApi).await;
    add(&api.client(), "71053", 100).await;
    for _ in 0..20 {
        sell(&api.client(), "71053", 2).await;
    }
    let armed = [("FACTLINE_FAILPOINT", "projector_after_commit")];
    let mut doomed = system.start_as(Service::Stats, "doomed", &armed).await;
    doomed.reached("projector_after_commit").await;
    doomed.kill();

    let restarted = system.start_as(Service::Stats, "restarted", &[]).await;
    sell(&api.client(), "71053", 2).await;
    let totals = totals_after(&restarted, 21).await;
    assert_eq!((&totals["units_sold"], &totals["revenue_cents"]), (&json!(42), &json!(4_200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_frozen_past_its_session_with_a_batch_in_hand_changes_nothing_when_it_wakes() {
    let system = System::create("zombie").await;
    let api = system.start(Service::CommandApi).await;
    add(&api.client(), "71053", 100).await;
    let gate = system.folder().join("go-on");
    let failpoint = format!("projector_with_batch:until={}", gate.display());
    let armed = [("FACTLINE_FAILPOINT", failpoint.as_str())];
    let zombie = system.start_as(Service::Stats, "zombie", &armed).await;
    zombie.reached_by(PROJECTIONS, "projector_with_batch").await; // each with the item's addition
    zombie.freeze();

    let heir = system.start_as(Service::Stats, "heir", &[]).await;
    for _ in 0..20 {
        sell(&api.client(), "71053", 2).await;
    }
    eventually(SOON, "the heir has passed the batches in the zombie's hands", async || {
        heir.counter("factline_projection_events_total").await >= 21.0 * PROJECTIONS as f64
    })
    .await;
    fs::write(&gate, "").unwrap();
    zombie.thaw();
    eventually(SOON, "the stale compare-and-sets are refused", async || {
        zombie.counter("factline_projection_refused_checkpoints_total").await >= PROJECTIONS as f64
    })
    .await;
    sell(&api.client(), "71053", 2).await;
    let totals = totals_after(&heir, 21).await;
    assert_eq!((&totals["units_sold"], &totals["revenue_cents"]), (&json!(42), &json!(4_200)));
}

/// Starts and kills a process three times, each time when it has come to a failpoint.
async fn die_thrice(system: &System, failpoint: &str) {
    for life in 1..=3 {
        let name = format!("{failpoint}-{life}");
        let armed = [("FACTLINE_FAILPOINT", failpoint)];
        let mut doomed = system.start_as(Service::Alerter, &name, &armed).await;
        doomed.reached(failpoint).await;
        doomed.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_ends_three_processes_is_parked_undecoded_and_so_is_an_act_refused() {
    let system = System::create("lethal").await;
    let api = system.start(Service::CommandApi).await;
    add(&api.client(), "lethal", 10).await;
    die_thrice(&system, "projector_with_batch").await;

    add(&api.client(), "harmless", 10).await;
    let fourth = system.start_as(Service::Alerter, "fourth", &[]).await;
    let operator = system.operator(&[(Service::Alerter, &fourth)]);
    let parked = eventually_ok(SOON, "the event is parked", async || {
        operator.ask(&["dlq", "list"]).await.pop().ok_or("nothing is parked")
    })
    .await;
    assert_eq!((&parked["code"], &parked["first_stream"]), (&json!("lethal"), &json!("lethal")));
    assert_eq!((&parked["streams"], &parked["events"]), (&json!(1), &json!(1)));
    eventually(SOON, "the other stream flows", async || {
        fourth.counter("factline_projection_events_total").await >= 2.0
    })
    .await;
    assert_eq!(fourth.stop().await, 0);

    let retry = ["dlq", "retry", "lethal", "--yes", "--reason", "mended", "--wait-seconds", "120"];
    let lives = async {
        die_thrice(&system, "operator_in_act").await;
        system.start_as(Service::Alerter, "last", &[]).await
    };
    let (refused, _last) = tokio::join!(operator.run(&retry), lives);
    assert!(refused.code == Some(1) && refused.text.contains("3 processes ended"), "{refused:?}");
    let done = operator.run(&retry).await;
    assert_eq!(done.code, Some(0), "it was chance: {done:?}");
    assert_eq!(operator.run(&["dlq", "list"]).await.text.trim(), "nothing is parked");
}
