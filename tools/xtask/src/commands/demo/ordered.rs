//! The system's side of what was ordered. A view knows no file's numbers, so the figures come from the
//! event log, as `factline events` shows it to any operator: every customer and every order that
//! there is, whoever made it. Events flow in, figures flow out.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::operator::{Event, Operator};
use super::report::Orders;
use super::requests::customer_named;
use crate::failure::Failure;

const TOPICS: [&str; 2] = ["factline.customer.v1", "factline.order.v1"];

/// What the events say so far.
#[derive(Debug, Default)]
struct Ordered {
    /// By customer id, the number that the file has for the customer.
    customers: BTreeMap<String, String>,
    /// By customer id, what the customer's orders come to.
    total_cents: BTreeMap<String, i64>,
    placed: u64,
    items: u64,
}

#[derive(Deserialize)]
struct Registered {
    name: String,
}

#[derive(Deserialize)]
struct Confirmed {
    customer_id: String,
    lines: Vec<serde_json::Value>,
    total_cents: i64,
}

/// Reads the log. Refusals leave no event: they are the import's to tell, by reason.
///
/// # Errors
/// The operator's program fails, or an event is other than expected.
pub(crate) async fn read(
    operator: &Operator,
    refused: BTreeMap<String, u64>,
) -> Result<Orders, Failure> {
    let mut ordered = Ordered::default();
    for topic in TOPICS {
        operator.events(topic, |event| ordered.take(event)).await?;
    }
    Ok(Orders { refused, ..ordered.figures() })
}

impl Ordered {
    fn take(&mut self, event: Event) -> Result<(), Failure> {
        let Event { event_type, stream_id, data } = event;
        let told = |error| Failure::new(format!("{event_type} of {stream_id}: {error}"));
        match event_type.as_str() {
            "factline.customer.CustomerRegistered" => {
                let Registered { name } = serde_json::from_value(data).map_err(told)?;
                self.customers.insert(stream_id, customer_named(&name).to_owned());
            }
            "factline.order.OrderConfirmed" => {
                let confirmed: Confirmed = serde_json::from_value(data).map_err(told)?;
                self.placed += 1;
                self.items += confirmed.lines.len() as u64;
                *self.total_cents.entry(confirmed.customer_id).or_default() +=
                    confirmed.total_cents;
            }
            _ => {} // an order is what it was when it was confirmed
        }
        Ok(())
    }

    fn figures(&self) -> Orders {
        let numbered =
            |(id, cents): (&String, &i64)| (self.customers.get(id).unwrap_or(id).clone(), *cents);
        let mut rows: Vec<(String, i64)> = self.total_cents.iter().map(numbered).collect();
        rows.sort();
        let text: String =
            rows.iter().map(|(customer, cents)| format!("{customer},{cents}\n")).collect();
        let digest = Sha256::digest(text);
        Orders {
            customers: self.customers.len() as u64,
            placed: self.placed,
            refused: BTreeMap::new(),
            items: self.items,
            total_cents: self.total_cents.values().sum(),
            total_by_customer_sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            ..Orders::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(event_type: &str, stream_id: &str, data: Value) -> Event {
        Event { event_type: event_type.to_owned(), stream_id: stream_id.to_owned(), data }
    }

    fn registered(id: &str, name: &str) -> Event {
        event("factline.customer.CustomerRegistered", id, json!({"name": name, "email": "a@b"}))
    }

    fn confirmed(id: &str, customer_id: &str, lines: usize, total_cents: i64) -> Event {
        let lines = vec![json!({}); lines];
        let data = json!({"customer_id": customer_id, "lines": lines, "total_cents": total_cents});
        event("factline.order.OrderConfirmed", id, data)
    }

    #[test]
    fn confirmed_orders_add_up_under_the_files_number_of_their_customer() {
        let mut ordered = Ordered::default();
        for event in [
            confirmed("o-1", "c-1", 1, 200), // topics are read one after the other, in any order
            registered("c-1", "Customer 9"),
            registered("c-2", "Customer 17"),
            event("factline.order.OrderCreated", "o-2", json!({})),
            confirmed("o-2", "c-2", 2, 600),
            confirmed("o-3", "c-2", 1, 500),
        ] {
            ordered.take(event).unwrap();
        }
        let orders = ordered.figures();
        assert_eq!((orders.customers, orders.placed, orders.items), (2, 3, 4));
        assert_eq!(orders.total_cents, 1_300);
        // printf '17,1100\n9,200\n' | sha256sum
        let digest = "7f6dc2dd137c4c4990c4ea59112fd1f5728134af514b3ba15d5912682117ebff";
        assert_eq!(orders.total_by_customer_sha256, digest);
    }

    #[test]
    fn an_order_that_is_in_the_log_twice_counts_twice() {
        let mut ordered = Ordered::default();
        ordered.take(confirmed("o-1", "c-1", 1, 200)).unwrap();
        ordered.take(confirmed("o-2", "c-1", 1, 200)).unwrap();
        let orders = ordered.figures();
        assert_eq!((orders.placed, orders.total_cents), (2, 400));
    }

    #[test]
    fn an_event_that_cannot_be_read_is_told_with_its_stream() {
        let broken = event("factline.order.OrderConfirmed", "o-1", json!({"undecodable": "x"}));
        let told = Ordered::default().take(broken).unwrap_err().to_string();
        assert!(told.starts_with("factline.order.OrderConfirmed of o-1: missing field"), "{told}");
    }
}
