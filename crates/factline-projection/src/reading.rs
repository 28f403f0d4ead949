//! A record's bytes to a typed event, or why not.

use std::{sync::Arc, time::Instant};

use factline_codec::{Codec, StoredEvent, unframe};
use factline_core::{DomainEvent, Envelope, Fault, partition_for};
use factline_kafka::Record;

use crate::schemas::{Bad, Found, Schemas};

/// What opening a record gave.
#[derive(Debug)]
pub(crate) enum Opened<E> {
    Event(E),
    /// It can never be read: its stream is parked.
    Unreadable(Bad),
    /// It cannot be read now.
    Wait(Fault),
}

/// Decodes one event set.
pub(crate) struct Reader<E> {
    codec: Codec<E>,
    pub(crate) schemas: Arc<Schemas>,
}

impl<E: DomainEvent> Reader<E> {
    pub(crate) fn new(codec: Codec<E>, schemas: Arc<Schemas>) -> Self {
        Self { codec, schemas }
    }

    /// Opens a record whose envelope was read. `partitions`: how many its topic has.
    pub(crate) async fn open(
        &self,
        envelope: &Envelope,
        record: &Record,
        partitions: i32,
    ) -> Opened<E> {
        let home = partition_for(envelope.stream_id.as_str(), partitions);
        if home != record.partition {
            let detail = format!("{} belongs to partition {home}", envelope.stream_id);
            return unreadable("wrong_partition", detail);
        }
        let Some(value) = &record.value else {
            return unreadable("tombstone", "the record has no value".into());
        };
        let (id, datum) = match unframe(value) {
            Ok(parts) => parts,
            Err(fault) => return unreadable(fault.code(), fault.to_string()),
        };
        let schema = match self.schemas.known(id) {
            Some(Ok(schema)) => schema,
            Some(Err(bad)) => return Opened::Unreadable(bad),
            None => match self.schemas.find(id, Instant::now()).await {
                Found::Schema(schema) => schema,
                Found::Bad(bad) => return Opened::Unreadable(bad),
                Found::Wait(fault) => return Opened::Wait(fault),
            },
        };
        if **schema.full_name() != *envelope.event_type {
            let (said, was) = (&envelope.event_type, schema.full_name());
            return unreadable("type_mismatch", format!("ce_type says {said}, the schema {was}"));
        }
        match self.codec.decode(&schema, datum) {
            Ok(event) => Opened::Event(event),
            Err(fault) => unreadable(fault.code(), fault.to_string()),
        }
    }

    /// Opens an event of the log's history, which brings its schema along.
    pub(crate) fn open_stored(&self, stored: &StoredEvent) -> Result<E, Bad> {
        self.codec
            .decode(&stored.schema, &stored.datum)
            .map_err(|fault| Bad { code: fault.code(), detail: fault.to_string() })
    }
}

fn unreadable<E>(code: &'static str, detail: String) -> Opened<E> {
    Opened::Unreadable(Bad { code, detail })
}
