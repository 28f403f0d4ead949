//! Two views of the same events: one whose rows are few, so that a batch folds into them, and one
//! with a row for each event, which nothing can fold.

use factline_core::{Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use factline_testkit::parcels::ParcelEvent;
use serde::{Deserialize, Serialize};

/// What both views are made of.
pub(crate) const TABLES: &str = "
    create table pieces (
        stream_id text primary key,
        pieces    bigint not null,
        last_to   text   not null
    ) with (fillfactor = 70);
    create table sendings (
        partition bigint not null,
        position  bigint not null,
        stream_id text   not null,
        sent_to   text   not null,
        primary key (partition, position)
    )";

/// Pieces sent, by stream.
pub(crate) struct Pieces;

/// A row of `pieces`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PiecesRow {
    stream_id: String,
    pieces: i64,
    last_to: String,
}

impl Fold for Pieces {
    const NAME: &'static str = "pieces";
    type Event = ParcelEvent;
    type Key = String;
    type Row = PiecesRow;

    fn key(event: &Recorded<ParcelEvent>) -> Option<String> {
        Some(event.envelope.stream_id.as_str().to_owned())
    }

    fn fold(row: Option<PiecesRow>, event: &Recorded<ParcelEvent>) -> Folded<PiecesRow> {
        let Some(to) = address(event) else { return Folded::Unchanged };
        let pieces = row.map_or(0, |row| row.pieces) + 1;
        let stream_id = event.envelope.stream_id.as_str().to_owned();
        Folded::Put(PiecesRow { stream_id, pieces, last_to: to.to_owned() })
    }
}

impl View for Pieces {
    const TABLE: &'static str = "pieces";
    const KEY: &'static [&'static str] = &["stream_id"];
    const ROWS: Rows = Rows::OfOneStream;
}

/// Every piece sent.
pub(crate) struct Sendings;

/// A row of `sendings`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SendingRow {
    partition: i64,
    position: i64,
    stream_id: String,
    sent_to: String,
}

impl Fold for Sendings {
    const NAME: &'static str = "sendings";
    type Event = ParcelEvent;
    type Key = (i64, i64);
    type Row = SendingRow;

    fn key(event: &Recorded<ParcelEvent>) -> Option<(i64, i64)> {
        Some((i64::from(event.envelope.partition), event.envelope.position.0))
    }

    fn fold(_: Option<SendingRow>, event: &Recorded<ParcelEvent>) -> Folded<SendingRow> {
        let Some(to) = address(event) else { return Folded::Unchanged };
        Folded::Put(SendingRow {
            partition: i64::from(event.envelope.partition),
            position: event.envelope.position.0,
            stream_id: event.envelope.stream_id.as_str().to_owned(),
            sent_to: to.to_owned(),
        })
    }
}

impl View for Sendings {
    const TABLE: &'static str = "sendings";
    const KEY: &'static [&'static str] = &["partition", "position"];
    const ROWS: Rows = Rows::OfOneEvent;
}

fn address(event: &Recorded<ParcelEvent>) -> Option<&str> {
    match &event.event {
        ParcelEvent::ParcelSent(sent) => Some(&sent.to),
        ParcelEvent::ParcelPacked(_) | ParcelEvent::ParcelLost(_) => None,
    }
}
