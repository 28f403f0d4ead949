//! A tiny domain for the tests of the machinery: parcels that are packed, sent and lost. No
//! service knows them, and their schemas are no files of the product.

use factline_core::{
    Aggregate, Decide, DomainEvent, EventSchema, Moment, ReadData, Refusal, RefusalKind, WriteData,
};
use serde::{Deserialize, Serialize};

/// Everything that can happen to a parcel.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // each variant's struct carries the words
pub enum ParcelEvent {
    ParcelPacked(ParcelPacked),
    ParcelSent(ParcelSent),
    ParcelLost(ParcelLost),
}

/// Things were put into a parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParcelPacked {
    /// What it weighs more from now on.
    pub weight_grams: i64,
}

/// A parcel left the house.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParcelSent {
    /// Where it goes.
    pub to: String,
    /// Who carries it, when known.
    #[serde(default)]
    pub carrier: Option<String>,
}

/// A parcel did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParcelLost {
    /// What is known about it.
    pub reason: String,
}

const PACKED: EventSchema = EventSchema {
    name: "ParcelPacked",
    file: "parcel/parcel_packed.v1",
    json: r#"{"type": "record", "name": "ParcelPacked", "namespace": "factline.parcel", "fields": [
        {"name": "weight_grams", "type": "long"}
    ]}"#,
};

const SENT: EventSchema = EventSchema {
    name: "ParcelSent",
    file: "parcel/parcel_sent.v1",
    json: r#"{"type": "record", "name": "ParcelSent", "namespace": "factline.parcel", "fields": [
        {"name": "to", "type": "string"},
        {"name": "carrier", "type": ["null", "string"], "default": null}
    ]}"#,
};

const LOST: EventSchema = EventSchema {
    name: "ParcelLost",
    file: "parcel/parcel_lost.v1",
    json: r#"{"type": "record", "name": "ParcelLost", "namespace": "factline.parcel", "fields": [
        {"name": "reason", "type": "string"}
    ]}"#,
};

impl DomainEvent for ParcelEvent {
    const KIND: &'static str = "parcel";
    const SCHEMAS: &'static [EventSchema] = &[PACKED, SENT, LOST];

    fn schema_index(&self) -> usize {
        match self {
            Self::ParcelPacked(_) => 0,
            Self::ParcelSent(_) => 1,
            Self::ParcelLost(_) => 2,
        }
    }

    fn write<W: WriteData>(&self, writer: W) -> Result<W::Ok, W::Error> {
        match self {
            Self::ParcelPacked(data) => writer.write(data),
            Self::ParcelSent(data) => writer.write(data),
            Self::ParcelLost(data) => writer.write(data),
        }
    }

    fn read<R: ReadData>(schema_index: usize, reader: R) -> Result<Self, R::Error> {
        match schema_index {
            0 => reader.read().map(Self::ParcelPacked),
            1 => reader.read().map(Self::ParcelSent),
            2 => reader.read().map(Self::ParcelLost),
            _ => Err(reader.unknown()),
        }
    }

    fn samples() -> Vec<Self> {
        vec![packed(250), sent("Oslo"), lost("fell off the ferry")]
    }
}

/// A parcel gained this weight.
#[must_use]
pub fn packed(weight_grams: i64) -> ParcelEvent {
    ParcelEvent::ParcelPacked(ParcelPacked { weight_grams })
}

/// A parcel was sent there.
#[must_use]
pub fn sent(to: &str) -> ParcelEvent {
    ParcelEvent::ParcelSent(ParcelSent { to: to.to_owned(), carrier: Some("post".to_owned()) })
}

/// A parcel was lost.
#[must_use]
pub fn lost(reason: &str) -> ParcelEvent {
    ParcelEvent::ParcelLost(ParcelLost { reason: reason.to_owned() })
}

/// One parcel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    /// What it weighs.
    pub weight_grams: i64,
    /// Whether it left the house.
    pub sent: bool,
    /// Whether it was lost.
    pub lost: bool,
}

impl Aggregate for Parcel {
    const STATE_VERSION: i32 = 1;
    type Event = ParcelEvent;
    type Refusal = ParcelRefusal;

    fn evolve(&mut self, event: &ParcelEvent) {
        match event {
            ParcelEvent::ParcelPacked(packed) => self.weight_grams += packed.weight_grams,
            ParcelEvent::ParcelSent(_) => self.sent = true,
            ParcelEvent::ParcelLost(_) => self.lost = true,
        }
    }
}

/// Puts things into a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackParcel {
    /// What they weigh; nothing weighs nothing.
    pub weight_grams: i64,
}

/// Sends a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendParcel {
    /// Where to.
    pub to: String,
}

/// The parcel's no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParcelRefusal {
    /// It left the house before.
    #[error("the parcel was sent")]
    AlreadySent,
    /// There is nothing in it.
    #[error("the parcel is empty")]
    Empty,
}

impl Refusal for ParcelRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadySent => "already_sent",
            Self::Empty => "empty",
        }
    }

    fn kind(&self) -> RefusalKind {
        match self {
            Self::AlreadySent | Self::Empty => RefusalKind::Rule,
        }
    }
}

impl Decide<PackParcel> for Parcel {
    fn decide(&self, command: &PackParcel, _at: Moment) -> Result<Vec<ParcelEvent>, ParcelRefusal> {
        match (self.sent, command.weight_grams) {
            (true, _) => Err(ParcelRefusal::AlreadySent),
            (false, 0) => Ok(Vec::new()),
            (false, weight_grams) => Ok(vec![packed(weight_grams)]),
        }
    }
}

impl Decide<SendParcel> for Parcel {
    fn decide(&self, command: &SendParcel, _at: Moment) -> Result<Vec<ParcelEvent>, ParcelRefusal> {
        if self.sent {
            return Err(ParcelRefusal::AlreadySent);
        }
        if self.weight_grams == 0 {
            return Err(ParcelRefusal::Empty);
        }
        Ok(vec![sent(&command.to)])
    }
}
