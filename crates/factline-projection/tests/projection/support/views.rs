//! The views under test.

use factline_core::{DomainEvent as _, Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use factline_testkit::parcels::ParcelEvent;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool, Row as _, postgres::PgRow};

const TABLES: &str = "
    create table parcels (
        parcel       text   primary key,
        weight_grams bigint not null check (weight_grams < 1000000),
        sent_to      text,
        version      bigint not null
    );
    create table events_by_type (
        event_type text   not null,
        actor      text   not null,
        events     bigint not null,
        primary key (event_type, actor)
    )";

pub async fn create_tables(pool: &PgPool) {
    sqlx::raw_sql(TABLES).execute(pool).await.unwrap();
}

/// A row a parcel. A lost parcel has none; a parcel that is lost before it was sent cannot be; a
/// negative weight is a bug of the view.
pub struct Parcels;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParcelRow {
    pub parcel: String,
    pub weight_grams: i64,
    pub sent_to: Option<String>,
    pub version: i64,
}

impl FromRow<'_, PgRow> for ParcelRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            parcel: row.try_get("parcel")?,
            weight_grams: row.try_get("weight_grams")?,
            sent_to: row.try_get("sent_to")?,
            version: row.try_get("version")?,
        })
    }
}

impl Fold for Parcels {
    const NAME: &'static str = "parcels";
    type Event = ParcelEvent;
    type Key = String;
    type Row = ParcelRow;

    fn key(event: &Recorded<ParcelEvent>) -> Option<String> {
        Some(event.envelope.stream_id.to_string())
    }

    fn fold(row: Option<ParcelRow>, event: &Recorded<ParcelEvent>) -> Folded<ParcelRow> {
        let (parcel, version) = (event.envelope.stream_id.to_string(), event.envelope.version.0);
        let empty = ParcelRow { parcel, weight_grams: 0, sent_to: None, version };
        let row = ParcelRow { version, ..row.unwrap_or(empty) };
        match &event.event {
            ParcelEvent::ParcelPacked(packed) => {
                assert!(packed.weight_grams >= 0, "a weight of {}", packed.weight_grams);
                let weight_grams = row.weight_grams + packed.weight_grams;
                Folded::Put(ParcelRow { weight_grams, ..row })
            }
            ParcelEvent::ParcelSent(sent) => {
                Folded::Put(ParcelRow { sent_to: Some(sent.to.clone()), ..row })
            }
            ParcelEvent::ParcelLost(_) if row.sent_to.is_none() => {
                Folded::Impossible("lost before it was sent")
            }
            ParcelEvent::ParcelLost(_) => Folded::Remove,
        }
    }
}

impl View for Parcels {
    const TABLE: &'static str = "parcels";
    const KEY: &'static [&'static str] = &["parcel"];
    const ROWS: Rows = Rows::OfOneStream;
}

/// A row that every stream of every partition touches.
pub struct EventsByType;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeCount {
    pub event_type: String,
    pub actor: String,
    pub events: i64,
}

impl Fold for EventsByType {
    const NAME: &'static str = "events_by_type";
    type Event = ParcelEvent;
    type Key = (String, String);
    type Row = TypeCount;

    fn key(event: &Recorded<ParcelEvent>) -> Option<(String, String)> {
        Some((event.event.name().to_owned(), event.envelope.actor.clone()?))
    }

    fn fold(row: Option<TypeCount>, event: &Recorded<ParcelEvent>) -> Folded<TypeCount> {
        let Some((event_type, actor)) = Self::key(event) else { return Folded::Unchanged };
        let events = row.map_or(0, |row| row.events) + 1;
        Folded::Put(TypeCount { event_type, actor, events })
    }
}

impl View for EventsByType {
    const TABLE: &'static str = "events_by_type";
    const KEY: &'static [&'static str] = &["event_type", "actor"];
}
