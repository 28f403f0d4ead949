//! `factline dlq`: what projections could not apply, by what it looks like, and each in full; and what
//! an operator does about it.

mod acts;
mod payload;

use std::collections::BTreeMap;
use std::io::Write;

use factline_projection::inspect::{self, ParkedEvent, ParkedStream};
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::sources::{Projector, Sources};

/// Records that are no events, of which so many of each projector are listed.
const FOREIGN_LIMIT: i64 = 1_000;

/// What can be asked.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// What is parked, failures that look alike together
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// One parked stream: its events with payload, cause and attempts
    Show {
        /// The stream, or the fingerprint of its failure
        #[arg(value_name = "STREAM")]
        stream: String,
        /// Only of this projection
        #[arg(long)]
        projection: Option<String>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Apply the parked events of streams, in order, so that they are live again; a dry run without
    /// --yes
    Retry(acts::Retry),
    /// Pass over the first parked event of a stream, for a reason
    Skip(acts::Skip),
}

/// Failures of one projection that look alike.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Group {
    projection: String,
    fingerprint: String,
    code: String,
    /// Of the first one.
    detail: String,
    streams: u64,
    events: i64,
    /// The stream to look at.
    first_stream: String,
}

/// Lists, shows, or asks a projector for an act.
pub(crate) async fn run(verb: &Verb, sources: &Sources) -> Result<bool, Failure> {
    match verb {
        Verb::List { json } => list(*json, sources).await,
        Verb::Show { stream, projection, json } => {
            show(stream, projection.as_deref(), *json, sources).await
        }
        Verb::Retry(verb) => acts::retry(verb, sources).await,
        Verb::Skip(verb) => acts::skip(verb, sources).await,
    }
}

async fn list(json: bool, sources: &Sources) -> Result<bool, Failure> {
    let mut output = std::io::stdout().lock();
    let mut empty = true;
    for projector in &sources.projectors {
        let mut groups = groups(&inspect::parked_streams(&projector.database).await?);
        groups.extend(foreign(projector).await?);
        for group in groups {
            empty = false;
            let line = if json { serde_json::to_string(&group)? } else { line(&group) };
            writeln!(output, "{line}")?;
        }
    }
    if empty && !json {
        writeln!(output, "nothing is parked")?;
    }
    Ok(true)
}

/// The oldest failure first.
fn groups(streams: &[ParkedStream]) -> Vec<Group> {
    let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for stream in streams {
        let place = *places.entry((&stream.projection, &stream.fingerprint)).or_insert_with(|| {
            groups.push(Group {
                projection: stream.projection.clone(),
                fingerprint: stream.fingerprint.clone(),
                code: stream.code.clone(),
                detail: stream.detail.clone(),
                streams: 0,
                events: 0,
                first_stream: stream.stream_id.clone(),
            });
            groups.len() - 1
        });
        groups[place].streams += 1;
        groups[place].events += stream.events;
    }
    groups
}

/// Records without a stream, by their code; they have no fingerprint.
async fn foreign(projector: &Projector) -> Result<Vec<Group>, Failure> {
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    for record in inspect::foreign_records(&projector.database, FOREIGN_LIMIT).await? {
        let key = (record.projection.clone(), record.code.clone());
        let group = groups.entry(key).or_insert_with(|| Group {
            projection: record.projection,
            fingerprint: "foreign".to_owned(),
            code: record.code,
            detail: record.detail,
            streams: 0,
            events: 0,
            first_stream: format!(
                "{}/{} at offset {}",
                record.topic, record.partition, record.record_offset
            ),
        });
        group.events += 1;
    }
    Ok(groups.into_values().collect())
}

fn line(group: &Group) -> String {
    let Group { projection, fingerprint, code, detail, streams, events, first_stream } = group;
    format!(
        "{fingerprint}  {projection}: {events} events in {streams} streams, first {first_stream}\n    \
         {code}: {detail}"
    )
}

