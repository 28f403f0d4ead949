//! The invariant, after every cell: in every partition positions are 1, 2, 3 … up to its head; in
//! every stream versions are 1, 2, 3 …; no event id occurs twice; and every command that was
//! acknowledged left exactly its events, no other left any.
//!
//! A bench's commands carry numbers from 1 on, which their events repeat: so "nothing lost, nothing
//! twice" and the exact sum are one count for each number.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use factline_codec::decode_to_json;
use factline_core::{Position, StreamId};
use factline_log::{LogReader, LogSettings};
use serde_json::Value;
use uuid::Uuid;

use crate::failure::Failure;

/// Events read at once.
const PAGE: i64 = 5_000;

/// What a cell says it has done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    /// Commands; their numbers are 1 to this.
    pub(crate) commands: u64,
    /// Events of each.
    pub(crate) events_each: u64,
}

/// Finds a command's number in an event's full name and data; none for an event that is no
/// numbered command's.
pub(crate) type NumberOf = fn(&str, &Value) -> Option<u64>;

/// Reads the whole log.
///
/// # Returns
/// How many events there are, or what does not hold.
///
/// # Errors
/// The log cannot be read.
pub(crate) async fn log(
    settings: &LogSettings,
    topic: &str,
    acknowledged: Acknowledged,
    number_of: NumberOf,
) -> Result<Result<u64, String>, Failure> {
    let reader = LogReader::new(&settings.url, 1)?;
    let mut seen = Seen::of(acknowledged);
    for (partition, head) in reader.heads(topic).await? {
        let mut last = Position::ZERO;
        loop {
            let page = reader.read(topic, partition, last, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for event in page {
                let envelope = &event.envelope;
                if envelope.position.0 != last.0 + 1 {
                    return Ok(Err(format!("{partition} has no position {}", last.0 + 1)));
                }
                last = envelope.position;
                let data = decode_to_json(&event.schema, &event.datum);
                let data = data.map_err(|error| Failure::new(error.to_string()))?;
                let number = number_of(&envelope.event_type, &data);
                let told =
                    seen.take(&envelope.stream_id, envelope.version.0, envelope.event_id, number);
                if let Err(told) = told {
                    return Ok(Err(told));
                }
            }
        }
        if last != head {
            return Ok(Err(format!("partition {partition} ends at {last} and its head at {head}")));
        }
    }
    Ok(seen.finish())
}

struct Seen {
    acknowledged: Acknowledged,
    versions: HashMap<StreamId, i64>,
    event_ids: HashSet<Uuid>,
    /// By command's number; the first stays 0.
    events: Vec<u64>,
}

impl Seen {
    fn of(acknowledged: Acknowledged) -> Seen {
        let commands = usize::try_from(acknowledged.commands).unwrap_or_default();
        Seen {
            acknowledged,
            versions: HashMap::new(),
            event_ids: HashSet::new(),
            events: vec![0; commands + 1],
        }
    }

    fn take(
        &mut self,
        stream_id: &StreamId,
        version: i64,
        event_id: Uuid,
        number: Option<u64>,
    ) -> Result<(), String> {
        let last = self.versions.entry(stream_id.clone()).or_default();
        if version != *last + 1 {
            return Err(format!("{stream_id} goes from version {last} to {version}"));
        }
        *last = version;
        if !self.event_ids.insert(event_id) {
            return Err(format!("the event {event_id} is there twice"));
        }
        let Some(number) = number else { return Ok(()) };
        let place = usize::try_from(number).ok().and_then(|number| self.events.get_mut(number));
        let told = || format!("command {number} left an event and was never acknowledged");
        *place.ok_or_else(told)? += 1;
        Ok(())
    }

    fn finish(self) -> Result<u64, String> {
        let each = self.acknowledged.events_each;
        let wrong = (1..).zip(self.events.iter().skip(1)).find(|(_, events)| **events != each);
        if let Some((number, events)) = wrong {
            return Err(format!("command {number} left {events} events instead of {each}"));
        }
        Ok(u64::try_from(self.event_ids.len()).unwrap_or_default())
    }
}

/// Counts commands that are on their way; what it gives out is the next number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers(Arc<std::sync::atomic::AtomicU64>);

impl Numbers {
    /// The next command's number, from 1.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
    }

    /// How many were given out. A cell whose workers all ended well had every one acknowledged.
    pub(crate) fn given(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(events: &[(i64, u64)]) -> Result<u64, String> {
        let stream = StreamId::parse("s").map_err(|error| error.to_string())?;
        let mut seen = Seen::of(Acknowledged { commands: 2, events_each: 1 });
        for (id, (version, number)) in (1..).zip(events) {
            seen.take(&stream, *version, Uuid::from_u128(id), Some(*number))?;
        }
        seen.finish()
    }

    #[test]
    fn a_lost_a_doubled_and_an_unknown_command_are_found() {
        assert_eq!(seen(&[(1, 1), (2, 2)]), Ok(2));
        assert!(seen(&[(1, 1)]).is_err());
        assert!(seen(&[(1, 1), (2, 2), (3, 2)]).is_err());
        assert!(seen(&[(1, 1), (2, 2), (3, 3)]).is_err());
        assert!(seen(&[(1, 1), (3, 2)]).is_err());
    }
}
