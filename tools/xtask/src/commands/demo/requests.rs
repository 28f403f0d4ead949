//! What the import asks of the system: items, customers, orders and lines flow in, requests flow
//! out. Each carries a key made of the file's own numbers, so that it means the same for ever.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::catalogue::NewItem;
use super::http::segment;
use super::invoices::InvoiceLine;
use super::orders::NewOrder;

/// One request and what it is for.
#[derive(Debug)]
pub(crate) struct Request {
    /// Those of one group are sent one after the other.
    pub(crate) group: String,
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) body: Value,
    pub(crate) kind: Kind,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Item,
    Customer,
    Sale,
    Return,
    Order {
        /// Lines of the file that are in it.
        lines: u64,
    },
    /// Something that people do with an order that is placed.
    Step,
}

impl Kind {
    /// Lines of the file that such a request carries out.
    pub(crate) fn lines(self) -> u64 {
        match self {
            Kind::Item | Kind::Customer | Kind::Step => 0,
            Kind::Sale | Kind::Return => 1,
            Kind::Order { lines } => lines,
        }
    }
}

/// The currency of the file's prices.
const CURRENCY: &str = "GBP";
/// What a customer is called: this, and the number that the file has instead of a name.
const CUSTOMER: &str = "Customer ";

/// Makes an item known.
pub(crate) fn adding(item: &NewItem) -> Request {
    let body = json!({
        "sku": item.sku,
        "name": item.name,
        "quantity": item.quantity,
        "unit_price_cents": item.unit_price_cents,
        "currency": CURRENCY,
    });
    let (path, key) = ("/inventory".to_owned(), format!("item-{}", segment(&item.sku)));
    Request { group: item.sku.clone(), path, key, body, kind: Kind::Item }
}

/// Makes a customer known. The file has no addresses; under `.example` nobody gets mail (RFC 2606).
pub(crate) fn registering(customer: &str) -> Request {
    let key = format!("customer-{}", segment(customer));
    let body = json!({
        "customer_id": customer_id(customer),
        "name": format!("{CUSTOMER}{customer}"),
        "email": format!("{}@customers.example", segment(customer)),
    });
    Request { group: key.clone(), path: "/customers".to_owned(), key, body, kind: Kind::Customer }
}

/// The file's number of a customer that was registered here under this name.
pub(crate) fn customer_named(name: &str) -> &str {
    name.strip_prefix(CUSTOMER).unwrap_or(name)
}

/// Places a customer's order. The prices are the catalogue's: none is sent.
pub(crate) fn placing(order: &NewOrder) -> Request {
    let key = key_of(order);
    let items = order.items.iter().map(|item| json!({"sku": item.sku, "quantity": item.quantity}));
    let body = json!({
        "order_id": order_id(order),
        "customer_id": customer_id(order.customer),
        "items": items.collect::<Vec<_>>(),
        "shipping_address": if order.country.is_empty() { "unknown" } else { order.country },
        "currency": CURRENCY,
        "occurred_at": time(order.occurred_at),
    });
    let kind = Kind::Order { lines: order.lines() };
    Request { group: key.clone(), path: "/orders".to_owned(), key, body, kind }
}

/// Gives an order up, right behind its placing.
pub(crate) fn giving_up(order: &NewOrder) -> Request {
    let id = order_id(order);
    let path = format!("/orders/{id}/cancellation");
    let body = json!({"reason": "the customer wants none of it"});
    Request { group: key_of(order), path, key: format!("cancel-{id}"), body, kind: Kind::Step }
}

/// Pays an order, sends it, delivers it, one after the other.
pub(crate) fn fulfilling(id: &str, total_cents: i64) -> [Request; 3] {
    let step = |what: &str, body: Value| Request {
        group: id.to_owned(),
        path: format!("/orders/{id}/{what}"),
        key: format!("{what}-{id}"),
        body,
        kind: Kind::Step,
    };
    let payment =
        json!({"payment_id": format!("pay-{id}"), "amount_cents": total_cents, "method": "card"});
    let shipment = json!({"tracking_number": format!("DEMO-{id}"), "carrier": "Royal Mail"});
    [step("payments", payment), step("shipment", shipment), step("delivery", json!({}))]
}

/// Sells what the line says, or takes it back.
pub(crate) fn moving(line: &InvoiceLine) -> Request {
    let (group, sku) = (line.sku.clone(), segment(&line.sku));
    let key = format!("{}-{}", segment(&line.invoice), line.number);
    let quantity = json!(line.quantity.unsigned_abs());
    let mut body = json!({ "quantity": quantity, "occurred_at": time(line.occurred_at) });
    body["unit_price_cents"] = json!(line.unit_price_cents);
    if line.is_return() {
        body["reason"] = json!(reason(line));
        return Request {
            group,
            path: format!("/inventory/{sku}/returns"),
            key,
            body,
            kind: Kind::Return,
        };
    }
    if !line.country.is_empty() {
        body["country"] = json!(line.country);
    }
    let path = format!("/inventory/{sku}/sales");
    Request { group, path, key, body, kind: Kind::Sale }
}

