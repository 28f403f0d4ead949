//! A rebuild's row in the hands of a step: taken, resumed, cancelled, failed.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::{
    Setback, Step,
    tables::{Side, Tables},
};
use crate::{park::storable, rebuilds::Rebuild};

const TAKE: &str = "
    select id from projection.rebuilds
    where id = $1 and state = $2 and wish is not distinct from $3 and accept_difference = $4
    for update";

const END: &str = "
    update projection.rebuilds
    set state = $2, error = coalesce($3, error), wish = null, waiting = null,
        finished_at = clock_timestamp()
    where id = $1";

/// Begins a transaction and holds the row; false when it is no longer as it was read.
pub(super) async fn take(tx: &mut PgConnection, rebuild: &Rebuild) -> Result<bool, sqlx::Error> {
    sqlx::raw_sql("begin").execute(&mut *tx).await?;
    let taken: Option<i64> = sqlx::query_scalar(TAKE)
        .bind(rebuild.id)
        .bind(&rebuild.state)
        .bind(&rebuild.wish)
        .bind(rebuild.accept_difference)
        .fetch_optional(tx)
        .await?;
    Ok(taken.is_some())
}

/// An operator wants the switch tried again: back to building, which catches up first.
pub(super) async fn resume(tx: &mut PgConnection, rebuild: &Rebuild) -> Result<Step, Setback> {
    sqlx::query("update projection.rebuilds set state = 'building', wish = null where id = $1")
        .bind(rebuild.id)
        .execute(tx)
        .await?;
    Ok(Step::More(Duration::ZERO))
}

/// A wish that came when there was nothing left to be done about it.
pub(super) async fn too_late(tx: &mut PgConnection, rebuild: &Rebuild) -> Result<Step, Setback> {
    sqlx::query("update projection.rebuilds set wish = null where id = $1")
        .bind(rebuild.id)
        .execute(tx)
        .await?;
    Ok(Step::Aside)
}

/// Leaves nothing; a table that was kept is put back.
pub(super) async fn cancel(
    tx: &mut PgConnection,
    rebuild: &Rebuild,
    tables: Option<&Tables>,
) -> Result<Step, Setback> {
    if take(tx, rebuild).await? {
        clear_away(tx, rebuild, tables).await?;
        end(tx, rebuild.id, "cancelled", None).await?;
    }
    sqlx::raw_sql("commit").execute(tx).await?;
    Ok(Step::Finished)
}

/// Drops the table that was kept.
pub(super) async fn drop_previous(
    tx: &mut PgConnection,
    rebuild: &Rebuild,
    tables: &Tables,
) -> Result<Step, Setback> {
    if take(tx, rebuild).await? {
        tables.drop(tx, Side::Previous).await?;
        let done = "update projection.rebuilds set wish = null where id = $1";
        sqlx::query(done).bind(rebuild.id).execute(&mut *tx).await?;
    }
    sqlx::raw_sql("commit").execute(tx).await?;
    Ok(Step::Aside)
}

/// Ends a rebuild that cannot be finished, and leaves nothing of it.
pub(super) async fn fail(
    database: &PgPool,
    id: i64,
    tables: Option<&Tables>,
    why: &str,
) -> Result<(), Setback> {
    let mut tx = database.begin().await?;
    let row = "select * from projection.rebuilds where id = $1 for update";
    let rebuild: Rebuild = sqlx::query_as(row).bind(id).fetch_one(&mut *tx).await?;
    if rebuild.is_open() {
        clear_away(&mut tx, &rebuild, tables).await?;
        end(&mut tx, id, "failed", Some(&storable(why))).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Says what a rebuild waits for, where operators look. That this fails too is no news.
pub(super) async fn wait(database: &PgPool, id: i64, why: &str) {
    let said = sqlx::query("update projection.rebuilds set waiting = $2 where id = $1")
        .bind(id)
        .bind(storable(why))
        .execute(database)
        .await;
    drop(said);
}

async fn clear_away(
    tx: &mut PgConnection,
    rebuild: &Rebuild,
    tables: Option<&Tables>,
) -> Result<(), sqlx::Error> {
    let Some(tables) = tables.filter(|_| rebuild.state != "asked") else { return Ok(()) };
    if rebuild.is_rollback() {
        return tables.turn(tx, Side::Next, Side::Previous).await;
    }
    tables.drop(tx, Side::Next).await
}

async fn end(
    tx: &mut PgConnection,
    id: i64,
    state: &str,
    error: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(END).bind(id).bind(state).bind(error).execute(tx).await?;
    Ok(())
}
