//! A parked record's bytes as something to read.

use factline_codec::{CodecFault, WriterSchema, decode_to_json, unframe};
use factline_projection::inspect::ParkedEvent;
use serde_json::{Map, Value, json};
use sqlx::PgPool;

/// The event's data if it can be decoded; otherwise what is wrong, and the bytes.
pub(super) async fn of(database: &PgPool, event: &ParkedEvent) -> Value {
    let Some(value) = event.record_value.as_deref() else { return Value::Null };
    match decoded(database, event, value).await {
        Ok(data) => data,
        Err(why) => json!({ "undecodable": why, "hex": hex(value) }),
    }
}

/// Both ways in which an event is parked: as Kafka brought it, behind the registry's five bytes; or
/// from the log's history, a bare datum beside its schema.
async fn decoded(database: &PgPool, event: &ParkedEvent, value: &[u8]) -> Result<Value, String> {
    let told = |fault: CodecFault| fault.to_string();
    if let Some(schema) = &event.schema_json {
        return decode_to_json(&*WriterSchema::admit(schema).map_err(told)?, value).map_err(told);
    }
    let (id, datum) = unframe(value).map_err(told)?;
    let known: Option<String> =
        sqlx::query_scalar("select json from projection.known_schemas where id = $1")
            .bind(i64::from(id))
            .fetch_optional(database)
            .await
            .map_err(|error| error.to_string())?;
    let schema = known.ok_or_else(|| format!("the projector does not know schema {id}"))?;
    decode_to_json(&*WriterSchema::admit(&schema).map_err(told)?, datum).map_err(told)
}

/// The headers in their order of names.
pub(super) fn headers(event: &ParkedEvent) -> Map<String, Value> {
    let values = event.header_values.iter();
    let values =
        values.map(|value| value.as_deref().map_or(Value::Null, |bytes| json!(text(bytes))));
    event.header_names.iter().cloned().zip(values).collect()
}

/// Bytes as text, or in hexadecimal when they are none.
pub(super) fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| format!("0x{}", hex(bytes)), str::to_owned)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_shown_in_hexadecimal() {
        assert_eq!(text(b"parcel-1"), "parcel-1");
        assert_eq!(text(b"\xff\x00"), "0xff00");
    }
}