async fn show(
    wanted: &str,
    projection: Option<&str>,
    json: bool,
    sources: &Sources,
) -> Result<bool, Failure> {
    let mut found = false;
    for projector in &sources.projectors {
        let streams = inspect::parked_streams(&projector.database).await?;
        for stream in streams.iter().filter(|one| is_wanted(one, wanted, projection)) {
            found = true;
            show_stream(projector, stream, json).await?;
        }
    }
    if !found {
        return Err(Failure::new(format!("nothing of {wanted:?} is parked")));
    }
    Ok(true)
}

/// Whether the stream is the wanted one, or failed in the wanted way.
fn is_wanted(stream: &ParkedStream, wanted: &str, projection: Option<&str>) -> bool {
    projection.is_none_or(|projection| stream.projection == projection)
        && (stream.stream_id == wanted || stream.fingerprint == wanted)
}

async fn show_stream(
    projector: &Projector,
    stream: &ParkedStream,
    json: bool,
) -> Result<(), Failure> {
    let ParkedStream { projection, topic, stream_id, .. } = stream;
    let events = inspect::parked_events(&projector.database, projection, topic, stream_id).await?;
    let mut output = std::io::stdout().lock();
    if !json {
        let (code, detail, at) = (&stream.code, &stream.detail, stream.parked_at);
        writeln!(output, "{projection}: {stream_id} stands still since {at}: {code}: {detail}")?;
    }
    for event in &events {
        let data = payload::of(&projector.database, event).await;
        let shown = if json { object(event, data).to_string() } else { paragraph(event, &data) };
        writeln!(output, "{shown}")?;
    }
    Ok(())
}

fn object(event: &ParkedEvent, data: Value) -> Value {
    json!({
        "projection": event.projection,
        "topic": event.topic,
        "partition": event.partition,
        "position": event.position,
        "stream_id": event.stream_id,
        "version": event.version,
        "event_id": event.event_id,
        "event_type": event.event_type,
        "code": event.code,
        "detail": event.detail,
        "attempts": event.attempts,
        "parked_at": event.parked_at,
        "exported_at": event.exported_at,
        "record_offset": event.record_offset,
        "key": event.record_key.as_deref().map(payload::text),
        "headers": payload::headers(event),
        "payload": data,
    })
}

fn paragraph(event: &ParkedEvent, data: &Value) -> String {
    let place = match event.record_offset {
        Some(offset) => format!("offset {offset}"),
        None => "read from the log's history".to_owned(),
    };
    let headers: Vec<String> = payload::headers(event)
        .into_iter()
        .map(|(name, value)| format!("    {name}: {}", value.as_str().unwrap_or("null")))
        .collect();
    format!(
        "  version {} at {}@{} ({place}): {}\n    {}: {} ({} attempts)\n{}\n    {data}",
        event.version,
        event.partition,
        event.position,
        event.event_type,
        event.code,
        event.detail,
        event.attempts,
        headers.join("\n"),
    )
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn parked(stream_id: &str, fingerprint: &str, events: i64) -> ParkedStream {
        ParkedStream {
            projection: "parcels".to_owned(),
            topic: "factline.parcel.v1".to_owned(),
            stream_id: stream_id.to_owned(),
            code: "impossible".to_owned(),
            detail: "it was never sent".to_owned(),
            fingerprint: fingerprint.to_owned(),
            first_position: 1,
            parked_at: DateTime::UNIX_EPOCH,
            events,
        }
    }

    #[test]
    fn failures_that_look_alike_are_listed_once() {
        let all = groups(&[parked("a", "f1", 2), parked("b", "f2", 1), parked("c", "f1", 3)]);
        let sums: Vec<_> = all.iter().map(|group| (group.streams, group.events)).collect();
        assert_eq!(sums, [(2, 5), (1, 1)]);
        assert_eq!(all[0].first_stream, "a");
    }
}
