//! What an operator does about a stream that is parked, with the built program on the running system.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use std::time::Duration;

use e2e::{Operator, Service, System};
use factline_testkit::eventually_ok;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

/// The view's table refuses that anything of "bad" is sold, as a wrong migration might.
const SPOIL: &str =
    "alter table inventory_list add constraint spoilt check (sku <> 'bad' or on_hand = 10)";
const MEND: &str = "alter table inventory_list drop constraint spoilt";

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_stream_is_listed_shown_retried_drained_and_then_everything_is_equal() {
    let system = System::create("operator").await;
    let api = system.start(Service::CommandApi).await;
    let list = system.start(Service::List).await;
    let (stats, alerter) =
        (system.start(Service::Stats).await, system.start(Service::Alerter).await);
    let operator = system.operator(&[
        (Service::CommandApi, &api),
        (Service::List, &list),
        (Service::Stats, &stats),
        (Service::Alerter, &alerter),
    ]);
    let database = system.database(Service::List).pool().await;
    let plant = async |sql: &'static str| sqlx::raw_sql(sql).execute(&database).await.unwrap();

    for sku in ["good", "bad"] {
        let item = json!({"sku": sku, "name": "Lantern", "quantity": 10, "unit_price_cents": 100});
        let added = api.client().post("/inventory", item).await;
        let seen =
            list.client().get_after(&format!("/inventory/{sku}"), &added.token.unwrap()).await;
        assert_eq!(seen.body["available"], 10);
    }
    plant(SPOIL).await;
    let sell = async |sku: &str| {
        let sold =
            api.client().post(&format!("/inventory/{sku}/sales"), json!({"quantity": 1})).await;
        sold.token.unwrap()
    };
    let mut last = String::new();
    for sku in ["good", "bad", "bad", "good"] {
        last = sell(sku).await;
    }
    let good = list.client().get_after("/inventory/good", &last).await;
    assert_eq!(good.body["available"], 8, "other streams flow");

    let parked = parked(&operator, 2).await;
    assert_eq!(parked["projection"], "inventory_list");
    assert_eq!(parked["code"], "constraint_violation");
    assert_eq!((&parked["streams"], &parked["first_stream"]), (&json!(1), &json!("bad")));
    assert_eq!(drained(&operator).await, (false, 2), "parked events are told, and are no loss");

    let events = operator.ask(&["dlq", "show", "bad"]).await;
    let of = |key: &str| events.iter().map(|event| event[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("version"), [2, 3]);
    assert_eq!(of("code"), ["constraint_violation", "stream_parked"]);
    assert_eq!(events[0]["payload"]["quantity"], 1, "{}", events[0]);

    let tried = operator.run(&["dlq", "retry", "bad"]).await;
    assert_eq!(tried.code, Some(1), "{tried:?}");
    assert!(tried.text.contains("version 2") && tried.text.contains("spoilt"), "{tried:?}");
    plant(MEND).await;
    let tried = operator.run(&["dlq", "retry", "bad"]).await;
    assert_eq!(tried.code, Some(0), "{tried:?}");
    assert!(tried.text.contains("nothing was changed"), "{tried:?}");
    assert_eq!(self::parked(&operator, 2).await["streams"], 1, "a dry run changes nothing");

    let reason = "the constraint is gone";
    let retried = operator.run(&["dlq", "retry", "bad", "--yes", "--reason", reason]).await;
    assert_eq!(retried.code, Some(0), "{retried:?}");
    let token = sell("bad").await;
    let bad = list.client().get_after("/inventory/bad", &token).await;
    assert_eq!(bad.body["available"], 7, "the stream is live again");
    assert_eq!(operator.run(&["dlq", "list"]).await.text.trim(), "nothing is parked");
    assert_eq!(drained(&operator).await, (true, 0));
}

/// What is parked, as soon as it is so many events.
async fn parked(operator: &Operator, events: i64) -> Value {
    eventually_ok(SOON, "events are parked", async || {
        let mut groups = operator.ask(&["dlq", "list"]).await;
        let all = groups.len() == 1 && groups[0]["events"] == events;
        if all { Ok(groups.remove(0)) } else { Err(format!("{groups:?}")) }
    })
    .await
}

/// Whether every event has had its effect, and how many are parked.
async fn drained(operator: &Operator) -> (bool, i64) {
    let verdict = operator.ask(&["verify", "--wait", "60"]).await.remove(0);
    assert_eq!(verdict["equal"], true, "{verdict}");
    let projections = verdict["projections"].as_array().unwrap();
    let parked = projections.iter().map(|one| one["parked"].as_i64().unwrap()).sum();
    (parked == 0, parked)
}
