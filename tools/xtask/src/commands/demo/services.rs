//! The four services as processes: migrated, started, watched and ended.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use local_stack::Addresses;
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::settings;
use crate::failure::Failure;
use crate::session::Session;
use crate::strays;

/// Every service and the ports that it has by default: for everybody, and for operators.
pub(crate) const SERVICES: [(&str, u16, u16); 4] = [
    ("command-api", 8080, 9080),
    ("projector-list", 8081, 9081),
    ("projector-stats", 8082, 9082),
    ("alerter", 8083, 9083),
];

/// Every projection that has to be there before a lag means anything: one that has not begun yet has no
/// checkpoint, so nobody else names it.
pub(crate) const PROJECTIONS: [&str; 18] = [
    "order_fulfilment",
    "inventory_list",
    "order_list",
    "customer_list",
    "shipment_requests",
    "live_inventory",
    "live_order",
    "live_customer",
    "inventory_stats",
    "sales_by_day",
    "sales_by_country",
    "order_funnel",
    "order_completed",
    "stock_watch",
    "contacts",
    "order_customers",
    "order_confirmation_email",
    "order_cancellation_email",
];

/// How long a service may take to be ready: it waits for nothing but the stack, which is up.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a service may take to end in good order: it drains for 20 s and finishes in 5 s.
const END_WITHIN: Duration = Duration::from_secs(30);
/// Seems immediate to a person and costs nothing.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What of a log stands in an error.
const LAST_LINES: usize = 15;

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// `http://127.0.0.1:8080`, for everybody.
    pub(crate) url: String,
    /// `http://127.0.0.1:9080`, for operators.
    pub(crate) admin_url: String,
}

/// The services while they run. Dropping it kills them; [`Services::end`] asks first.
#[derive(Debug)]
pub(crate) struct Services {
    running: Vec<(&'static str, Child)>,
    logs: PathBuf,
    /// By name, once they are ready.
    pub(crate) places: BTreeMap<&'static str, Place>,
}

/// What the services need to be started.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// Their stack.
    pub(crate) session: &'a Session,
    /// Each service's program.
    pub(crate) programs: &'a BTreeMap<&'static str, PathBuf>,
    /// Where alerts go.
    pub(crate) webhook_url: &'a str,
    /// Listen on any free ports instead of the usual ones.
    pub(crate) free_ports: bool,
}

impl Launch<'_> {
    fn command(&self, service: &'static str, verb: &str, log: File) -> Result<Command, Failure> {
        let program = self.programs.get(service);
        let program = program.ok_or_else(|| Failure::new(format!("{service} was not built")))?;
        let mut command = Command::new(program);
        let addresses: &Addresses = self.session.stack().addresses();
        command.arg(verb).envs(settings::of(service, addresses, self.webhook_url));
        if self.free_ports {
            command.env("FACTLINE__HTTP__LISTEN", "127.0.0.1:0");
            command.env("FACTLINE__ADMIN__LISTEN", "127.0.0.1:0");
        }
        command.env("FACTLINE__HTTP__ADDRESS_FILE", self.address_file(service));
        command.env(strays::MARK, self.session.root());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // The terminal's Ctrl-C is for us: we end the services in good order.
        command.process_group(0).kill_on_drop(true);
        Ok(command)
    }

    fn address_file(&self, service: &str) -> PathBuf {
        self.session.root().join(format!("{service}.address"))
    }
}

/// Says which port is taken, before anything is started.
///
/// # Errors
/// Another program listens on one of the usual ports.
pub(crate) fn check_ports() -> Result<(), Failure> {
    for (service, port, admin) in SERVICES {
        for port in [port, admin] {
            if TcpListener::bind(("127.0.0.1", port)).is_err() {
                return Err(Failure::new(format!(
                    "port {port} for {service} is taken by another program: stop that program, \
                     or let the demo choose with --free-ports"
                )));
            }
        }
    }
    Ok(())
}

/// Creates or upgrades every service's database. The log's comes first: it makes the roles.
///
/// # Errors
/// A migration fails; the end of its log says why.
pub(crate) async fn migrate(launch: &Launch<'_>) -> Result<(), Failure> {
    let logs = logs_folder(launch.session.root())?;
    for (service, _, _) in SERVICES {
        let log = logs.join(format!("{service}.migrate.log"));
        let mut command = launch.command(service, "migrate", File::create(&log)?)?;
        if !command.status().await?.success() {
            let told = died(&format!("{service} migrate"), &log);
            return Err(Failure::new(format!(
                "{told}\n(if the data is of another version of the code, --fresh removes it)"
            )));
        }
    }
    Ok(())
}

