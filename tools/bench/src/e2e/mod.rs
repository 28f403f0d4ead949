//! `bench e2e`: from the moment a command is due to the moment a second connection sees its effect
//! in a view, beside the bare way through the same parts.

mod bare;
mod system;
mod watcher;

use std::time::{Duration, Instant};

use bench_load::{Gauge, Measured, Meter, Notes, Pace, ProcessTree, as_f64};
use factline_core::Token;
use tokio::sync::mpsc::UnboundedReceiver;

use self::system::System;
use self::watcher::Watcher;
use crate::Args;
use crate::failure::Failure;
use crate::http::load::Client;
use crate::postgres::SerialCommits;
use crate::report::{Aim, Cell, Report, Round, Slot};
use crate::surroundings::Surroundings;

const BARE: &str = "bare way, one at a time";
const ALONE: &str = "whole loop, one at a time";
const MOST: &str = "whole loop, 256 in flight";
const COME_AND_GO: &str = "50 % load, projectors come and go";
/// Sales that wait for their effect at once, in the cell that finds the most.
const IN_FLIGHT: usize = 256;
/// Connections of the open loop.
const CONNECTIONS: usize = 64;
/// Projectors come and go every three seconds: several times in this.
const REBALANCES: Duration = Duration::from_secs(10);

/// The open loop's shares of the most that the same round found.
const SHARES: [(&str, f64); 3] = [("10 % load", 0.1), ("50 % load", 0.5), ("80 % load", 0.8)];

/// Measures everything.
///
/// # Errors
/// A cell cannot be measured; one whose invariant does not hold is in the report.
pub(crate) async fn run(args: &Args, surroundings: &Surroundings) -> Result<Report, Failure> {
    let mut report = Report::begin("e2e", args.rounds);
    report.conditions = conditions();
    let mut serial = SerialCommits::prepare().await?;
    for round in 1..=args.rounds {
        let system = System::start(surroundings).await?;
        let mut bench =
            Bench { args, surroundings, serial: &mut serial, report: &mut report, round };
        bench.bare().await?;
        bench.cell(&system, ALONE, Drive::Loop(1)).await?;
        let most = bench.cell(&system, MOST, Drive::Loop(IN_FLIGHT)).await?;
        for (name, share) in SHARES {
            bench.cell(&system, name, Drive::At(most * share)).await?;
        }
        bench.cell(&system, COME_AND_GO, Drive::AtWithRebalances(most * 0.5)).await?;
        system.list.end().await?;
        system.api.end().await?;
    }
    ratios(&mut report);
    Ok(report.end())
}

fn conditions() -> Vec<String> {
    vec![
        "command-api (roles http and relay) and projector-list are release builds and processes of \
         their own with their committed defaults, live feed off; the load generator is `bench`; a \
         command is a sale of one unit of one of 1,000 items"
            .to_owned(),
        "a latency ends when a connection to the view's database sees the checkpoint that came with \
         the effect; it looks whenever a trigger tells that one has moved. In the open loops it begins when the command was due, \
         over 64 connections; their rates are shares of what the same round found with 256 sales \
         in flight, each waiting for its own effect"
            .to_owned(),
        "the bare way: one insertion committed, one record of 500 bytes produced and acknowledged \
         (linger 0, the relay's settings), received, one insertion committed; one after the other, \
         nothing else at work"
            .to_owned(),
        "in the last cell a second projector-list joins the group and leaves it every few seconds, \
         for ten seconds; its start and end cost CPU too"
            .to_owned(),
    ]
}

/// Of a cell's latencies.
type Quantile = fn(&Cell) -> u64;

fn ratios(report: &mut Report) {
    let of = |round: &Round, name: &str, quantile: Quantile| {
        Some(as_f64(quantile(round.cell(name)?)) / as_f64(quantile(round.cell(BARE)?)))
    };
    let (p50, p99): (Quantile, Quantile) = (|cell| cell.latency.p50_us, |cell| cell.latency.p99_us);
    report.ratio(
        "G8",
        "p50 at 50 % load / p50 of the bare way",
        Aim::AtMost { floor: 3.0, goal: 2.0 },
        |round| of(round, "50 % load", p50),
    );
    report.ratio(
        "G9",
        "p99 at 50 % load / p99 of the bare way",
        Aim::AtMost { floor: 5.0, goal: 3.0 },
        |round| of(round, "50 % load", p99),
    );
    report.ratio("G8 idle", "p50 of one at a time / p50 of the bare way", Aim::None, |round| {
        of(round, ALONE, p50)
    });
    report.ratio("G8 10 %", "p50 at 10 % load / p50 of the bare way", Aim::None, |round| {
        of(round, "10 % load", p50)
    });
    report.ratio(
        "G16",
        "p99 while projectors come and go / p99 at 50 % load",
        Aim::AtMost { floor: 20.0, goal: 5.0 },
        |round| {
            let us = |name: &str| Some(as_f64(round.cell(name)?.latency.p99_us));
            Some(us(COME_AND_GO)? / us("50 % load")?)
        },
    );
}

