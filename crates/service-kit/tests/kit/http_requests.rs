//! Requests: routes, headers, identity, overload (hazards 6.1).

use std::{sync::atomic::Ordering, time::Duration};

use crate::support::{Depot, Server, settings};
use axum::{Router, routing::get};
use service_kit::http::{InFlight, Routes, openapi_routes};

#[tokio::test]
async fn h04_a_caller_that_accepts_no_json_gets_406_before_any_work() {
    let server = Server::start().await;
    for accept in ["text/html", "application/xml, image/*", "application/json;q=0"] {
        let headers = format!("accept: {accept}\r\ncontent-type: application/json\r\n");
        let answer = server.post("/parcels", &headers, "{}").await;
        answer.is_problem(406, "not_acceptable");
    }
    assert_eq!(server.depot.sent.load(Ordering::Relaxed), 0);
    for accept in ["application/json", "text/html, */*;q=0.1", "application/*"] {
        assert_eq!(server.get("/parcels", &format!("accept: {accept}\r\n")).await.status, 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn h05_an_unknown_route_is_404_and_an_unknown_method_405_with_allow() {
    let server = Server::start().await;
    server.get("/nowhere", "").await.is_problem(404, "unknown_path");
    let answer = server.exchange("PATCH /parcels HTTP/1.1\r\nhost: x\r\n\r\n").await;
    answer.is_problem(405, "method_not_allowed");
    let mut allowed: Vec<_> = answer.header("allow").unwrap().split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    server.stop().await;
}

#[tokio::test]
async fn h21_a_malformed_if_match_is_400_and_another_version_412_with_the_current_one() {
    let server = Server::start().await;
    let drop =
        |value: &str| format!("DELETE /parcels/1 HTTP/1.1\r\nhost: x\r\nif-match: {value}\r\n\r\n");
    for malformed in
        ["*", "W/\"7\"", "\"7", "seven", "-7", "+7", "7, 8", "99999999999999999999", ""]
    {
        server.exchange(drop(malformed)).await.is_problem(400, "malformed_header");
    }
    for matching in ["7", "\"7\""] {
        assert_eq!(server.exchange(drop(matching)).await.status, 204, "{matching}");
    }
    let document = server.exchange(drop("8")).await.is_problem(412, "version_mismatch");
    assert_eq!(document["current_version"], 7);
    server.stop().await;
}

#[tokio::test]
async fn h24_an_idempotency_key_is_required_and_1_to_255_visible_ascii_characters() {
    let server = Server::start().await;
    server.post("/keyed", "", "").await.is_problem(400, "missing_idempotency_key");
    let long = "k".repeat(256);
    for bad in ["", "\"\"", &long, "a b", "ключ", "a\"b", "\"a"] {
        let answer = server.post("/keyed", &format!("idempotency-key: {bad}\r\n"), "").await;
        answer.is_problem(400, "malformed_header");
    }
    let two = "idempotency-key: a\r\nidempotency-key: b\r\n";
    server.post("/keyed", two, "").await.is_problem(400, "malformed_header");
    for (given, read) in [("a-1", "a-1"), ("\"a-1\"", "a-1"), (&long[1..], &long[1..])] {
        let answer = server.post("/keyed", &format!("idempotency-key: {given}\r\n"), "").await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, read.as_bytes()));
    }
    server.stop().await;
}

#[tokio::test]
async fn h33_over_the_bound_a_request_waits_a_moment_then_gets_503_with_retry_after() {
    let mut one_at_a_time = settings();
    (one_at_a_time.max_in_flight, one_at_a_time.queue_wait_ms) = (1, 20);
    let server = Server::start_with(one_at_a_time).await;
    let mut first = server.connect().await;
    first.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    server.depot.entered.notified().await;
    let answer = server.get("/parcels", "").await;
    answer.is_problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), Some("1"));
    server.depot.release.notify_one();
    assert_eq!(first.answer().await.status, 200);
    assert_eq!(server.get("/parcels", "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_class_of_routes_can_be_bounded_by_itself() {
    let depot = Depot::default();
    let class = InFlight::new(1, Duration::from_millis(20));
    let bounded = class.bound(crate::support::routes(depot.clone()));
    let router = Router::new().route("/free", get(|| async { "free" })).merge(bounded);
    let server = Server::start_routes(settings(), Routes::json(router), depot).await;
    let mut first = server.connect().await;
    first.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    server.depot.entered.notified().await;
    server.get("/parcels", "").await.is_problem(503, "overloaded");
    assert_eq!(server.get("/free", "").await.status, 200);
    server.depot.release.notify_one();
    assert_eq!(first.answer().await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn h38_a_malformed_consistency_token_is_400() {
    let server = Server::start().await;
    for bad in ["x", "parcel:1", "parcel:1:x", "parcel:1:2,", "parcel:-1:2"] {
        let answer = server.get("/parcels", &format!("consistency-token: {bad}\r\n")).await;
        answer.is_problem(400, "malformed_header");
    }
    let several = "consistency-token: parcel:1:2, parcel:2:9\r\nconsistency-token: label:0:1\r\n";
    assert_eq!(server.get("/parcels", several).await.json()["tokens"], 3);
    server.stop().await;
}

#[tokio::test]
async fn h40_operators_paths_are_404_on_the_public_port() {
    let server = Server::start().await;
    for path in ["/metrics", "/livez", "/readyz", "/startupz"] {
        server.get(path, "").await.is_problem(404, "unknown_path");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_or_repeated_query_parameter_is_400_and_a_misfit_422() {
    let server = Server::start().await;
    server.get("/parcels?colour=red", "").await.is_problem_at(400, "unknown_parameter", "colour");
    let twice = server.get("/parcels?limit=1&limit=2", "").await;
    twice.is_problem_at(400, "repeated_parameter", "limit");
    for bad in ["-1", "ten", "99999999999"] {
        let answer = server.get(&format!("/parcels?limit={bad}"), "").await;
        answer.is_problem_at(422, "invalid_field", "limit");
    }
    assert_eq!(server.get("/parcels?limit=5", "").await.json()["limit"], 5);
    server.stop().await;
}

#[tokio::test]
async fn a_path_parameter_that_does_not_fit_is_422_and_one_that_is_not_utf8_400() {
    let server = Server::start().await;
    server.get("/parcels/one", "").await.is_problem(422, "invalid_field");
    server.get("/parcels/%ff", "").await.is_problem(400, "malformed_path");
    server.get("/parcels/..%2f..%2fetc", "").await.is_problem(422, "invalid_field");
    server.stop().await;
}

#[tokio::test]
async fn every_answer_says_which_request_it_answers_and_as_part_of_what() {
    let server = Server::start().await;
    let correlation = "4b8f2c1e-6f0a-4b7e-9d3c-1a2b3c4d5e6f";
    let headers = format!("x-correlation-id: {correlation}\r\nx-actor: clerk 7\r\n");
    let answer = server.get("/parcels", &headers).await;
    assert_eq!(answer.header("x-correlation-id"), Some(correlation));
    assert_eq!(answer.json()["actor"], "clerk 7");
    let (one, two) = (server.get("/parcels", "").await, server.get("/nowhere", "").await);
    for name in ["x-request-id", "x-correlation-id"] {
        assert!(one.header(name).is_some() && two.header(name).is_some());
        assert_ne!(one.header(name), two.header(name));
    }
    let malformed = server.get("/parcels", "x-correlation-id: 7\r\n").await;
    malformed.is_problem(400, "malformed_correlation_id");
    for actor in ["", &"a".repeat(129), "ключ"] {
        let answer = server.get("/parcels", &format!("x-actor: {actor}\r\n")).await;
        answer.is_problem(400, "malformed_actor");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_trace_goes_on_in_a_new_span_and_stands_in_problem_documents() {
    let server = Server::start().await;
    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let answer = server.get("/parcels", parent).await.json();
    let header = answer["trace"].as_str().unwrap();
    assert!(header.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{header}");
    assert!(!header.contains("00f067aa0ba902b7"));
    let problem = server.get("/nowhere", parent).await.is_problem(404, "unknown_path");
    assert_eq!(problem["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    server.stop().await;
}

#[tokio::test]
async fn a_panic_is_500_and_tells_nothing() {
    let server = Server::start().await;
    let document = server.get("/panic", "").await.is_problem(500, "internal_error");
    assert!(!document.to_string().contains("belt"));
    assert_eq!(server.get("/parcels", "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn the_documentation_is_served_without_another_host() {
    let document = utoipa::openapi::OpenApiBuilder::new().build();
    let depot = Depot::default();
    let routes =
        Routes::json(crate::support::routes(depot.clone())).with_other(openapi_routes(&document));
    let server = Server::start_routes(settings(), routes, depot).await;
    let page = server.get("/docs", "accept: text/html\r\n").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(!String::from_utf8(page.body).unwrap().contains("//"), "no address of another host");
    assert!(server.get("/openapi.json", "").await.json()["openapi"].is_string());
    server.stop().await;
}
