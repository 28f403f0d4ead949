//! What the processes did, judged by the log's events and by where their instances stand: pure.
//!
//! A process acts under a name of its own (`saga:…`), which stands on the events that it causes. Whatever
//! it was that failed meanwhile, each of its steps happens once, every order ends somewhere or waits for
//! somebody outside, units are promised to orders that may still be sent and to no other, and money that
//! was taken for an order that is not sent is given back.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::rows::Tables;
use super::{Event, Findings};

/// Where orders' processes ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sagas {
    pub(crate) completed: u64,
    pub(crate) compensated: u64,
    /// Wait for the warehouse.
    pub(crate) waiting: u64,
    pub(crate) needs_attention: u64,
}

/// Whether a process caused it.
pub(super) fn is_a_step(event: &Event) -> bool {
    event.actor.as_deref().is_some_and(|actor| actor.starts_with("saga:"))
}

/// Judges every order.
pub(super) fn judge(events: &[Event], tables: &Tables, found: &mut Findings) {
    let (orders, reservations) = (orders(events), reservations(events, found));
    for (id, order) in &orders {
        of_order(id, order, &reservations, found);
    }
    for reservation in reservations.keys().filter(|(order, _)| !orders.contains_key(order)) {
        found.duplicated.push(format!("{reservation:?} is reserved for no order"));
    }
    let instances = &tables.instances;
    for (id, order) in orders.iter().filter(|(_, order)| order.confirmed) {
        match instances.get(id).and_then(|row| row["status"].as_str()) {
            None => found.stuck_sagas.push(format!("{id}: no process was begun")),
            Some("completed" | "compensated") => {}
            // The load sends only some of the orders that are paid.
            Some("running") if order.status == "paid" => found.sagas.waiting += 1,
            Some(status) => {
                let (stands, why) = (order.status, &instances[id]["attention"]);
                found.stuck_sagas.push(format!("{id} is {stands} and its process {status}: {why}"));
            }
        }
    }
    let count =
        |status: &str| instances.values().filter(|row| row["status"] == status).count() as u64;
    found.sagas.completed = count("completed");
    found.sagas.compensated = count("compensated");
    found.sagas.needs_attention = count("needs_attention");
}

#[derive(Debug, Default)]
struct Order {
    confirmed: bool,
    status: &'static str,
    /// By item.
    units: BTreeMap<String, i64>,
    paid: i64,
    refund: i64,
}

fn orders(events: &[Event]) -> BTreeMap<String, Order> {
    let mut all: Vec<&Event> = events.iter().filter(|event| event.is_of("order")).collect();
    all.sort_by_key(|event| (&event.stream_id, event.version));
    let mut orders: BTreeMap<String, Order> = BTreeMap::new();
    for event in all {
        let order = orders.entry(event.stream_id.clone()).or_default();
        match event.name() {
            "OrderConfirmed" => {
                let lines = event.data["lines"].as_array().into_iter().flatten();
                let unit = |line: &serde_json::Value| {
                    Some((line["sku"].as_str()?.to_owned(), line["quantity"].as_i64()?))
                };
                order.units = lines.filter_map(unit).collect();
                (order.confirmed, order.status) = (true, "confirmed");
            }
            "OrderAllocated" => order.status = "pending",
            "OrderPaid" => {
                order.paid += event.data["amount_cents"].as_i64().unwrap_or_default();
                order.status = "paid";
            }
            "OrderShipped" => order.status = "shipped",
            "OrderCancelled" => {
                order.refund += event.data["refund_cents"].as_i64().unwrap_or_default();
                order.status = "cancelled";
            }
            _ => {} // moves no order
        }
    }
    orders
}

/// What became of an item's units that were promised to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    Kept(i64),
    Open(i64),
    Withdrawn,
}

/// By order and item. A promise that is made twice is found here.
fn reservations(events: &[Event], found: &mut Findings) -> BTreeMap<(String, String), Promise> {
    let mut all: Vec<&Event> = events.iter().filter(|event| event.is_of("inventory")).collect();
    all.sort_by_key(|event| (&event.stream_id, event.version));
    let mut promises = BTreeMap::new();
    for event in all {
        let Some(order) = event.data["reservation_id"].as_str() else { continue };
        let key = (order.to_owned(), event.stream_id.clone());
        let units = event.data["quantity"].as_i64().unwrap_or_default();
        let (before, now) = match event.name() {
            "StockReserved" => (None, Promise::Open(units)),
            "ReservationReleased" => (Some(Promise::Open(units)), Promise::Withdrawn),
            "ReservationShipped" => (Some(Promise::Open(units)), Promise::Kept(units)),
            _ => continue,
        };
        let was = promises.insert(key, now);
        if was != before {
            let (name, item) = (event.name(), &event.stream_id);
            found.double_steps.push(format!("{name} of {item} for {order} after {was:?}"));
        }
    }
    promises
}

