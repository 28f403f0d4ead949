//! The golden data: what was once written, kept for ever, and what it means today. A schema says
//! which data could be read; this says that those bytes still are, as the same event.
//!
//! `schemas/golden/<kind>/<event_type>.v<N>.json` holds data that this version wrote, each in
//! hexadecimal with today's event beside it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use factline_codec::{Codec, WriterSchema, event_to_json};
use factline_core::{DomainEvent, ReadData};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    avro_sample,
    schema_specs::{admit, files},
};

/// One datum and what it means.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    /// The Avro datum, in hexadecimal.
    datum: String,
    /// The data of today's event.
    event: Value,
}

/// Every schema file of the set below `schemas` has golden data; all of it is read as the event that
/// stands beside it; and what today's version wrote, it still writes byte by byte.
///
/// # Panics
/// Some of it is missing, unreadable or something else by now. `renew` is the command that calls
/// [`renew_golden_data`].
pub fn golden_data<E: DomainEvent>(schemas: &Path, renew: &str) {
    let codec = codec::<E>();
    let mut known = BTreeSet::new();
    for path in files(&schemas.join(E::KIND)) {
        let (writer, golden) = (admit(&path), golden_file(schemas, &path));
        let shown = golden.display();
        let text = fs::read_to_string(&golden);
        let text = text.unwrap_or_else(|error| panic!("{shown}: {error}; run `{renew}`"));
        let data = parse(&text, &golden);
        assert!(!data.is_empty(), "{shown} holds no data; run `{renew}`");
        for Golden { datum, event } in &data {
            let read = read(&codec, &writer, &bytes(datum), &golden);
            assert_eq!(told(&read), *event, "{shown}: read as something else");
            if is_todays(&codec, &writer) {
                assert_eq!(
                    hexadecimal(&written(&codec, &read)),
                    *datum,
                    "{shown}: written otherwise"
                );
            }
        }
        known.insert(golden);
    }
    for golden in files(&schemas.join("golden").join(E::KIND)) {
        assert!(known.contains(&golden), "{}: no such schema file", golden.display());
    }
}

/// Adds golden data for schema files that have none, and renews the events beside the data that is
/// there. A datum is never changed. Gives the files that are another now: the change of meaning is
/// for a person to judge.
///
/// # Panics
/// A file cannot be read or written, or its data cannot be read any more.
#[must_use]
pub fn renew_golden_data<E: DomainEvent>(schemas: &Path) -> Vec<PathBuf> {
    let codec = codec::<E>();
    let mut changed = Vec::new();
    for path in files(&schemas.join(E::KIND)) {
        let (writer, golden) = (admit(&path), golden_file(schemas, &path));
        let before = fs::read_to_string(&golden).unwrap_or_default();
        let kept = if before.is_empty() { Vec::new() } else { parse(&before, &golden) };
        let data = if kept.is_empty() {
            examples(&codec, &writer)
        } else {
            kept.iter().map(|golden| bytes(&golden.datum)).collect()
        };
        let today = |datum: &Vec<u8>| Golden {
            datum: hexadecimal(datum),
            event: told(&read(&codec, &writer, datum, &golden)),
        };
        let data: Vec<_> = data.iter().map(today).collect();
        let after = serde_json::to_string_pretty(&data).expect("golden data is JSON") + "\n";
        if after != before {
            write(&golden, &after);
            changed.push(golden);
        }
    }
    changed
}

/// Data for a schema that has none yet. Today's version: the event's sample, with every optional
/// field and with none. An older one, which nobody writes any more: whatever its schema allows.
fn examples<E: DomainEvent>(codec: &Codec<E>, writer: &WriterSchema) -> Vec<Vec<u8>> {
    let schema: Value = serde_json::from_str(writer.json()).expect("an admitted schema is JSON");
    let samples = E::samples().into_iter().enumerate();
    let sample = samples.into_iter().find(|(_, sample)| schema["name"] == sample.name());
    let mut data = match sample.filter(|_| is_todays(codec, writer)) {
        Some((index, sample)) => {
            let bare = without_optional_fields::<E>(index, told(&sample), &schema);
            vec![written(codec, &sample), written(codec, &bare)]
        }
        None => avro_sample::data(&schema).to_vec(),
    };
    data.dedup();
    data
}

fn without_optional_fields<E: DomainEvent>(index: usize, mut event: Value, schema: &Value) -> E {
    for field in schema["fields"].as_array().into_iter().flatten() {
        let optional = field["type"].as_array().is_some_and(|types| types.contains(&json!("null")));
        if let Some(name) = field["name"].as_str().filter(|_| optional) {
            event[name] = Value::Null;
        }
    }
    E::read(index, FromJson(event)).expect("the sample without its optional fields")
}

struct FromJson(Value);

impl ReadData for FromJson {
    type Error = serde_json::Error;

    fn read<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        serde_json::from_value(self.0)
    }

    fn unknown(self) -> serde_json::Error {
        serde::de::Error::custom("there is no such event")
    }
}

fn is_todays<E: DomainEvent>(codec: &Codec<E>, writer: &WriterSchema) -> bool {
    codec.schemas().iter().any(|today| today.writes_as(writer))
}

fn read<E: DomainEvent>(codec: &Codec<E>, writer: &WriterSchema, datum: &[u8], golden: &Path) -> E {
    let shown = golden.display();
    let event = codec.decode(writer, datum);
    event.unwrap_or_else(|fault| panic!("{shown}: cannot be read any more: {fault}"))
}

fn written<E: DomainEvent>(codec: &Codec<E>, event: &E) -> Vec<u8> {
    codec.encode(event).unwrap_or_else(|fault| panic!("{}: {fault}", event.name())).datum
}

fn told<E: DomainEvent>(event: &E) -> Value {
    event_to_json(event).unwrap_or_else(|fault| panic!("{}: {fault}", event.name()))
}

fn codec<E: DomainEvent>() -> Codec<E> {
    Codec::new().unwrap_or_else(|fault| panic!("{}: {fault}", E::KIND))
}

/// `schemas/parcel/parcel_sent.v1.avsc` has `schemas/golden/parcel/parcel_sent.v1.json`.
fn golden_file(schemas: &Path, schema: &Path) -> PathBuf {
    let inner = schema.strip_prefix(schemas).expect("a schema file below the schemas' folder");
    schemas.join("golden").join(inner).with_extension("json")
}

fn parse(text: &str, golden: &Path) -> Vec<Golden> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", golden.display()))
}

fn write(golden: &Path, text: &str) {
    let folder = golden.parent().expect("a file in a folder");
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(golden, text));
    written.unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.as_bytes();
    assert!(digits.len().is_multiple_of(2), "an odd number of digits: {hexadecimal}");
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("two digits");
        u8::from_str_radix(pair, 16).expect("two hexadecimal digits")
    };
    digits.chunks_exact(2).map(byte).collect()
}
