//! The queries of orders and customers over HTTP, on a real database that the views were folded into.

use domain::{customer::CustomerEvent, order::OrderEvent};
use factline_core::Recorded;
use factline_testkit::{History, recorded};
use projector_list::{customer_list::CustomerList, order_list::OrderList};
use serde_json::{Value, json};

use crate::{
    shop::{Shop, problem},
    words::*,
};

/// A shop that knows Ada and Bob.
async fn shop(test: &str, wait_ms: u64, orders: &[Recorded<OrderEvent>]) -> Shop {
    let shop = Shop::open(test, wait_ms, Vec::new()).await;
    shop.apply::<CustomerList>(&people()).await;
    shop.apply::<OrderList>(orders).await;
    shop
}

fn people() -> Vec<Recorded<CustomerEvent>> {
    let history = History::new().with_partitions(1);
    let history = history.then(ADA, registered("Ada Lovelace", "ada@example.com"));
    history.then(BOB, registered("Bob", "bob@example.com")).build()
}

/// Ten orders, Ada's and Bob's by turns; every two were begun at the same time, so that only the id
/// orders them. The last two of them are confirmed.
fn ten_orders() -> Vec<Recorded<OrderEvent>> {
    let mut history = History::new();
    for number in 0..10 {
        let at = format!("2026-01-04T10:00:{:02}Z", number / 2);
        let customer = [ADA, BOB][number as usize % 2];
        history = history.at(&at).then(&order(number), created_for(customer));
    }
    for number in 8..10 {
        history = history.then(&order(number), added("tea", 1, 90));
        history = history.then(&order(number), confirmed(ADA, 90));
    }
    history.build()
}

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

fn orders(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(order).collect()
}

#[tokio::test]
async fn an_orders_whole_life_shows_in_its_row() {
    let id = order(1);
    let history = History::new()
        .with_partitions(1)
        .then(&id, created_for(ADA))
        .then(&id, added("lantern", 2, 255))
        .then(&id, confirmed(ADA, 510))
        .then(&id, allocated(510))
        .then(&id, paid(510))
        .then(&id, shipped())
        .then(&id, delivered())
        .build();
    let shop = shop("whole_life", 30_000, &history[..2]).await;
    let draft = shop.page(&format!("/orders/{id}")).await;
    assert_eq!((&draft["status"], &draft["total_cents"]), (&json!("draft"), &json!(510)));
    shop.apply::<OrderList>(&history[2..]).await;

    let answer = shop.get_with_token(&format!("/orders/{id}"), "factline.order.v1:0:7").await;
    assert_eq!(answer.headers()["etag"], "\"7\"");
    let position = answer.headers()["projection-position"].to_str().unwrap().to_owned();
    assert!(position.starts_with("factline.order.v1:0:7, factline.customer.v1:"), "{position}");
    assert!(answer.headers().contains_key("projection-age-seconds"));
    let order: Value = answer.json().await.unwrap();
    assert_eq!(
        order,
        json!({
            "id": id, "customer_id": ADA, "customer_name": "Ada Lovelace",
            "customer_email": "ada@example.com", "status": "delivered", "currency": "GBP",
            "total_cents": 510,
            "items": [{"sku": "lantern", "name": "The lantern", "quantity": 2,
                       "unit_price_cents": 255, "total_cents": 510}],
            "shipping_address": "12 St James's Square, London",
            "created_at": "2026-01-05T09:00:01Z", "confirmed_at": "2026-01-05T09:00:03Z",
            "allocated_at": "2026-01-05T09:00:04Z", "paid_at": "2026-01-05T09:00:05Z",
            "payment_id": "pay_2", "payment_method": "card", "payment_failed_reason": null,
            "shipped_at": "2026-01-05T09:00:06Z", "tracking_number": "RM123456785GB",
            "carrier": "Royal Mail", "estimated_delivery_on": "2026-01-31",
            "delivered_at": "2026-01-05T09:00:07Z", "cancelled_at": null, "cancel_reason": null,
            "cancelled_by": null, "refund_cents": null,
            "last_updated_at": "2026-01-05T09:00:07Z", "version": 7,
        })
    );
}

#[tokio::test]
async fn a_cancelled_order_shows_its_reason() {
    let id = order(1);
    let history = recorded([(&*id, created_for(ADA)), (&*id, cancelled(0))]);
    let shop = shop("cancelled_order", 0, &history).await;
    let listed = shop.page("/orders?status=cancelled").await;
    let order = &listed["items"][0];
    assert_eq!((&order["id"], &order["status"]), (&json!(id), &json!("cancelled")));
    assert_eq!(order["cancel_reason"], "ordered twice");
    assert_eq!((&order["cancelled_by"], &order["refund_cents"]), (&json!("ada"), &json!(0)));
    assert_ne!(order["cancelled_at"], Value::Null);
}

