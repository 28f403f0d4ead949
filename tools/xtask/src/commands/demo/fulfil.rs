//! What people do with orders once they are placed: orders as the list shows them flow in, payments,
//! shipments and deliveries flow out, until none is left that waits for anything. What reserves their
//! stock, and gives it back, is the system's own business.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::import::{self, Counters, Imported};
use super::requests::{Request, fulfilling};
use super::system::all_pages;
use crate::failure::Failure;

/// Where an order waits for somebody: for the system, for its payment, to be sent, to arrive.
const UNSETTLED: [&str; 4] = ["confirmed", "pending", "paid", "shipped"];
/// What waits for the system: nobody else can move it.
const UNTOUCHED: &str = "confirmed";
/// Nothing moves for so long only when something is broken.
const STANDS_FOR: Duration = Duration::from_secs(60);
/// Each look is four pages or so.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Where the services are that take part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counter<'a> {
    /// The command API.
    pub(crate) api: &'a str,
    /// The service that lists orders.
    pub(crate) list: &'a str,
}

/// Pays, sends and delivers every order that can be, until every order is settled.
///
/// # Errors
/// A request stayed unanswered, or orders stand still.
pub(crate) async fn run(
    client: &Client,
    counter: Counter<'_>,
    in_flight: usize,
) -> Result<Imported, Failure> {
    let counters = Arc::<Counters>::default();
    let (mut sum, mut sent, mut before) = (Imported::default(), BTreeSet::new(), Vec::new());
    let began = Instant::now();
    let mut moved = began;
    loop {
        let waiting = waiting(client, counter.list).await?;
        if waiting.is_empty() {
            sum.took = began.elapsed();
            return Ok(sum);
        }
        let requests = requests(&waiting, &mut sent);
        if !requests.is_empty() {
            let done = import::send(client, counter.api, requests, in_flight, &counters).await?;
            sum.add(done);
        }
        if waiting != before {
            (before, moved) = (waiting, Instant::now());
        } else if moved.elapsed() >= STANDS_FOR {
            let (count, seconds) = (waiting.len(), STANDS_FOR.as_secs());
            return Err(Failure::new(format!("{count} orders have not moved for {seconds} s")));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// An order that waits: its id, where it stands, what it comes to.
type Waiting = (String, String, i64);

async fn waiting(client: &Client, list: &str) -> Result<Vec<Waiting>, Failure> {
    let mut waiting = Vec::new();
    for status in UNSETTLED {
        let rows = all_pages(client, &format!("{list}/orders?status={status}")).await?;
        waiting.extend(rows.iter().filter_map(order));
    }
    Ok(waiting)
}

fn order(row: &Value) -> Option<Waiting> {
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    Some((text("id")?, text("status")?, row["total_cents"].as_i64()?))
}

/// Everything that is left to do for orders that nobody has done anything for yet. An order that an
/// earlier run has left halfway gets all of it again, which changes nothing twice.
fn requests(waiting: &[Waiting], sent: &mut BTreeSet<String>) -> Vec<Request> {
    let ready = waiting.iter().filter(|(_, status, _)| status != UNTOUCHED);
    let new = ready.filter(|(id, _, _)| sent.insert(id.clone()));
    new.flat_map(|(id, _, total_cents)| fulfilling(id, *total_cents)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_order_whose_stock_is_reserved_is_paid_sent_and_delivered_once() {
        let row = |id: &str, status: &str| {
            order(&json!({"id": id, "status": status, "total_cents": 270})).unwrap()
        };
        let mut sent = BTreeSet::new();
        let first = requests(&[row("a", "confirmed"), row("b", "pending")], &mut sent);
        let paths: Vec<&str> = first.iter().map(|request| request.path.as_str()).collect();
        assert_eq!(paths, ["/orders/b/payments", "/orders/b/shipment", "/orders/b/delivery"]);
        assert_eq!(first[0].body["amount_cents"], 270);
        let again = requests(&[row("a", "pending"), row("b", "shipped")], &mut sent);
        assert_eq!(again.len(), 3, "those of a");
        assert!(again.iter().all(|request| request.group == "a"));
    }
}
