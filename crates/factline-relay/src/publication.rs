//! Stored events in, Kafka records out: the frame with the registry's schema id, the headers, the
//! same partition number.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use factline_codec::{Registry, StoredEvent, WriterSchema, frame, subject};
use factline_core::Fault;
use factline_kafka::{Outgoing, envelope_headers};

/// How many records are built between two chances for other tasks; a record takes about two
/// microseconds, so this is half a millisecond.
const RECORDS_BETWEEN_YIELDS: usize = 256;

/// Knows the registry's ids of the schemas it has met; asks once for each.
pub(crate) struct Publication {
    topic: Arc<str>,
    registry: Arc<Registry>,
    registry_url: String,
    /// By the schema's address: the reader hands out one and the same `Arc` for a schema, and the
    /// entry keeps it alive, so that no other schema can come to the address.
    ids: HashMap<usize, (Arc<WriterSchema>, u32)>,
}

impl Publication {
    pub(crate) fn new(topic: &Arc<str>, registry: Arc<Registry>, registry_url: String) -> Self {
        Self { topic: Arc::clone(topic), registry, registry_url, ids: HashMap::new() }
    }

    /// The records of a page, in its order.
    ///
    /// # Errors
    /// The registry's, when a schema is met for the first time.
    pub(crate) async fn records(&mut self, page: &[StoredEvent]) -> Result<Vec<Outgoing>, Fault> {
        let mut records = Vec::with_capacity(page.len());
        for (index, event) in page.iter().enumerate() {
            let schema_id = self.schema_id(&event.schema).await?;
            records.push(self.record(event, schema_id));
            if index % RECORDS_BETWEEN_YIELDS == RECORDS_BETWEEN_YIELDS - 1 {
                tokio::task::yield_now().await;
            }
        }
        Ok(records)
    }

    async fn schema_id(&mut self, schema: &Arc<WriterSchema>) -> Result<u32, Fault> {
        let address = Arc::as_ptr(schema).addr();
        if let Some((_, id)) = self.ids.get(&address) {
            return Ok(*id);
        }
        let subject = subject(&self.topic, schema.full_name());
        let id = self.registry.register(&subject, schema).await?;
        self.ids.insert(address, (Arc::clone(schema), id));
        Ok(id)
    }

    fn record(&self, event: &StoredEvent, schema_id: u32) -> Outgoing {
        let envelope = &event.envelope;
        Outgoing {
            topic: Arc::clone(&self.topic),
            partition: Some(envelope.partition),
            key: Some(Bytes::copy_from_slice(envelope.stream_id.as_str().as_bytes())),
            value: Some(frame(schema_id, &event.datum).into()),
            headers: envelope_headers(envelope, schema_id, &self.registry_url),
        }
    }
}
