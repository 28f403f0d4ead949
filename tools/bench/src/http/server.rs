//! The two servers as processes of their own: the release build of command-api, and the echo.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bench_load::ProcessTree;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::connection::Connection;
use crate::failure::Failure;
use crate::surroundings::Surroundings;

/// How long a server may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A server while it runs; dropping it kills it.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    name: &'static str,
    child: Child,
}

impl Server {
    /// The echo.
    pub(super) async fn echo(surroundings: &Surroundings) -> Result<Server, Failure> {
        let file = surroundings.scratch.join("echo.address");
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("echo").arg(&file);
        start("echo", command, &file, surroundings).await
    }

    /// The write side with these roles, on a database that is migrated first.
    pub(super) async fn command_api(
        surroundings: &Surroundings,
        settings: &[(&str, String)],
    ) -> Result<Server, Failure> {
        const NAME: &str = "command-api";
        let program = surroundings.program(NAME);
        let file = surroundings.scratch.join("command-api.address");
        let command = |verb: &str| {
            let mut command = Command::new(&program);
            command.arg(verb).env("FACTLINE__HTTP__ADDRESS_FILE", &file);
            command.env("FACTLINE__HTTP__LISTEN", "127.0.0.1:0");
            command.env("FACTLINE__ADMIN__LISTEN", "127.0.0.1:0");
            settings.iter().for_each(|(key, value)| {
                command.env(format!("FACTLINE__{key}"), value);
            });
            command
        };
        let log = surroundings.scratch.join("command-api.migrate.log");
        let mut migrate = command("migrate");
        migrate.stdout(File::create(&log)?).stderr(Stdio::inherit());
        if !migrate.status().await?.success() {
            return Err(Failure::new(format!("command-api migrate failed: see {}", log.display())));
        }
        start(NAME, command("serve"), &file, surroundings).await
    }

    /// For the meter.
    pub(super) fn process(&self) -> ProcessTree {
        ProcessTree::of(self.name, self.child.id().unwrap_or_default())
    }

    /// Kills it: nothing that it acknowledged may depend on a good end.
    pub(super) async fn end(mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }
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
