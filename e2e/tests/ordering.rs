//! Orders and customers over HTTP and Kafka, and any command by its name.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use e2e::{Answer, Client, Service, System};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

async fn add(client: &Client, sku: &str, name: &str, unit_price_cents: i64) {
    let item =
        json!({"sku": sku, "name": name, "quantity": 100, "unit_price_cents": unit_price_cents});
    assert_eq!(client.post("/inventory", item).await.status, 201);
}

/// The new stream of a command that made one.
fn made(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body["events"][0]["stream_id"].as_str().unwrap().to_owned()
}

async fn customer(client: &Client) -> String {
    made(&client.post("/customers", json!({"name": "Ada", "email": "ada@example.com"})).await)
}

fn types(answer: &Answer) -> Vec<&str> {
    let events = answer.body["events"].as_array().unwrap();
    events.iter().map(|event| event["event_type"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_and_its_customer_come_back_together_by_their_correlation_id() {
    let system = System::create("flow").await;
    let api = system.start(Service::CommandApi).await;
    let client = api.client();
    let flow = uuid::Uuid::new_v4();
    let within = async |path: &str, key: &str, body: Value| {
        let request = client.request(Method::POST, path).header("Idempotency-Key", key);
        let request = request.header("X-Correlation-Id", flow.to_string());
        made(&Answer::of(request.json(&body)).await)
    };
    add(&client, "71053", "Lantern", 339).await; // of another flow
    let ada = json!({"name": "Ada", "email": "ada@example.com"});
    let customer = within("/customers", "c", ada).await;
    let order = json!({"customer_id": customer, "shipping_address": "Leeds",
                       "items": [{"sku": "71053", "quantity": 2}]});
    let order = within("/orders", "o", order).await;

    let path = format!("/history?correlation_id={flow}");
    let whole = client.get(&path).await;
    assert_eq!((whole.status, &whole.body["next_cursor"]), (200, &Value::Null), "{whole:?}");
    let events = whole.body["events"].as_array().unwrap();
    assert_eq!(
        types(&whole)[..2],
        ["factline.customer.CustomerRegistered", "factline.order.OrderCreated"]
    );
    let of = |event: &Value, stream: &str, kind: &str| {
        let topic = event["topic"].as_str().unwrap();
        event["stream_id"] == stream && topic.ends_with(&format!(".{kind}.v1"))
    };
    assert!(of(&events[0], &customer, "customer"), "{events:?}");
    assert!(events[1..].iter().all(|event| of(event, &order, "order")), "{events:?}");
    let mut paged = Vec::new();
    let mut next = client.get(&format!("{path}&limit=1")).await;
    loop {
        paged.extend(next.body["events"].as_array().unwrap().clone());
        let Some(cursor) = next.body["next_cursor"].as_str() else { break };
        next = client.get(&format!("{path}&limit=1&cursor={cursor}")).await;
    }
    assert_eq!(&paged, events);
    let window = "after=2010-01-01T00:00:00Z&before=2011-01-01T00:00:00Z";
    let earlier = client.get(&format!("{path}&{window}")).await;
    assert_eq!(earlier.body["events"], json!([]));
    for wrong in ["/history", "/history?correlation_id=x"] {
        assert_eq!(client.get(wrong).await.status, 422, "{wrong}");
    }
    for (wrong, status) in [
        ("limit=0", 422),
        ("limit=1001", 422),
        ("cursor=x", 400),
        ("cursor=1~1~t~0~0&after=2010-01-01T00:00:00Z", 422),
    ] {
        assert_eq!(client.get(&format!("{path}&{wrong}")).await.status, status, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_placed_is_read_back_with_the_token_of_the_answer() {
    let system = System::create("read_back").await;
    let api = system.start(Service::CommandApi).await;
    let list = system.start(Service::List).await;
    let (client, list) = (api.client(), list.client());
    add(&client, "71053", "Lantern", 339).await;
    let ada = json!({"name": "Ada", "email": "ada@example.com"});
    let registered = client.post("/customers", ada).await;
    let customer = made(&registered);
    let place = json!({"customer_id": customer, "shipping_address": "1 Main Street, Leeds",
                       "items": [{"sku": "71053", "quantity": 2}]});
    let placed = client.post("/orders", place).await;
    let order = made(&placed);

    let tokens = format!("{}, {}", placed.token.unwrap(), registered.token.unwrap());
    let read = list.get_after(&format!("/orders/{order}"), &tokens).await;
    assert_eq!((read.status, &read.etag), (200, &placed.etag), "{read:?}");
    assert_eq!(read.body["status"], "confirmed");
    assert_eq!(read.body["total_cents"], 2 * 339);
    assert_eq!(read.body["items"][0]["name"], "Lantern");
    assert_eq!(read.body["customer_name"], "Ada");
    let theirs = list.get_after(&format!("/customers/{customer}/orders"), &tokens).await;
    assert_eq!(theirs.body["items"], json!([read.body]));

    let patch = client.request(Method::PATCH, &format!("/customers/{customer}"));
    let renamed = Answer::of(patch.json(&json!({"name": "Ada King"}))).await;
    let read = list.get_after(&format!("/orders/{order}"), &renamed.token.unwrap()).await;
    assert_eq!(read.body["customer_name"], "Ada King", "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_placed_paid_shipped_and_delivered_at_the_catalogues_prices() {
    let system = System::create("ordering").await;
    let api = system.start(Service::CommandApi).await;
    let client = api.client();
    add(&client, "71053", "Lantern", 339).await;
    add(&client, "85123A", "Holder", 255).await;
    let customer = customer(&client).await;
    let place = json!({
        "customer_id": customer,
        "shipping_address": "1 Main Street, Leeds",
        "items": [{"sku": "71053", "quantity": 2}, {"sku": "85123A", "quantity": 4},
                  {"sku": "71053", "quantity": 1}],
    });
    let placed = client.post_with("/orders", "k", place.clone()).await;
    let order = made(&placed);
    assert_eq!(types(&placed).last(), Some(&"factline.order.OrderConfirmed"));
    let confirmed = placed.body["events"].as_array().unwrap().last().unwrap();
    assert_eq!(confirmed["data"]["total_cents"], 3 * 339 + 4 * 255);

    // Its retry meets itself, although the catalogue has moved on.
    let price = client
        .request(Method::PUT, "/inventory/71053/price")
        .json(&json!({"unit_price_cents": 999}));
    assert_eq!(Answer::of(price).await.status, 200);
    let again = client.post_with("/orders", "k", place).await;
    assert!(again.replayed, "{again:?}");
    assert_eq!(again.body, placed.body);

    let path = |what: &str| format!("/orders/{order}/{what}");
    let pay = |cents: i64| json!({"payment_id": "p-1", "amount_cents": cents, "method": "card"});
    let early = client.post(&path("payments"), pay(2_037)).await;
    assert_eq!(early.status, 422, "not allocated yet: {early:?}");
    assert_eq!(client.post(&path("allocation"), json!({})).await.status, 201);
    let wrong = client.post(&path("payments"), pay(2_036)).await;
    assert_eq!((wrong.status, &wrong.body["code"]), (422, &json!("amount_mismatch")));
    assert_eq!(client.post(&path("payments"), pay(2_037)).await.status, 201);
    let shipment = json!({"tracking_number": "RM1", "carrier": "Royal Mail"});
    assert_eq!(client.post(&path("shipment"), shipment).await.status, 201);
    assert_eq!(client.post(&path("delivery"), json!({})).await.status, 201);
    let late = client.post(&path("cancellation"), json!({"reason": "too late"})).await;
    assert_eq!(late.status, 422, "{late:?}");

    let history = client.get(&path("history?version=5")).await.body;
    assert_eq!(history["state"]["status"], "confirmed");
    let trail = client.get(&path("history")).await.body;
    assert_eq!(trail["events"].as_array().unwrap().len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_pay_or_ship_one_order_at_once_in_two_processes_one_does() {
    let system = System::create("rush").await;
    let one = system.start(Service::CommandApi).await;
    let two = system.start_as(Service::CommandApi, "second-api", &[]).await;
    let clients = [one.client(), two.client()];
    add(&clients[0], "71053", "Lantern", 339).await;
    let place = json!({"customer_id": customer(&clients[0]).await, "shipping_address": "Leeds",
                       "items": [{"sku": "71053", "quantity": 2}]});
    let order = made(&clients[0].post("/orders", place).await);
    let path = |what: &str| format!("/orders/{order}/{what}");
    assert_eq!(clients[1].post(&path("allocation"), json!({})).await.status, 201);

    let pay = |caller: usize| json!({"payment_id": format!("p-{caller}"), "amount_cents": 2 * 339, "method": "card"});
    let ship =
        |caller: usize| json!({"tracking_number": format!("RM{caller}"), "carrier": "Royal Mail"});
    let payments: Vec<Value> = (0..16).map(pay).collect();
    let shipments: Vec<Value> = (0..16).map(ship).collect();
    for (what, bodies) in [("payments", payments), ("shipment", shipments)] {
        let path = path(what);
        let calls = bodies.into_iter().zip(clients.iter().cycle());
        let answers = join_all(calls.map(|(body, client)| client.post(&path, body))).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!((statuses[0], &statuses[1..]), (201, &[422; 15][..]), "{what}: {answers:?}");
    }
    let trail = clients[0].get(&path("history")).await.body;
    let versions = trail["events"].as_array().unwrap().iter().map(|event| &event["version"]);
    assert!(versions.eq(&(1..=6).map(Value::from).collect::<Vec<_>>()), "{trail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_asks_for_its_customer_its_items_and_its_own_events() {
    let system = System::create("asking").await;
    let api = system.start(Service::CommandApi).await;
    let client = api.client();
    add(&client, "71053", "Lantern", 339).await;
    let customer = customer(&client).await;
    let stranger = uuid::Uuid::new_v4();
    let draft = |customer: &str| json!({"customer_id": customer, "shipping_address": "Leeds"});
    let refused = client.post("/orders", draft(&stranger.to_string())).await;
    assert_eq!((refused.status, &refused.body["code"]), (404, &json!("unknown_customer")));

    let created = client.post("/orders", draft(&customer)).await;
    let order = made(&created);
    let items = format!("/orders/{order}/items");
    let unknown = client.post(&items, json!({"sku": "none", "quantity": 1})).await;
    assert_eq!(&unknown.body["code"], &json!("unknown_item"), "{unknown:?}");
    let priced = json!({"sku": "71053", "quantity": 1, "unit_price_cents": 1});
    assert_eq!(client.post(&items, priced).await.status, 400, "a price is never the caller's");
    let added = client.post(&items, json!({"sku": "71053", "quantity": 2})).await;
    assert_eq!(added.body["events"][0]["data"]["unit_price_cents"], 339);

    let corrections = format!("/orders/{order}/corrections");
    let correct = |event: &Value| json!({"delta_cents": -100, "reason": "scratched", "corrects_event_id": event});
    let elsewhere = client.post(&corrections, correct(&json!(stranger))).await;
    assert_eq!(&elsewhere.body["code"], &json!("unknown_event"), "{elsewhere:?}");
    let corrected = client.post(&corrections, correct(&added.body["events"][0]["event_id"])).await;
    assert_eq!(corrected.status, 201, "{corrected:?}");
    assert_eq!(corrected.body["events"][0]["data"]["total_cents"], 578);
}

#[tokio::test(flavor = "multi_thread")]
async fn h23_h37_commands_by_name_have_outcomes_of_their_own_or_are_all_or_none() {
    let system = System::create("by_name").await;
    let api = system.start(Service::CommandApi).await;
    let client = api.client();
    add(&client, "71053", "Lantern", 339).await;
    let sell = |quantity: i64| json!({"command": "inventory.sell_item", "stream_id": "71053", "data": {"quantity": quantity}});
    let unknown = json!({"command": "inventory.sell_item.v9", "stream_id": "71053"}); // H23
    let unknown = client.post("/commands", unknown).await;
    assert_eq!((unknown.status, &unknown.body["code"]), (422, &json!("unknown_command")));
    let one = client.post_with("/commands", "one", sell(1)).await;
    assert_eq!((one.status, &one.body["version"]), (200, &json!(2)), "{one:?}");
    assert!(client.post_with("/commands", "one", sell(1)).await.replayed);

    let mut list: Vec<Value> = (0..100).map(|_| sell(1)).collect();
    list[40] = sell(1_000);
    let list = json!(list);
    let each = client.post_with("/commands", "each", list.clone()).await;
    let statuses = |answer: &Answer| -> Vec<u64> {
        let outcomes = answer.body["outcomes"].as_array().unwrap();
        outcomes.iter().map(|outcome| outcome["status"].as_u64().unwrap()).collect()
    };
    assert_eq!(statuses(&each).iter().filter(|status| **status == 200).count(), 99);
    assert_eq!(statuses(&each)[40], 422);
    let outcomes = each.body["outcomes"].as_array().unwrap();
    let with_token = |outcome: &&Value| outcome["consistency_token"].is_string();
    assert_eq!(outcomes.iter().filter(with_token).count(), 99, "each has a token of its own");
    let list_view = system.start(Service::List).await;
    let last = outcomes[99]["consistency_token"].as_str().unwrap();
    let shown = list_view.client().get_after("/inventory/71053", last).await;
    assert_eq!(shown.body["available"], 0, "it shows all that the list has sold");
    let again = client.post_with("/commands", "each", list.clone()).await;
    let mut repeated = again.body["outcomes"].as_array().unwrap().clone();
    for (place, outcome) in repeated.iter_mut().enumerate().filter(|(place, _)| *place != 40) {
        assert_eq!(outcome["replayed"], true, "{place}: {outcome}");
        outcome["replayed"] = json!(false);
        assert_eq!(outcome, &outcomes[place], "the same answer, and the same token");
    }
    let version = client.get("/inventory/71053/history?limit=1000").await.body;
    let version = version["events"].as_array().unwrap().len();

    let together = client.post_with("/commands?atomic=true", "all", list).await;
    assert_eq!(
        (together.status, &together.body["index"]),
        (422, &json!(0)),
        "sold out: {together:?}"
    );
    let received = json!({"command": "inventory.receive_stock", "stream_id": "71053", "data": {"quantity": 2}});
    let good = json!([received, sell(1), sell(1)]);
    let together = client.post_with("/commands?atomic=true", "good", good.clone()).await;
    assert_eq!((together.status, types(&together).len()), (200, 3), "{together:?}");
    assert!(client.post_with("/commands?atomic=true", "good", good).await.replayed);
    let bad = json!([received, sell(1), sell(1_000)]);
    let bad = client.post("/commands?atomic=true", bad).await;
    assert_eq!((bad.status, &bad.body["index"]), (422, &json!(2)), "{bad:?}");
    let trail = client.get("/inventory/71053/history?limit=1000").await.body;
    assert_eq!(
        trail["events"].as_array().unwrap().len(),
        version + 3,
        "nothing of the refused ones"
    );

    let commands = client.get("/commands").await.body;
    let names: Vec<_> = commands["commands"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 13 + 12 + 2);
}
