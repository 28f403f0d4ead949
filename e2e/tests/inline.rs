//! A view that is part of the append, over the built service.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use e2e::{Service, System};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn stock_levels_are_as_new_as_the_last_answer_whichever_process_gave_it() {
    let system = System::create("stock_levels").await;
    let roles = ("FACTLINE__ROLES", "http");
    let without = system.start_as(Service::CommandApi, "without", &[roles]).await;
    let client = without.client();
    let item =
        json!({"sku": "lantern", "name": "Lantern", "quantity": 10, "unit_price_cents": 100});
    assert_eq!(client.post("/inventory", item).await.status, 201);
    let sell = json!({"quantity": 3});
    assert_eq!(client.post("/inventory/lantern/sales", sell).await.status, 201);
    assert_eq!(client.get("/inventory/lantern/stock").await.status, 404, "it is off");

    let kept = ("FACTLINE__INLINE__STOCK_LEVELS", "true");
    let with = system.start_as(Service::CommandApi, "with", &[roles, kept]).await;
    let other = with.client();
    let reserve = json!({"reservation_id": "r", "quantity": 2});
    assert_eq!(other.post("/inventory/lantern/reservations", reserve).await.status, 201);
    let level = other.get("/inventory/lantern/stock").await;
    assert_eq!(
        (level.status, level.body),
        (
            200,
            json!({"sku": "lantern", "on_hand": 7, "reserved": 2, "available": 5,
                   "discontinued": false, "version": 3})
        )
    );
    assert_eq!(other.get("/inventory/nowhere/stock").await.body["code"], "unknown_item");
    let refused = other.post("/inventory/lantern/sales", json!({"quantity": 6})).await;
    assert_eq!(refused.body["code"], "insufficient_stock");
    for left in (0..5).rev() {
        assert_eq!(
            other.post("/inventory/lantern/sales", json!({"quantity": 1})).await.status,
            201
        );
        let level = other.get("/inventory/lantern/stock").await;
        assert_eq!(level.body["available"], left);
    }
}
