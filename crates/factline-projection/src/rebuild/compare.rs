//! The rebuilt table beside the live one, row by row, at the same positions.

use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection};

use super::tables::{Side, Tables};
use crate::{
    rebuilds::{ColumnDifference, Difference, RowDifference},
    table::quote,
};

/// As many rows as a person reads before asking the tables themselves.
const SAMPLES: i64 = 20;

const COLUMNS: &str = "
    select a.attname::text from pg_attribute a
    where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped
      and a.attgenerated = '' order by a.attnum";

const STREAMS: &str = "
    select stream_id from projection.parked_streams s
    where projection = $1 and not exists (
        select from projection.parked_streams o
        where o.projection = $2 and o.topic = s.topic and o.stream_id = s.stream_id)
    order by stream_id";

/// Compares; the caller sees to it that both tables are at the same positions and stay there.
pub(super) async fn compare(
    tx: &mut PgConnection,
    projection: &str,
    tables: &Tables,
) -> Result<Difference, sqlx::Error> {
    let columns: Vec<String> =
        sqlx::query_scalar(COLUMNS).bind(&tables.live).fetch_all(&mut *tx).await?;
    // Everything is read: a plan for single rows would be the wrong one.
    sqlx::raw_sql("set local enable_seqscan = on").execute(&mut *tx).await?;
    let mut difference = count(tx, tables, &columns).await?;
    if difference.rows() > 0 {
        difference.samples = samples(tx, tables, &columns).await?;
    }
    sqlx::raw_sql("set local enable_seqscan = off").execute(&mut *tx).await?;
    let next = tables.book(Side::Next);
    difference.repaired_streams =
        sqlx::query_scalar(STREAMS).bind(projection).bind(&next).fetch_all(&mut *tx).await?;
    difference.newly_parked_streams =
        sqlx::query_scalar(STREAMS).bind(&next).bind(projection).fetch_all(tx).await?;
    Ok(difference)
}

async fn count(
    tx: &mut PgConnection,
    tables: &Tables,
    columns: &[String],
) -> Result<Difference, sqlx::Error> {
    let sql = format!("select d.what, count(*) from ({}) d group by 1", differing(tables, columns));
    let counts: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(tx).await?;
    let of = |what: &str| counts.iter().find(|one| one.0 == what).map_or(0, |one| one.1);
    Ok(Difference {
        missing: of("missing"),
        extra: of("extra"),
        different: of("different"),
        ..Difference::default()
    })
}

type Sample = (String, Value, Option<Value>, Option<Value>);

async fn samples(
    tx: &mut PgConnection,
    tables: &Tables,
    columns: &[String],
) -> Result<Vec<RowDifference>, sqlx::Error> {
    let sql = format!(
        "select d.what, d.key, d.live, d.rebuilt from ({}) d order by d.key limit {SAMPLES}",
        differing(tables, columns)
    );
    let rows: Vec<Sample> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(tx).await?;
    let row = |(what, key, live, rebuilt): Sample| {
        let (live, rebuilt) = (members(live), members(rebuilt));
        let of = |row: &Map<String, Value>, column| row.get(column).cloned().unwrap_or_default();
        let differing = columns.iter().filter_map(|column| {
            let (live, rebuilt) = (of(&live, column), of(&rebuilt, column));
            let column = column.clone();
            (live != rebuilt).then_some(ColumnDifference { column, live, rebuilt })
        });
        RowDifference { what, key, columns: differing.collect() }
    };
    Ok(rows.into_iter().map(row).collect())
}

fn members(row: Option<Value>) -> Map<String, Value> {
    match row {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// The rows that are not the same: n is the rebuilt one, o the live one.
fn differing(tables: &Tables, columns: &[String]) -> String {
    let (live, next, key) = (&tables.live, tables.table(Side::Next), tables.key);
    let list = |of: &str, columns: &mut dyn Iterator<Item = &str>| {
        columns.map(|column| format!("{of}.{}", quote(column))).collect::<Vec<_>>().join(", ")
    };
    let all = |of: &str| list(of, &mut columns.iter().map(String::as_str));
    let same = key.iter().map(|part| format!("n.{0} = o.{0}", quote(part)));
    let on = same.collect::<Vec<_>>().join(" and ");
    let pairs = key.iter().map(|part| {
        let column = quote(part);
        format!("'{}', coalesce(n.{column}, o.{column})", part.replace('\'', "''"))
    });
    let (pairs, first) = (pairs.collect::<Vec<_>>().join(", "), quote(key.first().unwrap_or(&"")));
    // A key's column is never null where its row is there.
    format!(
        "select case when o.{first} is null then 'missing' when n.{first} is null then 'extra'
                     else 'different' end as what,
                jsonb_build_object({pairs}) as key, to_jsonb(o) as live, to_jsonb(n) as rebuilt
         from {next} n full join {live} o on {on}
         where o.{first} is null or n.{first} is null
            or row({}) is distinct from row({})",
        all("n"),
        all("o"),
    )
}
