//! Events to bytes and back: the only crate that knows Avro and the schema registry.
//!
//! An event is encoded once, when its command is decided; the datum is stored, and travels as it
//! is. Kafka's wire format puts five bytes before it ([`frame()`]). A consumer decodes with the
//! *writer's* schema straight into today's structs: a field that the writer did not know takes its
//! serde default, a field that today's struct does not know is passed over. Where that is not
//! enough, the event set names the older version ([`DomainEvent::OLDER`]): its data is decoded into
//! the struct that it once was and brought up step by step. The store and Kafka are both read through
//! [`Codec::decode`], so there is no second place where that could be forgotten.
//!
//! [`DomainEvent::OLDER`]: factline_core::DomainEvent::OLDER

mod admission;
mod codec;
mod fault;
mod folder;
mod frame;
mod json;
mod registry;
mod schema;
mod strict;

pub use codec::{Codec, Encoded};
pub use fault::CodecFault;
pub use folder::{RELEASE_RECORD, SchemaFolder, SchemaVersion};
pub use frame::{frame, unframe};
pub use json::{EventData, EventView, decode_to_json, event_to_json};
pub use registry::{FULL_TRANSITIVE, Registered, Registry, RegistrySettings};
pub use schema::{StoredEvent, WriterSchema, subject};

/// The largest datum, in bytes: what a decoder may be asked to hold. A command whose event would
/// be larger is refused; a record that is larger is poison before a byte of it is decoded.
pub const MAX_DATUM_BYTES: usize = 256 * 1024;

/// The most that the Avro decoder may allocate for one length-prefixed value. Four times the
/// largest datum: no honest value comes near it, a forged length cannot exhaust the process.
const MAX_ALLOCATION_BYTES: usize = 4 * MAX_DATUM_BYTES;
