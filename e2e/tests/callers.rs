//! Callers that leave early, wait no longer, or send what no screen should show (hazards 6.1).

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use std::time::Duration;

use e2e::{Answer, Client, Service, System};
use factline_testkit::eventually_ok;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// Long against anything that is waited for here.
const SOON: Duration = Duration::from_secs(60);
/// A lane must wait for the test's lock, and not give up.
const PATIENT: (&str, &str) = ("FACTLINE__LOG__LOCK_TIMEOUT_MS", "60000");

async fn add(client: &Client, sku: &str) {
    let item = json!({"sku": sku, "name": "Lantern", "quantity": 100, "unit_price_cents": 1});
    assert_eq!(client.post("/inventory", item).await.status, 201);
}

/// Sends the first bytes of a POST's body; whoever drops the connection hangs up.
async fn send(client: &Client, path: &str, key: &str, body: &Value, bytes: usize) -> TcpStream {
    let mut connection = TcpStream::connect(client.address()).await.unwrap();
    let body = body.to_string();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         idempotency-key: {key}\r\ncontent-length: {length}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&body.as_bytes()[..bytes.min(length)]).await.unwrap();
    connection
}

async fn events_of(client: &Client, sku: &str) -> usize {
    let trail = client.get(&format!("/inventory/{sku}/history?limit=1000")).await;
    trail.body["events"].as_array().unwrap().len()
}

/// A transaction that holds every head: appends wait until it ends.
async fn hold_heads(pool: &PgPool) -> Transaction<'static, Postgres> {
    let mut holding = pool.begin().await.unwrap();
    sqlx::query("select 1 from log.heads for update").execute(&mut *holding).await.unwrap();
    holding
}

