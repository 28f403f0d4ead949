//! `bench http`: durable commands over HTTP, beside an axum server that echoes the same body.
//!
//! The release build of command-api runs as it does in production, on a database of its own for
//! every round; the load generator sends both servers the same bytes. Cells of both take turns.

mod connection;
pub(crate) mod echo;
pub(crate) mod load;
pub(crate) mod server;

use std::time::{Duration, Instant};

use bench_load::{Meter, ProcessTree, as_f64};
use factline_core::topic_name;
use factline_log::{LogReader, LogSettings, RelayCursors};
use factline_testkit::{TestDatabase, unique_prefix};
use serde_json::Value;
use tokio::time::sleep;

use self::load::{Drive, FIRST_PRICE, ITEMS, Load};
use self::server::Server;
use crate::Args;
use crate::failure::Failure;
use crate::postgres::SerialCommits;
use crate::report::{Aim, Cell, Report, Round, Slot};
use crate::surroundings::Surroundings;
use crate::verify::{self, Acknowledged, Numbers};

/// Connections of the closed loops.
const CONNECTIONS: [usize; 4] = [1, 64, 256, 512];
/// The open loop's share of the rate that the closed loop of the same round found, and its
/// connections.
const SHARE: f64 = 0.5;
const OPEN_CONNECTIONS: usize = 64;
/// What the kind's events are called in topics.
const KIND: &str = "inventory";

/// Who is measured, in the names of cells.
const ECHO: &str = "echo";
const HTTP: &str = "command, role http";
const BOTH: &str = "command, roles http and relay";

/// Measures everything.
///
/// # Errors
/// A cell cannot be measured; one whose invariant does not hold is in the report.
pub(crate) async fn run(args: &Args, surroundings: &Surroundings) -> Result<Report, Failure> {
    let mut report = Report::begin("http", args.rounds);
    report.conditions = conditions();
    let mut serial = SerialCommits::prepare().await?;
    for round in 1..=args.rounds {
        let echo = Server::echo(surroundings).await?;
        for (who, roles) in [(HTTP, "http"), (BOTH, "http,relay")] {
            let api = Api::start(surroundings, roles).await?;
            let mut bench =
                Bench { args, surroundings, serial: &mut serial, report: &mut report, round };
            bench.take_turns(&echo, &api, who).await?;
            api.server.end().await?;
        }
        echo.end().await?;
    }
    ratios(&mut report);
    Ok(report.end())
}

fn conditions() -> Vec<String> {
    vec![
        format!(
            "command-api and the echo are release builds and processes of their own; the load \
             generator is `bench` itself: raw HTTP/1.1 over kept connections, the same bytes to \
             both, {ITEMS} items chosen by fixed seeds, an Idempotency-Key on every request; its \
             CPU time stands beside theirs"
        ),
        "command-api has its committed defaults: tracing at info, 8 partitions, 2 lanes; Kafka and \
         the registry run; its roles are in the cells' names, and with both the relay sends every \
         event to Kafka meanwhile"
            .to_owned(),
        "a command is a sale of one unit: a body of 66 bytes, answered 201 once it is committed; \
         the echo answers its body"
            .to_owned(),
        format!(
            "the open loop runs at {:.0} % of the maximum that the same round found at 256 \
             connections, with {OPEN_CONNECTIONS} connections, latency from the moment a request \
             was due",
            SHARE * 100.0
        ),
    ]
}

/// A write side with a database of its own.
struct Api {
    server: Server,
    database: TestDatabase,
    log: LogSettings,
    topic: String,
    relays: bool,
    numbers: Numbers,
}

impl Api {
    async fn start(surroundings: &Surroundings, roles: &str) -> Result<Api, Failure> {
        let database = TestDatabase::create("bench_http").await;
        let log = Surroundings::log_settings(&database.url())?;
        let prefix = unique_prefix("bench");
        let topic = topic_name(&prefix, KIND);
        let settings = [
            ("ROLES", roles.to_owned()),
            ("LOG__URL", log.url.clone()),
            ("LOG__OWNER_URL", log.owner_url.clone()),
            ("SAGA__DATABASE__URL", String::new()), // no process has the role
            ("KAFKA__BROKERS", surroundings.addresses.kafka.clone()),
            ("KAFKA__TOPIC_PREFIX", prefix),
            ("REGISTRY__URL", surroundings.addresses.registry_url.clone()),
        ];
        let server = Server::service(surroundings, "command-api", &settings).await?;
        load::add_items(server.address).await?;
        let relays = roles.contains("relay");
        Ok(Api { server, database, log, topic, relays, numbers: Numbers::default() })
    }

    /// Every sale that was answered 201, and no other, is in the log once; with the relay, Kafka
    /// has acknowledged all of it.
    async fn check(&self) -> Result<Result<String, String>, Failure> {
        let acknowledged = Acknowledged { commands: self.numbers.given(), events_each: 1 };
        let held = verify::log(&self.log, &self.topic, acknowledged, number_of).await?;
        if held.is_ok() && self.relays {
            self.wait_for_relay().await?;
        }
        let database = self.database.name();
        Ok(held.map(|events| format!("{events} events in {database}, dense, each once")))
    }

