//! One run of the demo on a stack that is up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use tokio::time::{Instant, sleep};

use super::import::{self, Counters, Imported};
use super::invoices::Invoices;
use super::memory::{self, Memory};
use super::operator::{Operator, Status, Verified};
use super::report::{Report, Totals, differences, unequal_projections};
use super::services::{self, Launch, Services};
use super::system::{self, Alerts, ReadModels};
use super::webhooks::Receiver;
use super::{Args, catalogue, display, expected, http, summary};
use crate::failure::Failure;
use crate::session::Session;

/// The programs by name.
pub(crate) type Programs = BTreeMap<&'static str, PathBuf>;

/// How long the last alerts may take to be delivered, before the demo goes on without them.
const DELIVERED_WITHIN: Duration = Duration::from_secs(20);
/// Seems immediate to a person.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What one run needs and holds.
pub(crate) struct Play<'a> {
    pub(crate) args: &'a Args,
    pub(crate) bytes: Vec<u8>,
    pub(crate) invoices: Invoices,
    pub(crate) programs: Programs,
    pub(crate) session: Session,
    /// While they run.
    pub(crate) services: Option<(Services, Receiver)>,
}

/// How a run came out.
pub(crate) struct Outcome {
    /// The JSON object.
    pub(crate) line: String,
    /// Everything is as it must be.
    pub(crate) equal: bool,
}

impl Play<'_> {
    /// Starts the services, imports the file, waits, compares and shows.
    ///
    /// # Errors
    /// Something does not work; a difference is no error.
    pub(crate) async fn run(&mut self) -> Result<Outcome, Failure> {
        self.start().await?;
        let Some((services, receiver)) = self.services.as_mut() else {
            return Err(Failure::new("the services do not run"));
        };
        let operator =
            Operator::new(self.programs["factline"].clone(), &self.session, Some(services));
        let imported = import_file(self.args, &self.invoices, services, &operator).await?;
        println!("\n{}", summary::imported(&imported, self.invoices.count));
        let client = http::client(1)?;
        let status = timed("projections caught up", operator.caught_up(services)).await?;
        let models = timed("read models asked", system::read(&client, services)).await?;
        let alerts = timed("alerts delivered", delivered(&client, services)).await?;
        let verified = timed("places compared", operator.verify()).await?;
        println!("\n{}", summary::read_models(&models, alerts, receiver.delivered()));
        tell_state(&status, &verified, receiver);
        Memory::write(self.session.root(), memory::digest(&self.bytes), status.log_events)?;
        let report = self.compare(&imported, &models, status, verified);
        if !self.args.check {
            let sku = models.stats.top_items.first().map_or("85123A", |item| item.key.as_str());
            let Some((services, _)) = self.services.as_ref() else { return outcome(&report) };
            println!("\n{}", summary::addresses(services, sku)?);
        }
        outcome(&report)
    }

    /// Returns when a service ends that should run.
    pub(crate) async fn watch(&mut self) -> Failure {
        loop {
            sleep(LOOK_EVERY).await;
            if let Some((services, _)) = self.services.as_mut()
                && let Err(failure) = services.check()
            {
                return failure;
            }
        }
    }

    /// Ends the services and the stack.
    ///
    /// # Errors
    /// A process of the stack does not end.
    pub(crate) async fn end(mut self) -> Result<(), Failure> {
        let began = Instant::now();
        if let Some((mut services, _)) = self.services.take() {
            services.end().await;
            eprintln!("services ended after {:.1} s", began.elapsed().as_secs_f32());
        }
        self.session.end().await?;
        eprintln!("everything ended after {:.1} s", began.elapsed().as_secs_f32());
        Ok(())
    }

    async fn start(&mut self) -> Result<(), Failure> {
        let receiver = Receiver::listen().await?;
        let launch = Launch {
            session: &self.session,
            programs: &self.programs,
            webhook_url: &receiver.url,
            free_ports: self.args.has_free_ports(),
        };
        timed("databases migrated", services::migrate(&launch)).await?;
        let services = timed("services ready", Services::start(&launch)).await?;
        self.services = Some((services, receiver));
        Ok(())
    }

    fn compare(
        &self,
        imported: &Imported,
        models: &ReadModels,
        status: Status,
        verified: Verified,
    ) -> Report {
        let totals = system_side(&self.invoices, imported, models);
        let expected = expected::totals(&self.bytes);
        let mut different = differences(&totals, &expected);
        let events = status.events_by_projection();
        different.extend(unequal_projections(&events, &verified.processed_events));
        let items_refused = imported.items_refused.iter();
        different.extend(items_refused.map(|(code, count)| format!("{count} items: {code}")));
        if status.parked > 0 {
            different.push(format!("{} events are parked", status.parked));
        }
        different.iter().for_each(|difference| eprintln!("differs: {difference}"));
        let seconds = imported.took.as_secs_f64();
        Report {
            file: self.args.file.display().to_string(),
            totals,
            expected,
            equal: different.is_empty() && verified.equal,
            log_events: status.log_events,
            processed_events: verified.processed_events,
            parked: status.parked,
            lag_events: status.lag_events,
            import_seconds: rounded(seconds),
            commands_per_second: rounded(per_second(imported.commands, seconds)),
        }
    }
}

