//! The query over HTTP.

use std::{net::SocketAddr, time::Duration};

use alerter::{
    Alerter,
    http::{Parts, routes},
    settings::{Role, Settings},
};
use factline_testkit::recorded;
use read_kit::Database;
use serde_json::{Value, json};
use service_kit::{Program, Runtime, settings::load_service};

use crate::alarm::{Alarm, added, swings};

pub async fn serve(alarm: &Alarm) -> (SocketAddr, Runtime) {
    let given = [
        ("FACTLINE__ROLES", "query".to_owned()),
        ("FACTLINE__DATABASE__URL", alarm.database.url()),
        ("FACTLINE__HTTP__LISTEN", "127.0.0.1:0".to_owned()),
        ("FACTLINE__QUERY__CONSISTENCY_WAIT_MS", "0".to_owned()),
    ];
    let given = given.map(|(name, value)| (name.to_owned(), value));
    let loaded = load_service::<Settings>(Alerter::DEFAULTS, None, given).unwrap();
    let (kit, settings) = loaded.settings;
    let (runtime, read) = (Runtime::new(kit.http), settings.read());
    let database = Database::new(&read.database).unwrap();
    let reading = read_kit::begin(alarm.watch(), Role::Watch, &read, &database, &runtime).unwrap();
    let address =
        runtime.serve_http(routes(Parts { reading, acts: alarm.pool.clone() })).await.unwrap();
    (address, runtime)
}

pub async fn get(address: SocketAddr, path: &str) -> (u16, Value) {
    let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn alerts_show_their_episode_and_what_was_told_of_it() {
    let alarm = Alarm::new("alerts_show", Duration::ZERO).await;
    let history = swings(3);
    alarm.happens(&history).await;
    let (address, _runtime) = serve(&alarm).await;
    let (status, page) = get(address, "/alerts").await;
    assert_eq!(status, 200, "{page}");
    assert_eq!(page["items"].as_array().unwrap().len(), 2, "{page}");
    let told = alarm.deliveries().await;
    assert_eq!(
        page["items"][1],
        json!({
            "id": alerter::stock_watch::episode_id(history[1].envelope.event_id),
            "rule": "low_stock", "subject": "A", "name": "Lantern", "severity": "warning",
            "state": "resolved",
            "opened_at": "2026-01-05T09:00:02Z", "resolved_at": "2026-01-05T09:00:03Z",
            "opened_event_id": history[1].envelope.event_id,
            "figures": {"available": 1, "reorder_point": 5},
            "acknowledgement": null, "silenced": false,
            "deliveries": [
                {
                    "id": told[0].id, "kind": "opened", "channel": "webhook",
                    "state": "withdrawn", "attempts": 0,
                    "not_before": "2026-01-05T09:00:02Z", "next_attempt_at": null,
                    "delivered_at": null, "last_error": null, "summary_id": null,
                },
                {
                    "id": told[1].id, "kind": "resolved", "channel": "webhook",
                    "state": "withdrawn", "attempts": 0,
                    "not_before": "2026-01-05T09:00:03Z", "next_attempt_at": null,
                    "delivered_at": null, "last_error": null, "summary_id": null,
                },
            ],
        })
    );
    let (_, open) = get(address, "/alerts?state=open").await;
    assert_eq!(open["items"].as_array().unwrap().len(), 1);
    assert_eq!(open["items"][0]["deliveries"].as_array().unwrap().len(), 1);
    assert_eq!(open["items"][0]["deliveries"][0]["state"], "pending");
    let (_, none) = get(address, "/alerts?subject=B").await;
    assert_eq!(none, json!({"items": [], "next_cursor": null}));
}

#[tokio::test]
async fn pages_of_alerts_show_every_alert_once_the_newest_first() {
    let alarm = Alarm::new("pages_of_alerts", Duration::ZERO).await;
    let low = ["A", "B", "C", "D", "E"].map(|sku| (sku, added(1)));
    alarm.happens(&recorded(low)).await;
    let (address, _runtime) = serve(&alarm).await;
    let (mut skus, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = get(address, &format!("/alerts?limit=2{cursor}")).await;
        let items = page["items"].as_array().unwrap();
        skus.extend(items.iter().map(|item| item["subject"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(skus, ["E", "D", "C", "B", "A"]);
}

#[tokio::test]
async fn h34_h35_h38_a_query_that_does_not_fit_is_refused() {
    let alarm = Alarm::new("h34_h35_h38", Duration::ZERO).await;
    let low = ["A", "B"].map(|sku| (sku, added(1)));
    alarm.happens(&recorded(low)).await;
    let (address, _runtime) = serve(&alarm).await;
    let (_, page) = get(address, "/alerts?limit=1&state=open").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    for (path, status, code) in [
        (format!("/alerts?cursor={cursor}"), 400, "malformed_cursor"),
        (format!("/alerts?state=open&subject=A&cursor={cursor}"), 400, "malformed_cursor"),
        ("/alerts?cursor=AAAA".to_owned(), 400, "malformed_cursor"),
        ("/alerts?limit=0".to_owned(), 422, "invalid_field"),
        ("/alerts?limit=-1".to_owned(), 422, "invalid_field"),
        ("/alerts?limit=1000000000".to_owned(), 422, "invalid_field"),
        ("/alerts?state=maybe".to_owned(), 422, "invalid_field"),
        ("/alerts?colour=red".to_owned(), 400, "unknown_parameter"),
    ] {
        let (found, problem) = get(address, &path).await;
        assert_eq!((found, problem["code"].as_str()), (status, Some(code)), "{path}");
    }
    let ahead = reqwest::Client::new()
        .get(format!("http://{address}/alerts"))
        .header("consistency-token", "factline.inventory.v1:0:7")
        .send()
        .await
        .unwrap();
    assert_eq!(ahead.status().as_u16(), 503);
    assert_eq!(ahead.headers()["retry-after"], "1");
}
