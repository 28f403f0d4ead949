//! The two transactions around the pages: the table beside the live one is made, and put in its place.

use std::time::Duration;

use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, PgConnection, types::Json};

use super::{
    Setback, Step, compare, finish, page,
    places::{self, Place},
    tables::{Side, Tables},
};
use crate::{
    Projection,
    book::Book,
    rebuilds::{Difference, Rebuild},
    shared::Shared,
    transaction,
};

const BUILDING: &str = "
    update projection.rebuilds
    set state = 'building', started_at = clock_timestamp(), waiting = null,
        began_with = (select coalesce(sum(position), 0) from projection.rebuild_positions
                      where projection = $2)
    where id = $1";

const KEPT: &str = "
    select exists (select from projection.rebuild_positions where projection = $1)
       and to_regclass($2) is not null";

/// The export holds parked rows while it sends them, and an operator's act holds them before it asks for
/// checkpoints: whoever comes first is waited for here.
const LOCK_PARKED: &str = "
    select from projection.parked_events where projection = $1
    order by topic, partition, position for update";

const DECIDED: &str = "
    update projection.rebuilds
    set state = $2, heads = $3, difference = $4, wish = null, waiting = null,
        finished_at = case when $2 = 'switched' then clock_timestamp() end
    where id = $1";

/// What parking entered nowhere has had its effect in the new table, unless it is parked there too.
const ENTER_REPAIRED: &str = "
    insert into projection.processed_events (projection, event_id)
    select $1, event_id from projection.parked_events o
    where projection = $1 and not exists (
        select from projection.parked_events n where n.projection = $2 and n.event_id = o.event_id)
    on conflict do nothing";

/// What the new table has parked has not had its effect, whatever the old one did with it.
const REMOVE_PARKED: &str = "
    delete from projection.processed_events p using projection.parked_events n
    where n.projection = $2 and p.projection = $1 and p.event_id = n.event_id";

/// An event that both have parked stays as it came from Kafka, and is not sent to the dead letters again.
const KEEP_ORIGINALS: &str = "
    update projection.parked_events n
    set record_offset = o.record_offset, record_at_ms = o.record_at_ms, record_key = o.record_key,
        record_value = o.record_value, header_names = o.header_names,
        header_values = o.header_values, schema_json = o.schema_json, attempts = o.attempts,
        exported_at = o.exported_at
    from projection.parked_events o
    where n.projection = $2 and o.projection = $1 and o.topic = n.topic
      and o.partition = n.partition and o.position = n.position and o.event_id = n.event_id";

const ROLLED_BACK: &str = "
    update projection.rebuilds set state = 'rolled_back'
    where id = (select max(id) from projection.rebuilds
                where projection = $1 and id < $2 and state = 'switched')";

/// Makes the table beside the live one, empty or from the one that was kept.
pub(super) async fn begin(
    tx: &mut PgConnection,
    rebuild: &Rebuild,
    tables: &Tables,
) -> Result<Step, Setback> {
    let again = Ok(Step::More(Duration::ZERO));
    if !finish::take(tx, rebuild).await? {
        sqlx::raw_sql("rollback").execute(tx).await?;
        return again;
    }
    tables.check(tx).await?;
    if rebuild.is_rollback() {
        let (book, table) = (tables.book(Side::Previous), tables.table(Side::Previous));
        let kept: bool =
            sqlx::query_scalar(KEPT).bind(book).bind(table).fetch_one(&mut *tx).await?;
        if !kept {
            let why = format!("no previous table of {} is kept", rebuild.projection);
            return Err(Setback::Failed(why));
        }
        tables.turn(tx, Side::Previous, Side::Next).await?;
        tables.check_columns(tx).await?;
    } else {
        tables.make_next(tx).await?;
    }
    places::begin(tx, &rebuild.projection, tables).await?;
    sqlx::query(BUILDING).bind(rebuild.id).bind(tables.book(Side::Next)).execute(&mut *tx).await?;
    sqlx::raw_sql("commit").execute(tx).await?;
    again
}

