//! Totals that are kept in Redis are the totals of the database, whatever becomes of Redis.

use std::time::Duration;

use domain::inventory::InventoryEvent;
use factline_core::Recorded;
use factline_testkit::{eventually, stack, unique_prefix};
use projector_stats::inventory_stats::InventoryStats;
use read_kit::CacheSettings;
use redis::{AsyncCommands, AsyncConnectionConfig, aio::MultiplexedConnection};

use crate::{
    queries::{Office, apply},
    views::trade,
};

/// Nothing here takes longer, so a test that waits so long has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// Is never kept.
const ITEM: &str = "/inventory/stats?sku=A";

const PATHS: [&str; 4] =
    ["/inventory/stats", "/inventory/analytics", "/inventory/stats?limit=1", ITEM];

async fn redis() -> MultiplexedConnection {
    let client = redis::Client::open(stack().redis_url).unwrap();
    let config = AsyncConnectionConfig::new();
    let config = config.set_connection_timeout(Some(DEADLINE)).set_response_timeout(Some(DEADLINE));
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

fn cache(prefix: &str) -> CacheSettings {
    CacheSettings {
        redis_url: stack().redis_url,
        key_prefix: prefix.to_owned(),
        answer_within_ms: 20_000, // a test's machine may be busy
        keep_for_ms: 60_000,
        pause_ms: 10,
    }
}

async fn keys(prefix: &str) -> Vec<String> {
    redis().await.keys(format!("{prefix}*")).await.unwrap()
}

/// As `FLUSHALL`, but for the tests beside this one.
async fn empty(prefix: &str) {
    for key in keys(prefix).await {
        let _expired_meanwhile: i64 = redis().await.del(key).await.unwrap();
    }
}

/// Asks every question of both, several times, so that both what is computed and what is kept is seen.
async fn compare(kept: &Office, plain: &Office, at: usize) {
    for path in PATHS {
        let wanted = plain.ask(path).await;
        for time in 0..3 {
            assert_eq!(kept.ask(path).await, wanted, "{path} at {at}, time {time}");
        }
    }
}

/// An answer may show more than it says, for as long as a position that was read is good; waits until
/// both say how far the view is.
async fn settle(kept: &Office, plain: &Office) {
    let position = kept.ask(PATHS[0]).await.position().to_owned(); // read with what is kept under it
    for office in [kept, plain] {
        eventually(DEADLINE, "the position is told", async || {
            office.ask(ITEM).await.position() == position
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_is_emptied_every_second_changes_no_answer() {
    let prefix = format!("{}:", unique_prefix("stats_emptied"));
    let plain = Office::open("stats_emptied", &[]).await;
    let kept = plain.beside(&cache(&prefix)).await;
    let trade: Vec<Recorded<InventoryEvent>> = trade();
    for (at, event) in trade.chunks(1).enumerate() {
        apply::<InventoryStats>(&plain.database, event).await;
        for path in PATHS {
            assert_eq!(kept.ask(path).await.body, plain.ask(path).await.body, "{path} at {at}");
        }
        settle(&kept, &plain).await;
        compare(&kept, &plain, at).await;
        if at % 2 == 0 {
            empty(&prefix).await;
            compare(&kept, &plain, at).await;
        }
    }
    eventually(DEADLINE, "there is something to empty", async || {
        kept.ask(PATHS[0]).await;
        !keys(&prefix).await.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_one_item_is_not_kept() {
    let prefix = format!("{}:", unique_prefix("stats_item"));
    let plain = Office::open("stats_item", &trade()).await;
    let kept = plain.beside(&cache(&prefix)).await;
    eventually(DEADLINE, "the totals are kept", async || {
        kept.ask(ITEM).await; // before the one that is waited for
        kept.ask(PATHS[0]).await;
        !keys(&prefix).await.is_empty()
    })
    .await;
    assert_eq!(keys(&prefix).await.len(), 1);
}
