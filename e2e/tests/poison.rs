//! An event that does not decode: its stream is parked, every other flows, and the dead-letter
//! topic has the record as it was.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use std::time::Duration;

use e2e::{Service, System};
use factline_testkit::eventually_ok;
use serde_json::json;

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn d04_a_stored_event_that_does_not_decode_parks_its_stream_and_no_other() {
    let system = System::create("poison").await;
    let http = [("FACTLINE__ROLES", "http")];
    let api = system.start_as(Service::CommandApi, "api", &http).await;
    let client = api.client();
    for sku in ["good", "bad"] {
        let item = json!({"sku": sku, "name": "Lantern", "quantity": 10, "unit_price_cents": 100});
        assert_eq!(client.post("/inventory", item).await.status, 201);
        for _ in 0..2 {
            let sold =
                client.post(&format!("/inventory/{sku}/sales"), json!({"quantity": 1})).await;
            assert_eq!(sold.status, 201);
        }
    }
    // Version 2 of "bad" becomes bytes that no schema reads, before anything is relayed.
    let spoil = "update log.events set payload = '\\xffffffffffffffffffffff'
                 where stream_id = 'bad' and version = 2";
    let spoiled = sqlx::query(spoil)
        .execute(&system.database(Service::CommandApi).pool().await)
        .await
        .unwrap();
    assert_eq!(spoiled.rows_affected(), 1);

    let relay = [("FACTLINE__ROLES", "relay")];
    let _relay = system.start_as(Service::CommandApi, "relay", &relay).await;
    let list = system.start(Service::List).await;
    let item = async |sku: &str, version: i64| {
        let path = format!("/inventory/{sku}");
        eventually_ok(SOON, "the item is visible", async || {
            let item = list.client().get(&path).await;
            if item.body["version"] == version { Ok(item.body) } else { Err(format!("{item:?}")) }
        })
        .await
    };
    assert_eq!(item("good", 3).await["available"], 8);
    assert_eq!(item("bad", 1).await["available"], 10, "the stream stands before its bad event");
    let letters = e2e::dead_letters(&system, "inventory_list", 2).await;
    assert!(letters.iter().all(|letter| letter.key.as_deref() == Some(b"bad".as_slice())));
    let first = &letters[0];
    assert!(first.value.as_ref().unwrap().ends_with(&[0xff; 11]), "the value is untouched");
    assert_eq!(first.header("ce_type"), Some("factline.inventory.ItemSold"));
    assert_eq!(first.header("ce_streamversion"), Some("2"));
    assert_eq!(first.header("kafka_dlt-exception-fqcn"), Some("data_mismatch"));
    assert_eq!(first.header("kafka_dlt-original-topic"), Some(&*system.topic("inventory")));
    assert_eq!(letters[1].header("ce_streamversion"), Some("3"), "later events follow in order");

    let healthy = client.post("/inventory/bad/sales", json!({"quantity": 1})).await;
    assert_eq!(healthy.status, 201, "the lane decides on what it remembers: {healthy:?}");
}
