//! Many orders at once.

use std::time::{Duration, Instant};

use factline_testkit::eventually_ok;
use futures::StreamExt as _;

use crate::shop::Shop;

const ORDERS: usize = 300;
const LINES: usize = 20;
/// Ten times what it takes here: other tests run beside it.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_orders_of_twenty_lines_are_allocated_in_seconds() {
    let shop = Shop::open("many", &[]).await;
    let skus: Vec<String> = (0..LINES).map(|line| format!("item-{line}")).collect();
    for sku in &skus {
        shop.item(sku, 1_000_000).await;
    }
    let lines: Vec<(&str, i64)> = skus.iter().map(|sku| (sku.as_str(), 2)).collect();
    let began = Instant::now();
    let placing = (0..ORDERS).map(|_| shop.order(&lines));
    futures::stream::iter(placing).buffer_unordered(16).collect::<Vec<_>>().await;
    let placed = began.elapsed();
    eventually_ok(SETTLED_WITHIN, "every order is allocated", async || {
        let done =
            "select count(*) from saga.commands where step = 'allocate' and state = 'accepted'";
        let done: i64 = sqlx::query_scalar(done).fetch_one(&shop.sagas).await.unwrap();
        if done == i64::try_from(ORDERS).unwrap() { Ok(()) } else { Err(done.to_string()) }
    })
    .await;
    println!(
        "{ORDERS} orders of {LINES} lines: placed in {placed:?}, allocated in {:?}",
        began.elapsed()
    );
    let promised = 2 * i64::try_from(ORDERS).unwrap();
    for sku in &skus {
        assert_eq!(shop.stock(sku).await, (1_000_000, promised));
    }
}