impl Services {
    /// Starts all four and waits until each is ready.
    ///
    /// # Errors
    /// A service ends or does not become ready; the end of its log says why.
    pub(crate) async fn start(launch: &Launch<'_>) -> Result<Services, Failure> {
        let logs = logs_folder(launch.session.root())?;
        let mut services = Services { running: Vec::new(), logs, places: BTreeMap::new() };
        for (service, _, _) in SERVICES {
            // The file of the last run would be taken for this one's.
            drop(fs::remove_file(launch.address_file(service)));
            let log = File::create(services.log(service))?;
            let child = launch.command(service, "serve", log)?.spawn()?;
            services.running.push((service, child));
        }
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(2)).build();
        let client = client.map_err(|error| Failure::new(error.to_string()))?;
        for (service, _, _) in SERVICES {
            let place = services.ready(service, &launch.address_file(service), &client).await;
            match place {
                Ok(place) => drop(services.places.insert(service, place)),
                Err(failure) => {
                    services.end().await;
                    return Err(failure);
                }
            }
        }
        Ok(services)
    }

    async fn ready(
        &mut self,
        service: &'static str,
        address_file: &Path,
        client: &Client,
    ) -> Result<Place, Failure> {
        let deadline = Instant::now() + READY_WITHIN;
        let mut told = "it has not said where it listens".to_owned();
        while Instant::now() < deadline {
            self.check()?;
            if let Some(place) = fs::read_to_string(address_file).ok().as_deref().and_then(place) {
                match client.get(format!("{}/readyz", place.admin_url)).send().await {
                    Ok(answer) if answer.status().is_success() => return Ok(place),
                    Ok(answer) => told = answer.text().await.unwrap_or_default(),
                    Err(error) => told = error.to_string(),
                }
            }
            sleep(LOOK_EVERY).await;
        }
        let (seconds, log) = (READY_WITHIN.as_secs(), self.log(service));
        let end = last_lines(&log);
        Err(Failure::new(format!(
            "{service} is not ready after {seconds} s: {told}; the end of {}:\n{end}",
            log.display()
        )))
    }

    /// Whether all of them still run.
    ///
    /// # Errors
    /// One has ended; the end of its log says why.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        for (service, child) in &mut self.running {
            if child.try_wait()?.is_some() {
                return Err(died(service, &self.logs.join(format!("{service}.log"))));
            }
        }
        Ok(())
    }

    /// Where a service is.
    ///
    /// # Errors
    /// It does not run.
    pub(crate) fn place(&self, service: &str) -> Result<&Place, Failure> {
        let place = self.places.get(service);
        place.ok_or_else(|| Failure::new(format!("{service} does not run")))
    }

    /// The folder of their logs.
    pub(crate) fn logs(&self) -> &Path {
        &self.logs
    }

    /// Asks all of them to end, waits, and kills who has not.
    pub(crate) async fn end(&mut self) {
        for (_, child) in &self.running {
            let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
            if let Some(pid) = pid {
                // One that has ended by itself is as good.
                let _gone = kill_process(pid, Signal::TERM);
            }
        }
        let deadline = Instant::now() + END_WITHIN;
        for (service, child) in &mut self.running {
            if tokio::time::timeout_at(deadline, child.wait()).await.is_err() {
                eprintln!("{service} does not end by itself: killing it");
                drop(child.kill().await);
            }
        }
        self.running.clear();
    }

    fn log(&self, service: &str) -> PathBuf {
        self.logs.join(format!("{service}.log"))
    }
}

fn logs_folder(root: &Path) -> Result<PathBuf, Failure> {
    let logs = root.join("logs");
    fs::create_dir_all(&logs)?;
    Ok(logs)
}

fn died(what: &str, log: &Path) -> Failure {
    Failure::new(format!("{what} ended; the end of {}:\n{}", log.display(), last_lines(log)))
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

/// Reads `http=ADDRESS` and `admin=ADDRESS`.
fn place(text: &str) -> Option<Place> {
    let value = |key: &str| {
        let address = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(format!("http://{address}"))
    };
    Some(Place { url: value("http")?, admin_url: value("admin")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_says_where_it_is() {
        let written = place("http=127.0.0.1:8080\nadmin=127.0.0.1:9080\n").unwrap();
        assert_eq!(written.url, "http://127.0.0.1:8080");
        assert_eq!(written.admin_url, "http://127.0.0.1:9080");
        assert_eq!(place("http=127.0.0.1:8080\n"), None);
    }
}
