//! A view's table as generic SQL: keys in, rows out; new, changed and removed rows in, one statement
//! for each sort.
//!
//! Rows come from the table as JSON and go to it as one array of texts a column, so a view needs no
//! SQL of its own. The columns are read from the catalogue once a connection; a row whose members are
//! not exactly the table's columns is refused before anything is written.
//!
//! Who loads rows before it writes them knows which are new. So rows are inserted or updated, never
//! "inserted on conflict": that costs half as much again, and JSON for all columns as much too (a row
//! of four columns: 11.8 us with both, 5.1 us with neither).

use std::collections::BTreeSet;

use factline_core::Fault;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection, types::Json};

use crate::{
    ApplyError,
    columns::{Columns, Odd, text},
};

/// The statements for one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    name: String,
    key: &'static [&'static str],
    columns: Vec<String>,
    lock: String,
    load: String,
    insert: String,
    /// None when there is nothing but the key.
    update: Option<String>,
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
        let kind_of = |part: &str| {
            let found = columns.iter().find(|(column, _)| column == part);
            let missing = || refuse(format!("{name} has no column {part}"));
            found.map(|(_, kind)| kind.as_str()).ok_or_else(missing)
        };
        let mut same_key = Vec::with_capacity(key.len());
        for part in key {
            same_key.push(format!("t.{0} = k.{0}::{1}", quote(part), kind_of(part)?));
        }
        let on = same_key.join(" and ");
        let list = join(columns.iter().map(|(column, _)| quote(column)));
        let typed = |(column, kind): &(String, String)| format!("k.{}::{kind}", quote(column));
        let set = |one: &(String, String)| format!("{} = {}", quote(&one.0), typed(one));
        let changed: Vec<_> = columns.iter().filter(|(c, _)| !key.contains(&&**c)).collect();
        let changes = join(changed.into_iter().map(set));
        let keys = join(key.iter().map(|part| quote(part)));
        let (of_keys, of_columns) = (texts(key.len()), texts(columns.len()));
        Ok(Self {
            name: name.to_owned(),
            key,
            columns: columns.iter().map(|(column, _)| column.clone()).collect(),
            lock: format!("factline view {name}"),
            // The fence (offset 0) makes one index lookup a key the only plan.
            load: format!(
                "select k.i, to_jsonb(r) from unnest({of_keys}) with ordinality as k({keys}, i)
                 cross join lateral (select * from {name} t where {on} offset 0) r"
            ),
            insert: format!(
                "insert into {name} ({list}) select {} from unnest({of_columns}) as k({list})",
                join(columns.iter().map(typed))
            ),
            update: (!changes.is_empty()).then(|| {
                format!(
                    "update {name} t set {changes} from unnest({of_columns}) as k({list}) where {on}"
                )
            }),
            remove: format!("delete from {name} t using unnest({of_keys}) as k({keys}) where {on}"),
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
        let mut query = sqlx::query_as(AssertSqlSafe(self.load.clone()));
        for part in self.key {
            query = query.bind(column(keys, part));
        }
        let rows: Vec<(i64, Json<Row>)> = query.fetch_all(tx).await?;
        let index = |ordinal: i64| usize::try_from(ordinal - 1).unwrap_or(usize::MAX);
        Ok(rows.into_iter().map(|(ordinal, Json(row))| (index(ordinal), row)).collect())
    }

    /// Inserts rows that were not there when they were loaded, in the same transaction.
    pub(crate) async fn insert<Row: Serialize + Sync>(
        &self,
        tx: &mut PgConnection,
        rows: &[&Row],
    ) -> Result<(), ApplyError> {
        self.write(tx, &self.insert, rows).await
    }

    /// Replaces rows that were there when they were loaded, in the same transaction.
    pub(crate) async fn update<Row: Serialize + Sync>(
        &self,
        tx: &mut PgConnection,
        rows: &[&Row],
    ) -> Result<(), ApplyError> {
        match &self.update {
            Some(update) => self.write(tx, update, rows).await,
            None => Ok(()),
        }
    }

    async fn write<Row: Serialize + Sync>(
        &self,
        tx: &mut PgConnection,
        statement: &str,
        rows: &[&Row],
    ) -> Result<(), ApplyError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut columns = Columns::new(&self.columns, rows.len());
        for row in rows {
            columns.push(*row).or_else(|odd| self.refuse_row(row, odd))?;
        }
        let mut query = sqlx::query(AssertSqlSafe(statement.to_owned()));
        for texts in columns.into_texts() {
            query = query.bind(texts);
        }
        let written = query.execute(tx).await?.rows_affected();
        if usize::try_from(written) == Ok(rows.len()) {
            return Ok(());
        }
        let told = format!("{}: {written} of {} rows were written", self.name, rows.len());
        Err(Fault::fatal("writing a view's rows", told).into())
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
        let mut query = sqlx::query(AssertSqlSafe(self.remove.clone()));
        for part in self.key {
            query = query.bind(column(keys, part));
        }
        query.execute(tx).await?;
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

    /// Says how a row and the table differ, by name.
    fn refuse_row<Row: Serialize>(&self, row: &Row, odd: Odd) -> Result<(), Fault> {
        let refuse = |why: String| Err(Fault::fatal("writing a view's row", why));
        let Ok(Value::Object(members)) = serde_json::to_value(row) else {
            return refuse(format!("{}: {odd}", self.name));
        };
        let names: BTreeSet<&String> = members.keys().collect();
        let columns: BTreeSet<&String> = self.columns.iter().collect();
        let differ: Vec<_> = names.symmetric_difference(&columns).collect();
        refuse(format!("{} and its row struct differ in {differ:?}: {odd}", self.name))
    }
}

