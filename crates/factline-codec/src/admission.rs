//! Which schemas may ever reach the decoder.
//!
//! The decoder follows a schema wherever it leads: a 501-byte datum of a self-referencing schema
//! ends the process, and 102 bytes of an array of arrays of nulls made it allocate 8.75 GB. So a
//! schema with a reference to itself, or with arrays or maps whose items take no bytes, is refused
//! before it decodes anything: at registration, and at first sight of an id.

use apache_avro::{
    Schema,
    schema::{DecimalSchema, InnerDecimalSchema, UuidSchema},
};

use crate::{CodecFault, strict::MAX_DECIMAL_DIGITS};

/// The largest schema text, in bytes: ten times the largest of ours.
const MAX_SCHEMA_BYTES: usize = MAX_SCHEMA_KIB * 1024;
const MAX_SCHEMA_KIB: usize = 256;
/// How deep types may nest: ours have 3 levels; the decoder recurses once a level.
const MAX_DEPTH: usize = 16;

/// Parses a schema and admits it.
pub(crate) fn admit(json: &str) -> Result<Schema, CodecFault> {
    if json.len() > MAX_SCHEMA_BYTES {
        return Err(refuse(format!("it has more than {MAX_SCHEMA_KIB} KiB")));
    }
    let schema = Schema::parse_str(json).map_err(|error| refuse(error.to_string()))?;
    if !matches!(schema, Schema::Record(_)) {
        return Err(refuse("an event is a record".into()));
    }
    check(&schema, 0)?;
    Ok(schema)
}

fn refuse(why: String) -> CodecFault {
    CodecFault::InadmissibleSchema(why)
}

fn check(schema: &Schema, depth: usize) -> Result<(), CodecFault> {
    if depth > MAX_DEPTH {
        return Err(refuse(format!("it nests more than {MAX_DEPTH} levels")));
    }
    match schema {
        Schema::Record(record) => {
            record.fields.iter().try_for_each(|field| check(&field.schema, depth + 1))
        }
        Schema::Union(union) => union.variants().iter().try_for_each(|one| check(one, depth + 1)),
        Schema::Array(array) => check_items(&array.items, depth),
        Schema::Map(map) => check_items(&map.types, depth),
        Schema::Ref { name } => {
            Err(refuse(format!("it refers to {name}; a type is written out where it is used")))
        }
        Schema::Decimal(decimal) if decimal.precision > MAX_DECIMAL_DIGITS => {
            Err(refuse(format!("a decimal has more than {MAX_DECIMAL_DIGITS} digits")))
        }
        _ => Ok(()), // the scalars: each takes its own bytes and leads nowhere
    }
}

fn check_items(items: &Schema, depth: usize) -> Result<(), CodecFault> {
    if takes_no_bytes(items) {
        return Err(refuse("it repeats items that take no bytes".into()));
    }
    check(items, depth + 1)
}

/// A value of it may be encoded in zero bytes, so a forged count is free for the sender.
fn takes_no_bytes(schema: &Schema) -> bool {
    match schema {
        Schema::Null => true,
        Schema::Record(record) => record.fields.iter().all(|field| takes_no_bytes(&field.schema)),
        Schema::Fixed(fixed)
        | Schema::Duration(fixed)
        | Schema::Uuid(UuidSchema::Fixed(fixed))
        | Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Fixed(fixed), .. }) => {
            fixed.size == 0
        }
        _ => false, // every other type writes at least one byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(field_type: &str) -> String {
        format!(
            r#"{{"type":"record","name":"R","namespace":"t","fields":[{{"name":"f","type":{field_type}}}]}}"#
        )
    }

    #[test]
    fn an_ordinary_record_is_admitted() {
        for kind in [r#""long""#, r#"["null","string"]"#, r#"{"type":"array","items":"long"}"#] {
            assert!(admit(&record(kind)).is_ok(), "{kind}");
        }
    }

    #[test]
    fn v13_arrays_and_maps_of_items_that_take_no_bytes_are_refused() {
        let empty = r#"{"type":"record","name":"E","fields":[]}"#;
        let hollow = r#"{"type":"array","items":{"type":"array","items":"null"}}"#.to_owned();
        for kind in [
            r#"{"type":"array","items":"null"}"#.to_owned(),
            r#"{"type":"map","values":{"type":"fixed","name":"F","size":0}}"#.to_owned(),
            format!(r#"{{"type":"array","items":{empty}}}"#),
            hollow,
            r#"{"type":"array","items":{"type":"fixed","name":"F","size":0,
                "logicalType":"decimal","precision":1}}"#
                .to_owned(),
        ] {
            let refused = admit(&record(&kind));
            assert!(matches!(refused, Err(CodecFault::InadmissibleSchema(_))), "{kind}");
        }
    }

    #[test]
    fn v14_a_schema_that_refers_to_itself_is_refused() {
        let refused = admit(&record(r#"["null","t.R"]"#));
        assert!(matches!(refused, Err(CodecFault::InadmissibleSchema(_))));
    }

    #[test]
    fn v08_what_is_no_avro_record_or_too_large_is_refused() {
        let huge = record(&format!(r#"{{"type":"long","doc":"{}"}}"#, "x".repeat(300_000)));
        for text in ["", "{", r#""string""#, r#"{"type":"object"}"#, huge.as_str()] {
            assert!(matches!(admit(text), Err(CodecFault::InadmissibleSchema(_))));
        }
    }
}
