//! What people do about alerts, over HTTP.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use factline_testkit::recorded;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use service_kit::health::ComponentStatus;

use crate::{
    alarm::{Alarm, added, received, swings},
    queries::{get, serve},
    receiver::Receiver,
};

const NOBODY: &[(&str, &str)] = &[("idempotency-key", "k1")];
const ADA: &[(&str, &str)] = &[("x-actor", "ada"), ("idempotency-key", "k1")];

async fn ask(
    method: Method,
    url: String,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> (u16, Value) {
    let mut request = Client::new().request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn in_an_hour() -> String {
    (Utc::now() + TimeDelta::hours(1)).to_rfc3339()
}

#[tokio::test]
async fn an_alert_is_acknowledged_by_whoever_says_so_first() {
    let alarm = Alarm::new("an_alert_is_acknowledged", Duration::ZERO).await;
    alarm.happens(&swings(1)).await;
    let (address, _runtime) = serve(&alarm).await;
    let (_, page) = get(address, "/alerts").await;
    let id = page["items"][0]["id"].as_str().unwrap();
    let url = format!("http://{address}/alerts/{id}/acknowledgement");
    let note = || Some(json!({"note": "ordered more"}));
    let (status, alert) = ask(Method::POST, url.clone(), ADA, note()).await;
    assert_eq!(status, 200, "{alert}");
    assert_eq!(alert["acknowledgement"]["by"], "ada");
    assert_eq!(alert["acknowledgement"]["note"], "ordered more");
    let bob: &[_] = &[("x-actor", "bob"), ("idempotency-key", "k2")];
    let (status, again) = ask(Method::POST, url.clone(), bob, Some(json!({}))).await;
    assert_eq!((status, &again["acknowledgement"]), (200, &alert["acknowledgement"]));
    let (_, listed) = get(address, "/alerts").await;
    assert_eq!(listed["items"][0], alert);
    for (headers, expected) in [(NOBODY, "missing_actor"), (&ADA[..1], "missing_idempotency_key")] {
        let (status, problem) = ask(Method::POST, url.clone(), headers, note()).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some(expected)));
    }
    let unknown = url.replace(id, "018f3c1e-7b1a-7000-8000-0000000000ff");
    let (status, problem) = ask(Method::POST, unknown, ADA, note()).await;
    assert_eq!((status, problem["code"].as_str()), (404, Some("unknown_alert")));
}

#[tokio::test]
async fn an_alert_that_is_over_needs_no_acknowledgement() {
    let alarm = Alarm::new("an_alert_that_is_over", Duration::ZERO).await;
    alarm.happens(&swings(2)).await;
    let (address, _runtime) = serve(&alarm).await;
    let (_, page) = get(address, "/alerts").await;
    let id = page["items"][0]["id"].as_str().unwrap();
    let url = format!("http://{address}/alerts/{id}/acknowledgement");
    let (status, problem) = ask(Method::POST, url, ADA, Some(json!({}))).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("already_resolved")));
}

#[tokio::test]
async fn what_is_silenced_is_told_when_the_silence_ends_and_what_resolved_before_never_is() {
    let alarm = Alarm::new("what_is_silenced", Duration::ZERO).await;
    let receiver = Receiver::answering([]).await;
    let (address, _runtime) = serve(&alarm).await;
    let silences = format!("http://{address}/silences");
    let silence =
        json!({"rule": "low_stock", "subject": "A", "ends_at": in_an_hour(), "reason": "moving"});
    let (status, made) = ask(Method::POST, silences.clone(), ADA, Some(silence.clone())).await;
    assert_eq!((status, &made["created_by"]), (201, &"ada".into()), "{made}");
    let of_b = json!({"subject": "B", "ends_at": in_an_hour(), "reason": "moving"});
    let key: &[_] = &[("x-actor", "ada"), ("idempotency-key", "k2")];
    let (_, made_of_b) = ask(Method::POST, silences.clone(), key, Some(of_b)).await;
    let low = recorded([("A", added(1)), ("B", added(1)), ("C", added(1)), ("B", received(9))]);
    alarm.happens(&low[..3]).await;
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    receiver.until_messages(1).await;
    alarm.until_health(|status| *status == ComponentStatus::Ready).await;
    assert_eq!(receiver.messages().len(), 1, "of C");
    let (_, page) = get(address, "/alerts?subject=A").await;
    assert_eq!(page["items"][0]["silenced"], true, "{page}");
    alarm.happens(&low[3..]).await;
    for id in [&made["id"], &made_of_b["id"]] {
        let url = format!("{silences}/{}", id.as_str().unwrap());
        let (status, ended) = ask(Method::DELETE, url, &[("x-actor", "bob")], None).await;
        assert_eq!((status, &ended["ended_by"]), (200, &"bob".into()), "{ended}");
    }
    receiver.until_messages(2).await;
    alarm.until_health(|status| *status == ComponentStatus::Ready).await;
    deliverer.stop().await;
    let told: Vec<Value> = receiver
        .messages()
        .iter()
        .map(|message| {
            serde_json::from_str::<Value>(&message.body).unwrap()["data"]["subject"].clone()
        })
        .collect();
    assert_eq!(told, ["C", "A"], "B was low only while it was silent");
}

#[tokio::test]
async fn silences_are_listed_with_who_made_and_ended_them_and_why() {
    let alarm = Alarm::new("silences_are_listed", Duration::ZERO).await;
    let (address, _runtime) = serve(&alarm).await;
    let silences = format!("http://{address}/silences");
    let silence = json!({"rule": "low_stock", "ends_at": in_an_hour(), "reason": "stocktaking"});
    let (_, made) = ask(Method::POST, silences.clone(), ADA, Some(silence.clone())).await;
    let (status, again) = ask(Method::POST, silences.clone(), ADA, Some(silence.clone())).await;
    assert_eq!((status, &again["id"]), (201, &made["id"]), "a retry meets itself");
    let mut other = silence.clone();
    other["reason"] = json!("another");
    let (status, problem) = ask(Method::POST, silences.clone(), ADA, Some(other)).await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("idempotency_key_reused")));
    let (_, page) = get(address, "/silences?active=true").await;
    assert_eq!(page["items"], json!([made]));
    let url = format!("{silences}/{}", made["id"].as_str().unwrap());
    let (_, ended) = ask(Method::DELETE, url.clone(), &[("x-actor", "bob")], None).await;
    let (_, twice) = ask(Method::DELETE, url, &[("x-actor", "eve")], None).await;
    assert_eq!(twice, ended, "who ended it stays");
    assert_eq!(get(address, "/silences?active=true").await.1["items"], json!([]));
    assert_eq!(get(address, "/silences").await.1["items"], json!([ended]), "the trail stays");
    for bad in [
        json!({"ends_at": in_an_hour(), "reason": "everything"}),
        json!({"rule": "low_stock", "ends_at": "2026-01-01T00:00:00Z", "reason": "over"}),
        json!({"rule": "low_stock", "ends_at": in_an_hour(), "reason": ""}),
    ] {
        let (status, problem) = ask(Method::POST, silences.clone(), ADA, Some(bad)).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("unusable_silence")));
    }
}
