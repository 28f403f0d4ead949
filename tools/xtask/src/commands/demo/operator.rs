//! What the operator's program says about the system: `factline status`, `factline verify` and
//! `factline events`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::services::{PROJECTIONS, SERVICES, Services};
use crate::failure::Failure;
use crate::session::Session;

/// How long the last event may take to reach every projection after the import: at a tenth of the
/// speed that the slowest projection has, a file of a million lines still makes it.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(180);
/// How long processes may take to end once every order is delivered or given up.
const ENDED_WITHIN: Duration = Duration::from_secs(60);
/// How the names of the projections begin that follow the heartbeat.
const HEARTBEATS: &str = "heartbeat_";
/// Each look starts a program.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// `factline` with the addresses of this demo.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    program: PathBuf,
    environment: Vec<(String, String)>,
}

/// What the demo needs of `factline status --json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Status {
    /// Events in the log, without heartbeats.
    pub(crate) log_events: u64,
    /// Events that the slowest projection has not seen.
    pub(crate) lag_events: u64,
    /// Events that stand parked, over all projections.
    pub(crate) parked: u64,
    topics: Vec<Topic>,
    projections: Vec<Projection>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Topic {
    topic: String,
    events: u64,
}

/// One projection on one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Projection {
    projection: String,
    topic: String,
}

/// What the demo needs of a line of `factline events --json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Event {
    pub(crate) event_type: String,
    pub(crate) stream_id: String,
    pub(crate) data: Value,
}

/// What the demo needs of `factline verify --json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Verified {
    /// Store, topic and projections agree.
    pub(crate) equal: bool,
    /// Where they do not.
    pub(crate) differences: Vec<String>,
    /// Rows of `processed_events`, by projection; without heartbeats, which go on while figures are
    /// compared.
    pub(crate) processed_events: BTreeMap<String, u64>,
}

impl Operator {
    /// The program and where everything is; services that do not run yet are left out.
    pub(crate) fn new(
        program: PathBuf,
        session: &Session,
        services: Option<&Services>,
    ) -> Operator {
        let stack = session.record_file().to_string_lossy().into_owned();
        let mut environment = vec![("FACTLINE_STACK".to_owned(), stack)];
        for (service, _, _) in SERVICES {
            if let Some(place) = services.and_then(|services| services.places.get(service)) {
                let key = format!("FACTLINE__SERVICES__{}", service.replace('-', "_"));
                environment.push((key.to_uppercase(), place.admin_url.clone()));
            }
        }
        Operator { program, environment }
    }

    /// What the whole system is doing.
    ///
    /// # Errors
    /// The program fails.
    pub(crate) async fn status(&self) -> Result<Status, Failure> {
        self.ask("status").await
    }

    /// Waits until every projection has seen every event; parked ones count as seen.
    ///
    /// # Errors
    /// One has not in time, or a service ends.
    pub(crate) async fn caught_up(&self, services: &mut Services) -> Result<Status, Failure> {
        let deadline = Instant::now() + CAUGHT_UP_WITHIN;
        loop {
            services.check()?;
            let status = self.status().await?;
            if status.lag_events == 0 && status.covers_every_projection() {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                let (lag, seconds) = (status.lag_events, CAUGHT_UP_WITHIN.as_secs());
                return Err(Failure::new(format!("the lag is still {lag} after {seconds} s")));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits a while until every process has ended; how many have not.
    ///
    /// # Errors
    /// The program fails, or a service ends.
    pub(crate) async fn no_saga_is_open(&self, services: &mut Services) -> Result<u64, Failure> {
        let deadline = Instant::now() + ENDED_WITHIN;
        loop {
            services.check()?;
            let output = self.command(&["saga", "list", "--limit", "100000"]).output().await?;
            if !output.status.success() {
                let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return Err(Failure::new(format!("factline saga list: {told}")));
            }
            let open = String::from_utf8_lossy(&output.stdout).lines().count() as u64;
            if open == 0 || Instant::now() >= deadline {
                return Ok(open);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Compares the three places that hold the events.
    ///
    /// # Errors
    /// The program fails; a difference is no error.
    pub(crate) async fn verify(&self) -> Result<Verified, Failure> {
        let mut verified: Verified = self.ask("verify").await?;
        verified.processed_events.retain(|projection, _| !projection.starts_with(HEARTBEATS));
        Ok(verified)
    }

    /// Hands over every event of a topic, one by one as they are read.
    ///
    /// # Errors
    /// The program fails, or whoever takes the events does.
    pub(crate) async fn events(
        &self,
        topic: &str,
        mut take: impl FnMut(Event) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let told = |error: String| Failure::new(format!("factline events: {error}"));
        let mut program = self.command(&["events"]);
        let mut child = program.args(["--topic", topic]).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or_else(|| told("it has no output".to_owned()))?;
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await? {
            take(serde_json::from_str(&line).map_err(|error| told(error.to_string()))?)?;
        }
        let status = child.wait().await?;
        if status.success() { Ok(()) } else { Err(told(status.to_string())) }
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(verb).arg("--json").envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn ask<T: for<'de> Deserialize<'de>>(&self, verb: &str) -> Result<T, Failure> {
        let output = self.command(&[verb]).output().await?;
        serde_json::from_slice(&output.stdout).map_err(|error| {
            let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Failure::new(format!("factline {verb}: {error}: {told}"))
        })
    }
}

impl Status {
    /// The events of the topics that each projection reads, by projection.
    pub(crate) fn events_by_projection(&self) -> BTreeMap<String, u64> {
        let events = |topic: &str| {
            let topics = self.topics.iter().filter(|one| one.topic == topic);
            topics.map(|one| one.events).sum::<u64>()
        };
        let mut by_projection = BTreeMap::new();
        for Projection { projection, topic, .. } in &self.projections {
            *by_projection.entry(projection.clone()).or_default() += events(topic);
        }
        by_projection
    }

    fn covers_every_projection(&self) -> bool {
        let projects = |name: &str| self.projections.iter().any(|one| one.projection == name);
        PROJECTIONS.iter().all(|name| projects(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_that_has_not_begun_is_not_caught_up() {
        let named =
            |name: &&str| Projection { projection: (*name).to_owned(), ..Projection::default() };
        let mut status = Status {
            projections: PROJECTIONS.iter().skip(1).map(named).collect(),
            ..Status::default()
        };
        assert!(!status.covers_every_projection());
        status.projections.push(named(&PROJECTIONS[0]));
        assert!(status.covers_every_projection());
    }

    #[test]
    fn a_projection_has_to_process_the_events_of_its_own_topics() {
        let status = serde_json::json!({
            "log_events": 12, "lag_events": 0, "parked": 0,
            "topics": [{"topic": "parcels", "events": 7}, {"topic": "letters", "events": 5}],
            "projections": [
                {"service": "post", "projection": "parcel_list", "topic": "parcels"},
                {"service": "post", "projection": "all_mail", "topic": "parcels"},
                {"service": "post", "projection": "all_mail", "topic": "letters"},
            ],
        });
        let status: Status = serde_json::from_value(status).unwrap();
        let events = [("all_mail".to_owned(), 12), ("parcel_list".to_owned(), 7)];
        assert_eq!(status.events_by_projection(), events.into());
    }
}
