//! Sending a file to the system: items and customers first, then orders and every other line, many
//! at once and the lines of one item in the file's order. Out flow counts.
//!
//! Every request carries a key made of the file's own numbers, so a second run changes nothing and
//! is answered as the first one was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::task::JoinSet;

use super::catalogue::NewItem;
use super::http::{Answer, client, command};
use super::orders::Plan;
use super::queue::Queue;
use super::requests::{Kind, Request, adding, giving_up, moving, placing, registering};
use crate::failure::Failure;

/// What the import has come to so far; shown while it runs.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Requests that were answered.
    pub(crate) answered: AtomicU64,
    /// Requests that the system took.
    pub(crate) accepted: AtomicU64,
    /// Requests that it did not take.
    pub(crate) refused: AtomicU64,
}

/// What the import came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Imported {
    /// Lines that were carried out, in an order or not, now or by an earlier run.
    pub(crate) accepted: u64,
    /// Among them, goods that came back.
    pub(crate) returns: u64,
    /// Requests that an earlier run had carried out.
    pub(crate) replayed: u64,
    /// Lines that were not, by reason; a refused order's reason is that of all its lines.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Orders that were not placed, by reason.
    pub(crate) orders_refused: BTreeMap<String, u64>,
    /// Items that were not added, by reason.
    pub(crate) items_refused: BTreeMap<String, u64>,
    /// Customers that were not registered, by reason.
    pub(crate) customers_refused: BTreeMap<String, u64>,
    /// How long it took.
    pub(crate) took: Duration,
    /// Requests sent, repeats not counted.
    pub(crate) commands: u64,
}

/// Sends everything to the command API at this address.
///
/// # Errors
/// A request stayed unanswered.
pub(crate) async fn run(
    api: &str,
    items: &[NewItem],
    plan: &Plan<'_>,
    in_flight: usize,
    counters: &Arc<Counters>,
) -> Result<Imported, Failure> {
    let client = client(in_flight)?;
    let began = Instant::now();
    let customers = plan.customers.iter().map(|customer| registering(customer));
    let make_known = items.iter().map(adding).chain(customers).collect();
    let mut imported = send(&client, api, make_known, in_flight, counters).await?;
    let orders = plan.orders.iter().flat_map(|order| {
        let given_up = order.is_given_up().then(|| giving_up(order));
        std::iter::once(placing(order)).chain(given_up)
    });
    let rest = orders.chain(plan.lines.iter().map(|line| moving(line))).collect();
    imported.add(send(&client, api, rest, in_flight, counters).await?);
    imported.took = began.elapsed();
    Ok(imported)
}

/// Sends requests, many at once and those of one group one after the other.
///
/// # Errors
/// A request stayed unanswered.
pub(super) async fn send(
    client: &Client,
    api: &str,
    requests: Vec<Request>,
    in_flight: usize,
    counters: &Arc<Counters>,
) -> Result<Imported, Failure> {
    let queue = Arc::new(Queue::new(requests, |request: &Request| request.group.clone()));
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
        next = queue.after(&request.group);
    }
    Ok(imported)
}

impl Imported {
    fn count(&mut self, kind: Kind, answer: Answer) {
        self.commands += 1;
        match answer {
            Answer::Refused(code) => self.refuse(kind, code),
            Answer::Accepted | Answer::Replayed => {
                self.replayed += u64::from(answer == Answer::Replayed);
                self.accepted += kind.lines();
                self.returns += u64::from(kind == Kind::Return);
            }
        }
    }

    fn refuse(&mut self, kind: Kind, code: String) {
        if let Kind::Order { .. } | Kind::Step = kind {
            *self.orders_refused.entry(code.clone()).or_default() += 1;
        }
        let (refusals, count) = match kind {
            Kind::Item => (&mut self.items_refused, 1),
            Kind::Customer => (&mut self.customers_refused, 1),
            Kind::Sale | Kind::Return | Kind::Order { .. } => (&mut self.refused, kind.lines()),
            Kind::Step => return, // an order's, and no line's
        };
        *refusals.entry(code).or_default() += count;
    }

    /// Takes in what another part of the import came to.
    pub(super) fn add(&mut self, other: Imported) {
        self.accepted += other.accepted;
        self.returns += other.returns;
        self.replayed += other.replayed;
        self.commands += other.commands;
        for (sum, more) in [
            (&mut self.refused, other.refused),
            (&mut self.orders_refused, other.orders_refused),
            (&mut self.items_refused, other.items_refused),
            (&mut self.customers_refused, other.customers_refused),
        ] {
            for (reason, count) in more {
                *sum.entry(reason).or_default() += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn an_order_counts_with_all_its_lines_whether_it_is_taken_or_not() {
        let mut imported = Imported::default();
        imported.count(Kind::Order { lines: 3 }, Answer::Accepted);
        imported.count(Kind::Order { lines: 2 }, Answer::Refused("unknown_item".to_owned()));
        assert_eq!((imported.accepted, imported.refused["unknown_item"]), (3, 2));
        assert_eq!(imported.orders_refused["unknown_item"], 1);
        let mut sum = imported.clone();
        sum.add(imported);
        assert_eq!((sum.refused["unknown_item"], sum.orders_refused["unknown_item"]), (4, 2));
    }
}
