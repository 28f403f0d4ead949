//! The queries of items over HTTP, on a real database that the view was folded into.

use std::collections::BTreeSet;

use domain::inventory::{InventoryEvent, ItemAdded, ItemDiscontinued, ItemSold};
use factline_core::Recorded;
use factline_testkit::History;
use projector_list::inventory_list::InventoryList;
use serde_json::Value;

use crate::shop::{Shop, problem};

fn added(name: &str, quantity: i64, unit_price_cents: i64) -> InventoryEvent {
    let (name, currency) = (name.to_owned(), "GBP".to_owned());
    ItemAdded { name, quantity, unit_price_cents, reorder_point: 5, currency }.into()
}

/// Ten items: names and prices repeat, so that only the sku orders them; every fourth is low.
fn ten_items() -> Vec<Recorded<InventoryEvent>> {
    let mut history = History::new();
    for number in 0..10_i64 {
        let name = ["Lantern", "lamp", "Käse 100%", "Box_1"][usize::try_from(number).unwrap() % 4];
        let quantity = if number % 4 == 0 { 2 } else { 20 };
        history = history.then(&format!("SKU-{number}"), added(name, quantity, number % 3));
    }
    history.build()
}

fn skus(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["sku"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pages_in_every_order_show_every_item_once() {
    let shop = Shop::open("pages_in_every_order", 0, ten_items()).await;
    for sort in ["sku", "name", "available", "unit_price_cents", "last_updated_at"] {
        let rising = shop.all_pages("/inventory", &format!("&sort={sort}&order=asc")).await;
        let mut falling = shop.all_pages("/inventory", &format!("&sort={sort}&order=desc")).await;
        assert_eq!(skus(&rising).iter().collect::<BTreeSet<_>>().len(), 10, "{sort}");
        falling.reverse();
        assert_eq!(skus(&rising), skus(&falling), "{sort}");
        let key = |item: &Value| match &item[sort] {
            Value::Number(number) => format!("{:020}", number.as_i64().unwrap()),
            text => text.as_str().unwrap().to_owned(),
        };
        assert!(rising.is_sorted_by_key(key), "{sort}");
    }
}

#[tokio::test]
async fn filters_pick_by_state_name_and_available_units() {
    let shop = Shop::open("filters_pick", 0, ten_items()).await;
    let low = shop.all_pages("/inventory", "&status=low").await;
    assert_eq!(skus(&low), ["SKU-0", "SKU-4", "SKU-8"]);
    let named = shop.all_pages("/inventory", "&q=LA").await;
    assert_eq!(skus(&named), ["SKU-0", "SKU-1", "SKU-4", "SKU-5", "SKU-8", "SKU-9"]);
    assert_eq!(
        shop.all_pages("/inventory", "&q=K%C3%84SE%20100%25").await.len(),
        2,
        "a text, not a pattern"
    );
    assert_eq!(shop.all_pages("/inventory", "&q=_").await.len(), 2);
    assert_eq!(shop.all_pages("/inventory", "&min_available=3&max_available=20").await.len(), 7);
    assert_eq!(shop.all_pages("/inventory", "&status=discontinued").await.len(), 0);
}

#[tokio::test]
async fn an_item_shows_its_version_and_how_fresh_it_is() {
    let sold = ItemSold {
        quantity: 18,
        unit_price_cents: 255,
        revenue_cents: 4_590,
        currency: "GBP".to_owned(),
        country: None,
    };
    let history = History::new()
        .with_partitions(1)
        .then("85123A", added("Lantern", 20, 255))
        .then("85123A", sold)
        .then("B", added("Box", 1, 1))
        .then("B", ItemDiscontinued { on_hand: 1, reason: None })
        .build();
    let shop = Shop::open("an_item_shows", 0, history).await;
    let answer = shop.get("/inventory/85123A").await;
    assert_eq!(answer.headers()["etag"], "\"2\"");
    assert_eq!(answer.headers()["projection-position"], "factline.inventory.v1:0:4");
    let age: f64 = answer.headers()["projection-age-seconds"].to_str().unwrap().parse().unwrap();
    assert!(age >= 0.0, "{age}");
    let item: Value = answer.json().await.unwrap();
    assert_eq!(
        item,
        serde_json::json!({
            "sku": "85123A", "name": "Lantern", "unit_price_cents": 255, "currency": "GBP",
            "on_hand": 2, "reserved": 0, "available": 2, "reorder_point": 5, "status": "low",
            "last_updated_at": "2026-01-05T09:00:02Z", "version": 2,
        })
    );
    assert_eq!(shop.page("/inventory/B").await["status"], "discontinued");
    shop.refused("/inventory/nowhere", 404, "unknown_item").await;
}

#[tokio::test]
async fn h34_a_page_cursor_that_is_forged_or_of_another_query_is_refused() {
    let shop = Shop::open("h34_a_page_cursor", 0, ten_items()).await;
    let page = shop.page("/inventory?limit=2&sort=name").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    shop.page(&format!("/inventory?limit=5&sort=name&cursor={cursor}")).await;
    for forged in [
        format!("sort=sku&cursor={cursor}"),
        format!("sort=name&order=desc&cursor={cursor}"),
        format!("sort=name&q=x&cursor={cursor}"),
        format!("sort=name&cursor={cursor}A"),
        format!("sort=name&cursor={}", &cursor[1..]),
        "cursor=".to_owned(),
        "cursor=AAAA".to_owned(),
        "cursor=%27%3B%20drop%20table%20inventory_list%3B--".to_owned(),
    ] {
        shop.refused(&format!("/inventory?{forged}"), 400, "malformed_cursor").await;
    }
}

#[tokio::test]
async fn h35_a_limit_outside_1_to_500_is_refused() {
    let shop = Shop::open("h35_a_limit", 0, Vec::new()).await;
    for limit in ["0", "-1", "501", "1000000000", "1e3", "abc", ""] {
        shop.refused(&format!("/inventory?limit={limit}"), 422, "invalid_field").await;
    }
    assert_eq!(shop.page("/inventory?limit=500").await["next_cursor"], Value::Null);
    shop.refused("/inventory?limits=5", 400, "unknown_parameter").await;
    shop.refused("/inventory?sort=colour", 422, "invalid_field").await;
}

#[tokio::test]
async fn h38_a_token_that_is_malformed_or_of_an_unknown_partition_is_refused() {
    let shop = Shop::open("h38_a_token", 0, ten_items()).await;
    let malformed = shop.get_with_token("/inventory", "nonsense").await;
    problem(malformed, 400, "malformed_header").await;
    for unknown in ["factline.inventory.v1:99:1", "factline.order.v1:0:1"] {
        let answer = shop.get_with_token("/inventory", unknown).await;
        problem(answer, 400, "unknown_partition").await;
    }
}

#[tokio::test]
async fn h38_a_token_ahead_of_the_projection_is_answered_with_503_and_the_current_position() {
    let history = History::new().with_partitions(1).then("A", added("Box", 1, 1)).build();
    let shop = Shop::open("h38_a_token_ahead", 0, history).await;
    let answer = shop.get_with_token("/inventory/A", "factline.inventory.v1:0:2").await;
    assert_eq!(answer.headers()["retry-after"], "1");
    let document = problem(answer, 503, "not_yet_consistent").await;
    assert_eq!(
        (&document["current_position"], &document["wanted_position"]),
        (&1.into(), &2.into())
    );
}

#[tokio::test]
async fn h38_a_query_waits_for_what_its_caller_has_written() {
    let history = History::new()
        .with_partitions(1)
        .then("A", added("Box", 1, 1))
        .then("A", ItemDiscontinued { on_hand: 1, reason: None })
        .build();
    let long = 30_000; // beyond any test's patience: the answer comes because the event came
    let shop = Shop::open("h38_a_query_waits", long, history[..1].to_vec()).await;
    let asking = shop.get_with_token("/inventory/A", "factline.inventory.v1:0:2");
    let (answer, ()) = tokio::join!(asking, shop.apply::<InventoryList>(&history[1..]));
    let item: Value = answer.json().await.unwrap();
    assert_eq!(item["status"], "discontinued");
}