fn of_order(
    id: &str,
    order: &Order,
    reservations: &BTreeMap<(String, String), Promise>,
    found: &mut Findings,
) {
    let promise = |sku: &String| reservations.get(&(id.to_owned(), sku.clone())).copied();
    let expected = |units: i64| match order.status {
        "pending" | "paid" => Some(Promise::Open(units)),
        "shipped" => Some(Promise::Kept(units)),
        _ => None,
    };
    let mut wrong = BTreeSet::new();
    for (sku, units) in &order.units {
        let right = match (promise(sku), order.status) {
            (None | Some(Promise::Withdrawn), "cancelled") => true,
            (found, _) => found.is_some() && found == expected(*units),
        };
        if !right {
            wrong.insert(format!("{units} of {sku}: {:?}", promise(sku)));
        }
    }
    if !wrong.is_empty() {
        found.divergent_rows.push(format!("{id} is {} and has {wrong:?}", order.status));
    }
    let kept = order.paid - order.refund;
    let sold = matches!(order.status, "paid" | "shipped");
    if kept != if sold { order.paid } else { 0 } {
        let (paid, refund) = (order.paid, order.refund);
        found.divergent_rows.push(format!("{id} is {}: {paid} paid, {refund} back", order.status));
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::checker::Rows;

    fn event(kind: &str, stream_id: &str, version: i64, name: &str, data: Value) -> Event {
        Event {
            topic: format!("run.{kind}.v1"),
            partition: 0,
            position: version,
            stream_id: stream_id.to_owned(),
            version,
            event_id: Uuid::nil(),
            event_type: format!("factline.{kind}.{name}"),
            occurred_at: DateTime::UNIX_EPOCH,
            recorded_at: DateTime::UNIX_EPOCH,
            correlation_id: Uuid::nil(),
            actor: Some("saga:order_fulfilment".to_owned()),
            data,
        }
    }

    fn item(version: i64, name: &str) -> Event {
        event("inventory", "tea", version, name, json!({"reservation_id": "o", "quantity": 2}))
    }

    fn order(version: i64, name: &str, data: Value) -> Event {
        event("order", "o", version, name, data)
    }

    fn confirmed() -> Event {
        let lines = json!([{"sku": "tea", "quantity": 2}]);
        order(1, "OrderConfirmed", json!({"lines": lines}))
    }

    fn found(events: &[Event], status: &str) -> Findings {
        let row = json!({"status": status, "attention": null});
        let tables = Tables { instances: Rows::from([("o".to_owned(), row)]), ..Tables::default() };
        let mut found = Findings::default();
        judge(events, &tables, &mut found);
        found
    }

    fn counts(found: &Findings) -> [usize; 3] {
        [found.double_steps.len(), found.divergent_rows.len(), found.stuck_sagas.len()]
    }

    #[test]
    fn an_order_that_was_sent_or_given_back_in_whole_is_fine() {
        let paid = order(3, "OrderPaid", json!({"amount_cents": 180}));
        let sent = [
            confirmed(),
            item(1, "StockReserved"),
            order(2, "OrderAllocated", json!({})),
            paid.clone(),
            order(4, "OrderShipped", json!({})),
            item(2, "ReservationShipped"),
        ];
        assert_eq!(counts(&found(&sent, "completed")), [0, 0, 0]);
        let given_back = [
            confirmed(),
            item(1, "StockReserved"),
            paid,
            order(4, "OrderCancelled", json!({"refund_cents": 180})),
            item(2, "ReservationReleased"),
        ];
        assert_eq!(counts(&found(&given_back, "compensated")), [0, 0, 0]);
    }

    #[test]
    fn a_step_that_happens_twice_is_found() {
        let twice = [
            confirmed(),
            item(1, "StockReserved"),
            order(2, "OrderCancelled", json!({"refund_cents": 0})),
            item(2, "ReservationReleased"),
            item(3, "ReservationReleased"),
        ];
        assert_eq!(counts(&found(&twice, "compensated")), [1, 0, 0]);
    }

    #[test]
    fn units_that_stay_promised_and_money_that_is_kept_are_found() {
        let cancelled = [
            confirmed(),
            item(1, "StockReserved"),
            order(2, "OrderPaid", json!({"amount_cents": 180})),
            order(3, "OrderCancelled", json!({"refund_cents": 0})),
        ];
        assert_eq!(counts(&found(&cancelled, "compensated")), [0, 2, 0]);
    }

    #[test]
    fn a_process_that_stands_still_is_found_unless_it_waits_for_the_warehouse() {
        let paid = [
            confirmed(),
            item(1, "StockReserved"),
            order(2, "OrderPaid", json!({"amount_cents": 180})),
        ];
        assert_eq!(counts(&found(&paid, "running")), [0, 0, 0]);
        assert_eq!(counts(&found(&paid, "needs_attention")), [0, 0, 1]);
        assert_eq!(counts(&found(&paid[..2], "running")), [0, 1, 1], "nobody went on");
    }
}
