//! `factline saga`: an operator finds an order that needs a person, and does something about it.

use e2e::Service;
use serde_json::{Value, json};

use crate::shop::Shop;

/// Somebody has a reservation under the order's name, of another quantity: nobody foresaw that.
async fn puzzled(shop: &Shop) -> String {
    shop.item("lantern", 10).await;
    shop.item("candle", 10).await;
    let draft = shop.draft().await;
    let squatter = json!({"reservation_id": draft, "quantity": 1});
    assert_eq!(shop.client.post("/inventory/candle/reservations", squatter).await.status, 201);
    for sku in ["lantern", "candle"] {
        let line = json!({"sku": sku, "quantity": 3});
        assert_eq!(shop.ask(&draft, "items", line).await.status, 201);
    }
    assert_eq!(shop.ask(&draft, "confirmation", json!({})).await.status, 201);
    shop.ends(&draft, "needs_attention").await;
    draft
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_an_answer_is_listed_shown_and_tried_again_by_an_operator() {
    let shop = Shop::open("op_retry", &[]).await;
    let order = puzzled(&shop).await;
    let operator = shop.system.operator(&[(Service::CommandApi, &shop.api)]);
    let listed = operator.run(&["saga", "list", "--status", "needs_attention", "--json"]).await;
    let listed: Value = serde_json::from_str(&listed.text).unwrap();
    assert_eq!((&listed["instance"], &listed["status"]), (&json!(order), &json!("needs_attention")));
    assert_eq!(listed["attention"], "reserve/candle was refused: reservation_conflict");

    let path = format!("/inventory/candle/reservations/{order}");
    let released = shop.client.request(reqwest::Method::DELETE, &path).send().await.unwrap();
    assert!(released.status().is_success());
    let retry = ["saga", "retry", &order, "--reason", "the squatter is gone"];
    let told = operator.run(&retry).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    shop.becomes(&order, "pending").await;
    let shown = operator.run(&["saga", "show", &order]).await.text;
    for piece in ["ada: retry", "because the squatter is gone", "reserve/candle", "allocate"] {
        assert!(shown.contains(piece), "{piece}: {shown}");
    }
    assert_eq!(shop.stock("candle").await, (10, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_has_an_order_undone_that_cannot_go_on() {
    let shop = Shop::open("op_undo", &[]).await;
    let order = puzzled(&shop).await;
    let operator = shop.system.operator(&[(Service::CommandApi, &shop.api)]);
    let undo = ["saga", "compensate", &order, "--reason", "nobody knows whose it is"];
    let told = operator.run(&undo).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    shop.ends(&order, "compensated").await;
    shop.becomes(&order, "cancelled").await;
    assert_eq!(shop.stock("lantern").await, (10, 0), "its own is free again");
    assert_eq!(shop.stock("candle").await, (10, 1), "what is not its own stays");
}
