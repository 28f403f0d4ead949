//! Requests: the same bytes for both servers, as fast as answers come or at a fixed rate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bench_load::{Gauge, Measured, Meter, Notes, Pace};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc::UnboundedReceiver;

use super::connection::{Answer, Connection};
use crate::failure::Failure;
use crate::verify::Numbers;

/// Items that requests go to, at random.
pub(crate) const ITEMS: usize = 1_000;
/// Added to a request's number, so that every body has the same length.
pub(crate) const FIRST_PRICE: u64 = 1_000_000_000;
/// The same in every run; each connection adds its number.
const SEED: u64 = 0x5eed;

/// How requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Drive {
    /// Each connection sends its next request when its last one is answered.
    Maximum,
    /// So many a second over all connections, whether or not earlier ones are answered; a latency
    /// counts from the moment a request was due.
    At(f64),
}

/// The load of one cell.
pub(super) struct Load<'a> {
    pub(super) server: SocketAddr,
    pub(super) connections: usize,
    pub(super) drive: Drive,
    pub(super) pace: Pace,
    pub(super) meter: &'a Meter,
    /// Continues from cell to cell of one database.
    pub(super) numbers: &'a Numbers,
    /// What every answer must have.
    pub(super) status: u16,
}

/// Puts the load on the server.
pub(super) async fn run(load: &Load<'_>) -> Result<Measured, Failure> {
    let gauge = Gauge::new();
    let mut clients = Vec::new();
    for seed in (0_u64..).take(load.connections) {
        clients.push(Client::open(load.server, load.numbers, seed, load.status).await?);
    }
    let notes = || gauge.notes();
    Ok(match load.drive {
        Drive::Maximum => {
            let workers = clients.into_iter().map(|client| closed(client, notes()));
            bench_load::measure(&gauge, load.pace, load.meter, workers, async || {}).await?
        }
        Drive::At(per_second) => {
            let (dues, clock) = bench_load::pace(&gauge, per_second, load.connections);
            let workers = clients.into_iter().zip(dues);
            let workers = workers.map(|(client, dues)| open(client, dues, notes()));
            let measured =
                bench_load::measure(&gauge, load.pace, load.meter, workers, async || {}).await?;
            clock.join().map_err(|_| Failure::new("the open loop's clock panicked"))?;
            measured
        }
    })
}

async fn closed(mut client: Client, notes: Notes) -> Result<(), Failure> {
    while !notes.is_over() {
        let began = Instant::now();
        client.sell().await?;
        notes.note(1, began.elapsed());
    }
    Ok(())
}

async fn open(
    mut client: Client,
    mut dues: UnboundedReceiver<Instant>,
    notes: Notes,
) -> Result<(), Failure> {
    while let Some(due) = dues.recv().await {
        if notes.is_over() {
            break;
        }
        client.sell().await?;
        notes.note(1, due.elapsed());
    }
    Ok(())
}

/// One connection that sells.
pub(crate) struct Client {
    connection: Connection,
    numbers: Numbers,
    random: StdRng,
    status: u16,
    request: Vec<u8>,
}

impl Client {
    /// Connects; the seed decides what is sold, the numbers name each sale, and every answer has to
    /// have the status.
    pub(crate) async fn open(
        server: SocketAddr,
        numbers: &Numbers,
        seed: u64,
        status: u16,
    ) -> Result<Client, Failure> {
        let connection = Connection::open(server).await?;
        let random = StdRng::seed_from_u64(SEED + seed);
        Ok(Client { connection, numbers: numbers.clone(), random, status, request: Vec::new() })
    }

    /// Sells one unit of an item.
    pub(crate) async fn sell(&mut self) -> Result<Answer, Failure> {
        let item = self.random.random_range(0..ITEMS);
        let number = self.numbers.next();
        self.request.clear();
        write_sale(&mut self.request, item, number);
        let answer = self.connection.ask(&self.request).await?;
        if answer.status != self.status {
            let body = String::from_utf8_lossy(&answer.body);
            return Err(Failure::new(format!("a sale was answered {}: {body}", answer.status)));
        }
        Ok(answer)
    }
}

/// Adds every item, some at a time.
pub(crate) async fn add_items(server: SocketAddr) -> Result<(), Failure> {
    /// Enough to batch, below every limit.
    const AT_ONCE: usize = 50;
    let items: Arc<[usize]> = (0..ITEMS).collect();
    let mut adding = tokio::task::JoinSet::new();
    for first in 0..AT_ONCE {
        let items = items.clone();
        adding.spawn(async move {
            let mut connection = Connection::open(server).await?;
            for item in items.iter().skip(first).step_by(AT_ONCE) {
                let answer = connection.ask(&addition(*item)).await?;
                if answer.status != 201 {
                    let body = String::from_utf8_lossy(&answer.body);
                    return Err(Failure::new(format!("an item was not added: {body}")));
                }
            }
            Ok(())
        });
    }
    while let Some(added) = adding.join_next().await {
        added.map_err(|error| Failure::new(error.to_string()))??;
    }
    Ok(())
}

fn write_sale(request: &mut Vec<u8>, item: usize, number: u64) {
    let price = FIRST_PRICE + number;
    let body = format!(r#"{{"quantity":1,"unit_price_cents":{price},"country":"Norway"}}"#);
    let head = format!(
        "POST /inventory/item-{item:06}/sales HTTP/1.1\r\nhost: bench\r\n\
         content-type: application/json\r\nidempotency-key: sale-{number:012}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    request.extend(head.as_bytes());
    request.extend(body.as_bytes());
}

fn addition(item: usize) -> Vec<u8> {
    let body = format!(
        r#"{{"sku":"item-{item:06}","name":"Item {item}","quantity":1000000000,"unit_price_cents":1}}"#
    );
    let head = format!(
        "POST /inventory HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         idempotency-key: add-{item}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    head.into_bytes()
}
