//! The schema's migrations and the topics' fixed partition counts. Runs as the owner.

use std::borrow::Cow;

use factline_core::Fault;
use sqlx::{
    Connection, PgConnection, Postgres, migrate,
    migrate::{MigrateDatabase, MigrationType, Migrator},
};

use crate::classify;

/// Creates the database if it is missing and brings the log's schema up to date.
///
/// # Errors
/// The database refuses, cannot be reached, or holds a migration that this build does not know.
pub async fn migrate(owner_url: &str) -> Result<PgConnection, Fault> {
    let failed = |error| classify("creating the log's database", error);
    if !Postgres::database_exists(owner_url).await.map_err(failed)?
        && let Err(error) = Postgres::create_database(owner_url).await
        && !Postgres::database_exists(owner_url).await.map_err(failed)?
    {
        return Err(failed(error)); // otherwise another process was faster
    }
    let mut connection = PgConnection::connect(owner_url).await.map_err(failed)?;
    migrator()
        .run(&mut connection)
        .await
        .map_err(|error| classify("migrating the log", sqlx::Error::Migrate(Box::new(error))))?;
    Ok(connection)
}

fn migrator() -> Migrator {
    const MIGRATIONS: [(i64, &str, &str); 2] = [
        (1, "log", include_str!("../migrations/0001_log.sql")),
        (2, "inline views", include_str!("../migrations/0002_inline_views.sql")),
    ];
    let migration = |(version, name, sql)| {
        let sql = sqlx::SqlStr::from_static(sql);
        let (name, kind) = (Cow::Borrowed(name), MigrationType::Simple);
        migrate::Migration::new(version, name, kind, sql, false)
    };
    Migrator::with_migrations(MIGRATIONS.map(migration).to_vec())
}

/// Gives a topic its partitions, once. Later calls only check.
///
/// # Errors
/// Fatal when the topic already has another number of partitions: its streams are placed by that
/// number for ever.
pub async fn ensure_topic(
    owner: &mut PgConnection,
    topic: &str,
    partitions: i32,
) -> Result<(), Fault> {
    const DOING: &str = "creating a topic in the log";
    let failed = |error| classify(DOING, error);
    let mut tx = owner.begin().await.map_err(failed)?;
    sqlx::query("insert into log.topics values ($1, $2) on conflict do nothing")
        .bind(topic)
        .bind(partitions)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    check_partitions(&mut tx, topic, partitions).await?;
    for table in ["log.heads", "log.relay_cursors"] {
        let fill = format!(
            "insert into {table} (topic, partition) select $1, generate_series(0, $2 - 1)
             on conflict do nothing"
        );
        sqlx::query(sqlx::AssertSqlSafe(fill))
            .bind(topic)
            .bind(partitions)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
    }
    tx.commit().await.map_err(failed)
}

/// A stream's partition follows from the number of partitions: another number would place it twice.
///
/// # Errors
/// Fatal when the topic is not there or has another number of partitions.
pub(crate) async fn check_partitions(
    connection: &mut PgConnection,
    topic: &str,
    partitions: i32,
) -> Result<(), Fault> {
    const DOING: &str = "checking a topic's partitions";
    let recorded: Option<(i32,)> =
        sqlx::query_as("select partitions from log.topics where topic = $1")
            .bind(topic)
            .fetch_optional(connection)
            .await
            .map_err(|error| classify(DOING, error))?;
    match recorded {
        Some((recorded,)) if recorded == partitions => Ok(()),
        Some((recorded,)) => {
            let words = format!("{topic} has {recorded} partitions for ever, not {partitions}");
            Err(Fault::fatal(DOING, words))
        }
        None => Err(Fault::fatal(DOING, format!("the log has no topic {topic}; migrate it"))),
    }
}
