//! Example events for the unit tests.

use chrono::{TimeZone, Utc};
use factline_core::{
    DomainEvent, Envelope, EventSchema, Position, ReadData, Recorded, StreamId, Version, WriteData,
    partition_for,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) const TOPIC: &str = "factline.parcel.v1";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) to: String,
    pub(crate) grams: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lost {
    pub(crate) reason: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ParcelEvent {
    Sent(Sent),
    Lost(Lost),
}

impl DomainEvent for ParcelEvent {
    const KIND: &'static str = "parcel";
    const SCHEMAS: &'static [EventSchema] = &[
        EventSchema {
            name: "ParcelSent",
            file: "parcel/parcel_sent.v1",
            json: r#"{"type":"record","name":"ParcelSent","namespace":"factline.parcel","fields":[
                {"name":"to","type":"string"},{"name":"grams","type":"long"}]}"#,
        },
        EventSchema {
            name: "ParcelLost",
            file: "parcel/parcel_lost.v1",
            json: r#"{"type":"record","name":"ParcelLost","namespace":"factline.parcel","fields":[
                {"name":"reason","type":"string"}]}"#,
        },
    ];

    fn schema_index(&self) -> usize {
        match self {
            Self::Sent(_) => 0,
            Self::Lost(_) => 1,
        }
    }

    fn write<W: WriteData>(&self, writer: W) -> Result<W::Ok, W::Error> {
        match self {
            Self::Sent(data) => writer.write(data),
            Self::Lost(data) => writer.write(data),
        }
    }

    fn read<R: ReadData>(schema_index: usize, reader: R) -> Result<Self, R::Error> {
        match schema_index {
            0 => reader.read().map(Self::Sent),
            1 => reader.read().map(Self::Lost),
            _ => Err(reader.unknown()),
        }
    }

    fn samples() -> Vec<Self> {
        vec![
            Self::Sent(Sent { to: "Oslo".into(), grams: 1 }),
            Self::Lost(Lost { reason: "rain".into() }),
        ]
    }
}

/// Events at positions 1, 2, 3 … of partition 0: (stream, to, grams), and lost below 0 grams.
pub(crate) fn parcels(of: &[(&str, &str, i64)]) -> Vec<Recorded<ParcelEvent>> {
    let event = |index: usize, (stream, to, grams): &(&str, &str, i64)| {
        let position = i64::try_from(index).unwrap() + 1;
        let event = if *grams < 0 {
            ParcelEvent::Lost(Lost { reason: "rain".into() })
        } else {
            ParcelEvent::Sent(Sent { to: (*to).into(), grams: *grams })
        };
        let version = of[..=index].iter().filter(|other| other.0 == *stream).count();
        let version = Version(i64::try_from(version).unwrap());
        Recorded { envelope: envelope(stream, position, version, event.name()), event }
    };
    of.iter().enumerate().map(|(index, parcel)| event(index, parcel)).collect()
}

pub(crate) fn envelope(stream: &str, position: i64, version: Version, name: &str) -> Envelope {
    let at = Utc.timestamp_opt(1_700_000_000 + position, 0).unwrap();
    Envelope {
        topic: TOPIC.into(),
        partition: partition_for(stream, 1),
        position: Position(position),
        stream_id: StreamId::parse(stream).unwrap(),
        version,
        event_id: Uuid::from_u128(u128::try_from(position).unwrap()),
        event_type: format!("factline.parcel.{name}").into(),
        correlation_id: Uuid::nil(),
        causation_id: Uuid::nil(),
        actor: None,
        traceparent: None,
        occurred_at: at,
        recorded_at: at,
    }
}
