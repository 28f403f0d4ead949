//! What the warehouse has to send: the view on histories that are told, and its query over HTTP.

use domain::order::{ConfirmedLine, OrderConfirmed, OrderEvent};
use factline_core::Recorded;
use factline_testkit::{History, ViewSpec, recorded};
use projector_list::shipment_requests::{ItemToShip, ShipmentRequests, ShipmentRow};
use serde_json::{Value, json};

use crate::{shop::Shop, words::*};

fn confirmed_with_tea(units: i64) -> OrderEvent {
    let line = ConfirmedLine {
        sku: "tea".to_owned(),
        name: "The tea".to_owned(),
        quantity: units,
        unit_price_cents: 90,
    };
    let (customer_id, currency) = (ADA.to_owned(), "GBP".to_owned());
    OrderConfirmed { customer_id, lines: vec![line], total_cents: units * 90, currency }.into()
}

/// Of each order as much as has happened to it by a minute.
fn orders() -> Vec<Recorded<OrderEvent>> {
    let at = |minute: u32| format!("2026-01-04T10:{minute:02}:00Z");
    let life = |number: u32| {
        let begin = [created_for(ADA), added("tea", 2, 90), confirmed_with_tea(2), allocated(180)];
        let end = match number {
            0 => vec![], // not paid
            1 => vec![paid(180), shipped(), delivered()],
            2 => vec![paid(180), cancelled(180)],
            3 => vec![payment_failed(), cancelled(0)],
            _ => vec![paid(180)],
        };
        begin.into_iter().chain(end)
    };
    let mut history = History::new();
    for number in 0..9 {
        for event in life(number) {
            // Two at a time, so that only the id orders some of them.
            history = history.at(&at(number / 2)).then(&order(number), event);
        }
    }
    history.build()
}

#[test]
fn an_order_asks_for_its_shipment_when_it_is_paid() {
    let second = |second| {
        "2026-01-05T09:00:00Z"
            .parse()
            .map(|at: chrono::DateTime<_>| at + chrono::Duration::seconds(second))
            .ok()
    };
    let row = ShipmentRow {
        order_id: "A".to_owned(),
        customer_id: ADA.to_owned(),
        shipping_address: "12 St James's Square, London".to_owned(),
        items: vec![ItemToShip { sku: "tea".to_owned(), name: "The tea".to_owned(), quantity: 3 }],
        requested_at: None,
        shipped_at: None,
        tracking_number: None,
        carrier: None,
        withdrawn_at: None,
    };
    let unpaid = [("A", created_for(ADA)), ("A", confirmed_with_tea(3)), ("A", allocated(270))];
    let expect = |events: &[(&'static str, OrderEvent)], row: ShipmentRow| {
        let history = recorded(events.to_vec());
        ViewSpec::<ShipmentRequests>::given(history).then_rows([("A".to_owned(), row)]);
    };
    expect(&unpaid, row.clone());
    let mut events = unpaid.to_vec();
    events.push(("A", paid(270)));
    let requested = ShipmentRow { requested_at: second(4), ..row };
    expect(&events, requested.clone());
    let mut given_up = events.clone();
    given_up.push(("A", cancelled(270)));
    expect(&given_up, ShipmentRow { withdrawn_at: second(5), ..requested.clone() });
    events.push(("A", shipped()));
    let sent = ShipmentRow {
        shipped_at: second(5),
        tracking_number: Some("RM123456785GB".to_owned()),
        carrier: Some("Royal Mail".to_owned()),
        ..requested
    };
    expect(&events, sent);
}

#[tokio::test]
async fn the_warehouse_sees_what_it_has_to_send_the_oldest_request_first() {
    let shop = Shop::open("the_warehouse", 0, Vec::new()).await;
    shop.apply::<ShipmentRequests>(&orders()).await;
    let ids = |items: Vec<Value>| {
        let id = |item: &Value| item["order_id"].as_str().unwrap().to_owned();
        items.iter().map(id).collect::<Vec<_>>()
    };
    let numbers = |numbers: &[u32]| numbers.iter().map(|one| order(*one)).collect::<Vec<_>>();
    let open = shop.all_pages("/shipments", "&state=open").await;
    assert_eq!(ids(open.clone()), numbers(&[4, 5, 6, 7, 8]));
    assert_eq!(
        open[0],
        json!({
            "order_id": order(4), "customer_id": ADA, "state": "open",
            "shipping_address": "12 St James's Square, London",
            "items": [{"sku": "tea", "name": "The tea", "quantity": 2}],
            "requested_at": "2026-01-04T10:02:00Z", "shipped_at": null, "tracking_number": null,
            "carrier": null, "withdrawn_at": null,
        })
    );
    let all = shop.all_pages("/shipments", "").await;
    assert_eq!(ids(all), numbers(&[1, 2, 4, 5, 6, 7, 8]));
    for (state, number) in [("shipped", 1), ("withdrawn", 2)] {
        let one = shop.all_pages("/shipments", &format!("&state={state}")).await;
        assert_eq!(ids(one.clone()), numbers(&[number]));
        assert_eq!(one[0]["state"], state);
    }
}

#[tokio::test]
async fn h34_h35_h38_a_query_of_shipments_that_does_not_fit_is_refused() {
    let shop = Shop::open("h34_shipments", 0, Vec::new()).await;
    shop.apply::<ShipmentRequests>(&orders()).await;
    shop.refused("/shipments?state=lost", 422, "invalid_field").await;
    shop.refused("/shipments?limit=0", 422, "invalid_field").await;
    let page = shop.page("/shipments?state=open&limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let of_another = format!("/shipments?state=shipped&cursor={cursor}");
    shop.refused(&of_another, 400, "malformed_cursor").await;
    let ahead = shop.get_with_token("/shipments", "factline.order.v1:0:1000").await;
    assert_eq!(ahead.status().as_u16(), 503);
}
