//! Any datum as JSON, without knowing its event: for operators and for history.

use chrono::{DateTime, Utc};
use factline_core::{DomainEvent, Position, Recorded, Version, WriteData};
use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use crate::{CodecFault, WriterSchema};

/// The datum as a JSON object with the field names of the schema that wrote it.
///
/// # Errors
/// As [`Codec::decode`](crate::Codec::decode).
pub fn decode_to_json(schema: &WriterSchema, datum: &[u8]) -> Result<Value, CodecFault> {
    Value::try_from(schema.read_value(datum)?)
        .map_err(|error| CodecFault::DataMismatch(error.to_string()))
}

/// An event's data as a JSON object with today's field names.
///
/// # Errors
/// The data has no form in JSON, which no event that is made of numbers and texts has.
pub fn event_to_json<E: DomainEvent>(event: &E) -> Result<Value, CodecFault> {
    serde_json::to_value(EventData(event))
        .map_err(|error| CodecFault::DataMismatch(error.to_string()))
}

/// An event's data as a part of whatever serde writes, with today's field names.
#[derive(Debug, Clone, Copy)]
pub struct EventData<'e, E>(pub &'e E);

impl<E: DomainEvent> Serialize for EventData<'_, E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(Into(serializer))
    }
}

/// A recorded event as callers see it: its data, and what places it. Written without a tree of JSON
/// values in between.
#[derive(Debug, Serialize)]
#[serde(bound = "E: DomainEvent")]
pub struct EventView<'e, E> {
    data: EventData<'e, E>,
    event_id: Uuid,
    event_type: &'e str,
    occurred_at: DateTime<Utc>,
    partition: i32,
    position: Position,
    recorded_at: DateTime<Utc>,
    stream_id: &'e str,
    version: Version,
}

impl<'e, E> EventView<'e, E> {
    /// Borrows all of it.
    pub fn of(recorded: &'e Recorded<E>) -> Self {
        let envelope = &recorded.envelope;
        Self {
            data: EventData(&recorded.event),
            event_id: envelope.event_id,
            event_type: &envelope.event_type,
            occurred_at: envelope.occurred_at,
            partition: envelope.partition,
            position: envelope.position,
            recorded_at: envelope.recorded_at,
            stream_id: envelope.stream_id.as_str(),
            version: envelope.version,
        }
    }
}

struct Into<S>(S);

impl<S: Serializer> WriteData for Into<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn write<T: Serialize>(self, data: &T) -> Result<S::Ok, S::Error> {
        data.serialize(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datum_becomes_json_by_its_own_schema() {
        let schema = WriterSchema::admit(
            r#"{"type":"record","name":"ParcelSent","namespace":"t","fields":[
                {"name":"weight_grams","type":"long"},
                {"name":"note","type":["null","string"],"default":null}]}"#,
        )
        .unwrap();
        let json = decode_to_json(&schema, b"\xc4\x13\x02\x0efragile").unwrap();
        assert_eq!(json, serde_json::json!({ "weight_grams": 1_250, "note": "fragile" }));
        assert!(decode_to_json(&schema, b"\xc4").is_err());
    }
}
