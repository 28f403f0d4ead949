//! A Redis that refuses, fails or says nothing changes no answer, and an operator is told.

use factline_testkit::{FaultProxy, eventually, stack};
use read_kit::CacheSettings;

use crate::{
    depot::{DEADLINE, Depot, patient},
    scripted::{Script, Scripted},
};

/// What a client says of itself when it connects is taken as it is.
fn all(command: &str, answer: &'static str) -> Option<&'static str> {
    Some(if command == "CLIENT" { "+OK\r\n" } else { answer })
}

fn writes(command: &str, answer: &'static str) -> Option<&'static str> {
    Some(match command {
        "CLIENT" => "+OK\r\n",
        "GETRANGE" => "$0\r\n\r\n", // there is no such key
        _ => answer,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn w02_a_redis_that_cannot_serve_us_is_a_miss_and_degrades_the_cache_alone() {
    let cases: [(&str, &str, Script); 4] = [
        ("reads: ", "LOADING", |command| {
            all(command, "-LOADING Redis is loading the dataset in memory\r\n")
        }),
        ("reads: ", "MOVED", |command| all(command, "-MOVED 3999 127.0.0.1:6381\r\n")),
        ("writes: ", "READONLY", |command| {
            writes(command, "-READONLY You can't write against a read only replica.\r\n")
        }),
        ("writes: ", "OOM", |command| {
            writes(command, "-OOM command not allowed when used memory > 'maxmemory'.\r\n")
        }),
    ];
    for (which, code, script) in cases {
        let server = Scripted::begin(script).await;
        let depot = Depot::with("w02_refusals", patient(&server.url)).await;
        assert_eq!(depot.weight().await, 7);
        assert_eq!(depot.trouble(), "", "{code}: once is nothing");
        depot.until_degraded(which, 7).await;
        depot.until_degraded(code, 7).await;
        depot.advance(2, 9).await;
        assert_eq!(depot.weight().await, 9, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w02_a_redis_that_does_not_know_us_is_told_of_at_the_first_refusal() {
    let server =
        Scripted::begin(|command| all(command, "-NOAUTH Authentication required.\r\n")).await;
    let wrong_password = stack().redis_url.replacen("redis://", "redis://nobody:wrong@", 1);
    for url in [&server.url, &wrong_password] {
        let depot = Depot::with("w02_noauth", patient(url)).await;
        assert_eq!(depot.weight().await, 7);
        assert!(depot.trouble().contains("refused"), "{}", depot.trouble());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w03_a_redis_that_says_nothing_is_asked_five_times_and_then_left_alone() {
    let server = Scripted::begin(|_| None).await;
    let settings = CacheSettings { answer_within_ms: 20, ..patient(&server.url) };
    let depot = Depot::with("w03_mute", settings).await;
    for _ in 0..20 {
        assert_eq!(depot.weight().await, 7);
    }
    assert_eq!(depot.computed(), 20);
    // Each failure ends its connection.
    eventually(DEADLINE, "five connections, and no more", async || server.connections() == 5).await;
    assert!(depot.trouble().contains("no answer"), "{}", depot.trouble());
}

/// Not even the database is asked for what only a cache needs to know.
#[tokio::test(flavor = "multi_thread")]
async fn w03_while_redis_is_left_alone_a_query_costs_what_it_costs_without() {
    let server = Scripted::begin(|_| None).await;
    let settings = CacheSettings { answer_within_ms: 20, ..patient(&server.url) };
    let depot = Depot::with("w03_alone", settings).await;
    depot.until_degraded("no answer", 7).await;
    // The view's standing cannot be read from here on.
    depot.sql("alter table projection.parked_events rename to parked_away").await;
    assert_eq!(depot.weight().await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn w03_a_redis_that_answers_again_is_come_back_to() {
    let proxy = FaultProxy::to_url(&stack().redis_url).await;
    let url = proxy.url(&stack().redis_url);
    // The pause is over when the next query comes: that one tries.
    let settings = CacheSettings { answer_within_ms: 200, pause_ms: 10, ..patient(&url) };
    let depot = Depot::with("w03_back", settings).await;
    depot.until_kept(7).await;
    proxy.stall();
    depot.until_degraded("no answer", 7).await;
    proxy.heal();
    depot.until_kept(7).await;
    eventually(DEADLINE, "readiness says so", async || {
        assert_eq!(depot.weight().await, 7);
        depot.trouble().is_empty()
    })
    .await;
}
