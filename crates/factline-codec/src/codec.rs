//! One event set's encoder and decoder.

use std::{marker::PhantomData, sync::Arc};

use apache_avro::writer::datum::GenericDatumWriter;
use factline_core::{DomainEvent, EventSchema, ReadData, WriteData};
use serde::{Serialize, de::DeserializeOwned};

use crate::{CodecFault, MAX_ALLOCATION_BYTES, WriterSchema, schema::check_size};

/// Encodes and decodes one event set. Built once, shared, never locked.
pub struct Codec<E> {
    schemas: Vec<Arc<WriterSchema>>,
    older: Vec<Arc<WriterSchema>>,
    writers: Vec<GenericDatumWriter<'static>>,
    events: PhantomData<fn() -> E>,
}

/// An event's data as Avro.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Which of [`DomainEvent::SCHEMAS`] wrote it.
    pub schema_index: usize,
    /// The datum.
    pub datum: Vec<u8>,
}

impl<E: DomainEvent> Codec<E> {
    /// Admits every schema of the set.
    ///
    /// # Errors
    /// A compiled-in schema is not admissible: a defect of the build.
    pub fn new() -> Result<Self, CodecFault> {
        // Process-wide and set once; the first caller wins, and every caller says the same.
        apache_avro::util::max_allocation_bytes(MAX_ALLOCATION_BYTES);
        let schemas = admit_all(E::SCHEMAS)?;
        let older = admit_all(E::OLDER)?;
        let writers = schemas
            .iter()
            .map(|schema| GenericDatumWriter::builder(schema.schema()).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| CodecFault::InadmissibleSchema(error.to_string()))?;
        Ok(Self { schemas, older, writers, events: PhantomData })
    }

    /// Today's schemas, in the order of [`DomainEvent::SCHEMAS`].
    #[must_use]
    pub fn schemas(&self) -> &[Arc<WriterSchema>] {
        &self.schemas
    }

    /// # Errors
    /// The data does not fit its schema, or is [too large](CodecFault::TooLarge).
    pub fn encode(&self, event: &E) -> Result<Encoded, CodecFault> {
        let schema_index = event.schema_index();
        let datum = event.write(Datum(&self.writers[schema_index]))?;
        check_size(&datum)?;
        Ok(Encoded { schema_index, datum })
    }

    /// Decodes a datum that `writer` wrote into today's event of the same name. What an older
    /// version wrote is brought up on the way; the datum itself stays as it is.
    ///
    /// # Errors
    /// [`CodecFault::ForeignSchema`] when no event has that name; otherwise what is wrong with the
    /// bytes. None of it can succeed later: a decode fault is poison.
    pub fn decode(&self, writer: &WriterSchema, datum: &[u8]) -> Result<E, CodecFault> {
        let data = Data { writer, datum };
        if let Some(older) = self.older.iter().position(|older| older.writes_as(writer)) {
            return E::read_older(older, data);
        }
        let name = writer.full_name();
        match self.schemas.iter().position(|known| known.full_name() == name) {
            Some(index) => E::read(index, data),
            None => Err(data.unknown()),
        }
    }
}

fn admit_all(schemas: &[EventSchema]) -> Result<Vec<Arc<WriterSchema>>, CodecFault> {
    schemas.iter().map(|schema| WriterSchema::admit(schema.json)).collect()
}

struct Datum<'a>(&'a GenericDatumWriter<'static>);

impl WriteData for Datum<'_> {
    type Ok = Vec<u8>;
    type Error = CodecFault;

    fn write<T: Serialize>(self, data: &T) -> Result<Vec<u8>, CodecFault> {
        self.0.write_ser_to_vec(data).map_err(|error| CodecFault::DataMismatch(error.to_string()))
    }
}

struct Data<'a> {
    writer: &'a WriterSchema,
    datum: &'a [u8],
}

impl ReadData for Data<'_> {
    type Error = CodecFault;

    fn read<T: DeserializeOwned>(self) -> Result<T, CodecFault> {
        self.writer.decode(self.datum)
    }

    fn unknown(self) -> CodecFault {
        CodecFault::ForeignSchema(self.writer.full_name().to_string())
    }
}
