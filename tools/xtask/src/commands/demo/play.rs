//! One run of the demo on a stack that is up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use tokio::time::{Instant, sleep};

use super::import::{self, Counters, Imported};
use super::invoices::Invoices;
use super::memory::Memory;
use super::operator::{Operator, Status, Verified};
use super::orders::Plan;
use super::report::{Orders, Report};
use super::services::{self, Launch, Services};
use super::system::{self, Alerts};
use super::webhooks::Receiver;
use super::{
    Args, LinesBecome, books, catalogue, compare, display, expected, fulfil, http, ordered, summary,
};
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

impl Play<'_> {
    /// Starts the services, imports the file, waits, compares and shows.
    ///
    /// # Errors
    /// Something does not work; a difference is no error.
    pub(crate) async fn run(&mut self) -> Result<Report, Failure> {
        self.start().await?;
        let Some((services, receiver)) = self.services.as_mut() else {
            return Err(Failure::new("the services do not run"));
        };
        let operator =
            Operator::new(self.programs["factline"].clone(), &self.session, Some(services));
        let memory = Memory::of(&self.bytes, self.args.lines_become());
        memory.begun(self.session.root())?;
        let imported = import_file(self.args, &self.invoices, services, &operator).await?;
        println!("\n{}", summary::imported(&imported, self.invoices.count));
        let client = http::client(usize::from(self.args.in_flight))?;
        let mut orders = match self.args.lines_become() {
            LinesBecome::Sales => None,
            LinesBecome::Orders => {
                Some(settled(self.args, &client, services, &operator, &imported).await?)
            }
        };
        let status = timed("projections caught up", operator.caught_up(services)).await?;
        let models = timed("read models asked", system::read(&client, services)).await?;
        if let Some(orders) = &mut orders {
            let books = timed("books kept", books::read(&operator)).await?;
            orders.settled = books.settled();
            orders.stock_conserved = books.stock_is_conserved(&models.listed);
            orders.money_conserved = books.money_is_conserved();
            println!("{}", summary::orders(orders));
        }
        let alerts = timed("alerts delivered", delivered(&client, services)).await?;
        let verified = timed("places compared", operator.verify()).await?;
        println!("\n{}", summary::read_models(&models, alerts, receiver.delivered()));
        tell_state(&status, &verified, receiver);
        let log_events = status.log_events;
        let totals = compare::system_side(&self.invoices, &imported, &models, orders);
        let expected = expected::totals(&self.bytes, self.args.lines_become());
        let file = self.args.file.display().to_string();
        let report = compare::report(file, totals, expected, &imported, status, verified);
        if report.equal {
            memory.done(self.session.root(), log_events)?;
        }
        if !self.args.check {
            let sku = models.stats.top_items.first().map_or("85123A", |item| item.key.as_str());
            let Some((services, _)) = self.services.as_ref() else { return Ok(report) };
            println!("\n{}", summary::addresses(services, sku)?);
        }
        Ok(report)
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
            webhook_url: receiver.url(),
            free_ports: self.args.has_free_ports(),
        };
        timed("databases migrated", services::migrate(&launch)).await?;
        let services = timed("services ready", Services::start(&launch)).await?;
        self.services = Some((services, receiver));
        Ok(())
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
    let plan = Plan::of(&invoices.lines, args.lines_become());
    let total = (items.len() + plan.requests()) as u64;
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
        imported = import::run(&api, &items, &plan, in_flight, &counters) => imported,
        () = display::watch(total, Arc::clone(&counters), operator.clone()) => {
            Err(Failure::new("the display ended"))
        }
        failure = died => Err(failure),
    }
}

/// Sees to it that every order is settled, and reads what they came to.
async fn settled(
    args: &Args,
    client: &Client,
    services: &mut Services,
    operator: &Operator,
    imported: &Imported,
) -> Result<Orders, Failure> {
    let (api, list) = (&services.place("command-api")?.url, &services.place("projector-list")?.url);
    let (counter, in_flight) = (fulfil::Counter { api, list }, usize::from(args.in_flight));
    let fulfilled =
        timed("orders paid, sent and delivered", fulfil::run(client, counter, in_flight)).await?;
    let sagas_open = timed("processes ended", operator.no_saga_is_open(services)).await?;
    let mut refused = imported.orders_refused.clone();
    for (code, count) in fulfilled.orders_refused {
        *refused.entry(code).or_default() += count;
    }
    let orders = timed("orders read", ordered::read(operator, refused)).await?;
    Ok(Orders { sagas_open, ..orders })
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
