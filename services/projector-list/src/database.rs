//! The read model's database: settings in, connection pools and a migrated schema out.

use std::{str::FromStr, time::Duration};

use factline_projection::MIGRATOR;
use service_kit::{Component, Phase, Runtime, ServiceError};
use sqlx::{
    Connection, PgConnection, PgPool, Postgres,
    migrate::{MigrateDatabase, Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio_util::sync::CancellationToken;

use crate::settings::DatabaseSettings;

/// A caller that waits longer for a connection is better told to come back.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(1);
/// No query of ours takes a tenth of this; a runaway one must not hold its connection.
const STATEMENT_TIMEOUT_MS: &str = "5000";
/// What the projection runtime needs beside its workers, and one for whoever waits for a token.
const RUNTIME_CONNECTIONS: u32 = 4;
/// How often the database's health is asked for; readiness is at most this old.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The service's own migrations, in order; the versions begin at 1001, behind the runtime's.
const MIGRATIONS: [(i64, &str, &str); 1] =
    [(1001, "inventory list", include_str!("../migrations/1001_inventory_list.sql"))];

/// Two pools, so that queries and the projection cannot starve each other.
#[derive(Debug, Clone)]
pub struct Database {
    /// For queries: can change nothing.
    pub queries: PgPool,
    /// For the projection runtime.
    pub runtime: PgPool,
}

impl Database {
    /// Opens nothing yet; connections come when they are needed.
    ///
    /// # Errors
    /// The address cannot be read.
    pub fn new(settings: &DatabaseSettings) -> Result<Self, ServiceError> {
        let options = PgConnectOptions::from_str(&settings.url)?.options([("timezone", "UTC")]);
        let pool = |connections| {
            PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_WITHIN)
        };
        let queries = options.clone().application_name("factline-queries").options([
            ("default_transaction_read_only", "on"),
            ("statement_timeout", STATEMENT_TIMEOUT_MS),
        ]);
        let runtime = options.application_name("factline-projection");
        Ok(Self {
            queries: pool(settings.max_connections).connect_lazy_with(queries),
            runtime: pool(RUNTIME_CONNECTIONS).connect_lazy_with(runtime),
        })
    }

    /// Reports to readiness whether the database answers.
    pub fn watch(&self, runtime: &Runtime) {
        let (pool, component) = (self.queries.clone(), runtime.health.component("database"));
        runtime
            .tasks
            .spawn(Phase::Watching, "database health", |stop| watch(pool, component, stop));
    }
}

async fn watch(
    pool: PgPool,
    component: Component,
    stop: CancellationToken,
) -> Result<(), ServiceError> {
    let mut every = tokio::time::interval(LOOK_EVERY);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        match sqlx::query("select 1").execute(&pool).await {
            Ok(_) => component.ready(),
            Err(error) => component.not_ready(error.to_string()),
        }
    }
    Ok(())
}

/// Creates the database if it is missing and brings its schema up to date.
///
/// # Errors
/// The database refuses or cannot be reached.
pub async fn migrate(settings: &DatabaseSettings) -> Result<(), ServiceError> {
    let url = &settings.url;
    if !Postgres::database_exists(url).await?
        && let Err(error) = Postgres::create_database(url).await
        && !Postgres::database_exists(url).await?
    {
        return Err(error.into()); // otherwise another process was faster
    }
    let mut connection = PgConnection::connect(url).await?;
    MIGRATOR.run(&mut connection).await?;
    migrator().run(&mut connection).await?;
    Ok(connection.close().await?)
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        let sql = sqlx::SqlStr::from_static(sql);
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    migrator.set_ignore_missing(true); // those of the runtime
    migrator
}
