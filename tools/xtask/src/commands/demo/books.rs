//! Whether anything got lost on the way from order to delivery: the log's events flow in, verdicts on
//! stock and money flow out. Adds up for itself, order by order and item by item.

use std::collections::BTreeMap;

use serde_json::Value;

use super::operator::{Event, Operator};
use crate::failure::Failure;

const TOPICS: [&str; 2] = ["factline.inventory.v1", "factline.order.v1"];

/// Everything that the events say.
#[derive(Debug, Default)]
pub(crate) struct Books {
    items: BTreeMap<String, Item>,
    orders: BTreeMap<String, Order>,
}

#[derive(Debug, Default)]
struct Item {
    on_hand: i64,
    /// By reservation.
    reserved: BTreeMap<String, i64>,
    /// By reservation.
    sent: BTreeMap<String, i64>,
}

#[derive(Debug, Default)]
struct Order {
    status: &'static str,
    /// By item.
    units: BTreeMap<String, i64>,
    total_cents: i64,
    paid_cents: i64,
    refund_cents: i64,
}

/// Reads the log.
///
/// # Errors
/// The operator's program fails.
pub(crate) async fn read(operator: &Operator) -> Result<Books, Failure> {
    let mut books = Books::default();
    for topic in TOPICS {
        operator
            .events(topic, |event| {
                books.take(&event);
                Ok(())
            })
            .await?;
    }
    Ok(books)
}

impl Books {
    fn take(&mut self, Event { event_type, stream_id, data }: &Event) {
        match event_type.split('.').nth(1) {
            Some("inventory") => {
                self.items.entry(stream_id.clone()).or_default().take(event_type, data);
            }
            Some("order") => {
                self.orders.entry(stream_id.clone()).or_default().take(event_type, data);
            }
            _ => {}
        }
    }

    /// How many orders there are, by where they stand.
    pub(crate) fn settled(&self) -> BTreeMap<String, u64> {
        let mut settled = BTreeMap::new();
        for order in self.orders.values() {
            *settled.entry(order.status.to_owned()).or_default() += 1;
        }
        settled
    }

    /// Whether every unit is where it must be: what an order was sent is what was on it, and nothing
    /// else was sent or is still reserved; and the list has the units that the events come to. `listed`:
    /// rows of the list.
    pub(crate) fn stock_is_conserved(&self, listed: &[Value]) -> bool {
        let sent = |sku: &str, order: &str| {
            self.items.get(sku).and_then(|item| item.sent.get(order)).copied().unwrap_or_default()
        };
        let as_ordered = self.orders.iter().all(|(id, order)| {
            let left = ["shipped", "delivered"].contains(&order.status);
            order.units.iter().all(|(sku, units)| sent(sku, id) == if left { *units } else { 0 })
        });
        let sent_units: i64 = self.items.values().flat_map(|item| item.sent.values()).sum();
        let left =
            self.orders.values().filter(|one| ["shipped", "delivered"].contains(&one.status));
        let ordered_units: i64 = left.flat_map(|order| order.units.values()).sum();
        let as_listed = listed.len() == self.items.len()
            && listed.iter().all(|row| {
                let item = row["sku"].as_str().and_then(|sku| self.items.get(sku));
                item.is_some_and(|item| row["on_hand"] == item.on_hand && row["reserved"] == 0)
            });
        let none_reserved = self.items.values().all(|item| item.reserved.is_empty());
        as_ordered && sent_units == ordered_units && none_reserved && as_listed
    }

    /// Whether every cent is where it must be: an order that is paid was paid what it comes to, and one
    /// that was given up has given all of that back.
    pub(crate) fn money_is_conserved(&self) -> bool {
        self.orders.values().all(|order| {
            let kept = order.paid_cents - order.refund_cents;
            match order.status {
                "paid" | "shipped" | "delivered" => {
                    kept == order.total_cents && order.refund_cents == 0
                }
                _ => kept == 0,
            }
        })
    }
}

fn number(data: &Value, name: &str) -> i64 {
    data[name].as_i64().unwrap_or_default()
}

fn text(data: &Value, name: &str) -> String {
    data[name].as_str().unwrap_or_default().to_owned()
}

