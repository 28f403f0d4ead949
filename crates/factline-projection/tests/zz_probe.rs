#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
mod support;
use factline_testkit::parcels::packed;
use support::World;
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probe() {
    let world = World::create("probe").await;
    let n: i64 = 200_000;
    let mut all = Vec::new();
    for i in 0..n { all.push(format!("parcel-{}", i % 2000)); }
    // record() is quadratic: build envelopes by hand
    let first: Vec<_> = (0..2000).map(|i| world.record(&format!("parcel-{i}"), packed(1))).collect();
    world.send(&first).await;
    let mut heads = std::collections::HashMap::new();
    for e in &first { let h = heads.entry(e.envelope.partition).or_insert(0); *h = e.envelope.position.0.max(*h); }
    let mut batch = Vec::new();
    let mut last = std::collections::HashMap::new();
    for round in 2..=(n / 2000) {
        for e in &first {
            let mut c = e.clone();
            let h = heads.get_mut(&c.envelope.partition).unwrap();
            *h += 1;
            c.envelope.position = factline_core::Position(*h);
            c.envelope.version = factline_core::Version(round);
            c.envelope.event_id = uuid::Uuid::now_v7();
            last.insert(c.envelope.partition, c.envelope.token());
            batch.push(c);
        }
        if batch.len() >= 20000 { world.send(&batch).await; batch.clear(); }
    }
    world.send(&batch).await;
    let started = std::time::Instant::now();
    let running = world.start();
    let tokens: Vec<_> = last.into_values().collect();
    running.gate.wait_for(&tokens, std::time::Duration::from_secs(300)).await.unwrap();
    let took = started.elapsed();
    eprintln!("{} events in {:?}: {:.0}/s", n, took, n as f64 / took.as_secs_f64());
    // idle latency
    let mut waits = Vec::new();
    for i in 0..200 {
        let mut c = first[0].clone();
        let h = heads.get_mut(&c.envelope.partition).unwrap();
        *h += 1;
        c.envelope.position = factline_core::Position(*h);
        c.envelope.version = factline_core::Version(1000 + i);
        c.envelope.event_id = uuid::Uuid::now_v7();
        let t = c.envelope.token();
        let started = std::time::Instant::now();
        world.send(&[c]).await;
        let sent = started.elapsed();
        running.gate.wait_for(&[t], std::time::Duration::from_secs(30)).await.unwrap();
        waits.push((started.elapsed() - sent, sent));
    }
    waits.sort();
    eprintln!("idle ack->visible p50 {:?} p90 {:?} p99 {:?}", waits[100].0, waits[180].0, waits[198].0);
    running.stop().await;
}
