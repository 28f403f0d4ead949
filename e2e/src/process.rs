//! One process of a service: started, watched, killed, frozen.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use factline_testkit::eventually_ok;
use rustix::process::{Pid, Signal, kill_process};

use crate::Client;

/// Longer than any start on a loaded machine takes; a start that fails is noticed at once.
const START_WITHIN: Duration = Duration::from_secs(60);

/// A running service. Dropping it kills it; a failing test shows the end of its log.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    http: String,
    admin: String,
}

impl Process {
    /// Starts a binary and waits until it has written its addresses.
    pub(crate) async fn start(
        binary: &Path,
        folder: &Path,
        name: &str,
        environment: &[(String, String)],
    ) -> Self {
        let addresses = folder.join(format!("{name}.addresses"));
        let log = folder.join(format!("{name}.log"));
        fs::create_dir_all(folder).unwrap();
        drop(fs::remove_file(&addresses)); // of an earlier process of this name, if any
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let child = Command::new(binary)
            .env("FACTLINE__HTTP__LISTEN", "127.0.0.1:0")
            .env("FACTLINE__ADMIN__LISTEN", "127.0.0.1:0")
            .env("FACTLINE__HTTP__ADDRESS_FILE", &addresses)
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", binary.display()));
        let mut process =
            Self { name: name.to_owned(), child, log, http: String::new(), admin: String::new() };
        let written = eventually_ok(START_WITHIN, "the service starts", async || {
            if let Some(status) = process.child.try_wait().unwrap() {
                panic!("{name} ended with {status}:\n{}", process.log_tail());
            }
            fs::read_to_string(&addresses)
        })
        .await;
        process.http = address(&written, "http");
        process.admin = address(&written, "admin");
        process
    }

    /// Its public HTTP interface.
    pub fn client(&self) -> Client {
        Client::new(&self.http)
    }

    /// Where its operators' HTTP interface is.
    pub fn admin_url(&self) -> &str {
        &self.admin
    }

    /// Its operators' HTTP interface.
    pub fn admin(&self) -> Client {
        Client::new(&self.admin)
    }

    /// The sum of a counter over all its labels.
    pub async fn counter(&self, name: &str) -> f64 {
        let metrics = self.admin().text("/metrics").await;
        let of_it =
            |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        metrics
            .lines()
            .filter(of_it)
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Kills it as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Freezes it; connections stay open.
    pub fn freeze(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// Asks it to stop in order, and waits until it has; its exit code.
    pub async fn stop(mut self) -> i32 {
        kill_process(self.pid(), Signal::TERM).unwrap();
        eventually_ok(Duration::from_secs(40), "the service stops", async || {
            self.child.try_wait().unwrap().ok_or("still running")
        })
        .await
        .code()
        .unwrap_or(-1)
    }

    /// Waits until it stands still at a failpoint.
    pub async fn reached(&self, failpoint: &str) {
        self.reached_by(1, failpoint).await;
    }

    /// Waits until so many of its tasks stand still at a failpoint.
    pub async fn reached_by(&self, tasks: usize, failpoint: &str) {
        let line = format!("failpoint {failpoint}");
        eventually_ok(Duration::from_secs(60), &line, async || {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            if log.matches(&line).count() >= tasks { Ok(()) } else { Err(self.log_tail()) }
        })
        .await;
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of {}'s log\n{}", self.name, self.log_tail());
        }
        drop(self.child.kill()); // it may have ended by itself
        drop(self.child.wait());
    }
}

/// Empty for a process that does not serve this interface, such as one that only relays.
fn address(written: &str, of: &str) -> String {
    let line = written.lines().find_map(|line| line.strip_prefix(of)?.strip_prefix('='));
    line.map(|address| format!("http://{address}")).unwrap_or_default()
}