/// Holds the live view, brings the table beside it to the same positions, compares, and switches when it
/// may. `most`: more events than this are left to a page, which holds nobody.
pub(super) async fn switch<P: Projection>(
    shared: &Shared<P>,
    tx: &mut PgConnection,
    rebuild: &Rebuild,
    tables: &Tables,
    most: i64,
) -> Result<Step, Setback> {
    let name = shared.name();
    let beside = page::prepare(shared, tx).await?;
    if !finish::take(tx, rebuild).await? {
        sqlx::raw_sql("rollback").execute(tx).await?;
        return Ok(Step::More(Duration::ZERO));
    }
    sqlx::query(LOCK_PARKED).bind(name).execute(&mut *tx).await?;
    let places = places::hold(tx, name, tables).await?;
    let remaining = places::remaining(&places);
    if remaining > most {
        sqlx::raw_sql("rollback").execute(tx).await?;
        return Ok(Step::More(Duration::ZERO));
    }
    if remaining > 0 {
        let skipped = page::skipped(tx, name).await?;
        let job = page::read(shared, places::intakes(&places, remaining), &skipped).await?;
        let book = Book::Beside { name: tables.book(Side::Next), skipped };
        transaction::write(tx, &*beside.projection, &book, &job, &shared.settings).await?;
    }
    tables.check_columns(tx).await?;
    let difference = compare::compare(tx, name, tables).await?;
    let switches = difference.is_none() || rebuild.accept_difference;
    let heads = heads(&places::read(tx, name, tables).await?)?;
    if switches {
        put_in_place(tx, rebuild, tables, &heads).await?;
    }
    decide(tx, rebuild, if switches { "switched" } else { "ready" }, &heads, &difference).await?;
    factline_failpoints::reach("rebuild_in_switch").await; // everything written, nothing committed
    sqlx::raw_sql("commit").execute(tx).await?;
    Ok(Step::Finished)
}

async fn put_in_place(
    tx: &mut PgConnection,
    rebuild: &Rebuild,
    tables: &Tables,
    compared_at: &Value,
) -> Result<(), Setback> {
    let name = rebuild.projection.as_str();
    // Queries under way are waited for; those that come now wait for the commit, and then find the
    // new table under the name.
    let lock = format!("lock table {} in access exclusive mode", tables.live);
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *tx).await?;
    // A partition that was begun meanwhile had no row to be held by. From here on it cannot write.
    if heads(&places::read(tx, name, tables).await?)? != *compared_at {
        return Err(Setback::Wait("the live view began another partition just now".into()));
    }
    let next = tables.book(Side::Next);
    for sql in [ENTER_REPAIRED, REMOVE_PARKED, KEEP_ORIGINALS] {
        sqlx::query(sql).bind(name).bind(&next).execute(&mut *tx).await?;
    }
    tables.swap(tx).await?;
    if rebuild.is_rollback() {
        sqlx::query(ROLLED_BACK).bind(name).bind(rebuild.id).execute(tx).await?;
    }
    Ok(())
}

async fn decide(
    tx: &mut PgConnection,
    rebuild: &Rebuild,
    state: &str,
    heads: &Value,
    difference: &Difference,
) -> Result<(), sqlx::Error> {
    sqlx::query(DECIDED)
        .bind(rebuild.id)
        .bind(state)
        .bind(Json(heads))
        .bind(Json(difference))
        .execute(tx)
        .await?;
    Ok(())
}

/// The positions by topic and partition, which must be the same for both.
fn heads(places: &[Place]) -> Result<Value, Setback> {
    let mut heads: Map<String, Value> = Map::new();
    for Place { id, position, live } in places {
        if position != live {
            let why = format!("{id} is at {position} and the live view at {live}");
            return Err(Setback::Wait(why));
        }
        let topic = heads.entry(id.topic.to_string()).or_insert_with(|| json!({}));
        if let Some(topic) = topic.as_object_mut() {
            topic.insert(id.partition.to_string(), json!(position));
        }
    }
    Ok(Value::Object(heads))
}
