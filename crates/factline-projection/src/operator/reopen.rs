//! Parked rows to typed events again, by the same reader as live records.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use factline_codec::{StoredEvent, WriterSchema};
use factline_core::{DomainEvent, Recorded};
use factline_kafka::{HeaderName, Record, read_envelope};

use super::{
    Setback,
    stream::{self, PAGE},
};
use crate::{
    Projection,
    acts::{Act, EventCause},
    inspect::ParkedEvent,
    reading::{Opened, Reader},
    schemas::Bad,
    shared::Shared,
};

/// Remembers the schemas that events of the log's history brought along: admitting one costs memory
/// for good.
#[derive(Default)]
pub(super) struct Reopener {
    admitted: HashMap<String, Result<Arc<WriterSchema>, Bad>>,
}

/// A page of parked events, up to the first that cannot be read.
pub(super) struct Reopened<E: Clone> {
    pub(super) events: Vec<Recorded<E>>,
    pub(super) unreadable: Option<EventCause>,
}

impl Reopener {
    /// Asks for every schema that the next page needs, so that reading it later waits for nobody.
    pub(super) async fn warm<P: Projection>(
        &mut self,
        shared: &Shared<P>,
        act: &Act,
    ) -> Result<(), Setback> {
        let Some(partitions) = stream::count_partitions(&shared.database, act).await? else {
            return Ok(());
        };
        let rows = stream::front(&shared.database, act, PAGE).await?;
        self.page(&shared.reader, &rows, partitions).await.map(drop)
    }

    /// Reads a page. The outer error is a wait.
    pub(super) async fn page<E: DomainEvent>(
        &mut self,
        reader: &Reader<E>,
        rows: &[ParkedEvent],
        partitions: i32,
    ) -> Result<Reopened<E>, Setback> {
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            match self.open(reader, row, partitions).await? {
                Ok(event) => events.push(event),
                Err(bad) => {
                    let unreadable = Some(cause(row, bad.code, bad.detail));
                    return Ok(Reopened { events, unreadable });
                }
            }
        }
        Ok(Reopened { events, unreadable: None })
    }

    async fn open<E: DomainEvent>(
        &mut self,
        reader: &Reader<E>,
        row: &ParkedEvent,
        partitions: i32,
    ) -> Result<Result<Recorded<E>, Bad>, Setback> {
        let record = record(row);
        let envelope = match read_envelope(&record) {
            Ok(envelope) => envelope,
            Err(fault) => {
                return Ok(Err(Bad { code: fault.code(), detail: fault.to_string() }));
            }
        };
        if let Some(json) = &row.schema_json {
            let event = self.admitted(json).and_then(|schema| {
                let datum = record.value.unwrap_or_default();
                reader.open_stored(&StoredEvent { envelope: envelope.clone(), schema, datum })
            });
            return Ok(event.map(|event| Recorded { envelope, event }));
        }
        match reader.open(&envelope, &record, partitions).await {
            Opened::Event(event) => Ok(Ok(Recorded { envelope, event })),
            Opened::Unreadable(bad) => Ok(Err(bad)),
            Opened::Wait(fault) => Err(Setback::Wait(fault.to_string())),
        }
    }

    fn admitted(&mut self, json: &str) -> Result<Arc<WriterSchema>, Bad> {
        if let Some(known) = self.admitted.get(json) {
            return known.clone();
        }
        let admitted = WriterSchema::admit(json)
            .map_err(|fault| Bad { code: fault.code(), detail: fault.to_string() });
        self.admitted.insert(json.to_owned(), admitted.clone());
        admitted
    }
}

/// The record as it came; of an event of the log's history, as it would have come.
fn record(row: &ParkedEvent) -> Record {
    let bytes = |bytes: &Option<Vec<u8>>| bytes.clone().map(Bytes::from);
    let names = row.header_names.iter().cloned().map(HeaderName::Owned);
    let values = row.header_values.iter().map(bytes);
    Record {
        topic: row.topic.as_str().into(),
        partition: row.partition,
        offset: row.record_offset.unwrap_or_default(),
        key: bytes(&row.record_key),
        value: bytes(&row.record_value),
        headers: names.zip(values).collect(),
        timestamp_ms: row.record_at_ms,
    }
}

/// What is wrong with a parked event.
pub(super) fn cause(row: &ParkedEvent, code: &str, detail: String) -> EventCause {
    EventCause {
        event_id: row.event_id,
        event_type: row.event_type.clone(),
        partition: row.partition,
        position: row.position,
        version: row.version,
        code: code.to_owned(),
        detail,
    }
}