/// Does it and says how long it took.
async fn timed<T>(
    what: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let began = Instant::now();
    let done = work.await?;
    eprintln!("{what} after {:.1} s", began.elapsed().as_secs_f32());
    Ok(done)
}

async fn import_file(
    args: &Args,
    invoices: &Invoices,
    services: &mut Services,
    operator: &Operator,
) -> Result<Imported, Failure> {
    let items = catalogue::of(&invoices.lines);
    let counters = Arc::<Counters>::default();
    let total = (items.len() + invoices.lines.len()) as u64;
    let api = services.place("command-api")?.url.clone();
    eprintln!("importing {} lines and {} items", invoices.lines.len(), items.len());
    let in_flight = usize::from(args.in_flight);
    let died = async {
        loop {
            sleep(LOOK_EVERY).await;
            if let Err(failure) = services.check() {
                return failure;
            }
        }
    };
    tokio::select! {
        imported = import::run(&api, &items, &invoices.lines, in_flight, &counters) => imported,
        () = display::watch(total, Arc::clone(&counters), operator.clone()) => {
            Err(Failure::new("the display ended"))
        }
        failure = died => Err(failure),
    }
}

/// Waits a while until every alert is delivered.
async fn delivered(client: &Client, services: &Services) -> Result<Alerts, Failure> {
    let deadline = Instant::now() + DELIVERED_WITHIN;
    loop {
        let alerts = system::alerts(client, services).await?;
        if alerts.due == 0 || Instant::now() >= deadline {
            return Ok(alerts);
        }
        sleep(LOOK_EVERY).await;
    }
}

fn tell_state(status: &Status, verified: &Verified, receiver: &Receiver) {
    let equal = if verified.equal { "equal" } else { "NOT equal" };
    let (events, lag, parked) = (status.log_events, status.lag_events, status.parked);
    println!("{events} events, lag {lag}, {parked} parked; store, topic and projections: {equal}");
    verified.differences.iter().for_each(|difference| println!("  {difference}"));
    if receiver.forged() > 0 {
        println!("{} deliveries had no good signature", receiver.forged());
    }
}

/// What the system has: the read models' figures, and its own answers line by line.
fn system_side(invoices: &Invoices, imported: &Imported, models: &ReadModels) -> Totals {
    let mut refused = imported.refused.clone();
    for reason in &invoices.unusable {
        *refused.entry((*reason).to_owned()).or_default() += 1;
    }
    Totals {
        lines: invoices.count,
        accepted: imported.accepted,
        refused,
        valid_lines: models.stats.total_sales,
        items: models.listed_items,
        items_sold: models.stats.items_sold,
        units_sold: models.stats.units_sold,
        revenue_cents: models.stats.revenue_cents,
        returns: models.stats.returns,
        revenue_by_country: models.revenue_by_country(),
    }
}

fn outcome(report: &Report) -> Result<Outcome, Failure> {
    let line = serde_json::to_string(report).map_err(|error| Failure::new(error.to_string()))?;
    Ok(Outcome { line, equal: report.equal })
}

/// A rate for people; it has no more than 15 digits.
#[allow(clippy::cast_precision_loss)]
fn per_second(commands: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { commands as f64 / seconds } else { 0.0 }
}

/// To hundredths: more would pretend to be exact.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
