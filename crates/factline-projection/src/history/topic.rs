//! The topic as history, for a service that may not read the log: complete as long as retention has
//! removed nothing.
//!
//! A relay that begins again after a failed send repeats a suffix, and what was lost in between comes
//! behind what ran ahead of it. So records are sorted by position here, and of several with one position
//! the first is taken, as by a live projection.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use factline_codec::{StoredEvent, unframe};
use factline_core::{Envelope, Fault, Position};
use factline_kafka::{Admin, KafkaSettings, PartitionId, Record, next_offset, read_envelope};
use tokio::sync::OnceCell;

use super::History;
use crate::schemas::{Found, Schemas};

const DOING: &str = "reading a topic as history";

/// See the module.
pub(crate) struct TopicHistory {
    kafka: KafkaSettings,
    schemas: Arc<Schemas>,
    /// Made when it is first needed: most projections are never rebuilt.
    admin: OnceCell<Admin>,
    /// Where to read on, so that a partition is not read from its beginning for every page.
    bookmarks: Mutex<HashMap<PartitionId, Bookmark>>,
}

/// No event behind `after` stands before `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bookmark {
    after: Position,
    offset: i64,
}

impl TopicHistory {
    pub(crate) fn new(kafka: KafkaSettings, schemas: Arc<Schemas>) -> Self {
        Self { kafka, schemas, admin: OnceCell::new(), bookmarks: Mutex::default() }
    }

    async fn admin(&self) -> Result<&Admin, Fault> {
        self.admin.get_or_try_init(async || Admin::new(&self.kafka)).await
    }

    async fn begin(&self, id: &PartitionId, after: Position) -> Result<Bookmark, Fault> {
        let known = self.bookmarks.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied();
        if let Some(bookmark) = known.filter(|one| one.after <= after) {
            return Ok(bookmark);
        }
        let ends = self.admin().await?.watermarks(&id.topic).await?;
        let low = ends.iter().find(|one| one.partition == id.partition).map_or(0, |one| one.low);
        Ok(Bookmark { after: Position::ZERO, offset: low })
    }

    async fn stored(&self, envelope: Envelope, record: &Record) -> Result<StoredEvent, Fault> {
        let unreadable = |why: String| {
            let Envelope { topic, partition, position, .. } = &envelope;
            Fault::fatal(DOING, format!("{topic}/{partition}@{position}: {why}"))
        };
        let value = record.value.as_ref().ok_or_else(|| unreadable("it has no value".into()))?;
        let (id, datum) = unframe(value).map_err(|fault| unreadable(fault.to_string()))?;
        let schema = match self.schemas.find(id, Instant::now()).await {
            Found::Schema(schema) => schema,
            Found::Bad(bad) => return Err(unreadable(bad.detail)),
            Found::Wait(fault) => return Err(fault),
        };
        Ok(StoredEvent { envelope, schema, datum: value.slice_ref(datum) })
    }
}

#[async_trait]
impl History for TopicHistory {
    fn name(&self) -> &'static str {
        "the topic"
    }

    async fn read(
        &self,
        topic: &str,
        partition: i32,
        after: Position,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, Fault> {
        let id = PartitionId { topic: topic.into(), partition };
        let mut offset = self.begin(&id, after).await?.offset;
        let mut page = Page::new(after, limit);
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        while !page.is_full() {
            let records = self.admin().await?.records(topic, partition, offset, most).await?;
            let Some(last) = records.last() else { break }; // the end
            offset = next_offset(last);
            page.file(records);
        }
        let bookmark = page.bookmark(offset);
        let mut events = Vec::with_capacity(page.dense);
        for (envelope, record) in page.into_dense() {
            events.push(self.stored(envelope, &record).await?);
        }
        self.bookmarks.lock().unwrap_or_else(PoisonError::into_inner).insert(id, bookmark);
        Ok(events)
    }
}

