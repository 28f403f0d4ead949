//! What is left after the faults, judged by what callers were told. Reads only, and nothing of the
//! services' own code: the log's rows as SQL gives them, its events as `factline events` decodes
//! them, the views' tables as they are.

mod alerts;
mod fold;
mod log;
mod places;
mod rows;
mod sagas;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::failure::Failure;
use crate::history::Operation;
use crate::place::Place;
use crate::receiver::Delivery;

pub(crate) use sagas::Sagas;

/// What was found. Every list says what it found in a sentence each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Findings {
    /// Events in the log.
    pub(crate) events: u64,
    /// Acknowledged events that are not in the log as they were told, or events that a projection
    /// or the topic lacks.
    pub(crate) lost: Vec<String>,
    /// Effects that happened twice, or without anybody having been told.
    pub(crate) duplicated: Vec<String>,
    /// Versions, positions or times that do not follow one another, or not as callers saw it.
    pub(crate) order_breaks: Vec<String>,
    /// Rows of views that the log's events do not come to.
    pub(crate) divergent_rows: Vec<String>,
    /// Streams that stand still although nothing poisoned them.
    pub(crate) stuck_streams: Vec<String>,
    /// Differences that `factline verify` tells and that no fault of ours explains.
    pub(crate) differences: Vec<String>,
    /// Steps of a process that had their effect twice.
    pub(crate) double_steps: Vec<String>,
    /// Processes that neither ended nor wait for anybody outside.
    pub(crate) stuck_sagas: Vec<String>,
    /// Where the processes ended.
    pub(crate) sagas: Sagas,
    /// Records that came on a topic again.
    pub(crate) repeats_on_topics: u64,
}

impl Findings {
    /// Whether nothing was found.
    pub(crate) fn is_clean(&self) -> bool {
        self.lists().iter().all(|(_, list)| list.is_empty())
    }

    /// All of it, a list a name.
    pub(crate) fn lists(&self) -> [(&'static str, &[String]); 8] {
        [
            ("lost", &self.lost),
            ("duplicated", &self.duplicated),
            ("order_breaks", &self.order_breaks),
            ("divergent_rows", &self.divergent_rows),
            ("stuck_streams", &self.stuck_streams),
            ("double_steps", &self.double_steps),
            ("stuck_sagas", &self.stuck_sagas),
            ("differences", &self.differences),
        ]
    }
}

/// An event of the log, as `factline events --json` shows it.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub(crate) struct Event {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) position: i64,
    pub(crate) stream_id: String,
    pub(crate) version: i64,
    pub(crate) event_id: uuid::Uuid,
    pub(crate) event_type: String,
    pub(crate) occurred_at: chrono::DateTime<chrono::Utc>,
    pub(crate) recorded_at: chrono::DateTime<chrono::Utc>,
    pub(crate) correlation_id: uuid::Uuid,
    #[serde(default)]
    pub(crate) actor: Option<String>,
    pub(crate) data: Value,
}

impl Event {
    /// `ItemSold` of `factline.inventory.ItemSold`.
    pub(crate) fn name(&self) -> &str {
        self.event_type.rsplit('.').next().unwrap_or(&self.event_type)
    }

    /// Whether it is of this kind of aggregate.
    pub(crate) fn is_of(&self, kind: &str) -> bool {
        self.topic.split('.').rev().nth(1) == Some(kind)
    }
}

/// Rows of a table by their key.
pub(crate) type Rows = BTreeMap<String, Value>;

/// Checks everything. `foreign`: how many records that are no event stand in the topics.
///
/// # Errors
/// Something cannot be read; what it holds is then unknown.
pub(crate) async fn check(
    place: &Place,
    operations: &[Operation],
    deliveries: &[Delivery],
    foreign: u64,
) -> Result<Findings, Failure> {
    let events = places::events(place).await?;
    let mut found = Findings { events: events.len() as u64, ..Findings::default() };
    log::judge(operations, &events, &mut found);
    places::verify(place, foreign, &mut found).await?;
    let tables = rows::read(place).await?;
    let expected = fold::fold(&events);
    rows::compare(&expected, &tables, &mut found);
    sagas::judge(&events, &tables, &mut found);
    alerts::judge(&tables, deliveries, &mut found);
    rows::parked(&expected, &tables, &mut found);
    Ok(found)
}
