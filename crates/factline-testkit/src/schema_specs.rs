//! Generated checks of an event set against its schema files: one line in a test of the crate that
//! declares the set.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use factline_codec::{Codec, WriterSchema};
use factline_core::DomainEvent;
use serde_json::Value;

use crate::avro_sample;

/// Every event's sample survives encoding and decoding with its own schema, and a datum with a
/// byte more or less is refused.
///
/// # Panics
/// An event and its schema disagree.
pub fn round_trips<E: DomainEvent>() {
    let codec = Codec::<E>::new().unwrap_or_else(|fault| panic!("{}: {fault}", E::KIND));
    let samples = E::samples();
    assert_eq!(samples.len(), E::SCHEMAS.len(), "one sample an event");
    for (index, sample) in samples.iter().enumerate() {
        let name = sample.name();
        assert_eq!(sample.schema_index(), index, "{name}: samples stand in the set's order");
        let encoded = codec.encode(sample).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(encoded.schema_index, index, "{name}");
        let schema = &codec.schemas()[index];
        let decoded = codec.decode(schema, &encoded.datum);
        assert_eq!(decoded.as_ref().ok(), Some(sample), "{name}: {:?}", decoded.as_ref().err());

        let mut longer = encoded.datum.clone();
        longer.push(0);
        assert!(codec.decode(schema, &longer).is_err(), "{name}: a trailing byte was passed over");
        if let Some((_, shorter)) = encoded.datum.split_last() {
            assert!(codec.decode(schema, shorter).is_err(), "{name}: a missing byte was made up");
        }
    }
}

/// The files in `schemas/<kind>/` and the event set agree: each set's file holds the record of its
/// event's name; every other file there is an older version of one of them; what any version wrote,
/// today's structs read; and any two versions of one event can read each other, which is what the
/// registry's FULL_TRANSITIVE asks for.
///
/// # Panics
/// They do not agree.
pub fn schema_files<E: DomainEvent>() {
    check_files::<E>(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(E::KIND));
}

pub(crate) fn check_files<E: DomainEvent>(folder: &Path) {
    let codec = Codec::<E>::new().unwrap_or_else(|fault| panic!("{}: {fault}", E::KIND));
    let mut in_use = BTreeSet::new();
    let mut versions: BTreeMap<String, Vec<Arc<WriterSchema>>> = BTreeMap::new();
    for schema in E::SCHEMAS {
        let json: Value = serde_json::from_str(schema.json).expect("the schema file holds JSON");
        assert_eq!(json["name"], schema.name, "{}: the record has the event's name", schema.file);
        let (kind, file) = schema.file.split_once('/').expect("<kind>/<file>");
        assert_eq!(kind, E::KIND, "{}: the folder has the kind's name", schema.file);
        in_use.insert(file.to_owned());
    }
    for path in files(folder) {
        let shown = path.display();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let (name, version) = version_of(stem).unwrap_or_else(|| panic!("{shown}: no .v<N>"));
        let used =
            in_use.iter().filter_map(|file| version_of(file)).find(|(used, _)| *used == name);
        let (_, newest) = used.unwrap_or_else(|| panic!("{shown} belongs to no event of the set"));
        assert!(version <= newest, "{shown} is newer than what the set uses");
        let writer = admit(&path);
        decodes(&codec, &writer, &path);
        let others = versions.entry(name.to_owned()).or_default();
        for other in &*others {
            let compatible = writer.check_compatible(other);
            assert!(compatible.is_ok(), "{shown}: {}", compatible.unwrap_err());
        }
        others.push(writer);
    }
}

/// The schema in a file.
pub(crate) fn admit(path: &Path) -> Arc<WriterSchema> {
    let shown = path.display();
    let json = fs::read_to_string(path).unwrap_or_else(|error| panic!("{shown}: {error}"));
    WriterSchema::admit(&json).unwrap_or_else(|fault| panic!("{shown}: {fault}"))
}

/// Data written with this file's schema, whatever its optional fields hold, is an event today.
fn decodes<E: DomainEvent>(codec: &Codec<E>, writer: &WriterSchema, path: &Path) {
    let shown = path.display();
    let schema: Value = serde_json::from_str(writer.json()).expect("an admitted schema is JSON");
    for datum in avro_sample::data(&schema) {
        let decoded = codec.decode(writer, &datum);
        let event = decoded.unwrap_or_else(|fault| panic!("{shown}: cannot be read: {fault}"));
        assert_eq!(schema["name"], event.name(), "{shown}: read as another event");
    }
}

/// The files of a folder, by name.
pub(crate) fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries.map(|entry| entry.expect("a folder's entry").path()).collect()
}

/// `parcel_sent.v2` is version 2 of `parcel_sent`.
fn version_of(stem: &str) -> Option<(&str, u32)> {
    let (name, version) = stem.rsplit_once(".v")?;
    Some((name, version.parse().ok()?))
}
