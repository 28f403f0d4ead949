//! Sending a file to the system: items first, then every line, many at once and the lines of one
//! item in the file's order. Out flow counts.
//!
//! Every request carries a key made of the file's own numbers, so a second run changes nothing and
//! is answered as the first one was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::SecondsFormat;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::catalogue::NewItem;
use super::http::{Answer, client, command, segment};
use super::invoices::InvoiceLine;
use super::queue::Queue;
use crate::failure::Failure;

/// What the import has come to so far; shown while it runs.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Requests that were answered.
    pub(crate) answered: AtomicU64,
    /// Lines that the system took.
    pub(crate) accepted: AtomicU64,
    /// Requests that it did not take.
    pub(crate) refused: AtomicU64,
}

/// What the import came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Imported {
    /// Lines that were carried out, now or by an earlier run.
    pub(crate) accepted: u64,
    /// Among them, goods that came back.
    pub(crate) returns: u64,
    /// Requests that an earlier run had carried out.
    pub(crate) replayed: u64,
    /// Lines that were not, by reason.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Items that were not added, by reason.
    pub(crate) items_refused: BTreeMap<String, u64>,
    /// How long it took.
    pub(crate) took: Duration,
    /// Requests sent, repeats not counted.
    pub(crate) commands: u64,
}

/// One request and what it is for.
#[derive(Debug)]
struct Request {
    item: String,
    path: String,
    key: String,
    body: Value,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Item,
    Sale,
    Return,
}

/// Sends everything to the command API at this address.
///
/// # Errors
/// A request stayed unanswered.
pub(crate) async fn run(
    api: &str,
    items: &[NewItem],
    lines: &[InvoiceLine],
    in_flight: usize,
    counters: &Arc<Counters>,
) -> Result<Imported, Failure> {
    let client = client(in_flight)?;
    let began = Instant::now();
    let add = items.iter().map(adding).collect();
    let mut imported = send(&client, api, add, in_flight, counters).await?;
    let move_goods = lines.iter().map(moving).collect();
    imported.add(send(&client, api, move_goods, in_flight, counters).await?);
    imported.took = began.elapsed();
    Ok(imported)
}

async fn send(
    client: &Client,
    api: &str,
    requests: Vec<Request>,
    in_flight: usize,
    counters: &Arc<Counters>,
) -> Result<Imported, Failure> {
    let queue = Arc::new(Queue::new(requests, |request: &Request| request.item.clone()));
    let mut workers = JoinSet::new();
    for _ in 0..in_flight {
        workers.spawn(work(
            client.clone(),
            api.to_owned(),
            Arc::clone(&queue),
            Arc::clone(counters),
        ));
    }
    let mut sum = Imported::default();
    while let Some(done) = workers.join_next().await {
        // The others end with the set.
        sum.add(done.map_err(|_| Failure::new("a worker of the import failed"))??);
    }
    Ok(sum)
}

async fn work(
    client: Client,
    api: String,
    queue: Arc<Queue<Request>>,
    counters: Arc<Counters>,
) -> Result<Imported, Failure> {
    let mut imported = Imported::default();
    let mut next = queue.take();
    while let Some(request) = next {
        let Request { path, key, body, .. } = &request;
        let answer = command(&client, &format!("{api}{path}"), key, body).await?;
        counters.answered.fetch_add(1, Ordering::Relaxed);
        let of_interest = match &answer {
            Answer::Refused(_) => &counters.refused,
            Answer::Accepted | Answer::Replayed => &counters.accepted,
        };
        of_interest.fetch_add(1, Ordering::Relaxed);
        imported.count(request.kind, answer);
        next = queue.after(&request.item);
    }
    Ok(imported)
}

fn adding(item: &NewItem) -> Request {
    let body = json!({
        "sku": item.sku,
        "name": item.name,
        "quantity": item.quantity,
        "unit_price_cents": item.unit_price_cents,
        "currency": "GBP",
    });
    let (path, key) = ("/inventory".to_owned(), format!("item-{}", segment(&item.sku)));
    Request { item: item.sku.clone(), path, key, body, kind: Kind::Item }
}

fn moving(line: &InvoiceLine) -> Request {
    let (item, sku) = (line.sku.clone(), segment(&line.sku));
    let key = format!("{}-{}", segment(&line.invoice), line.number);
    let occurred_at = line.occurred_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let quantity = json!(line.quantity.unsigned_abs());
    let mut body = json!({ "quantity": quantity, "occurred_at": occurred_at });
    body["unit_price_cents"] = json!(line.unit_price_cents);
    if line.is_return() {
        body["reason"] = json!(reason(line));
        return Request {
            item,
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
    Request { item, path, key, body, kind: Kind::Sale }
}

fn reason(line: &InvoiceLine) -> String {
    let invoice = &line.invoice;
    match line.description.as_str() {
        _ if invoice.starts_with('C') => format!("cancelled by invoice {invoice}"),
        "" => format!("taken back by invoice {invoice}"),
        remark => format!("taken back by invoice {invoice}: {remark}"),
    }
}

impl Imported {
    fn count(&mut self, kind: Kind, answer: Answer) {
        self.commands += 1;
        let refusals = if kind == Kind::Item { &mut self.items_refused } else { &mut self.refused };
        match answer {
            Answer::Refused(code) => *refusals.entry(code).or_default() += 1,
            Answer::Accepted | Answer::Replayed => {
                self.replayed += u64::from(answer == Answer::Replayed);
                self.accepted += u64::from(kind != Kind::Item);
                self.returns += u64::from(kind == Kind::Return);
            }
        }
    }

    fn add(&mut self, other: Imported) {
        self.accepted += other.accepted;
        self.returns += other.returns;
        self.replayed += other.replayed;
        self.commands += other.commands;
        for (reason, count) in other.refused {
            *self.refused.entry(reason).or_default() += count;
        }
        for (reason, count) in other.items_refused {
            *self.items_refused.entry(reason).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, sku: &str, quantity: i64) -> InvoiceLine {
        InvoiceLine {
            number,
            invoice: if quantity < 0 { "C5".to_owned() } else { "5".to_owned() },
            sku: sku.to_owned(),
            description: "LANTERN".to_owned(),
            quantity,
            unit_price_cents: 250,
            occurred_at: chrono::DateTime::UNIX_EPOCH,
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
    fn a_replay_counts_as_accepted_and_an_item_is_no_line() {
        let mut imported = Imported::default();
        imported.count(Kind::Item, Answer::Accepted);
        imported.count(Kind::Sale, Answer::Replayed);
        imported.count(Kind::Return, Answer::Accepted);
        imported.count(Kind::Sale, Answer::Refused("invalid_price".to_owned()));
        assert_eq!((imported.accepted, imported.returns, imported.replayed), (2, 1, 1));
        assert_eq!(imported.refused["invalid_price"], 1);
        assert_eq!(imported.commands, 4);
    }
}