/// One column of keys.
fn column(keys: &[Map<String, Value>], name: &str) -> Vec<Option<String>> {
    keys.iter().map(|key| key.get(name).cloned().and_then(text)).collect()
}

/// `$1::text[], $2::text[] …`
fn texts(count: usize) -> String {
    join((1..=count).map(|number| format!("${number}::text[]")))
}

pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Table {
        let columns = [("day", "date"), ("place", "text"), ("grams", "bigint")]
            .map(|(column, kind)| (column.to_owned(), kind.to_owned()));
        Table::of("parcels_by_day", &["day", "place"], &columns).unwrap()
    }

    #[test]
    fn a_key_of_several_columns_is_written_by_name() {
        let key = table().key_json(&("2010-12-01", "Oslo")).unwrap();
        assert_eq!(Value::from(key), json!({"day": "2010-12-01", "place": "Oslo"}));
        assert!(table().key_json(&"Oslo").is_err(), "one part for two columns");
    }

    #[test]
    fn d07_a_row_that_is_not_the_table_is_refused_by_name() {
        let refused = |row: Value| {
            let odd = Columns::new(&table().columns, 1).push(&row).unwrap_err();
            table().refuse_row(&row, odd).unwrap_err().to_string()
        };
        let missing = refused(json!({"day": 1, "place": 2}));
        assert!(missing.contains("grams"), "{missing}");
        let more = refused(json!({"day": 1, "place": 2, "grams": 3, "ounces": 4}));
        assert!(more.contains("ounces"), "{more}");
    }

    #[test]
    fn d07_a_table_that_is_missing_or_lacks_its_key_is_refused() {
        assert!(Table::of("nowhere", &["id"], &[]).is_err());
        let columns = [("other".to_owned(), "text".to_owned())];
        assert!(Table::of("somewhere", &["id"], &columns).is_err());
    }

    #[test]
    fn a_row_of_key_columns_alone_is_never_updated() {
        let columns = [("id".to_owned(), "text".to_owned())];
        let table = Table::of("seen", &["id"], &columns).unwrap();
        assert_eq!(table.update, None);
        assert!(table.insert.contains(r#"select k."id"::text from unnest($1::text[])"#));
    }
}
