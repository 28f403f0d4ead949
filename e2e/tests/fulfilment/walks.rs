//! The ways that an order goes, each from its confirmation to its end.

use e2e::{Answer, topic_records};
use reqwest::Method;
use serde_json::{Value, json};

use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_allocated_by_itself_and_paid_and_shipped() {
    let shop = Shop::open("walk", &[]).await;
    shop.item("lantern", 10).await;
    shop.item("candle", 5).await;
    let order = shop.order(&[("lantern", 3), ("candle", 5)]).await;
    shop.becomes(&order, "pending").await;
    assert_eq!((shop.stock("lantern").await, shop.stock("candle").await), ((10, 3), (5, 5)));

    shop.pay(&order, 800).await;
    shop.ship(&order).await;
    shop.ends(&order, "completed").await;
    assert_eq!((shop.stock("lantern").await, shop.stock("candle").await), ((7, 0), (0, 0)));
    assert_eq!(shop.refunds().await, []);

    // What the saga did belongs to the order's flow, names its cause, and says who acted.
    let events = shop.events("orders", &order).await;
    let of = |name: &str| {
        events.iter().find(|event| event["event_type"] == format!("factline.order.{name}"))
    };
    let (confirmed, allocated) = (of("OrderConfirmed").unwrap(), of("OrderAllocated").unwrap());
    let reserved = &shop.events("inventory", "candle").await[1];
    assert_eq!(reserved["event_type"], "factline.inventory.StockReserved");
    for event in [allocated, reserved] {
        assert_eq!(event["actor"], "saga:order_fulfilment", "{event}");
        assert_eq!(event["correlation_id"], confirmed["correlation_id"], "{event}");
    }
    assert_eq!(reserved["causation_id"], confirmed["event_id"]);
    let lantern = &shop.events("inventory", "lantern").await[1];
    let causes = [&reserved["event_id"], &lantern["event_id"]];
    assert!(causes.contains(&&allocated["causation_id"]), "{allocated}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_from_the_request_into_what_the_saga_does_and_into_kafkas_headers() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let shop = Shop::open("trace", &[]).await;
    shop.item("lantern", 10).await;
    let placed = Answer::of(
        shop.client
            .request(Method::POST, "/orders")
            .header("Idempotency-Key", "traced")
            .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
            .json(&shop.basket(&[("lantern", 3)])),
    )
    .await;
    let order = placed.body["events"][0]["stream_id"].as_str().unwrap().to_owned();
    shop.becomes(&order, "pending").await;

    let trace_ids = async |kind: &str, count: usize| -> Vec<Option<String>> {
        let records = topic_records(&shop.system, &shop.system.topic(kind), count).await;
        let trace_id = |parent: &str| parent.split('-').nth(1).map(str::to_owned);
        records.iter().map(|one| one.header("traceparent").and_then(trace_id)).collect()
    };
    let of_the_request = Some(TRACE.to_owned());
    let of_the_order = shop.events("orders", &order).await.len();
    assert_eq!(trace_ids("order", of_the_order).await, vec![of_the_request.clone(); of_the_order]);
    let of_the_item = trace_ids("inventory", 2).await;
    assert!(of_the_item[0].is_some() && of_the_item[0] != of_the_request, "{of_the_item:?}");
    assert_eq!(of_the_item[1], of_the_request, "what the saga asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_had_whole_is_cancelled_and_keeps_nothing() {
    let shop = Shop::open("refused", &[]).await;
    shop.item("lantern", 10).await;
    shop.item("candle", 4).await;
    let order = shop.order(&[("lantern", 3), ("candle", 5)]).await;
    let state = shop.becomes(&order, "cancelled").await;
    assert_eq!(state["status"], "cancelled");
    shop.ends(&order, "compensated").await;
    assert_eq!((shop.stock("lantern").await, shop.stock("candle").await), ((10, 0), (4, 0)));
    let events = shop.events("orders", &order).await;
    let cancelled = events.last().unwrap();
    let data: &Value = &cancelled["data"];
    assert_eq!((&data["reason"], &data["refund_cents"]), (&json!("insufficient_stock"), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_failed_cancels_the_order() {
    let shop = Shop::open("failed_payment", &[]).await;
    shop.item("lantern", 10).await;
    let order = shop.order(&[("lantern", 3)]).await;
    shop.becomes(&order, "pending").await;
    let body = json!({"payment_id": "p-1", "reason": "card declined"});
    assert_eq!(shop.ask(&order, "payment_failures", body).await.status, 201);
    shop.ends(&order, "compensated").await;
    assert_eq!(shop.becomes(&order, "cancelled").await["status"], "cancelled");
    assert_eq!((shop.stock("lantern").await, shop.refunds().await), ((10, 0), vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_nobody_pays_is_cancelled_when_its_time_is_over() {
    let shop = Shop::open("hung_payment", &[("FACTLINE__SAGA__PAYMENT_TIMEOUT_MS", "1000")]).await;
    shop.item("lantern", 10).await;
    let order = shop.order(&[("lantern", 3)]).await;
    shop.ends(&order, "compensated").await;
    assert_eq!(shop.stock("lantern").await, (10, 0));
    let events = shop.events("orders", &order).await;
    assert_eq!(events.last().unwrap()["data"]["reason"], "payment_timeout");
}
