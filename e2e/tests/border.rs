//! Bad input on a real socket: a clear problem document, and nothing lost.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use e2e::{Answer, Client, Service, System};
use reqwest::Method;
use serde_json::{Value, json};

async fn send(client: &Client, path: &str, body: &'static str) -> Answer {
    let request = client
        .request(Method::POST, path)
        .header("Idempotency-Key", uuid::Uuid::new_v4().to_string())
        .header("Content-Type", "application/json")
        .body(body);
    Answer::of(request).await
}

fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{answer:?}");
    assert!(answer.body["trace_id"].is_string(), "{answer:?}");
}

fn pointers(answer: &Answer) -> Vec<&str> {
    let errors = answer.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().filter_map(|error| error["pointer"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_commands_get_problem_documents_and_write_nothing() {
    let system = System::create("border").await;
    let api = system.start(Service::CommandApi).await;
    let client = api.client();
    let item = json!({"sku": "71053", "name": "Lantern", "quantity": 5, "unit_price_cents": 339});
    assert_eq!(client.post("/inventory", item.clone()).await.status, 201);
    let sales = "/inventory/71053/sales";

    is_problem(&send(&client, sales, "{\"quantity\":").await, 400, "malformed_json"); // H1
    is_problem(&send(&client, sales, "").await, 400, "empty_body"); // H2
    let duplicate = send(&client, sales, r#"{"quantity":1,"quantity":2}"#).await; // H9
    is_problem(&duplicate, 400, "duplicate_key");
    let unknown = send(&client, sales, r#"{"quantity":1,"qty":1}"#).await; // H10
    is_problem(&unknown, 400, "unknown_field");
    assert_eq!(pointers(&unknown), ["/qty"]);
    let missing = send(&client, "/inventory", r#"{"name":"x","quantity":1}"#).await; // H11
    is_problem(&missing, 422, "invalid_fields");
    assert_eq!(pointers(&missing), ["/sku", "/unit_price_cents"]);
    for wrong in [
        r#"{"quantity":"1"}"#,                 // H12
        r#"{"quantity":1.5}"#,                 // H13
        r#"{"quantity":9223372036854775808}"#, // H13
        r#"{"quantity":0}"#,                   // a rule of the field
        r#"{"quantity":-1}"#,                  // Z14
        r#"{"quantity":1,"occurred_at":"today"}"#,
    ] {
        assert_eq!(send(&client, sales, wrong).await.status, 422, "{wrong}");
    }
    let nul = send(&client, sales, r#"{"quantity":1,"country":"a\u0000b"}"#).await; // H14
    assert_eq!(nul.status, 422, "{nul:?}");

    let no_key = client.request(Method::POST, sales).json(&json!({"quantity": 1})); // H24
    is_problem(&Answer::of(no_key).await, 400, "missing_idempotency_key");
    let elsewhere = client.post("/inventory/unknown/sales", json!({"quantity": 1})).await;
    is_problem(&elsewhere, 404, "unknown_item");
    is_problem(&client.post("/inventory", item).await, 409, "item_exists");
    is_problem(&client.post(sales, json!({"quantity": 6})).await, 422, "insufficient_stock"); // H22
    let wrong_version = client
        .request(Method::POST, sales)
        .header("Idempotency-Key", "v")
        .header("If-Match", "\"9\"")
        .json(&json!({"quantity": 1}));
    let wrong_version = Answer::of(wrong_version).await; // H21
    is_problem(&wrong_version, 412, "version_mismatch");
    assert_eq!(wrong_version.body["current_version"], 1);

    let trail = client.get("/inventory/71053/history").await;
    assert_eq!(trail.body["events"].as_array().map(Vec::len), Some(1), "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn h17_h18_h19_h20_strange_names_are_stored_as_they_are_or_refused() {
    let system = System::create("strange").await;
    let api = system.start(Service::CommandApi).await;
    let client = api.client();
    let with_sku = |sku: &str| json!({"sku": sku, "name": "'; drop table log.events; --", "quantity": 5, "unit_price_cents": 1});
    for refused in ["", "a\nb", &"x".repeat(129)] {
        let answer = client.post("/inventory", with_sku(refused)).await; // H17
        assert_eq!(answer.status, 422, "{refused:?} {answer:?}");
    }
    for (sku, path) in [
        ("../../etc", "..%2F..%2Fetc"),           // H18
        ("a/b", "a%2Fb"),                         // H18
        ("' or 1=1 --", "%27%20or%201%3D1%20--"), // H19
        ("grün", "gr%C3%BCn"),
    ] {
        assert_eq!(client.post("/inventory", with_sku(sku)).await.status, 201, "{sku}");
        let sold = client.post(&format!("/inventory/{path}/sales"), json!({"quantity": 1})).await;
        assert_eq!(sold.status, 201, "{sku} {sold:?}");
        let state = client.get(&format!("/inventory/{path}/history?version=1")).await;
        assert_eq!(state.body["sku"], sku);
        assert_eq!(state.body["state"]["name"], "'; drop table log.events; --");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_tells_who_did_what_and_what_the_state_was_then() {
    let system = System::create("history").await;
    let api = system.start(Service::CommandApi).await;
    let client = api.client();
    let correlation = uuid::Uuid::new_v4();
    let add = client
        .request(Method::POST, "/inventory")
        .header("Idempotency-Key", "add")
        .header("X-Actor", "jane")
        .header("X-Correlation-Id", correlation.to_string())
        .json(&json!({"sku": "s", "name": "Lantern", "quantity": 10, "unit_price_cents": 1,
                      "occurred_at": "2010-12-01T08:00:00Z"}));
    assert_eq!(Answer::of(add).await.status, 201);
    for day in 2..5 {
        let sale = json!({"quantity": 1, "occurred_at": format!("2010-12-0{day}T08:00:00Z")});
        assert_eq!(client.post("/inventory/s/sales", sale).await.status, 201);
    }
    let trail = client.get("/inventory/s/history?limit=2").await.body;
    let first = &trail["events"][0];
    assert_eq!((&first["actor"], &first["version"]), (&json!("jane"), &json!(1)));
    assert_eq!(first["correlation_id"], correlation.to_string());
    assert_eq!(first["event_type"], "factline.inventory.ItemAdded");
    assert_eq!(trail["next_after"], 2);
    let rest = client.get("/inventory/s/history?after=2").await.body;
    assert_eq!((rest["events"].as_array().unwrap().len(), &rest["next_after"]), (2, &Value::Null));

    let then = client.get("/inventory/s/history?at=2010-12-03T12:00:00Z").await.body;
    assert_eq!((&then["version"], &then["state"]["available"]), (&json!(3), &json!(8)));
    let before = client.get("/inventory/s/history?at=2010-11-30T00:00:00Z").await;
    is_problem(&before, 404, "unknown_item");
    let negative = client.get("/inventory/s/history?after=-1").await;
    is_problem(&negative, 422, "invalid_field");
    let alias = client.get("/inventory/history?sku=s").await.body;
    assert_eq!(alias["events"].as_array().map(Vec::len), Some(4));
}
