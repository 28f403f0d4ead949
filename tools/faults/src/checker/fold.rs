//! What the views must hold, folded from the log's events by plain sums: pure, and written without a
//! look at the services' own folds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Event, Rows};

/// What every table must hold, of the columns that are compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Expected {
    pub(super) tables: BTreeMap<&'static str, Rows>,
    /// The events that open an episode.
    pub(super) openings: BTreeSet<String>,
    /// Streams that stand still because one of their events does not decode.
    pub(super) poisoned: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
struct Item {
    name: String,
    price: i64,
    on_hand: i64,
    /// By reservation.
    reserved: BTreeMap<String, i64>,
    reorder_point: i64,
    sales: i64,
    sold: i64,
    revenue: i64,
    returns: i64,
    returned: i64,
    refunded: i64,
    version: i64,
    low: bool,
}

#[derive(Clone, Debug, Default)]
struct Order {
    customer_id: String,
    status: &'static str,
    total: i64,
    paid: Option<i64>,
    version: i64,
}

#[derive(Clone, Debug, Default)]
struct Customer {
    name: String,
    email: String,
    version: i64,
}

/// Sales, units, revenue.
type Sales = BTreeMap<String, [i64; 3]>;

#[derive(Debug, Default)]
struct Folded {
    items: BTreeMap<String, Item>,
    orders: BTreeMap<String, Order>,
    customers: BTreeMap<String, Customer>,
    days: Sales,
    countries: Sales,
    openings: BTreeSet<String>,
    poisoned: BTreeSet<String>,
}

/// Folds everything, each stream in the order of its versions.
pub(super) fn fold(events: &[Event]) -> Expected {
    let mut events: Vec<&Event> = events.iter().collect();
    events.sort_by_key(|event| (&event.topic, &event.stream_id, event.version));
    let mut folded = Folded::default();
    for event in events {
        if event.data["undecodable"].is_string() {
            folded.poisoned.insert(event.stream_id.clone());
        }
        if folded.poisoned.contains(&event.stream_id) {
            continue; // nothing of the stream has an effect from there on
        }
        match event.topic.split('.').rev().nth(1) {
            Some("inventory") => folded.item(event),
            Some("order") => folded.order(event),
            Some("customer") => folded.customer(event),
            _ => {}
        }
    }
    folded.expected()
}

fn number(event: &Event, name: &str) -> i64 {
    plain(&event.data[name]).as_i64().unwrap_or_default()
}

fn text(event: &Event, name: &str) -> Option<String> {
    plain(&event.data[name]).as_str().map(str::to_owned)
}

/// Avro's JSON writes a union's value as an object of one member, its type.
fn plain(value: &Value) -> &Value {
    match value.as_object() {
        Some(object) if object.len() == 1 => object.values().next().unwrap_or(value),
        Some(_) | None => value,
    }
}

impl Item {
    fn units_reserved(&self) -> i64 {
        self.reserved.values().sum()
    }

    fn available(&self) -> i64 {
        self.on_hand - self.units_reserved()
    }
}

impl Folded {
    fn item(&mut self, event: &Event) {
        let item = self.items.entry(event.stream_id.clone()).or_default();
        let quantity = number(event, "quantity");
        item.version += 1;
        match event.name() {
            "ItemAdded" => {
                item.name = text(event, "name").unwrap_or_default();
                item.price = number(event, "unit_price_cents");
                item.on_hand = quantity;
                item.reorder_point = number(event, "reorder_point");
            }
            "StockReceived" => item.on_hand += quantity,
            "StockAdjusted" => item.on_hand += number(event, "delta"),
            "ItemReturned" => {
                item.on_hand += quantity;
                item.returns += 1;
                item.returned += quantity;
                item.refunded += number(event, "refund_cents");
            }
            "ItemSold" => {
                let sale = [1, quantity, number(event, "revenue_cents")];
                item.on_hand -= quantity;
                for (sum, one) in
                    [&mut item.sales, &mut item.sold, &mut item.revenue].into_iter().zip(sale)
                {
                    *sum += one;
                }
                let country = text(event, "country").unwrap_or_else(|| "unknown".to_owned());
                let day = event.occurred_at.date_naive().to_string();
                count(&mut self.days, day, sale);
                count(&mut self.countries, country, sale);
            }
            "StockReserved" => {
                item.reserved.insert(text(event, "reservation_id").unwrap_or_default(), quantity);
            }
            "ReservationReleased" => {
                item.reserved.remove(&text(event, "reservation_id").unwrap_or_default());
            }
            "ReservationShipped" => {
                item.reserved.remove(&text(event, "reservation_id").unwrap_or_default());
                item.on_hand -= quantity;
            }
            _ => {} // nobody asks for anything else of an item
        }
        let low = item.available() <= item.reorder_point;
        if low && !item.low {
            self.openings.insert(event.event_id.to_string());
        }
        item.low = low;
    }