/// Records of a stretch of positions, as far as they were found.
#[derive(Debug)]
struct Page {
    after: Position,
    limit: i64,
    found: BTreeMap<Position, (Envelope, Record)>,
    /// How many positions behind `after` were found without a hole.
    dense: usize,
    /// The lowest offset of a position beyond the page: the next page begins there.
    beyond: Option<i64>,
}

impl Page {
    fn new(after: Position, limit: i64) -> Self {
        Self { after, limit, found: BTreeMap::new(), dense: 0, beyond: None }
    }

    fn end(&self) -> Position {
        Position(self.after.0 + i64::try_from(self.dense).unwrap_or(i64::MAX))
    }

    fn is_full(&self) -> bool {
        self.end().0 >= self.after.0.saturating_add(self.limit)
    }

    fn file(&mut self, records: Vec<Record>) {
        for record in records {
            let Ok(envelope) = read_envelope(&record) else { continue }; // no event, and no position
            let position = envelope.position;
            if position.0 > self.after.0.saturating_add(self.limit) {
                self.beyond.get_or_insert(record.offset);
            } else if position > self.after {
                self.found.entry(position).or_insert((envelope, record));
            }
        }
        while self.found.contains_key(&self.end().next()) {
            self.dense += 1;
        }
    }

    /// `read_to`: the offset behind the last record that was filed.
    fn bookmark(&self, read_to: i64) -> Bookmark {
        let unused = self.found.range(self.end().next()..).map(|(_, (_, record))| record.offset);
        let offset = unused.chain(self.beyond).fold(read_to, i64::min);
        Bookmark { after: self.end(), offset }
    }

    fn into_dense(self) -> impl Iterator<Item = (Envelope, Record)> {
        self.found.into_values().take(self.dense)
    }
}

#[cfg(test)]
mod tests {
    use factline_core::Version;
    use factline_kafka::envelope_headers;

    use super::*;
    use crate::testing::{TOPIC, envelope};

    fn record((offset, position): (i64, i64)) -> Record {
        let envelope = envelope("a", position, Version(position), "ParcelSent");
        Record {
            topic: TOPIC.into(),
            partition: 0,
            offset,
            key: Some(bytes::Bytes::from_static(b"a")),
            value: None,
            headers: envelope_headers(&envelope, 1, "http://registry"),
            timestamp_ms: None,
        }
    }

    /// The offsets of the records on a page, and where the next one begins.
    fn paged(after: i64, limit: i64, records: &[(i64, i64)]) -> (Vec<i64>, Bookmark) {
        let mut page = Page::new(Position(after), limit);
        page.file(records.iter().copied().map(record).collect());
        let bookmark = page.bookmark(records.last().map_or(0, |(offset, _)| offset + 1));
        (page.into_dense().map(|(_, record)| record.offset).collect(), bookmark)
    }

    #[test]
    fn a_suffix_that_was_sent_again_fills_the_hole_and_repeats_nothing() {
        let (offsets, next) = paged(0, 10, &[(0, 1), (1, 3), (2, 2), (3, 3), (4, 4)]);
        assert_eq!(offsets, [0, 2, 1, 4]);
        assert_eq!(next, Bookmark { after: Position(4), offset: 5 });
    }

    #[test]
    fn the_next_page_begins_at_the_first_record_that_this_one_has_not_used() {
        let (offsets, next) = paged(0, 2, &[(0, 1), (1, 4), (2, 2), (3, 3), (4, 4)]);
        assert_eq!((offsets, next.offset), (vec![0, 2], 1));
        let (offsets, next) = paged(2, 2, &[(1, 4), (2, 2), (3, 3), (4, 4)]);
        assert_eq!(offsets, [3, 1]);
        assert_eq!(next, Bookmark { after: Position(4), offset: 5 });
    }

    #[test]
    fn behind_a_hole_nothing_is_told() {
        let (offsets, next) = paged(0, 10, &[(0, 1), (1, 3)]);
        assert_eq!((offsets, next), (vec![0], Bookmark { after: Position(1), offset: 1 }));
    }
}