impl Item {
    fn take(&mut self, event_type: &str, data: &Value) {
        let (quantity, reservation) = (number(data, "quantity"), text(data, "reservation_id"));
        match event_type.rsplit('.').next().unwrap_or_default() {
            "ItemAdded" | "StockReceived" | "ItemReturned" => self.on_hand += quantity,
            "ItemSold" => self.on_hand -= quantity,
            "StockAdjusted" => self.on_hand += number(data, "delta"),
            "StockReserved" => *self.reserved.entry(reservation).or_default() += quantity,
            "ReservationReleased" => drop(self.reserved.remove(&reservation)),
            "ReservationShipped" => {
                self.reserved.remove(&reservation);
                self.on_hand -= quantity;
                *self.sent.entry(reservation).or_default() += quantity;
            }
            _ => {} // moves no unit
        }
    }
}

impl Order {
    fn take(&mut self, event_type: &str, data: &Value) {
        let status = match event_type.rsplit('.').next().unwrap_or_default() {
            "OrderCreated" => "draft",
            "OrderConfirmed" => {
                let lines = data["lines"].as_array().into_iter().flatten();
                self.units =
                    lines.map(|line| (text(line, "sku"), number(line, "quantity"))).collect();
                self.total_cents = number(data, "total_cents");
                "confirmed"
            }
            "OrderAllocated" => "pending",
            "OrderPaid" => {
                self.paid_cents += number(data, "amount_cents");
                "paid"
            }
            "OrderShipped" => "shipped",
            "OrderDelivered" => "delivered",
            "OrderCancelled" => {
                self.refund_cents += number(data, "refund_cents");
                "cancelled"
            }
            "OrderAmountCorrected" => {
                self.total_cents = number(data, "total_cents");
                self.status
            }
            _ => self.status,
        };
        self.status = status;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn books(events: &[(&str, &str, Value)]) -> Books {
        let mut books = Books::default();
        for (event_type, stream_id, data) in events {
            let (event_type, stream_id) =
                (format!("factline.{event_type}"), (*stream_id).to_owned());
            books.take(&Event { event_type, stream_id, data: data.clone() });
        }
        books
    }

    /// One item, and an order of two of it up to its payment.
    fn paid() -> Vec<(&'static str, &'static str, Value)> {
        let line = json!({"sku": "tea", "name": "Tea", "quantity": 2, "unit_price_cents": 90});
        let reserved = json!({"reservation_id": "o", "quantity": 2});
        vec![
            ("inventory.ItemAdded", "tea", json!({"quantity": 10})),
            ("order.OrderCreated", "o", json!({})),
            ("order.OrderConfirmed", "o", json!({"lines": [line], "total_cents": 180})),
            ("inventory.StockReserved", "tea", reserved),
            ("order.OrderAllocated", "o", json!({})),
            ("order.OrderPaid", "o", json!({"amount_cents": 180})),
        ]
    }

    fn listed(on_hand: i64) -> [Value; 1] {
        [json!({"sku": "tea", "on_hand": on_hand, "reserved": 0})]
    }

    #[test]
    fn what_was_sent_is_what_was_ordered_and_left_the_shelf() {
        let mut events = paid();
        let sent = json!({"reservation_id": "o", "quantity": 2});
        events.push(("order.OrderShipped", "o", json!({})));
        assert!(
            !books(&events).stock_is_conserved(&listed(10)),
            "it is on its way and on the shelf"
        );
        events.push(("inventory.ReservationShipped", "tea", sent.clone()));
        let good = books(&events);
        assert!(good.stock_is_conserved(&listed(8)) && good.money_is_conserved());
        assert!(!good.stock_is_conserved(&listed(10)), "the list says otherwise");
        assert!(!good.stock_is_conserved(&[]), "the list has no such item");
        assert_eq!(good.settled(), [("shipped".to_owned(), 1)].into());
        events.push(("inventory.ReservationShipped", "tea", sent));
        assert!(!books(&events).stock_is_conserved(&listed(6)), "it was sent twice");
    }

    #[test]
    fn an_order_that_is_given_up_gives_everything_back() {
        let mut events = paid();
        let cancelled = |cents: i64| ("order.OrderCancelled", "o", json!({"refund_cents": cents}));
        events.push(cancelled(0));
        let kept = books(&events);
        assert!(!kept.stock_is_conserved(&listed(10)), "its units are still reserved");
        assert!(!kept.money_is_conserved(), "its money was kept");
        events.pop();
        events.push(cancelled(180));
        let released = json!({"reservation_id": "o", "quantity": 2});
        events.push(("inventory.ReservationReleased", "tea", released));
        let good = books(&events);
        assert!(good.stock_is_conserved(&listed(10)) && good.money_is_conserved());
    }
}
