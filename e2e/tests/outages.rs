//! Kafka, the registry and Redis really killed, one after the other, on a stack of the test's own.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use std::{path::Path, time::Duration};

use e2e::{Process, Service, System};
use factline_testkit::eventually_ok;
use local_stack::{Component, OwnedStack, Quiet, Stack, StackOptions};
use serde_json::json;

/// A broker that was killed needs some seconds to come back, and clients their back-off.
const SOON: Duration = Duration::from_secs(120);

async fn shows(list: &Process, available: i64) {
    eventually_ok(SOON, "the view catches up by itself", async || {
        let item = list.client().get("/inventory/71053").await;
        if item.body["available"] == available { Ok(()) } else { Err(format!("{item:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_kafka_the_registry_or_redis_down_commands_succeed_and_views_catch_up_by_themselves() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let options = StackOptions::new(workspace, "outages");
    let stack = OwnedStack::from(Stack::up(&options, &mut Quiet).unwrap());
    let system = System::create_on("outages", stack.addresses().clone()).await;
    let api = system.start(Service::CommandApi).await;
    let list = system.start_live_list().await;
    let client = api.client();
    let item = json!({"sku": "71053", "name": "Lantern", "quantity": 100, "unit_price_cents": 100});
    assert_eq!(client.post("/inventory", item).await.status, 201);
    shows(&list, 100).await;

    let mut available = 100;
    for component in [Component::Redis, Component::Registry, Component::Kafka] {
        stack.kill(component).unwrap();
        for _ in 0..5 {
            let sold = client.post("/inventory/71053/sales", json!({"quantity": 1})).await;
            assert_eq!(sold.status, 201, "{component} down: {sold:?}");
            available -= 1;
        }
        if component != Component::Kafka {
            shows(&list, available).await; // neither is needed for what is known already
        }
        stack.start(component).unwrap();
        shows(&list, available).await;
    }
}