#[tokio::test]
async fn orders_come_newest_or_oldest_first_by_time_and_id_and_filters_pick() {
    let shop = shop("newest_or_oldest", 0, &ten_orders()).await;
    let newest = shop.all_pages("/orders", "").await;
    assert_eq!(ids(&newest), orders((0..10).rev()));
    let oldest = shop.all_pages("/orders", "&sort=oldest").await;
    assert_eq!(ids(&oldest), orders(0..10));
    let confirmed = shop.all_pages("/orders", "&status=confirmed").await;
    assert_eq!(ids(&confirmed), orders([9, 8]));
    let of_bob = shop.all_pages("/orders", &format!("&customer_id={BOB}&sort=oldest")).await;
    assert_eq!(ids(&of_bob), orders([1, 3, 5, 7, 9]));
    let both = shop.all_pages("/orders", &format!("&customer_id={BOB}&status=confirmed")).await;
    assert_eq!(ids(&both), orders([9]));
    assert_eq!(shop.all_pages("/orders", "&status=shipped").await.len(), 0);
}

#[tokio::test]
async fn pages_of_a_customers_orders_have_no_gap_and_no_repeat_while_new_ones_arrive() {
    let mut history = History::new();
    for number in 0..12 {
        history = history.then(&order(number), created_for(ADA));
    }
    let history = history.build();
    let shop = shop("customers_orders", 0, &history[..8]).await;
    let path = format!("/customers/{ADA}/orders");
    let (mut seen, mut cursor, mut arrived) = (Vec::new(), String::new(), 8);
    loop {
        let page = shop.page(&format!("{path}?limit=2{cursor}")).await;
        seen.extend(ids(page["items"].as_array().unwrap()).into_iter().map(str::to_owned));
        if arrived < history.len() {
            shop.apply::<OrderList>(&history[arrived..=arrived]).await;
            arrived += 1;
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, orders((0..8).rev()), "what was there when the first page was read");
    let all = shop.all_pages(&path, "").await;
    assert_eq!(ids(&all), orders((0..12).rev()));
    assert_eq!(shop.page(&format!("/customers/{BOB}/orders")).await["items"], json!([]));
}

#[tokio::test]
async fn an_order_shows_what_its_customer_is_called_now() {
    let mut people = people();
    people.truncate(1);
    let id = order(1);
    let shop = Shop::open("called_now", 0, Vec::new()).await;
    shop.apply::<OrderList>(&recorded([(&*id, created_for(ADA))])).await;
    let before = shop.page(&format!("/orders/{id}")).await;
    assert_eq!(before["customer_name"], Value::Null, "the customer's events are on their way");
    shop.apply::<CustomerList>(&people).await;
    let path = format!("/customers/{ADA}/orders");
    assert_eq!(shop.page(&path).await["items"][0]["customer_name"], "Ada Lovelace");

    let later = recorded([
        (ADA, registered("Ada Lovelace", "ada@example.com")),
        (ADA, renamed("Ada King")),
        (ADA, email_changed("king@example.com")),
    ]);
    shop.apply::<CustomerList>(&later[1..]).await;
    for order in
        [shop.page(&format!("/orders/{id}")).await, shop.page(&path).await["items"][0].clone()]
    {
        assert_eq!(order["customer_name"], "Ada King");
        assert_eq!(order["customer_email"], "king@example.com");
    }
}

#[tokio::test]
async fn customers_are_listed_by_name_or_id_and_found_by_name_or_address() {
    let shop = Shop::open("customers_listed", 0, Vec::new()).await;
    let mut history = History::new();
    for (number, name) in ["Eve", "Ada", "Käthe", "Ada", "Adam", "Dan", "Bo"].iter().enumerate() {
        let id = format!("018f3c1e-7b1a-7000-8000-0000000000d{number}");
        history = history.then(&id, registered(name, &format!("mail{number}@example.com")));
    }
    shop.apply::<CustomerList>(&history.build()).await;
    let names = |items: &[Value]| -> Vec<String> {
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let by_name = shop.all_pages("/customers", "").await;
    assert_eq!(names(&by_name), ["Ada", "Ada", "Adam", "Bo", "Dan", "Eve", "Käthe"]);
    let by_id = shop.all_pages("/customers", "&sort=id").await;
    assert_eq!(names(&by_id), ["Eve", "Ada", "Käthe", "Ada", "Adam", "Dan", "Bo"]);
    let some = shop.all_pages("/customers", "&name_prefix=Ada").await;
    assert_eq!(names(&some), ["Ada", "Ada", "Adam"]);
    assert_eq!(names(&shop.all_pages("/customers", "&name_prefix=K%C3%A4").await), ["Käthe"]);
    assert_eq!(shop.all_pages("/customers", "&name_prefix=%25").await.len(), 0, "no pattern");
    let mailed = shop.all_pages("/customers", "&email=mail5@example.com").await;
    assert_eq!(names(&mailed), ["Dan"]);

    let answer = shop.get("/customers/018f3c1e-7b1a-7000-8000-0000000000D4").await;
    assert_eq!(answer.headers()["etag"], "\"1\"");
    let customer: Value = answer.json().await.unwrap();
    assert_eq!((&customer["name"], &customer["version"]), (&json!("Adam"), &json!(1)));
}

#[tokio::test]
async fn who_or_what_is_unknown_is_404() {
    let shop = shop("unknown_ids", 0, &[]).await;
    let nobody = "018f3c1e-7b1a-7000-8000-0000000000ff";
    shop.refused(&format!("/orders/{nobody}"), 404, "unknown_order").await;
    shop.refused(&format!("/customers/{nobody}"), 404, "unknown_customer").await;
    shop.refused(&format!("/customers/{nobody}/orders"), 404, "unknown_customer").await;
    for path in ["/orders/7", "/customers/Ada", "/customers/Ada/orders"] {
        shop.refused(path, 422, "invalid_field").await;
    }
}

#[tokio::test]
async fn h34_a_cursor_of_another_query_of_orders_or_customers_is_refused() {
    let shop = shop("h34_orders", 0, &ten_orders()).await;
    let page = shop.page("/orders?limit=2").await;
    let of_orders = page["next_cursor"].as_str().unwrap();
    shop.page(&format!("/orders?limit=5&cursor={of_orders}")).await;
    let page = shop.page("/customers?limit=1").await;
    let of_customers = page["next_cursor"].as_str().unwrap();
    for path in [
        format!("/orders?sort=oldest&cursor={of_orders}"),
        format!("/orders?status=draft&cursor={of_orders}"),
        format!("/orders?customer_id={ADA}&cursor={of_orders}"),
        format!("/customers/{ADA}/orders?cursor={of_orders}"),
        format!("/customers?cursor={of_orders}"),
        format!("/inventory?cursor={of_orders}"),
        format!("/orders?cursor={of_customers}"),
        format!("/customers?sort=id&cursor={of_customers}"),
        format!("/customers?name_prefix=A&cursor={of_customers}"),
        "/orders?cursor=AAAA".to_owned(),
    ] {
        shop.refused(&path, 400, "malformed_cursor").await;
    }
}

#[tokio::test]
async fn h35_a_limit_of_orders_or_customers_is_1_to_500_and_a_status_is_one_of_its_words() {
    let shop = shop("h35_orders", 0, &[]).await;
    for path in ["/orders", "/customers", &format!("/customers/{ADA}/orders")] {
        for limit in ["0", "-1", "501", "1000000000", ""] {
            shop.refused(&format!("{path}?limit={limit}"), 422, "invalid_field").await;
        }
        assert_eq!(shop.page(&format!("{path}?limit=500")).await["next_cursor"], Value::Null);
        shop.refused(&format!("{path}?limits=5"), 400, "unknown_parameter").await;
    }
    for query in ["status=lost", "status=Draft", "customer_id=7", "sort=total_cents"] {
        shop.refused(&format!("/orders?{query}"), 422, "invalid_field").await;
    }
}

#[tokio::test]
async fn h38_a_token_is_waited_for_in_the_view_that_reads_its_topic() {
    let id = order(1);
    let history = History::new().with_partitions(1).then(&id, created_for(ADA)).build();
    let shop = shop("h38_orders", 0, &history).await;
    let order = format!("/orders/{id}");
    let both = "factline.order.v1:0:1, factline.customer.v1:0:1";
    for path in [&*order, "/orders", &format!("/customers/{ADA}/orders")] {
        assert_eq!(shop.get_with_token(path, both).await.status(), 200, "{path}");
        for ahead in ["factline.order.v1:0:2", "factline.customer.v1:0:9"] {
            let answer = shop.get_with_token(path, ahead).await;
            let document = problem(answer, 503, "not_yet_consistent").await;
            assert!(ahead.starts_with(document["partition"].as_str().unwrap()), "{document}");
        }
        for unknown in ["factline.inventory.v1:0:1", "factline.order.v1:99:1"] {
            problem(shop.get_with_token(path, unknown).await, 400, "unknown_partition").await;
        }
    }
    let answer = shop.get_with_token("/customers", "factline.order.v1:0:1").await;
    problem(answer, 400, "unknown_partition").await;
}

#[tokio::test]
async fn h38_an_order_waits_for_its_own_event_and_for_its_customers() {
    let id = order(1);
    let order = History::new().with_partitions(1).then(&id, created_for(ADA)).build();
    let people = History::new().with_partitions(1).then(ADA, registered("Ada", "a@b")).build();
    let long = 30_000; // beyond any test's patience: the answer comes because the events came
    let shop = Shop::open("h38_order_waits", long, Vec::new()).await;
    let path = format!("/orders/{id}");
    let asking = shop.get_with_token(&path, "factline.order.v1:0:1, factline.customer.v1:0:1");
    let coming = async {
        shop.apply::<OrderList>(&order).await;
        shop.apply::<CustomerList>(&people).await;
    };
    let (answer, ()) = tokio::join!(asking, coming);
    let order: Value = answer.json().await.unwrap();
    assert_eq!(order["customer_name"], "Ada");
}
