//! What the callers ask for: operations on few items and customers, so that they meet each other.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use reqwest::Method;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::history::Told;

/// So few that two callers often want the same one, so many that every partition of 8 has some.
const ITEMS: u64 = 24;
/// The customers are as few.
const CUSTOMERS: u64 = 8;
/// Orders that callers still do something with: those of about a minute, because an order's process may
/// be that late.
const OPEN_ORDERS: usize = 512;
/// As fine as statistics by country need.
const COUNTRIES: [&str; 4] = ["France", "Norway", "Japan", "Chile"];

/// One request to be.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// The orders that exist, as far as callers were told: an order and what it comes to.
#[derive(Debug, Default)]
pub(crate) struct Known {
    orders: Mutex<VecDeque<(String, i64)>>,
}

impl Known {
    /// An order was acknowledged whose units come to so much.
    pub(crate) fn placed(&self, request: &Request, events: &[Told]) {
        if let (true, Some(first)) = (request.path == "/orders", events.first()) {
            let lines = request.body["items"].as_array().into_iter().flatten();
            let units = |line: &Value| {
                let price = line["sku"].as_str().map(price_of).unwrap_or_default();
                line["quantity"].as_i64().unwrap_or_default() * price
            };
            let total = lines.map(units).sum();
            let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
            orders.push_back((first.stream_id.clone(), total));
            if orders.len() > OPEN_ORDERS {
                orders.pop_front();
            }
        }
    }

    fn any(&self, dice: &mut Dice) -> Option<(String, i64)> {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(dice.below(orders.len() as u64)).ok()?;
        orders.get(index).cloned()
    }
}

fn sku(index: u64) -> String {
    format!("item-{index:02}")
}

fn customer_id(index: u64) -> String {
    Dice::new(index, 99).uuid().to_string() // the same customers in every run
}

/// Prices do not change, so that a caller knows what an order comes to.
fn price_of(sku: &str) -> i64 {
    let index: i64 = sku.trim_start_matches("item-").parse().unwrap_or_default();
    100 + index * 7
}

/// Of every other item there is never enough, so that levels swing around their reorder points and stock is
/// refused to orders; of the others there is, so that orders are sent.
const fn is_scarce(index: u64) -> bool {
    index.is_multiple_of(2)
}

/// What has to be there before anything else can be asked for.
pub(crate) fn opening() -> Vec<Request> {
    let items = (0..ITEMS).map(|index| {
        let sku = sku(index);
        let price = price_of(&sku);
        let body = json!({"sku": sku, "name": format!("Lantern {index}"), "quantity": 40,
                          "unit_price_cents": price, "reorder_point": 10});
        post("/inventory".to_owned(), body)
    });
    let customers = (0..CUSTOMERS).map(|index| {
        let body = json!({"customer_id": customer_id(index), "name": format!("Ada {index}"),
                          "email": format!("ada{index}@example.com")});
        post("/customers".to_owned(), body)
    });
    items.chain(customers).collect()
}

/// The item, and sales of it: the second event is the one that is spoiled.
pub(crate) fn poisonous(sku: &str) -> Vec<Request> {
    let item = json!({"sku": sku, "name": "Lantern", "quantity": 100, "unit_price_cents": 100});
    let sale = || post(format!("/inventory/{sku}/sales"), json!({"quantity": 1}));
    let mut requests = vec![post("/inventory".to_owned(), item)];
    requests.extend(std::iter::repeat_with(sale).take(5));
    requests
}

/// The next operation of a caller.
pub(crate) fn next(dice: &mut Dice, known: &Known) -> Request {
    let index = dice.below(ITEMS);
    let item = sku(index);
    let units = dice.between(1, 5);
    match dice.below(20) {
        0..=6 => {
            let country = dice.one_of(&COUNTRIES).copied();
            let body = json!({"quantity": units, "country": country});
            post(format!("/inventory/{item}/sales"), body)
        }
        7..=9 => {
            let quantity = units * if is_scarce(index) { 2 } else { 5 };
            post(format!("/inventory/{item}/receipts"), json!({"quantity": quantity}))
        }
        10 | 11 => {
            let delta = i64::try_from(dice.below(9)).unwrap_or(0) - 4;
            let delta = if delta == 0 { 5 } else { delta };
            post(
                format!("/inventory/{item}/adjustments"),
                json!({"delta": delta, "reason": "count"}),
            )
        }
        12 => {
            let body = json!({"quantity": 1, "reason": "broken"});
            post(format!("/inventory/{item}/returns"), body)
        }
        13 => {
            let path = format!("/customers/{}", customer_id(dice.below(CUSTOMERS)));
            let body = json!({"name": format!("Ada {}", dice.below(1_000_000))});
            Request { method: Method::PATCH, path, body }
        }
        14 | 15 => place_order(dice),
        _ => on_an_order(dice, known).unwrap_or_else(|| place_order(dice)),
    }
}

fn place_order(dice: &mut Dice) -> Request {
    let mut lines = Vec::new();
    for _ in 0..dice.between(1, 3) {
        lines.push(json!({"sku": sku(dice.below(ITEMS)), "quantity": dice.between(1, 4)}));
    }
    let body = json!({"customer_id": customer_id(dice.below(CUSTOMERS)),
                      "shipping_address": "1 Main Street, Leeds", "items": lines});
    post("/orders".to_owned(), body)
}

/// Many of them are refused: the order may be in any state.
fn on_an_order(dice: &mut Dice, known: &Known) -> Option<Request> {
    let (order, total) = known.any(dice)?;
    let path = |what: &str| format!("/orders/{order}/{what}");
    Some(match dice.below(8) {
        0 => post(path("confirmation"), json!({})),
        1 => {
            let body = json!({"payment_id": dice.uuid().to_string(), "reason": "card declined"});
            post(path("payment_failures"), body)
        }
        2 | 3 => {
            let body = json!({"tracking_number": "RM123456785GB", "carrier": "Royal Mail"});
            post(path("shipment"), body)
        }
        4..=6 => {
            let payment = dice.uuid().to_string();
            let body = json!({"payment_id": payment, "amount_cents": total, "method": "card"});
            post(path("payments"), body)
        }
        _ => post(path("cancellation"), json!({"reason": "changed my mind"})),
    })
}

fn post(path: String, body: Value) -> Request {
    Request { method: Method::POST, path, body }
}