    async fn wait_for_relay(&self) -> Result<(), Failure> {
        /// A backlog of a million would need less.
        const WITHIN: Duration = Duration::from_secs(60);
        let reader = LogReader::new(&self.log.owner_url, 1)?;
        let cursors = RelayCursors::new(&reader);
        let deadline = Instant::now() + WITHIN;
        while reader.heads(&self.topic).await? != cursors.load(&self.topic).await? {
            if Instant::now() > deadline {
                return Err(Failure::new("the relay does not catch up"));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// A sale's price is its number.
fn number_of(event_type: &str, data: &Value) -> Option<u64> {
    let is_sale = event_type.ends_with(".ItemSold");
    is_sale.then(|| data.get("unit_price_cents")?.as_u64()?.checked_sub(FIRST_PRICE))?
}

/// One round's cells of one write side.
struct Bench<'a> {
    args: &'a Args,
    surroundings: &'a Surroundings,
    serial: &'a mut SerialCommits,
    report: &'a mut Report,
    round: u16,
}

impl Bench<'_> {
    async fn take_turns(&mut self, echo: &Server, api: &Api, who: &str) -> Result<(), Failure> {
        // The echo of the first turn serves both: its cells stand in the report once a round.
        let with_echo = who == HTTP;
        for connections in CONNECTIONS {
            let name = |who: &str| match connections {
                1 => format!("{who}, 1 connection"),
                many => format!("{who}, {many} connections"),
            };
            if with_echo {
                self.echo(&name(ECHO), echo, connections, Drive::Maximum).await?;
            }
            self.command(&name(who), api, connections, Drive::Maximum).await?;
        }
        let most = |who: &str, report: &Report| {
            let prefix = format!("{who}, 256");
            let ours = |cell: &&Cell| cell.round == self.round && cell.name.starts_with(&prefix);
            report.cells.iter().find(ours).map(|cell| cell.per_second * SHARE)
        };
        let (ours, theirs) = (most(who, self.report), most(ECHO, self.report));
        if let Some(rate) = ours {
            self.command(&format!("{who}, open loop"), api, OPEN_CONNECTIONS, Drive::At(rate))
                .await?;
        }
        if let (Some(rate), true) = (theirs, with_echo) {
            self.echo("echo, open loop", echo, OPEN_CONNECTIONS, Drive::At(rate)).await?;
        }
        Ok(())
    }

    async fn echo(
        &mut self,
        name: &str,
        server: &Server,
        connections: usize,
        drive: Drive,
    ) -> Result<(), Failure> {
        let numbers = Numbers::default();
        let held = async || Ok(Ok("every answer was 200".to_owned()));
        self.cell(name, server, &numbers, 200, (connections, drive), held).await
    }

    async fn command(
        &mut self,
        name: &str,
        api: &Api,
        connections: usize,
        drive: Drive,
    ) -> Result<(), Failure> {
        let held = async || api.check().await;
        self.cell(name, &api.server, &api.numbers, 201, (connections, drive), held).await
    }

    async fn cell(
        &mut self,
        name: &str,
        server: &Server,
        numbers: &Numbers,
        status: u16,
        (connections, drive): (usize, Drive),
        held: impl AsyncFnOnce() -> Result<Result<String, String>, Failure>,
    ) -> Result<(), Failure> {
        if !self.args.wants(name) {
            return Ok(());
        }
        let commits = self.serial.measure().await?;
        let own = ProcessTree::own("load generator");
        let meter = Meter::new(vec![own, server.process(), self.surroundings.postgres()]);
        let pace = self.args.pace();
        let load = Load {
            server: server.address,
            connections,
            drive,
            pace,
            meter: &meter,
            numbers,
            status,
        };
        let measured = load::run(&load).await?;
        let slot = Slot { name, round: self.round, pace, serial: &commits };
        let mut cell = Cell::of(&slot, "request", &measured);
        cell.invariant = held().await?;
        self.report.push(cell);
        Ok(())
    }
}

fn ratios(report: &mut Report) {
    let g1 = Aim::AtLeast { floor: 0.25, goal: 0.40 };
    let g10 = Aim::AtMost { floor: 1.5, goal: 1.25 };
    let rate =
        |round: &Round, who: &str| Some(round.best(who)?.per_second / round.best(ECHO)?.per_second);
    let idle = |round: &Round, who: &str| {
        let us = |cell: &Cell| as_f64(cell.latency.p50_us);
        let ours = round.cell(&format!("{who}, 1 connection"))?;
        let echo = round.cell("echo, 1 connection")?;
        // The two commits' medians were taken right before either cell.
        let commit = as_f64(ours.serial_commit_p50_us + echo.serial_commit_p50_us) / 2.0;
        Some(us(ours) / (us(echo) + commit))
    };
    let what = "durable commands / axum echo, best cell each";
    report.ratio("G1", &format!("{what}, role http"), g1, |round| rate(round, HTTP));
    report.ratio(
        "G1 with relay",
        &format!("{what}, roles http and relay: Kafka takes its share of the same cores"),
        g1,
        |round| rate(round, BOTH),
    );
    let what = "one command at a time, p50 / (echo p50 + commit p50)";
    report.ratio("G10", &format!("{what}, role http"), g10, |round| idle(round, HTTP));
    report.ratio("G10 with relay", &format!("{what}, roles http and relay"), g10, |round| {
        idle(round, BOTH)
    });
}