async fn a_lane_waits(pool: &PgPool) {
    const WAITING: &str = "select 1 from pg_stat_activity where datname = current_database()
         and application_name = 'factline-lane' and wait_event_type = 'Lock'";
    eventually_ok(SOON, "a lane waits for a lock", async || {
        sqlx::query(WAITING).fetch_optional(pool).await.unwrap().ok_or("none waits")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h28_a_caller_that_hangs_up_in_the_middle_has_done_nothing_and_may_come_again() {
    let system = System::create("hang_up_middle").await;
    let api = system.start(Service::CommandApi).await;
    let client = api.client();
    add(&client, "a").await;
    let (path, sale) = ("/inventory/a/sales", json!({"quantity": 2}));
    let length = sale.to_string().len();
    for bytes in 0..length {
        drop(send(&client, path, "k", &sale, bytes).await);
    }
    let sold = client.post_with(path, "k", sale.clone()).await;
    assert_eq!((sold.status, sold.replayed), (201, false), "{sold:?}");
    assert!(client.post_with(path, "k", sale).await.replayed);
    assert_eq!(events_of(&client, "a").await, 2, "it was added, and sold once");
}

#[tokio::test(flavor = "multi_thread")]
async fn h28_whoever_hangs_up_at_the_end_may_come_again_and_has_one_effect() {
    let system = System::create("hang_up_race").await;
    let api = system.start(Service::CommandApi).await;
    let client = api.client();
    add(&client, "a").await;
    let (path, sale) = ("/inventory/a/sales", json!({"quantity": 1}));
    for round in 0..20 {
        let key = format!("k{round}");
        drop(send(&client, path, &key, &sale, usize::MAX).await);
        let sold = client.post_with(path, &key, sale.clone()).await;
        assert_eq!(sold.status, 201, "done before or now: {sold:?}");
    }
    assert_eq!(events_of(&client, "a").await, 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn h28_what_is_in_its_lane_is_decided_without_its_caller_and_the_key_gives_the_answer() {
    let system = System::create("hang_up_end").await;
    let api = system.start_as(Service::CommandApi, "api", &[PATIENT]).await;
    let (client, pool) = (api.client(), system.database(Service::CommandApi).pool().await);
    add(&client, "a").await;
    let (path, sale) = ("/inventory/a/sales", json!({"quantity": 2}));
    let holding = hold_heads(&pool).await;
    let connection = send(&client, path, "k", &sale, usize::MAX).await;
    a_lane_waits(&pool).await;
    drop(connection);
    holding.rollback().await.unwrap();
    let sold = eventually_ok(SOON, "the sale is in the log", async || {
        let events = events_of(&client, "a").await;
        if events == 2 { Ok(events) } else { Err(events) }
    });
    sold.await;
    let again = client.post_with(path, "k", sale).await;
    assert_eq!((again.status, again.replayed), (201, true), "{again:?}");
    assert_eq!(again.body["version"], 2);
    assert_eq!(events_of(&client, "a").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn h28_a_list_whose_caller_hangs_up_is_done_as_far_as_it_came_and_the_rest_when_repeated() {
    let system = System::create("hang_up_list").await;
    let api = system.start_as(Service::CommandApi, "api", &[PATIENT]).await;
    let (client, pool) = (api.client(), system.database(Service::CommandApi).pool().await);
    let skus = ["a", "b", "c"];
    for sku in skus {
        add(&client, sku).await;
    }
    let sell = |sku: &str| json!({"command": "inventory.sell_item", "stream_id": sku, "data": {"quantity": 1}});
    let list = json!(skus.map(sell));
    let holding = hold_heads(&pool).await;
    let connection = send(&client, "/commands", "k", &list, usize::MAX).await;
    a_lane_waits(&pool).await;
    drop(connection);
    holding.rollback().await.unwrap();
    let outcomes = client.post_with("/commands", "k", list).await.body["outcomes"].clone();
    for (place, sku) in skus.into_iter().enumerate() {
        assert_eq!(outcomes[place]["status"], 200, "{outcomes}");
        assert_eq!(outcomes[place]["done"]["version"], 2, "{outcomes}");
        assert_eq!(events_of(&client, sku).await, 2, "sold once: {outcomes}");
    }
    assert_eq!(outcomes[0]["replayed"], true, "its lane had it already: {outcomes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h29_a_command_whose_deadline_has_passed_is_504_and_its_key_is_still_free() {
    let system = System::create("deadline").await;
    let api = system.start(Service::CommandApi).await;
    let client = api.client();
    add(&client, "a").await;
    let path = "/inventory/a/sales";
    let until = |deadline: &str| {
        client
            .request(Method::POST, path)
            .header("Idempotency-Key", "k")
            .header("X-Request-Deadline", deadline)
            .json(&json!({"quantity": 2}))
    };
    let late = Answer::of(until("2010-12-01T08:26:00Z")).await;
    assert_eq!((late.status, &late.body["code"]), (504, &json!("deadline_passed")), "{late:?}");
    assert_eq!(events_of(&client, "a").await, 1);
    let early = Answer::of(until("9999-12-31T23:59:59Z")).await;
    assert_eq!((early.status, early.replayed), (201, false), "{early:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h10_an_unknown_field_is_400_with_its_pointer_wherever_it_stands() {
    let system = System::create("unknown_field").await;
    let api = system.start(Service::CommandApi).await;
    let client = api.client();
    let line = json!({"sku": "a", "quantity": 1, "unit_price_cents": 1});
    let order = json!({"customer_id": uuid::Uuid::new_v4(), "shipping_address": "Leeds",
                       "items": [{"sku": "b", "quantity": 1}, line]});
    let named = |data: &Value| json!({"command": "order.place_order", "data": data});
    let mut misspelt = named(&order);
    misspelt["date"] = json!({});
    for (path, body, pointer) in [
        ("/orders", &order, "/items/1/unit_price_cents"),
        ("/commands", &named(&order), "/items/1/unit_price_cents"),
        ("/commands", &misspelt, "/date"),
        ("/inventory/a/sales", &json!({"quantity": 1, "a/b": 1}), "/a~1b"),
        ("/inventory/a/sales", &json!({"quantity": 1, "sku": "b"}), "/sku"),
    ] {
        let refused = client.post(path, body.clone()).await;
        assert_eq!((refused.status, &refused.body["code"]), (400, &json!("unknown_field")));
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_texts_that_grow_out_of_their_line_or_turn_it_around_are_422() {
    let system = System::create("texts").await;
    let api = system.start(Service::CommandApi).await;
    let client = api.client();
    let named =
        |name: &str| json!({"sku": "a", "name": name, "quantity": 1, "unit_price_cents": 1});
    let marks = |count: usize| "e".to_owned() + &"\u{301}".repeat(count);
    for refused in [&marks(31), &marks(30_000), "a\u{202e}b", "a\u{2066}b", &"x".repeat(201)] {
        let answer = client.post("/inventory", named(refused)).await;
        assert_eq!((answer.status, &answer.body["code"]), (422, &json!("invalid_fields")));
        assert_eq!(answer.body["errors"][0]["pointer"], "/name");
    }
    let many = client.post("/inventory", named(&marks(250_000))).await;
    assert_eq!((many.status, &many.body["code"]), (413, &json!("body_too_large")));
    let sku = json!({"sku": "a\u{202e}b", "name": "x", "quantity": 1, "unit_price_cents": 1});
    assert_eq!(client.post("/inventory", sku).await.status, 422);
    let (hindi, hebrew) = ("हिन्दी", "\u{200f}שלום\u{200f}");
    let name = format!("{hindi} {hebrew} {} 👩‍👩‍👧‍👦", marks(30));
    let added = client.post("/inventory", named(&name)).await;
    assert_eq!(added.status, 201, "{added:?}");
    assert_eq!(added.body["events"][0]["data"]["name"], name);
}
