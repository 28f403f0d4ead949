//! `factline verify`: proves that the three places hold the same events.
//!
//! For every partition: the store has positions 1 to the head without a hole; the topic's first
//! occurrence of each position comes in order and is the same event, word by word; the relay's cursor
//! is where the topic ends; each projection has had the
//! effect of exactly the events up to its checkpoint, or has parked them, as far back as it keeps their ids. It waits a moment for
//! what is on its way; events that come meanwhile disturb nothing, because each place is read no
//! later than the one that it is compared with.

mod projection;
mod store;
mod topic;

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::sources::{Sources, Topic};

use projection::Seen;
use topic::OnTopic;

/// How often the checkpoints are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Arguments of `verify`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Wait so long for events that are on their way
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    wait: u64,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// The whole answer.
#[derive(Debug, Serialize)]
struct Verdict {
    equal: bool,
    differences: Vec<String>,
    /// Events in the store.
    log_events: usize,
    topics: Vec<TopicVerdict>,
    projections: Vec<ProjectionVerdict>,
    /// Rows of `processed_events`, by projection.
    processed_events: BTreeMap<String, usize>,
}

#[derive(Debug, Serialize)]
struct TopicVerdict {
    topic: String,
    events: usize,
    records: u64,
    /// Records that the relay sent again.
    repeats: u64,
}

#[derive(Debug, Serialize)]
struct ProjectionVerdict {
    service: String,
    projection: String,
    processed: usize,
    parked: usize,
    /// Events that an operator has left out.
    left_out: i64,
    /// Events made before are not compared: their ids are not kept any more.
    compared_since: Option<DateTime<Utc>>,
}

/// Compares and shows; whether everything is equal.
pub(crate) async fn run(args: &Args, sources: &Sources) -> Result<bool, Failure> {
    let verdict = verify(args, sources).await?;
    if args.json {
        println!("{}", serde_json::to_string(&verdict)?);
    } else {
        show(&verdict);
    }
    Ok(verdict.equal)
}

async fn verify(args: &Args, sources: &Sources) -> Result<Verdict, Failure> {
    let heads = sources.topics().await?;
    wait_for(&heads, sources, Instant::now() + Duration::from_secs(args.wait)).await?;
    let mut differences = Vec::new();
    let mut seen = Vec::new();
    for projector in &sources.projectors {
        match projection::read(projector).await {
            Ok(some) => seen.extend(some),
            Err(failure) => differences.push(format!("{}: {failure}", projector.service)),
        }
    }
    let mut topics = Vec::new();
    let mut log_events = 0;
    for head in &heads {
        // The topic's ends before the store: what is sent is stored.
        let ends = topic::ends(sources, &head.name).await;
        let stored = store::read(sources, head).await?;
        differences.extend(store::problems(sources, &stored).await?);
        let on_topic = match ends {
            Ok(ends) => topic::read(sources, &stored, &ends).await?,
            Err(failure) => OnTopic::unreadable(failure),
        };
        differences.extend(on_topic.differences(head));
        let now = sources.topics().await?;
        let now = now.iter().find(|now| now.name == head.name);
        differences.extend(now.map(|now| on_topic.cursors(head, now)).unwrap_or_default());
        for one in seen.iter().filter(|seen| seen.topic == head.name) {
            differences.extend(one.differences(&stored, head));
        }
        log_events += stored.events();
        topics.push(TopicVerdict {
            topic: head.name.clone(),
            events: stored.events(),
            records: on_topic.records,
            repeats: on_topic.repeats,
        });
    }
    Ok(Verdict {
        equal: differences.is_empty(),
        differences,
        log_events,
        topics,
        processed_events: seen
            .iter()
            .map(|seen| (seen.projection.clone(), seen.processed.len()))
            .collect(),
        projections: seen.iter().map(ProjectionVerdict::from).collect(),
    })
}

/// Waits until every checkpoint has passed these heads, or the time is up: whoever has not by then
/// is behind, which is a difference.
async fn wait_for(heads: &[Topic], sources: &Sources, deadline: Instant) -> Result<(), Failure> {
    loop {
        let mut behind = false;
        for projector in &sources.projectors {
            behind |= projection::is_behind(projector, heads).await;
        }
        let relayed = sources.topics().await?;
        behind |= relayed.iter().zip(heads).any(|(now, then)| {
            now.relayed.iter().zip(&then.heads).any(|(relayed, head)| relayed < head)
        });
        if !behind || Instant::now() >= deadline {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl From<&Seen> for ProjectionVerdict {
    fn from(seen: &Seen) -> ProjectionVerdict {
        ProjectionVerdict {
            service: seen.service.clone(),
            projection: seen.projection.clone(),
            processed: seen.processed.len(),
            parked: seen.parked.len(),
            left_out: seen.left_out.iter().map(|(_, was, after)| after - was).sum(),
            compared_since: seen.compared_since(),
        }
    }
}

fn show(verdict: &Verdict) {
    for topic in &verdict.topics {
        let TopicVerdict { topic, events, records, repeats } = topic;
        println!(
            "{topic}: {events} events in the store, {records} records on the topic, {repeats} repeats"
        );
    }
    for one in &verdict.projections {
        let ProjectionVerdict { service, projection, processed, parked, .. } = one;
        let mut line =
            format!("{projection} ({service}): {processed} events processed, {parked} parked");
        if one.left_out > 0 {
            let _ = write!(line, ", {} left out", one.left_out);
        }
        if let Some(since) = one.compared_since {
            let _ = write!(
                line,
                ", of those made since {}",
                since.to_rfc3339_opts(SecondsFormat::Secs, true)
            );
        }
        println!("{line}");
    }
    verdict.differences.iter().for_each(|difference| println!("differs: {difference}"));
    println!("{}", if verdict.equal { "equal" } else { "not equal" });
}
