//! `factline status`: what the services say of themselves, how far every place is, what is parked.

mod projections;
mod services;
mod show;

use factline_core::{DomainEvent as _, heartbeat::HeartbeatEvent};
use serde::Serialize;

use crate::failure::Failure;
use crate::sources::{Sources, Topic};

use projections::ProjectionStatus;
use services::ServiceStatus;

/// Arguments of `status`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// The whole answer.
#[derive(Debug, Serialize)]
struct Status {
    services: Vec<ServiceStatus>,
    topics: Vec<TopicStatus>,
    projections: Vec<ProjectionStatus>,
    /// Events in the log, without heartbeats.
    log_events: i64,
    /// Events that the slowest projection has not seen, without heartbeats.
    lag_events: i64,
    /// How long the oldest event waits that a projection has not seen, without heartbeats.
    lag_seconds: f64,
    /// How old the newest heartbeat is in the service where it is oldest; none where there is none.
    heartbeat_age_seconds: Option<f64>,
    /// Events that stand parked, over all projections.
    parked: i64,
    /// What could not be asked.
    problems: Vec<String>,
}

/// How far a topic is.
#[derive(Debug, Serialize)]
struct TopicStatus {
    topic: String,
    events: i64,
    /// Events that Kafka has acknowledged.
    relayed: i64,
    partitions: Vec<PartitionStatus>,
}

#[derive(Debug, Serialize)]
struct PartitionStatus {
    partition: i32,
    position: i64,
    relayed: i64,
}

/// Asks everything and shows it; what is away is told, and fails nothing.
pub(crate) async fn run(args: &Args, sources: &Sources) -> Result<bool, Failure> {
    let status = ask(sources).await;
    if args.json {
        println!("{}", serde_json::to_string(&status)?);
    } else {
        println!("{}", show::text(&status));
    }
    Ok(true)
}

async fn ask(sources: &Sources) -> Status {
    let mut problems = Vec::new();
    let topics = sources.topics().await.unwrap_or_else(|failure| {
        problems.push(format!("log: {failure}"));
        Vec::new()
    });
    let mut all = Vec::new();
    for projector in &sources.projectors {
        match projections::ask(projector, &topics, &sources.log).await {
            Ok(some) => all.extend(some),
            Err(failure) => problems.push(format!("{}: {failure}", projector.service)),
        }
    }
    let heartbeat = sources.kafka.topic(HeartbeatEvent::KIND);
    let (beats, work): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.topic == heartbeat);
    let of_work = topics.iter().filter(|topic| topic.name != heartbeat);
    Status {
        services: services::ask(sources).await,
        log_events: of_work.map(Topic::events).sum(),
        lag_events: work.iter().map(|one| one.lag_events).max().unwrap_or_default(),
        lag_seconds: work.iter().map(|one| one.lag_seconds).fold(0.0, f64::max),
        heartbeat_age_seconds: beats
            .iter()
            .filter_map(|one| one.age_seconds)
            .max_by(f64::total_cmp),
        parked: all.iter().map(|one| one.parked_events).sum(),
        topics: topics.iter().map(TopicStatus::from).collect(),
        projections: all,
        problems,
    }
}

impl From<&Topic> for TopicStatus {
    fn from(topic: &Topic) -> TopicStatus {
        let pairs = (0..).zip(topic.heads.iter().zip(&topic.relayed));
        TopicStatus {
            topic: topic.name.clone(),
            events: topic.events(),
            relayed: topic.relayed.iter().sum(),
            partitions: pairs
                .map(|(partition, (position, relayed))| PartitionStatus {
                    partition,
                    position: *position,
                    relayed: *relayed,
                })
                .collect(),
        }
    }
}