    fn order(&mut self, event: &Event) {
        let order = self.orders.entry(event.stream_id.clone()).or_default();
        order.version += 1;
        match event.name() {
            "OrderCreated" => {
                order.customer_id = text(event, "customer_id").unwrap_or_default();
                order.status = "draft";
            }
            "OrderItemAdded" => {
                order.total += number(event, "quantity") * number(event, "unit_price_cents");
            }
            "OrderConfirmed" => order.status = "confirmed",
            "OrderAllocated" => order.status = "pending",
            "OrderPaid" => {
                order.paid = Some(number(event, "amount_cents"));
                order.status = "paid";
            }
            "OrderShipped" => order.status = "shipped",
            "OrderCancelled" => order.status = "cancelled",
            _ => {} // nobody asks for anything else of an order, or it stays where it is
        }
    }

    fn customer(&mut self, event: &Event) {
        let customer = self.customers.entry(event.stream_id.clone()).or_default();
        customer.version += 1;
        if let Some(name) = text(event, "name") {
            customer.name = name;
        }
        if let Some(email) = text(event, "email") {
            customer.email = email;
        }
    }

    fn expected(self) -> Expected {
        let list = |item: &Item| {
            let Item { name, price, on_hand, reorder_point, version, .. } = item;
            let (reserved, available) = (item.units_reserved(), item.available());
            let status = match (available, item.low) {
                (0, _) => "out",
                (_, true) => "low",
                (_, false) => "in_stock",
            };
            json!({"name": name, "unit_price_cents": price, "on_hand": on_hand,
                   "reserved": reserved, "available": available, "reorder_point": reorder_point,
                   "status": status, "version": version})
        };
        let stats = |item: &Item| {
            let Item { price, on_hand, low, sales, sold, revenue, .. } = item;
            json!({"on_hand": on_hand, "low": low, "stock_value_cents": on_hand * price,
                   "sales": sales, "units_sold": sold, "revenue_cents": revenue,
                   "returns": item.returns, "units_returned": item.returned,
                   "refund_cents": item.refunded})
        };
        let watch =
            |item: &Item| json!({"on_hand": item.on_hand, "reserved": item.units_reserved()});
        let order = |order: &Order| {
            let Order { customer_id, status, total, version, .. } = order;
            json!({"customer_id": customer_id, "status": status, "total_cents": total,
                   "version": version})
        };
        let funnel = |order: &Order| json!({"status": order.status, "total_cents": order.total});
        let shipment = |order: &Order| json!({"customer_id": order.customer_id});
        let completed =
            |order: &Order| Some(json!({"amount_cents": order.paid?, "method": "card"}));
        let completed =
            self.orders.iter().filter_map(|(id, order)| Some((id.clone(), completed(order)?)));
        let customer =
            |one: &Customer| json!({"name": one.name, "email": one.email, "version": one.version});
        let sales = |[sales, units, revenue]: &[i64; 3]| json!({"sales": sales, "units_sold": units, "revenue_cents": revenue});
        let tables = [
            ("inventory_list", table(&self.items, list)),
            ("inventory_stats", table(&self.items, stats)),
            ("stock_watch", table(&self.items, watch)),
            ("order_list", table(&self.orders, order)),
            ("order_funnel", table(&self.orders, funnel)),
            ("order_completed", completed.collect()),
            ("shipment_requests", table(&self.orders, shipment)),
            ("customer_list", table(&self.customers, customer)),
            ("sales_by_day", table(&self.days, sales)),
            ("sales_by_country", table(&self.countries, sales)),
        ];
        Expected { tables: tables.into(), openings: self.openings, poisoned: self.poisoned }
    }
}

fn table<T>(rows: &BTreeMap<String, T>, row: impl Fn(&T) -> Value) -> Rows {
    rows.iter().map(|(key, one)| (key.clone(), row(one))).collect()
}

fn count(sales: &mut Sales, key: String, sale: [i64; 3]) {
    let sums = sales.entry(key).or_default();
    sums.iter_mut().zip(sale).for_each(|(sum, one)| *sum += one);
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    fn event(name: &str, version: i64, data: Value) -> Event {
        Event {
            topic: "run.inventory.v1".to_owned(),
            partition: 0,
            position: version,
            stream_id: "item-01".to_owned(),
            version,
            event_id: Uuid::from_u128(u128::try_from(version).unwrap()),
            event_type: format!("factline.inventory.{name}"),
            occurred_at: DateTime::UNIX_EPOCH,
            recorded_at: DateTime::UNIX_EPOCH,
            correlation_id: Uuid::nil(),
            actor: None,
            data,
        }
    }

    #[test]
    fn an_items_units_and_sales_are_the_sums_of_its_events() {
        let added = json!({"name": "Lantern", "quantity": 20, "unit_price_cents": 100, "reorder_point": 10});
        let sold = json!({"quantity": 12, "revenue_cents": 1_200, "country": {"string": "Chile"}});
        let expected = fold(&[
            event("ItemSold", 2, sold),
            event("ItemAdded", 1, added),
            event("StockReceived", 3, json!({"quantity": 3})),
        ]);
        let list = &expected.tables["inventory_list"]["item-01"];
        assert_eq!((&list["on_hand"], &list["version"]), (&json!(11), &json!(3)));
        assert_eq!(list["status"], "in_stock");
        let country = &expected.tables["sales_by_country"]["Chile"];
        assert_eq!(country["revenue_cents"], 1_200);
        assert_eq!(expected.tables["sales_by_day"]["1970-01-01"]["units_sold"], 12);
        let opening = Uuid::from_u128(2).to_string();
        assert_eq!(expected.openings, [opening].into(), "8 units are at most 10");
    }
}
