//! One system, nothing broken: what a caller of the HTTP interfaces may rely on.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use e2e::{Client, Service, System};
use factline_testkit::eventually_ok;
use futures::future::join_all;
use serde_json::json;
use std::time::Duration;

async fn add(client: &Client, sku: &str, quantity: i64) {
    let item =
        json!({"sku": sku, "name": "Lantern", "quantity": quantity, "unit_price_cents": 339});
    assert_eq!(client.post("/inventory", item).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_reaches_every_read_model_and_its_token_waits_for_it() {
    let system = System::create("sale").await;
    let api = system.start(Service::CommandApi).await;
    let list = system.start(Service::List).await;
    let stats = system.start(Service::Stats).await;
    let alerter = system.start(Service::Alerter).await;
    let client = api.client();
    add(&client, "71053", 10).await;

    let sale = json!({"quantity": 6, "country": "France", "occurred_at": "2010-12-01T08:26:00Z"});
    let sold = client.post("/inventory/71053/sales", sale).await;
    assert_eq!(sold.status, 201, "{sold:?}");
    assert_eq!(sold.etag.as_deref(), Some("\"2\""));
    let token = sold.token.unwrap();

    let item = list.client().get_after("/inventory/71053", &token).await;
    assert_eq!(item.status, 200, "{item:?}");
    assert_eq!((&item.body["available"], &item.body["version"]), (&json!(4), &json!(2)));
    let totals = stats.client().get_after("/inventory/stats", &token).await;
    assert_eq!(totals.body["units_sold"], 6);
    assert_eq!(totals.body["revenue_cents"], 2_034);
    let alerts = alerter.client().get_after("/alerts?state=open", &token).await;
    assert_eq!(alerts.body["items"][0]["subject"], "71053", "{alerts:?}");

    for process in [api, list, stats, alerter] {
        assert_eq!(process.stop().await, 0, "a service that is asked to stop ends with 0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_selling_the_last_unit_at_once_sell_one() {
    let system = System::create("last_unit").await;
    let one = system.start_as(Service::CommandApi, "one", &[]).await;
    let two = system.start_as(Service::CommandApi, "two", &[]).await;
    for round in 0..15 {
        let sku = format!("last-{round}");
        add(&one.client(), &sku, 1).await;
        let path = format!("/inventory/{sku}/sales");
        let (a, b) = (one.client(), two.client());
        let (a, b) = tokio::join!(
            a.post(&path, json!({"quantity": 1})),
            b.post(&path, json!({"quantity": 1})),
        );
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 422], "{a:?} {b:?}");
        let refused = if a.status == 422 { a } else { b };
        assert_eq!(refused.body["code"], "insufficient_stock");
        assert_eq!(refused.body["available"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_has_one_effect_and_one_answer_also_concurrently_and_after_a_restart() {
    let system = System::create("same_key").await;
    let one = system.start_as(Service::CommandApi, "one", &[]).await;
    let two = system.start_as(Service::CommandApi, "two", &[]).await;
    add(&one.client(), "71053", 100).await;
    let clients = [one.client(), two.client()];
    let twins = (0..20).map(|index| {
        let client = clients[index % 2].clone();
        async move { client.post_with("/inventory/71053/sales", "k", json!({"quantity": 3})).await }
    });
    let answers = join_all(twins).await;
    assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));

    assert_eq!(one.stop().await, 0);
    let restarted = system.start_as(Service::CommandApi, "one", &[]).await;
    let client = restarted.client();
    let again = client.post_with("/inventory/71053/sales", "k", json!({"quantity": 3})).await;
    assert!(again.replayed);
    assert_eq!((again.status, &again.body), (201, &answers[0].body));
    let other = client.post_with("/inventory/71053/sales", "k", json!({"quantity": 4})).await;
    assert_eq!((other.status, &other.body["code"]), (422, &json!("idempotency_key_reused")));
    let state = client.get("/inventory/71053/history?version=2").await;
    assert_eq!(state.body["state"]["available"], 97);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_of_another_process_carries_events_on() {
    let system = System::create("roles").await;
    let http = ("FACTLINE__ROLES", "http");
    let relay = ("FACTLINE__ROLES", "relay");
    let api = system.start_as(Service::CommandApi, "api", &[http]).await;
    let mut first = system.start_as(Service::CommandApi, "relay-1", &[relay]).await;
    let _second = system.start_as(Service::CommandApi, "relay-2", &[relay]).await;
    let list = system.start(Service::List).await;
    add(&api.client(), "a", 1).await;
    let visible = async |sku: &str| {
        let path = format!("/inventory/{sku}");
        eventually_ok(Duration::from_secs(40), "the item is visible", async || {
            let item = list.client().get(&path).await;
            if item.status == 200 { Ok(()) } else { Err(format!("{item:?}")) }
        })
        .await;
    };
    visible("a").await;
    first.kill();
    add(&api.client(), "b", 1).await;
    visible("b").await;
}
