//! A process that was frozen with commands in its hands, and wakes when others have gone on without it.

use std::fs;

use e2e::Service;
use factline_testkit::eventually;
use serde_json::json;

use crate::shop::{SOON, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_process_does_not_reserve_what_the_order_has_given_up() {
    let shop = Shop::open_without_saga("frozen").await;
    shop.item("lantern", 10).await;
    shop.item("rare", 0).await;
    let gate = shop.system.folder().join("go-on");
    let failpoint = format!("saga_after_claim:until={}", gate.display());
    let soon = ("FACTLINE__SAGA__DECIDE_WITHIN_MS", "1000");
    let saga = ("FACTLINE__ROLES", "saga");
    let armed = [saga, soon, ("FACTLINE_FAILPOINT", &*failpoint)];
    let zombie = shop.system.start_as(Service::CommandApi, "zombie", &armed).await;
    let order = shop.order(&[("lantern", 3), ("rare", 1)]).await;
    zombie.reached("saga_after_claim").await; // both reservations are in its hands
    zombie.freeze();

    let heir = shop.system.start_as(Service::CommandApi, "heir", &[saga, soon]).await;
    shop.ends(&order, "compensated").await;
    let some = json!({"quantity": 5});
    assert_eq!(shop.client.post("/inventory/rare/receipts", some).await.status, 201);

    fs::write(&gate, "").unwrap();
    zombie.thaw();
    eventually(SOON, "what it had in its hands is left alone", async || {
        zombie
            .counter("factline_saga_attempts_total{saga=\"order_fulfilment\",outcome=\"later\"}")
            .await
            >= 2.0
    })
    .await;
    assert_eq!((shop.stock("lantern").await, shop.stock("rare").await), ((10, 0), (5, 0)));
    drop(heir);
}