fn reason(line: &InvoiceLine) -> String {
    let invoice = &line.invoice;
    match line.description.as_str() {
        _ if invoice.starts_with('C') => format!("cancelled by invoice {invoice}"),
        "" => format!("taken back by invoice {invoice}"),
        remark => format!("taken back by invoice {invoice}: {remark}"),
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn key_of(order: &NewOrder) -> String {
    format!("order-{}-{}-{}", segment(order.invoice), segment(order.customer), order.part)
}

/// Chosen here, so that an order need not wait for an answer to learn it.
fn customer_id(customer: &str) -> String {
    id_of(&format!("factline demo customer {customer}"))
}

/// Chosen here, so that whatever follows need not wait for an answer to learn it.
fn order_id(order: &NewOrder) -> String {
    id_of(&format!("factline demo {}", key_of(order)))
}

/// A UUID of version 8, whose bits are free (RFC 9562, 5.8).
fn id_of(name: &str) -> String {
    let digest = Sha256::digest(name);
    let mut hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    hex.replace_range(12..13, "8"); // the version
    hex.replace_range(16..17, "8"); // the variant
    for place in [20, 16, 12, 8] {
        hex.insert(place, '-');
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::super::orders::OrderedItem;
    use super::*;

    fn line(number: u64, sku: &str, quantity: i64) -> InvoiceLine {
        InvoiceLine {
            number,
            invoice: if quantity < 0 { "C5".to_owned() } else { "5".to_owned() },
            sku: sku.to_owned(),
            description: "LANTERN".to_owned(),
            quantity,
            unit_price_cents: 250,
            occurred_at: DateTime::UNIX_EPOCH,
            customer: String::new(),
            country: "France".to_owned(),
        }
    }

    #[test]
    fn a_line_becomes_a_sale_or_a_return_with_a_key_of_its_own() {
        let sale = moving(&line(7, "BANK CHARGES", 3));
        assert_eq!(sale.path, "/inventory/BANK%20CHARGES/sales");
        assert_eq!(sale.key, "5-7");
        assert_eq!(sale.body["occurred_at"], "1970-01-01T00:00:00Z");
        assert_eq!(sale.body["country"], "France");
        let back = moving(&line(8, "A", -2));
        assert_eq!((back.path.as_str(), back.key.as_str()), ("/inventory/A/returns", "C5-8"));
        assert_eq!(back.body["quantity"], 2);
        assert_eq!(back.body["reason"], "cancelled by invoice C5");
    }

    #[test]
    fn an_order_names_the_customer_who_was_registered_and_no_price() {
        let customer = registering("17 850");
        assert_eq!(customer.body["email"], "17%20850@customers.example");
        assert_eq!(customer_named(customer.body["name"].as_str().unwrap()), "17 850");
        let order = placing(&NewOrder {
            customer: "17 850",
            invoice: "5",
            part: 2,
            country: "",
            occurred_at: DateTime::UNIX_EPOCH,
            items: vec![OrderedItem { sku: "A", quantity: 3, lines: 2 }],
        });
        assert_eq!(order.key, "order-5-17%20850-2");
        assert_eq!(order.kind, Kind::Order { lines: 2 });
        assert_eq!(order.body["customer_id"], customer.body["customer_id"]);
        assert_eq!(order.body["items"], json!([{"sku": "A", "quantity": 3}]));
        assert_eq!(order.body["shipping_address"], "unknown");
    }

    #[test]
    fn an_order_that_is_given_up_is_given_up_behind_its_placing() {
        let order = NewOrder {
            customer: "17850",
            invoice: "536360",
            part: 1,
            country: "",
            occurred_at: DateTime::UNIX_EPOCH,
            items: Vec::new(),
        };
        let (placed, given_up) = (placing(&order), giving_up(&order));
        assert_eq!(placed.group, given_up.group);
        let id = placed.body["order_id"].as_str().unwrap();
        assert_eq!(given_up.path, format!("/orders/{id}/cancellation"));
        assert_eq!(given_up.kind.lines(), 0);
    }

    #[test]
    fn a_customers_id_is_a_uuid_and_always_the_same() {
        let id = customer_id("17850");
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!((&id[14..15], &id[19..20]), ("8", "8"));
        assert_eq!(id, customer_id("17850"));
        assert_ne!(id, customer_id("17851"));
    }
}
