//! Any datum as JSON, without knowing its event: for operators and for history.

use factline_core::{DomainEvent, WriteData};
use serde::{Serialize, Serializer};
use serde_json::Value;

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
