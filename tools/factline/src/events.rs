//! `factline events`: the log, event by event, decoded with the schema that wrote each.

use std::io::Write;
use std::time::Duration;

use chrono::SecondsFormat;
use factline_codec::{StoredEvent, decode_to_json};
use factline_core::{Position, StreamId, Version};
use factline_log::StreamBound;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::sources::Sources;

/// Events read at once: some 500 KiB.
const PAGE: i64 = 1_000;
/// Seems immediate to a reader.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Arguments of `events`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only this topic
    #[arg(long)]
    topic: Option<String>,
    /// Only this partition
    #[arg(long)]
    partition: Option<i32>,
    /// Only what follows this position, in every partition
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: i64,
    /// Only this stream, from its first event
    #[arg(long, value_name = "ID", conflicts_with_all = ["partition", "after", "follow"])]
    stream: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Go on showing what is appended, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Shows events, by partition and position.
pub(crate) async fn run(args: &Args, sources: &Sources) -> Result<bool, Failure> {
    let topics = sources.topics().await?;
    let wanted = |name: &str| args.topic.as_deref().is_none_or(|topic| topic == name);
    let mut readings: Vec<Reading> = topics
        .iter()
        .filter(|topic| wanted(&topic.name))
        .map(|topic| Reading::begin(args, &topic.name, topic.heads.len()))
        .collect();
    if readings.is_empty() {
        return Err(Failure::new("the log has no such topic"));
    }
    let mut left = args.limit.unwrap_or(usize::MAX);
    if let Some(id) = &args.stream {
        for reading in &readings {
            stream(args, sources, &reading.topic, id, &mut left).await?;
        }
        return Ok(true);
    }
    loop {
        let mut found = 0;
        for reading in &mut readings {
            found += reading.page(args, sources, &mut left).await?;
        }
        if left == 0 || (found == 0 && !args.follow) {
            return Ok(true);
        }
        if found == 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Where the reading of a topic is.
struct Reading {
    topic: String,
    cursors: Vec<(i32, Position)>,
}

impl Reading {
    fn begin(args: &Args, topic: &str, partitions: usize) -> Reading {
        let all = (0..).take(partitions);
        let wanted = all.filter(|partition| args.partition.is_none_or(|one| one == *partition));
        let cursors = wanted.map(|partition| (partition, Position(args.after))).collect();
        Reading { topic: topic.to_owned(), cursors }
    }

    /// Shows the next page of every partition; how many events that were.
    async fn page(
        &mut self,
        args: &Args,
        sources: &Sources,
        left: &mut usize,
    ) -> Result<usize, Failure> {
        let events = sources.reader.read_after(&self.topic, &self.cursors, PAGE).await?;
        for event in &events {
            let envelope = &event.envelope;
            let cursor = self.cursors.iter_mut().find(|cursor| cursor.0 == envelope.partition);
            if let Some(cursor) = cursor {
                cursor.1 = envelope.position;
            }
        }
        show(args, &events, left)?;
        Ok(events.len())
    }
}

async fn stream(
    args: &Args,
    sources: &Sources,
    topic: &str,
    id: &str,
    left: &mut usize,
) -> Result<(), Failure> {
    let id = StreamId::parse(id).map_err(|error| Failure::new(error.to_string()))?;
    let mut after = Version::ZERO;
    loop {
        let page = sources.reader.stream(topic, &id, after, StreamBound::Everything, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.envelope.version;
        show(args, &page, left)?;
    }
}

fn show(args: &Args, events: &[StoredEvent], left: &mut usize) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    for event in events.iter().take(*left) {
        let line = if args.json { object(event).to_string() } else { line(event) };
        writeln!(output, "{line}")?;
    }
    output.flush()?;
    *left = left.saturating_sub(events.len());
    Ok(())
}

/// The data, or what is wrong with it: an operator must see the event all the same.
fn data(event: &StoredEvent) -> Value {
    decode_to_json(&event.schema, &event.datum)
        .unwrap_or_else(|fault| json!({ "undecodable": fault.to_string() }))
}

fn object(event: &StoredEvent) -> Value {
    let envelope = &event.envelope;
    json!({
        "topic": envelope.topic,
        "partition": envelope.partition,
        "position": envelope.position,
        "stream_id": envelope.stream_id,
        "version": envelope.version,
        "event_id": envelope.event_id,
        "event_type": envelope.event_type,
        "occurred_at": envelope.occurred_at,
        "recorded_at": envelope.recorded_at,
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id,
        "actor": envelope.actor,
        "traceparent": envelope.traceparent,
        "data": data(event),
    })
}

/// `0@17  2026-11-21T10:00:00.123Z  parcel-1 v3  ParcelSent  {…}`.
fn line(event: &StoredEvent) -> String {
    let envelope = &event.envelope;
    let name = envelope.event_type.rsplit('.').next().unwrap_or(&envelope.event_type);
    format!(
        "{}@{}  {}  {} v{}  {name}  {}",
        envelope.partition,
        envelope.position,
        envelope.recorded_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        envelope.stream_id,
        envelope.version,
        data(event),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use factline_codec::WriterSchema;
    use factline_core::Envelope;
    use uuid::Uuid;

    use super::*;

    fn event(datum: &'static [u8]) -> StoredEvent {
        let schema = r#"{"type":"record","name":"ParcelSent","namespace":"factline.parcel","fields":[
            {"name":"weight_grams","type":"long"}]}"#;
        StoredEvent {
            envelope: Envelope {
                topic: Arc::from("factline.parcel.v1"),
                partition: 2,
                position: Position(17),
                stream_id: StreamId::parse("parcel-1").unwrap(),
                version: Version(3),
                event_id: Uuid::nil(),
                event_type: Arc::from("factline.parcel.ParcelSent"),
                correlation_id: Uuid::nil(),
                causation_id: Uuid::nil(),
                actor: None,
                traceparent: None,
                occurred_at: DateTime::UNIX_EPOCH,
                recorded_at: DateTime::UNIX_EPOCH,
            },
            schema: WriterSchema::admit(schema).unwrap(),
            datum: datum.into(),
        }
    }

    #[test]
    fn a_line_tells_place_stream_type_and_data() {
        assert_eq!(
            line(&event(b"\x0e")),
            "2@17  1970-01-01T00:00:00.000Z  parcel-1 v3  ParcelSent  {\"weight_grams\":7}"
        );
    }

    #[test]
    fn an_event_that_cannot_be_decoded_is_shown_all_the_same() {
        let shown = object(&event(b""));
        assert_eq!(shown["position"], 17);
        assert!(shown["data"]["undecodable"].is_string());
    }
}
