//! A view's table as generic SQL: keys in, rows out; changed rows in, one statement out.
//!
//! Rows travel as JSON between the row struct and the table, so a view needs no SQL of its own. The
//! columns are read from the catalogue once a connection; a row whose members are not exactly the
//! table's columns is refused before anything is written.

use std::collections::BTreeSet;

use factline_core::Fault;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection, types::Json};

use crate::ApplyError;

/// The statements for one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    name: String,
    key: &'static [&'static str],
    columns: BTreeSet<String>,
    lock: String,
    load: String,
    save: String,
    remove: String,
}

const COLUMNS: &str = "
    select a.attname::text, format_type(a.atttypid, a.atttypmod)
    from pg_attribute a
    where a.attrelid = to_regclass($1) and a.attnum > 0
      and not a.attisdropped and a.attgenerated = ''
    order by a.attnum";

impl Table {
    /// Reads the table's columns.
    pub(crate) async fn read(
        connection: &mut PgConnection,
        name: &str,
        key: &'static [&'static str],
    ) -> Result<Self, ApplyError> {
        let columns: Vec<(String, String)> =
            sqlx::query_as(COLUMNS).bind(name).fetch_all(connection).await?;
        Ok(Self::of(name, key, &columns)?)
    }

    fn of(
        name: &str,
        key: &'static [&'static str],
        columns: &[(String, String)],
    ) -> Result<Self, Fault> {
        let refuse = |why: String| Fault::fatal("reading a view's table", why);
        if columns.is_empty() {
            return Err(refuse(format!("there is no table {name}: run the service's migrations")));
        }
        let mut key_columns = Vec::with_capacity(key.len());
        for part in key {
            let found = columns.iter().find(|(column, _)| column == part);
            let (column, kind) =
                found.ok_or_else(|| refuse(format!("{name} has no column {part}")))?;
            key_columns.push(format!("{} {kind}", quote(column)));
        }
        let (typed, on) = (key_columns.join(", "), same_key(key));
        let list = join(columns.iter().map(|(column, _)| quote(column)));
        let changed: Vec<_> = columns.iter().filter(|(c, _)| !key.contains(&&**c)).collect();
        let set = join(changed.iter().map(|(c, _)| format!("{0} = excluded.{0}", quote(c))));
        let action =
            if changed.is_empty() { "nothing".into() } else { format!("update set {set}") };
        let keys = join(key.iter().map(|part| quote(part)));
        Ok(Self {
            name: name.to_owned(),
            key,
            columns: columns.iter().map(|(column, _)| column.clone()).collect(),
            lock: format!("factline view {name}"),
            // The fence (offset 0) makes one index lookup a key the only plan.
            load: format!(
                "select k.i, to_jsonb(r) from rows from (jsonb_to_recordset($1) as ({typed}))
                     with ordinality as k({keys}, i)
                 cross join lateral (select * from {name} t where {on} offset 0) r"
            ),
            save: format!(
                "insert into {name} as t ({list}) select {list}
                 from jsonb_populate_recordset(null::{name}, $1)
                 on conflict ({keys}) do {action}"
            ),
            remove: format!(
                "delete from {name} t using jsonb_to_recordset($1) as k({typed}) where {on}"
            ),
        })
    }

    /// Makes transactions that touch rows which streams share follow one another. In a statement of
    /// its own, because a statement sees nothing newer than its own start.
    pub(crate) async fn lock(&self, tx: &mut PgConnection) -> Result<(), ApplyError> {
        sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(&self.lock)
            .execute(tx)
            .await?;
        Ok(())
    }

    /// The rows that exist, each with the index of its key.
    pub(crate) async fn load<Row: DeserializeOwned + Send + Unpin + 'static>(
        &self,
        tx: &mut PgConnection,
        keys: &[Map<String, Value>],
    ) -> Result<Vec<(usize, Row)>, ApplyError> {
        let rows: Vec<(i64, Json<Row>)> =
            sqlx::query_as(AssertSqlSafe(self.load.clone())).bind(Json(keys)).fetch_all(tx).await?;
        let index = |ordinal: i64| usize::try_from(ordinal - 1).unwrap_or(usize::MAX);
        Ok(rows.into_iter().map(|(ordinal, Json(row))| (index(ordinal), row)).collect())
    }

    /// Inserts or replaces rows.
    pub(crate) async fn save<Row: Serialize + Sync>(
        &self,
        tx: &mut PgConnection,
        rows: &[&Row],
    ) -> Result<(), ApplyError> {
        let Some(first) = rows.first() else { return Ok(()) };
        self.check_members(first)?;
        sqlx::query(AssertSqlSafe(self.save.clone())).bind(Json(rows)).execute(tx).await?;
        Ok(())
    }

    /// Deletes rows.
    pub(crate) async fn remove(
        &self,
        tx: &mut PgConnection,
        keys: &[Map<String, Value>],
    ) -> Result<(), ApplyError> {
        if keys.is_empty() {
            return Ok(());
        }
        sqlx::query(AssertSqlSafe(self.remove.clone())).bind(Json(keys)).execute(tx).await?;
        Ok(())
    }

    /// A key as the JSON object of its columns: of one column the value itself, of several a tuple.
    pub(crate) fn key_json<Key: Serialize>(&self, key: &Key) -> Result<Map<String, Value>, Fault> {
        let refuse = |why: String| Fault::fatal("writing a view's key", why);
        let value = serde_json::to_value(key).map_err(|error| refuse(error.to_string()))?;
        let parts = match value {
            Value::Array(parts) if self.key.len() > 1 => parts,
            one => vec![one],
        };
        if parts.len() != self.key.len() {
            let (has, wants) = (parts.len(), self.key.len());
            return Err(refuse(format!("{}: {has} parts for {wants} key columns", self.name)));
        }
        Ok(self.key.iter().map(|column| (*column).to_owned()).zip(parts).collect())
    }

    fn check_members<Row: Serialize>(&self, row: &Row) -> Result<(), Fault> {
        let refuse = |why: String| Fault::fatal("writing a view's row", why);
        let value = serde_json::to_value(row).map_err(|error| refuse(error.to_string()))?;
        let members: BTreeSet<&String> =
            value.as_object().into_iter().flat_map(Map::keys).collect();
        let columns: BTreeSet<&String> = self.columns.iter().collect();
        if members == columns {
            return Ok(());
        }
        let odd: Vec<_> = members.symmetric_difference(&columns).collect();
        Err(refuse(format!("{} and its row struct differ in {odd:?}", self.name)))
    }
}

pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn same_key(key: &[&str]) -> String {
    let same = key.iter().map(|part| format!("t.{0} = k.{0}", quote(part)));
    same.collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let columns = [("day", "date"), ("place", "text"), ("grams", "bigint")]
            .map(|(column, kind)| (column.to_owned(), kind.to_owned()));
        Table::of("parcels_by_day", &["day", "place"], &columns).unwrap()
    }

    #[test]
    fn a_key_of_several_columns_is_written_by_name() {
        let key = table().key_json(&("2010-12-01", "Oslo")).unwrap();
        assert_eq!(Value::from(key), serde_json::json!({"day": "2010-12-01", "place": "Oslo"}));
        assert!(table().key_json(&"Oslo").is_err(), "one part for two columns");
    }

    #[test]
    fn d07_a_row_that_is_not_the_table_is_refused_by_name() {
        let row = |members: &[&str]| {
            let members = members.iter().map(|name| ((*name).to_owned(), Value::Null));
            table().check_members(&members.collect::<Map<_, _>>())
        };
        assert!(row(&["day", "place", "grams"]).is_ok());
        let missing = row(&["day", "place"]).unwrap_err().to_string();
        assert!(missing.contains("grams"), "{missing}");
        let more = row(&["day", "place", "grams", "ounces"]).unwrap_err().to_string();
        assert!(more.contains("ounces"), "{more}");
    }

    #[test]
    fn d07_a_table_that_is_missing_or_lacks_its_key_is_refused() {
        assert!(Table::of("nowhere", &["id"], &[]).is_err());
        let columns = [("other".to_owned(), "text".to_owned())];
        assert!(Table::of("somewhere", &["id"], &columns).is_err());
    }

    #[test]
    fn a_table_of_key_columns_alone_is_inserted_into_once() {
        let columns = [("id".to_owned(), "text".to_owned())];
        let table = Table::of("seen", &["id"], &columns).unwrap();
        assert!(table.save.ends_with(r#"on conflict ("id") do nothing"#), "{}", table.save);
    }
}
