//! The two servers as processes of their own: the release build of command-api, and the echo.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bench_load::ProcessTree;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::connection::Connection;
use crate::failure::Failure;
use crate::surroundings::Surroundings;

/// How long a server may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A server while it runs; dropping it kills it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    name: &'static str,
    child: Child,
}

impl Server {
    /// The echo.
    pub(crate) async fn echo(surroundings: &Surroundings) -> Result<Server, Failure> {
        let file = surroundings.scratch.join("echo.address");
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("echo").arg(&file);
        start("echo", command, &file, surroundings).await
    }

    /// A service on a database that it migrates first.
    pub(crate) async fn service(
        surroundings: &Surroundings,
        name: &'static str,
        settings: &[(&str, String)],
    ) -> Result<Server, Failure> {
        let log = surroundings.scratch.join(format!("{name}.migrate.log"));
        let file = surroundings.scratch.join(format!("{name}.address"));
        let mut migrate = command(surroundings, name, "migrate", &file, settings);
        migrate.stdout(File::create(&log)?).stderr(Stdio::inherit());
        if !migrate.status().await?.success() {
            return Err(Failure::new(format!("{name} migrate failed: see {}", log.display())));
        }
        let serve = command(surroundings, name, "serve", &file, settings);
        start(name, serve, &file, surroundings).await
    }

    /// One more process of a service whose database is there.
    pub(crate) async fn another(
        surroundings: &Surroundings,
        name: &'static str,
        settings: &[(&str, String)],
    ) -> Result<Server, Failure> {
        let file = surroundings.scratch.join(format!("{name}.another.address"));
        let serve = command(surroundings, name, "serve", &file, settings);
        start(name, serve, &file, surroundings).await
    }

    /// For the meter.
    pub(crate) fn process(&self) -> ProcessTree {
        ProcessTree::of(self.name, self.child.id().unwrap_or_default())
    }

    /// Asks it to leave in good order, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        }
        self.child.wait().await?;
        Ok(())
    }

    /// Kills it: nothing that it acknowledged may depend on a good end.
    pub(crate) async fn end(mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }
}

fn command(
    surroundings: &Surroundings,
    name: &str,
    verb: &str,
    address_file: &Path,
    settings: &[(&str, String)],
) -> Command {
    let mut command = Command::new(surroundings.program(name));
    command.arg(verb).env("FACTLINE__HTTP__ADDRESS_FILE", address_file);
    command.env("FACTLINE__HTTP__LISTEN", "127.0.0.1:0");
    command.env("FACTLINE__ADMIN__LISTEN", "127.0.0.1:0");
    command.env("FACTLINE__HEARTBEAT__EVERY_MS", "0"); // figures are of what the load writes
    settings.iter().for_each(|(key, value)| {
        command.env(format!("FACTLINE__{key}"), value);
    });
    command
}

async fn start(
    name: &'static str,
    mut command: Command,
    address_file: &Path,
    surroundings: &Surroundings,
) -> Result<Server, Failure> {
    drop(fs::remove_file(address_file)); // the last one's would be taken for this one's
    let log: PathBuf = surroundings.scratch.join(format!("{name}.log"));
    let out = File::create(&log)?;
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).kill_on_drop(true);
    let child = command.spawn()?;
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let told = fs::read_to_string(address_file).unwrap_or_default();
        if let Some(address) = address_in(&told, "http")
            && is_ready(address_in(&told, "admin")).await
        {
            return Ok(Server { address, name, child });
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!("{name} is not ready: see {}", log.display())));
        }
        sleep(Duration::from_millis(25)).await; // seems immediate
    }
}

/// A server without a port for operators is ready once it listens.
async fn is_ready(admin: Option<SocketAddr>) -> bool {
    let Some(admin) = admin else { return true };
    let asked = async {
        let mut connection = Connection::open(admin).await?;
        connection.ask(b"GET /readyz HTTP/1.1\r\nhost: bench\r\n\r\n").await
    };
    asked.await.is_ok_and(|answer| answer.status == 200)
}

fn address_in(text: &str, key: &str) -> Option<SocketAddr> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    value.parse().ok()
}
