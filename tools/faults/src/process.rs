//! One process of a service: started, killed, frozen, thawed, ended.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::failure::Failure;
use crate::place::{Place, Service};

/// A service begins while its stack may be down, so it is given longer than any fault lasts.
const START_WITHIN: Duration = Duration::from_secs(60);
/// How long a service may take to end in good order: it drains for 20 s and finishes in 10 s.
const END_WITHIN: Duration = Duration::from_secs(40);
/// Seems immediate beside a start.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where a process listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listens {
    /// `http://127.0.0.1:8080`, for everybody.
    pub(crate) http: String,
    /// `http://127.0.0.1:9080`, for operators.
    pub(crate) admin: String,
}

/// A place for a process, with or without one. Dropping it kills what runs.
#[derive(Debug)]
pub(crate) struct Process {
    service: Service,
    /// Unique in the run: of its files.
    pub(crate) name: &'static str,
    place: Place,
    child: Option<Child>,
}

impl Process {
    /// Of which nothing runs yet.
    pub(crate) fn new(service: Service, name: &'static str, place: &Place) -> Process {
        Process { service, name, place: place.clone(), child: None }
    }

    /// Starts it and waits until it says where it listens. While its surroundings are down a
    /// service may end instead, as it would under a supervisor: then it is started again.
    ///
    /// # Errors
    /// It cannot be started, or not in time.
    pub(crate) async fn start(&mut self) -> Result<Listens, Failure> {
        let deadline = Instant::now() + START_WITHIN;
        loop {
            let addresses = self.file("addresses");
            drop(fs::remove_file(&addresses)); // of an earlier process of this name, if any
            self.child = Some(self.command("serve")?.spawn()?);
            loop {
                if let Some(listens) = read(&addresses) {
                    return Ok(listens);
                }
                if Instant::now() >= deadline {
                    return Err(Failure::told(format!("{} did not start in time", self.name)));
                }
                sleep(LOOK_EVERY).await;
                if !self.runs() {
                    break;
                }
            }
            sleep(Duration::from_millis(500)).await; // a supervisor's back-off
        }
    }

    /// Makes the service's database.
    ///
    /// # Errors
    /// The migration fails; its log says why.
    pub(crate) async fn migrate(&mut self) -> Result<(), Failure> {
        if self.command("migrate")?.status().await?.success() {
            return Ok(());
        }
        let log = self.file("log").display().to_string();
        Err(Failure::told(format!("{} migrate failed: see {log}", self.name)))
    }

    /// As a crash would. Whether there was something to kill.
    ///
    /// # Errors
    /// The operating system refuses.
    pub(crate) async fn kill(&mut self) -> Result<bool, Failure> {
        let Some(mut child) = self.child.take() else { return Ok(false) };
        let ran = child.try_wait()?.is_none();
        child.kill().await?;
        Ok(ran)
    }

    /// Freezes or thaws it; connections stay open. Whether there was something.
    pub(crate) fn signal(&mut self, signal: Signal) -> bool {
        let runs = self.runs();
        let pid = self.child.as_ref().and_then(Child::id).and_then(|pid| i32::try_from(pid).ok());
        match pid.and_then(Pid::from_raw) {
            Some(pid) if runs => kill_process(pid, signal).is_ok(),
            Some(_) | None => false,
        }
    }

    /// Whether its process is there, frozen or not.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Asks it to end, waits, and kills it if it does not.
    ///
    /// # Errors
    /// The operating system refuses.
    pub(crate) async fn end(&mut self) -> Result<(), Failure> {
        self.signal(Signal::TERM);
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if tokio::time::timeout(END_WITHIN, child.wait()).await.is_err() {
            child.kill().await?;
        }
        Ok(())
    }

    fn command(&self, verb: &str) -> Result<Command, Failure> {
        let log = File::options().create(true).append(true).open(self.file("log"))?;
        let mut command = Command::new(self.place.programs.join(self.service.program()));
        command.arg(verb).envs(self.place.settings(self.service));
        command.env("FACTLINE__HTTP__ADDRESS_FILE", self.file("addresses"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.process_group(0).kill_on_drop(true);
        Ok(command)
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.place.folder.join(format!("{}.{extension}", self.name))
    }
}

/// Reads `http=ADDRESS` and `admin=ADDRESS`, once both are written.
fn read(addresses: &PathBuf) -> Option<Listens> {
    let text = fs::read_to_string(addresses).ok()?;
    let value = |key: &str| {
        let address = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(format!("http://{address}"))
    };
    Some(Listens { http: value("http")?, admin: value("admin")? })
}
