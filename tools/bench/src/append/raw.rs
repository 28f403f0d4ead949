//! The raw limits: the same rows into the same table with the same indexes, and nothing checked.

use std::time::Instant;

use bench_load::{Gauge, Notes, as_f64};
use chrono::{DateTime, Utc};
use local_stack::Addresses;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::rows::{Columns, Rows, TRACEPARENT};
use super::{STREAMS, ours};
use crate::failure::Failure;
use crate::log::CellLog;
use crate::postgres::{Wal, grown};
use crate::report::{Cell, Slot};
use crate::surroundings::Surroundings;

/// How rows get into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// One array a column.
    Unnest {
        /// Also the command's key and fingerprint.
        with_keys: bool,
    },
    /// Binary COPY over the Unix socket, a transaction each.
    Copy,
}

/// A closed loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) connections: i32,
    /// Of one call.
    pub(super) rows: usize,
    pub(super) way: Way,
}

const UNNEST: &str = "
    insert into log.events (topic, partition, position, stream_id, version, event_id, schema_id,
        payload, correlation_id, causation_id, traceparent, occurred_at, recorded_at)
    select $1, e.partition, e.position, e.stream_id, e.version, e.event_id, 1, e.payload,
           e.correlation, e.correlation, $2, $3, $3
    from unnest($4::int[], $5::bigint[], $6::text[], $7::bigint[], $8::uuid[], $9::bytea[],
        $10::uuid[]) e (partition, position, stream_id, version, event_id, payload, correlation)";

const UNNEST_WITH_KEYS: &str = "
    insert into log.events (topic, partition, position, stream_id, version, event_id, schema_id,
        payload, correlation_id, causation_id, traceparent, occurred_at, recorded_at, command_key,
        command_fingerprint)
    select $1, e.partition, e.position, e.stream_id, e.version, e.event_id, 1, e.payload,
           e.correlation, e.correlation, $2, $3, $3, e.key, e.fingerprint
    from unnest($4::int[], $5::bigint[], $6::text[], $7::bigint[], $8::uuid[], $9::bytea[],
        $10::uuid[], $11::uuid[], $12::bytea[])
        e (partition, position, stream_id, version, event_id, payload, correlation, key, fingerprint)";

/// Measures one cell and checks what it left.
pub(super) async fn measure(
    load: Load,
    slot: &Slot<'_>,
    surroundings: &Surroundings,
) -> Result<Cell, Failure> {
    let log = CellLog::create("parcel").await?;
    let mut wal = Wal::watch(&log.settings.owner_url).await?;
    let streams = ours::streams(STREAMS)?;
    let gauge = Gauge::new();
    let mut writers = Vec::new();
    for index in 0..load.connections {
        let with_keys = load.way == Way::Unnest { with_keys: true };
        let part = (index, load.connections);
        let rows = Rows::of(&streams, log.settings.partitions, part, with_keys);
        let connection = connect(load.way, &log, &surroundings.addresses).await?;
        writers.push(write(connection, rows, load, log.topic.clone(), gauge.notes()));
    }
    let mut written = Vec::new();
    let around = async || written.push(wal.bytes().await.unwrap_or_default());
    let measured =
        bench_load::measure(&gauge, slot.pace, &surroundings.meter(), writers, around).await?;
    let flushes = wal.flushes().await?;
    let held = check(&log).await?;
    let mut cell = Cell::of(slot, "row", &measured);
    cell.wal_bytes_per_unit = grown(&written, measured.units);
    if let Ok(rows) = held {
        cell.flushes_per_unit = Some(as_f64(flushes) / as_f64(rows.max(1)));
    }
    cell.invariant = held.map(|rows| format!("{rows} rows, dense"));
    Ok(cell)
}

async fn connect(way: Way, log: &CellLog, addresses: &Addresses) -> Result<PgConnection, Failure> {
    let mut options: PgConnectOptions = log.settings.url.parse()?;
    if way == Way::Copy
        && let Some(socket) = &addresses.postgres_socket
    {
        options = options.socket(socket);
    }
    Ok(options.connect().await?)
}

async fn write(
    mut connection: PgConnection,
    mut rows: Rows,
    load: Load,
    topic: String,
    notes: Notes,
) -> Result<(), Failure> {
    let at = Utc::now();
    while !notes.is_over() {
        let began = Instant::now();
        let columns = rows.next(load.rows);
        match load.way {
            Way::Unnest { with_keys } => {
                unnest(&mut connection, &topic, at, &columns, with_keys).await?;
            }
            Way::Copy => {
                let mut copy =
                    connection.copy_in_raw("copy log.events from stdin (format binary)").await?;
                copy.send(columns.to_copy(&topic, at)).await?;
                copy.finish().await?;
            }
        }
        notes.note(u64::try_from(load.rows).unwrap_or_default(), began.elapsed());
    }
    connection.close().await?;
    Ok(())
}

async fn unnest(
    connection: &mut PgConnection,
    topic: &str,
    at: DateTime<Utc>,
    columns: &Columns,
    with_keys: bool,
) -> Result<(), Failure> {
    let insert = sqlx::query(if with_keys { UNNEST_WITH_KEYS } else { UNNEST });
    let mut insert = insert
        .bind(topic)
        .bind(TRACEPARENT)
        .bind(at)
        .bind(&columns.partition)
        .bind(&columns.position)
        .bind(&columns.stream_id)
        .bind(&columns.version)
        .bind(&columns.event_id)
        .bind(&columns.payload)
        .bind(&columns.correlation_id);
    if with_keys {
        insert = insert.bind(&columns.command_key).bind(&columns.fingerprint);
    }
    insert.execute(connection).await?;
    Ok(())
}

/// Positions and versions are unique by the table's own keys: they are dense when the largest is
/// the count.
async fn check(log: &CellLog) -> Result<Result<u64, String>, Failure> {
    const CHECK: &str = "
        select (select count(*) from log.events),
               (select count(*) from (
                    select from log.events group by partition having max(position) <> count(*)) p),
               (select count(*) from (
                    select from log.events group by stream_id having max(version) <> count(*)) s)";
    let mut connection = PgConnection::connect(&log.settings.owner_url).await?;
    let (rows, partitions, streams): (i64, i64, i64) =
        sqlx::query_as(CHECK).fetch_one(&mut connection).await?;
    if (partitions, streams) != (0, 0) {
        return Ok(Err(format!("{partitions} partitions and {streams} streams are not dense")));
    }
    Ok(Ok(u64::try_from(rows).unwrap_or_default()))
}
