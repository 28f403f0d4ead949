//! The views' tables as they are, and where they part from what they must hold.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::fold::Expected;
use super::{Findings, Rows};
use crate::failure::Failure;
use crate::place::{Place, Service};

/// Every table that is compared: in whose database, its name, its key.
const TABLES: [(Service, &str, &str); 10] = [
    (Service::List, "inventory_list", "sku"),
    (Service::List, "order_list", "id"),
    (Service::List, "customer_list", "id"),
    (Service::List, "shipment_requests", "order_id"),
    (Service::Stats, "inventory_stats", "sku"),
    (Service::Stats, "sales_by_day", "day"),
    (Service::Stats, "sales_by_country", "country"),
    (Service::Stats, "order_funnel", "order_id"),
    (Service::Stats, "order_completed", "order_id"),
    (Service::Alerter, "stock_watch", "sku"),
];

/// The projections that read items.
const OF_ITEMS: [&str; 5] =
    ["inventory_list", "inventory_stats", "sales_by_day", "sales_by_country", "stock_watch"];

/// What the views' databases hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tables {
    pub(super) views: BTreeMap<&'static str, Rows>,
    /// By projection and stream.
    pub(super) parked_streams: Rows,
    /// By id.
    pub(super) episodes: Rows,
    /// By id.
    pub(super) deliveries: Rows,
    /// Of the processes, by order.
    pub(super) instances: Rows,
}

/// Reads them all.
///
/// # Errors
/// A database does not answer, or a table is missing.
pub(super) async fn read(place: &Place) -> Result<Tables, Failure> {
    let mut tables = Tables::default();
    for service in [Service::List, Service::Stats, Service::Alerter] {
        let mut connection = PgConnection::connect(&place.database(service)).await?;
        for (_, name, key) in TABLES.iter().filter(|(of, _, _)| *of == service) {
            tables.views.insert(name, table(&mut connection, name, key).await?);
        }
        let parked = "projection || ' ' || stream_id";
        let parked = table(&mut connection, "projection.parked_streams", parked).await?;
        tables.parked_streams.extend(parked);
        if service == Service::Alerter {
            tables.episodes = table(&mut connection, "alert_episodes", "id").await?;
            tables.deliveries = table(&mut connection, "deliveries", "id").await?;
        }
        connection.close().await?;
    }
    let mut sagas = PgConnection::connect(&place.saga_database()).await?;
    tables.instances = table(&mut sagas, "saga.instances", "instance").await?;
    sagas.close().await?;
    Ok(tables)
}

async fn table(connection: &mut PgConnection, name: &str, key: &str) -> Result<Rows, Failure> {
    // Both names are this module's own.
    let sql = AssertSqlSafe(format!("select ({key})::text, to_jsonb(t) from {name} t"));
    let rows: Vec<(String, Json<Value>)> = sqlx::query_as(sql).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(key, Json(row))| (key, row)).collect())
}

/// Compares, column by column, what is expected.
pub(super) fn compare(expected: &Expected, tables: &Tables, found: &mut Findings) {
    let none = Rows::new();
    for (name, expected) in &expected.tables {
        let rows = tables.views.get(name).unwrap_or(&none);
        let keys: BTreeSet<&String> = expected.keys().chain(rows.keys()).collect();
        for key in keys {
            if let Some(how) = difference(expected.get(key), rows.get(key)) {
                found.divergent_rows.push(format!("{name} {key}: {how}"));
            }
        }
    }
    let opening = |row: &Value| row["opened_event_id"].as_str().unwrap_or_default().to_owned();
    let opened: BTreeSet<String> = tables.episodes.values().map(opening).collect();
    for event in expected.openings.symmetric_difference(&opened) {
        let which = if opened.contains(event) { "must not have" } else { "must have" };
        found.divergent_rows.push(format!("alert_episodes: {event} {which} opened an episode"));
    }
}

/// Streams that stand still although every event of theirs can be read, and streams that flow in a
/// projection of items although one cannot.
pub(super) fn parked(expected: &Expected, tables: &Tables, found: &mut Findings) {
    let mut parked = BTreeSet::new();
    for row in tables.parked_streams.values() {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let (projection, stream) = (text("projection"), text("stream_id"));
        if !expected.poisoned.contains(&stream) {
            let (code, detail) = (text("code"), text("detail"));
            let what = format!("{projection}: {stream} is parked: {code}: {detail}");
            found.stuck_streams.push(what);
        }
        parked.insert((projection, stream));
    }
    for stream in &expected.poisoned {
        for projection in OF_ITEMS {
            if !parked.contains(&(projection.to_owned(), stream.clone())) {
                let what = format!("{projection}: {stream} is poisoned and not parked");
                found.divergent_rows.push(what);
            }
        }
    }
}

fn difference(expected: Option<&Value>, row: Option<&Value>) -> Option<String> {
    match (expected, row) {
        (Some(expected), Some(row)) => {
            let columns = expected.as_object().into_iter().flatten();
            let differs = columns.filter(|(column, value)| row[column.as_str()] != **value);
            let differs: Vec<String> = differs
                .map(|(column, value)| format!("{column} is {} and must be {value}", row[column]))
                .collect();
            (!differs.is_empty()).then(|| differs.join(", "))
        }
        (Some(_), None) => Some("is missing".to_owned()),
        (None, Some(_)) => Some("must not be".to_owned()),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(expected: Value, row: Value) -> usize {
        let rows = |value: Value| Rows::from([("item-01".to_owned(), value)]);
        let expected =
            Expected { tables: [("inventory_list", rows(expected))].into(), ..Expected::default() };
        let tables = Tables { views: [("inventory_list", rows(row))].into(), ..Tables::default() };
        let mut found = Findings::default();
        compare(&expected, &tables, &mut found);
        found.divergent_rows.len()
    }

    #[test]
    fn a_row_may_hold_more_than_is_expected_and_nothing_else() {
        assert_eq!(found(json!({"on_hand": 7}), json!({"on_hand": 7, "sku": "item-01"})), 0);
        assert_eq!(found(json!({"on_hand": 7}), json!({"on_hand": 8})), 1);
    }

    #[test]
    fn a_row_that_is_missing_or_too_much_and_an_episode_that_is_missing_are_found() {
        let mut expected = Expected::default();
        expected.tables.insert("order_list", [("a".to_owned(), json!({}))].into());
        expected.openings.insert("event".to_owned());
        let views = [("order_list", [("b".to_owned(), json!({}))].into())].into();
        let tables = Tables { views, ..Tables::default() };
        let mut found = Findings::default();
        compare(&expected, &tables, &mut found);
        assert_eq!(found.divergent_rows.len(), 3);
    }
}
