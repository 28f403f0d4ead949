//! What a caller may ask beside its request: until when, how often, from which page (hazards 6.1).

use std::sync::atomic::Ordering;

use crate::support::{Server, settings};
use tokio::net::TcpSocket;

const PARCEL: &str = r#"{"address":"Dock 4","weight_grams":120}"#;

/// Headers of a post with this deadline.
fn until(deadline: &str) -> String {
    format!("content-type: application/json\r\nx-request-deadline: {deadline}\r\n")
}

#[tokio::test]
async fn h29_a_deadline_that_has_passed_is_504_and_nothing_is_done() {
    let server = Server::start().await;
    for past in ["2010-12-01T08:26:00Z", "0000-01-01T00:00:00+14:00"] {
        let answer = server.post("/parcels", &until(past), PARCEL).await;
        answer.is_problem(504, "deadline_passed");
    }
    assert_eq!(server.depot.sent.load(Ordering::Relaxed), 0);
    for malformed in ["", "tomorrow", "2010-12-01", "1291192000"] {
        let answer = server.post("/parcels", &until(malformed), PARCEL).await;
        answer.is_problem_at(400, "malformed_header", "x-request-deadline");
    }
    let two = until("9999-12-31T23:59:59Z\r\nx-request-deadline: 2010-12-01T08:26:00Z");
    server.post("/parcels", &two, PARCEL).await.is_problem(400, "malformed_header");
    for future in ["9999-12-31T23:59:59Z", "2999-01-01T00:00:00.123+01:00"] {
        assert_eq!(server.post("/parcels", &until(future), PARCEL).await.status, 201);
    }
    assert_eq!(server.depot.sent.load(Ordering::Relaxed), 2);
    server.stop().await;
}

#[tokio::test]
async fn h29_a_deadline_that_passes_while_the_request_waits_for_its_turn_is_504() {
    let mut one_at_a_time = settings();
    (one_at_a_time.max_in_flight, one_at_a_time.queue_wait_ms) = (1, 60_000);
    let server = Server::start_with(one_at_a_time).await;
    let mut first = server.connect().await;
    first.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    server.depot.entered.notified().await;
    let deadline = chrono::Utc::now() + chrono::TimeDelta::milliseconds(300);
    let mut waiting = server.connect().await;
    let (headers, length) = (until(&deadline.to_rfc3339()), PARCEL.len());
    let post = format!("POST /parcels HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n");
    waiting.send(format!("{post}{headers}\r\n{PARCEL}")).await;
    while chrono::Utc::now() <= deadline {
        tokio::task::yield_now().await;
    }
    server.depot.release.notify_one();
    waiting.answer().await.is_problem(504, "deadline_passed");
    assert_eq!(server.depot.sent.load(Ordering::Relaxed), 0);
    assert_eq!(first.answer().await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn h33_a_client_that_asks_too_often_gets_429_with_retry_after_and_others_do_not() {
    let mut limited = settings();
    (limited.client_requests_per_minute, limited.client_burst_requests) = (1, 3);
    let server = Server::start_with(limited).await;
    for _ in 0..3 {
        assert_eq!(server.get("/parcels", "").await.status, 200);
    }
    let answer = server.post_json(PARCEL).await;
    answer.is_problem(429, "too_many_requests");
    let wait_s: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait_s), "{wait_s}");
    assert_eq!(server.depot.sent.load(Ordering::Relaxed), 0);
    assert_eq!(server.get("/nowhere", "").await.status, 429, "whatever it asks for");

    let other = TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = server.connect_from(other).await;
    other.send("GET /parcels HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(other.answer().await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn h33_by_default_nobody_is_limited() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    for _ in 0..500 {
        connection.send("GET /parcels HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(connection.answer().await.status, 200);
    }
    server.stop().await;
}

/// What a browser asks before it lets a page of this origin post JSON.
fn preflight(origin: &str) -> String {
    format!(
        "OPTIONS /parcels HTTP/1.1\r\nhost: x\r\norigin: {origin}\r\n\
         access-control-request-method: POST\r\n\
         access-control-request-headers: content-type,idempotency-key\r\n\r\n"
    )
}

const PERMISSIONS: [&str; 4] = [
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
];

#[tokio::test]
async fn h39_by_default_no_page_of_another_origin_gets_a_permission() {
    let server = Server::start().await;
    let origin = "https://shop.example";
    let asked = server.exchange(preflight(origin)).await;
    asked.is_problem(405, "method_not_allowed");
    let got = server.get("/parcels", &format!("origin: {origin}\r\n")).await;
    assert_eq!(got.status, 200, "who may read it is the browser's business");
    for answer in [asked, got] {
        for header in PERMISSIONS {
            assert_eq!(answer.header(header), None);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn h39_only_an_origin_in_the_settings_gets_a_permission() {
    let mut listed = settings();
    listed.cors_allowed_origins =
        ["https://shop.example", "http://localhost:3000"].map(str::to_owned).into();
    let server = Server::start_with(listed).await;
    for origin in ["https://shop.example", "http://localhost:3000"] {
        let asked = server.exchange(preflight(origin)).await;
        assert_eq!(asked.status, 204, "{asked:?}");
        assert_eq!(asked.header("access-control-allow-origin"), Some(origin));
        assert!(asked.header("access-control-allow-methods").unwrap().contains("POST"));
        let headers = asked.header("access-control-allow-headers").unwrap();
        assert!(headers.contains("content-type") && headers.contains("idempotency-key"));
        let got = server.get("/parcels?colour=red", &format!("origin: {origin}\r\n")).await;
        assert_eq!(got.header("access-control-allow-origin"), Some(origin), "refusals too");
        assert!(got.header("access-control-expose-headers").unwrap().contains("etag"));
        assert_eq!(got.header("vary"), Some("origin"));
    }
    for origin in
        ["https://evil.example", "https://shop.example.evil.example", "http://shop.example", "null"]
    {
        let asked = server.exchange(preflight(origin)).await;
        asked.is_problem(405, "method_not_allowed");
        let got = server.get("/parcels", &format!("origin: {origin}\r\n")).await;
        for answer in [asked, got] {
            assert_eq!(answer.header("vary"), Some("origin"), "no cache mixes them up");
            for header in PERMISSIONS {
                assert_eq!(answer.header(header), None, "{origin}");
            }
        }
    }
    server.stop().await;
}
