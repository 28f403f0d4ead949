//! A schema that bytes were written with, and an event that still is bytes.

use std::sync::Arc;

use apache_avro::{
    Schema,
    reader::datum::GenericDatumReader,
    schema_compatibility::{Compatibility, SchemaCompatibility},
    types::Value,
};
use bytes::Bytes;
use factline_core::Envelope;
use serde::de::DeserializeOwned;

use crate::{CodecFault, MAX_DATUM_BYTES, admission, strict};

/// The subject of a record type on a topic, by TopicRecordNameStrategy.
#[must_use]
pub fn subject(topic: &str, full_name: &str) -> String {
    format!("{topic}-{full_name}")
}

/// An admitted schema, ready to decode. Lives as long as the process: there is one for each
/// registered version of each event type, and the registry admits no others to our subjects.
pub struct WriterSchema {
    full_name: Arc<str>,
    json: Arc<str>,
    /// Avro's Parsing Canonical Form: what of the schema decides about the bytes.
    canonical: String,
    schema: &'static Schema,
    reader: GenericDatumReader<'static>,
    /// Are its data looked at [more closely](strict) than the decoder does?
    walked: bool,
}

impl WriterSchema {
    /// Parses a schema's JSON and checks that decoding with it is bounded.
    ///
    /// # Errors
    /// [`CodecFault::InadmissibleSchema`].
    pub fn admit(json: &str) -> Result<Arc<Self>, CodecFault> {
        let schema: &'static Schema = Box::leak(Box::new(admission::admit(json)?));
        let full_name = schema.name().map(ToString::to_string).unwrap_or_default();
        let reader = GenericDatumReader::builder(schema)
            .build()
            .map_err(|error| CodecFault::InadmissibleSchema(error.to_string()))?;
        let (full_name, json, canonical) = (full_name.into(), json.into(), schema.canonical_form());
        let walked = strict::concerns(schema);
        Ok(Arc::new(Self { full_name, json, canonical, schema, reader, walked }))
    }

    /// `factline.parcel.ParcelSent`.
    #[must_use]
    pub fn full_name(&self) -> &Arc<str> {
        &self.full_name
    }

    /// The schema as it was given.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Whether both write the same bytes for the same record, however their texts are spelled: a
    /// registry may give a schema back without its documentation and in another order.
    #[must_use]
    pub fn writes_as(&self, other: &Self) -> bool {
        self.full_name == other.full_name && self.canonical == other.canonical
    }

    /// What FULL compatibility asks of two versions of one record: whatever either wrote, the other
    /// reads.
    ///
    /// # Errors
    /// [`CodecFault::Incompatible`].
    pub fn check_compatible(&self, other: &Self) -> Result<(), CodecFault> {
        self.check_reads(other)?;
        other.check_reads(self)
    }

    /// Whether this version reads whatever `writer` may have written.
    ///
    /// # Errors
    /// [`CodecFault::Incompatible`], also when it reads some of it only: a registry refuses that too,
    /// and an event that happens to be the other kind is poison.
    pub fn check_reads(&self, writer: &Self) -> Result<(), CodecFault> {
        match SchemaCompatibility::can_read(writer.schema, self.schema) {
            Ok(Compatibility::Full) => Ok(()),
            Ok(Compatibility::Partial) => Err(CodecFault::Incompatible(
                "some values have no place in the reader's type".into(),
            )),
            Err(error) => Err(CodecFault::Incompatible(error.to_string())),
        }
    }

    pub(crate) fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// Decodes exactly one datum into a struct.
    pub(crate) fn decode<T: DeserializeOwned>(&self, datum: &[u8]) -> Result<T, CodecFault> {
        self.whole(datum, |rest| self.reader.read_deser(rest))
    }

    /// Decodes exactly one datum into whatever its schema says.
    pub(crate) fn read_value(&self, datum: &[u8]) -> Result<Value, CodecFault> {
        self.whole(datum, |rest| self.reader.read_value(rest))
    }

    /// Reads a datum of admissible size, and all of it.
    fn whole<T>(
        &self,
        mut datum: &[u8],
        read: impl FnOnce(&mut &[u8]) -> Result<T, apache_avro::Error>,
    ) -> Result<T, CodecFault> {
        check_size(datum)?;
        if self.walked {
            strict::check(self.schema, datum).map_err(CodecFault::DataMismatch)?;
        }
        let read = read(&mut datum);
        let value = read.map_err(|error| CodecFault::DataMismatch(error.to_string()))?;
        match datum.len() {
            0 => Ok(value),
            left => Err(CodecFault::TrailingBytes(left)),
        }
    }
}

impl std::fmt::Debug for WriterSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WriterSchema").field(&self.full_name).finish()
    }
}

pub(crate) fn check_size(datum: &[u8]) -> Result<(), CodecFault> {
    let bytes = datum.len();
    if bytes > MAX_DATUM_BYTES {
        return Err(CodecFault::TooLarge { bytes, limit: MAX_DATUM_BYTES });
    }
    Ok(())
}

/// An event whose data is still encoded: as the store holds it and as the relay sends it.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// What the log knows about it.
    pub envelope: Envelope,
    /// The schema that its bytes were written with.
    pub schema: Arc<WriterSchema>,
    /// The Avro datum.
    pub datum: Bytes,
}