#[derive(Clone, Copy, PartialEq)]
enum Drive {
    /// So many at once; each sale follows the effect of the one before.
    Loop(usize),
    /// So many a second.
    At(f64),
    /// The same, while projectors come and go.
    AtWithRebalances(f64),
}

/// One round's cells.
struct Bench<'a> {
    args: &'a Args,
    surroundings: &'a Surroundings,
    serial: &'a mut SerialCommits,
    report: &'a mut Report,
    round: u16,
}

impl Bench<'_> {
    async fn bare(&mut self) -> Result<(), Failure> {
        let commits = self.serial.measure().await?;
        let slot = Slot { name: BARE, round: self.round, pace: self.args.pace(), serial: &commits };
        let measured = bare::measure(&slot, self.surroundings).await?;
        let mut cell = Cell::of(&slot, "event", &measured);
        cell.invariant = Ok("each was received before the next was sent".to_owned());
        self.report.push(cell);
        Ok(())
    }

    /// Measures one cell; how many effects were seen a second.
    async fn cell(&mut self, system: &System, name: &str, drive: Drive) -> Result<f64, Failure> {
        let commits = self.serial.measure().await?;
        let mut pace = self.args.pace();
        if matches!(drive, Drive::AtWithRebalances(_)) {
            pace.measure = pace.measure.max(REBALANCES);
        }
        let measured = self.measure(system, drive, pace).await?;
        let slot = Slot { name, round: self.round, pace, serial: &commits };
        let mut cell = Cell::of(&slot, "command", &measured);
        cell.invariant = system.check().await?;
        let rate = cell.per_second;
        self.report.push(cell);
        Ok(rate)
    }

    async fn measure(
        &self,
        system: &System,
        drive: Drive,
        pace: Pace,
    ) -> Result<Measured, Failure> {
        let own = ProcessTree::own("bench");
        let parts =
            [own, system.api.process(), system.list.process(), self.surroundings.postgres()];
        let meter = Meter::new(parts.into_iter().chain(self.surroundings.kafka()).collect());
        let (watcher, looking) = Watcher::start(system.list_url.clone());
        let gauge = Gauge::new();
        let connections = match drive {
            Drive::Loop(in_flight) => in_flight,
            Drive::At(_) | Drive::AtWithRebalances(_) => CONNECTIONS,
        };
        let mut clients = Vec::new();
        for seed in (0_u64..).take(connections) {
            clients.push(Client::open(system.api.address, &system.numbers, seed, 201).await?);
        }
        let measured = match drive {
            Drive::Loop(_) => {
                let workers = clients.into_iter();
                let workers = workers.map(|client| follow(client, watcher.clone(), gauge.notes()));
                bench_load::measure(&gauge, pace, &meter, workers, async || {}).await?
            }
            Drive::At(rate) | Drive::AtWithRebalances(rate) => {
                let (dues, clock) = bench_load::pace(&gauge, rate, connections);
                let workers = clients.into_iter().zip(dues);
                let workers = workers
                    .map(|(client, dues)| open(client, dues, watcher.clone(), gauge.notes()));
                let load = bench_load::measure(&gauge, pace, &meter, workers, async || {});
                let measured = if matches!(drive, Drive::AtWithRebalances(_)) {
                    let (measured, came) = tokio::join!(load, self.come_and_go(system, &gauge));
                    came?;
                    measured?
                } else {
                    load.await?
                };
                clock.join().map_err(|_| Failure::new("the open loop's clock panicked"))?;
                measured
            }
        };
        system.wait_until_quiet().await?;
        watcher.end();
        looking.join().map_err(|_| Failure::new("the watcher panicked"))??;
        Ok(measured)
    }

    async fn come_and_go(&self, system: &System, gauge: &Gauge) -> Result<(), Failure> {
        while !gauge.is_over() {
            system.come_and_go(self.surroundings).await?;
        }
        Ok(())
    }
}

/// Sells, waits for the effect, sells again.
async fn follow(mut client: Client, watcher: Watcher, notes: Notes) -> Result<(), Failure> {
    while !notes.is_over() {
        let began = Instant::now();
        let token = sell(&mut client).await?;
        let seen = watcher.sees(token.partition, token.position.0).await;
        seen.map_err(|_| Failure::new("the watcher ended"))?;
        notes.note(1, began.elapsed());
    }
    Ok(())
}

/// Sells when it is due; whoever waits for the effect waits beside.
async fn open(
    mut client: Client,
    mut dues: UnboundedReceiver<Instant>,
    watcher: Watcher,
    notes: Notes,
) -> Result<(), Failure> {
    while let Some(due) = dues.recv().await {
        if notes.is_over() {
            break;
        }
        let token = sell(&mut client).await?;
        let (seen, notes) = (watcher.sees(token.partition, token.position.0), notes.clone());
        tokio::spawn(async move {
            if seen.await.is_ok() {
                notes.note(1, due.elapsed());
            }
        });
    }
    Ok(())
}

async fn sell(client: &mut Client) -> Result<Token, Failure> {
    let answer = client.sell().await?;
    let token = answer.header("consistency-token").and_then(|token| token.parse().ok());
    token.ok_or_else(|| Failure::new("a sale was answered without a token"))
}
