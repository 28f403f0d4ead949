//! Rows that are known in advance, written as fast as one statement a batch can.

use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::failure::Failure;

/// As many as one transaction of a projection takes.
const ROWS: i64 = 2_000;
/// As many as a projection has workers.
const CONNECTIONS: i64 = 2;

const UPSERT: &str = "
    insert into sendings as t (partition, position, stream_id, sent_to)
    select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])
    on conflict (partition, position) do update
    set stream_id = excluded.stream_id, sent_to = excluded.sent_to";

/// Writes so many rows, half of them on each connection.
///
/// # Errors
/// The database fails.
pub(super) async fn upsert(url: &str, rows: u64) -> Result<u64, Failure> {
    let each = i64::try_from(rows).unwrap_or(i64::MAX) / CONNECTIONS;
    let mut writers = JoinSet::new();
    for partition in 0..CONNECTIONS {
        let url = url.to_owned();
        writers.spawn(async move { write(&url, partition, each).await });
    }
    let mut written = 0;
    while let Some(ended) = writers.join_next().await {
        written += ended.map_err(|error| Failure::new(error.to_string()))??;
    }
    Ok(written)
}

async fn write(url: &str, partition: i64, rows: i64) -> Result<u64, Failure> {
    let mut connection = PgConnection::connect(url).await?;
    let to = crate::append::ours::address(7);
    let mut written = 0;
    for first in (1..=rows).step_by(2_000) {
        let positions: Vec<i64> = (first..=rows.min(first + ROWS - 1)).collect();
        let streams = positions.iter().map(|at| format!("parcel-{:06}", at % 1_000));
        let done = sqlx::query(UPSERT)
            .bind(vec![partition; positions.len()])
            .bind(&positions)
            .bind(streams.collect::<Vec<_>>())
            .bind(vec![to.as_str(); positions.len()])
            .execute(&mut connection)
            .await?;
        written += done.rows_affected();
    }
    Ok(written)
}

/// Whether the rows are there.
///
/// # Errors
/// The database fails.
pub(super) async fn check(
    owner: &mut PgConnection,
    rows: u64,
) -> Result<Result<String, String>, Failure> {
    let query = "select count(*) from sendings";
    let (found,): (i64,) = sqlx::query_as(query).fetch_one(owner).await?;
    let told = format!("{found} rows of {rows}");
    let lost = rows.abs_diff(found.unsigned_abs());
    Ok(if lost < CONNECTIONS.unsigned_abs() { Ok(told) } else { Err(told) })
}
