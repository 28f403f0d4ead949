//! The read model's database: settings in, connection pools and a migrated schema out.

use std::{str::FromStr, time::Duration};

use factline_log::{DatabaseWatch, without_open_transactions};
use factline_projection::MIGRATOR;
use service_kit::{Component, Phase, Runtime, ServiceError};
use sqlx::{
    Connection, PgConnection, PgPool, Postgres,
    migrate::{MigrateDatabase, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio_util::sync::CancellationToken;

use crate::settings::DatabaseSettings;

/// A caller that waits longer for a connection is better told to come back.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(1);
/// No query of ours takes a tenth of this; a runaway one must not hold its connection.
const STATEMENT_TIMEOUT_MS: &str = "5000";
/// What the projection runtime needs beside its workers, and one for whoever waits for a token.
const PROJECTION_CONNECTIONS: u32 = 4;
/// How often the database's health is asked for; readiness is at most this old.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// One step of a service's own schema: its version, from 1001 on, behind the runtime's; its name;
/// its SQL. Permanent once it has run anywhere.
pub type Migration = (i64, &'static str, &'static str);

/// Two pools, so that queries and projections cannot starve each other. A service with more kinds
/// of work opens a [`pool`] for each.
#[derive(Debug, Clone)]
pub struct Database {
    /// For queries: can change nothing.
    pub queries: PgPool,
    /// For the projection runtime.
    pub projections: PgPool,
}

impl Database {
    /// Opens nothing yet; connections come when they are needed.
    ///
    /// # Errors
    /// The address cannot be read.
    pub fn new(settings: &DatabaseSettings) -> Result<Self, ServiceError> {
        let queries = options(settings, "factline-queries")?.options([
            ("default_transaction_read_only", "on"),
            ("statement_timeout", STATEMENT_TIMEOUT_MS),
        ]);
        Ok(Self {
            queries: lazy(queries, settings.max_connections),
            projections: lazy(options(settings, "factline-projection")?, PROJECTION_CONNECTIONS),
        })
    }

    /// Reports to readiness whether the database answers, and measures what wants watching
    /// ([`DatabaseWatch`]).
    pub fn watch(&self, runtime: &Runtime) {
        let (pool, component) = (self.queries.clone(), runtime.health.component("database"));
        runtime
            .tasks
            .spawn(Phase::Watching, "database health", |stop| watch(pool, component, stop));
    }
}

/// A pool for work that is neither a query nor a projection, at most so many connections wide;
/// `name` is how the database lists them. Opens nothing yet.
///
/// # Errors
/// The address cannot be read.
pub fn pool(
    settings: &DatabaseSettings,
    name: &str,
    connections: u32,
) -> Result<PgPool, ServiceError> {
    // A plan made while a queue was empty would scan it for ever.
    let options = options(settings, name)?.options([("enable_seqscan", "off")]);
    Ok(lazy(options, connections))
}

fn options(settings: &DatabaseSettings, name: &str) -> Result<PgConnectOptions, ServiceError> {
    let options = PgConnectOptions::from_str(&settings.url)?;
    Ok(options.application_name(name).options([("timezone", "UTC")]))
}

fn lazy(options: PgConnectOptions, connections: u32) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_WITHIN);
    without_open_transactions(pool).connect_lazy_with(options)
}

async fn watch(
    pool: PgPool,
    component: Component,
    stop: CancellationToken,
) -> Result<(), ServiceError> {
    let mut every = tokio::time::interval(LOOK_EVERY);
    let mut database = DatabaseWatch::default();
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        match database.look(&pool).await {
            Ok(_) => component.ready(),
            Err(error) => component.not_ready(error.to_string()),
        }
    }
    Ok(())
}

/// Creates the database if it is missing and brings its schema up to date: the projection
/// runtime's, then the service's own. A second time changes nothing.
///
/// # Errors
/// The database refuses or cannot be reached. What was migrated before stays.
pub async fn migrate(
    settings: &DatabaseSettings,
    migrations: &[Migration],
) -> Result<(), ServiceError> {
    let url = &settings.url;
    if !Postgres::database_exists(url).await?
        && let Err(error) = Postgres::create_database(url).await
        && !Postgres::database_exists(url).await?
    {
        return Err(error.into()); // otherwise another process was faster
    }
    let mut connection = PgConnection::connect(url).await?;
    MIGRATOR.run(&mut connection).await?;
    migrator(migrations).run(&mut connection).await?;
    Ok(connection.close().await?)
}

fn migrator(migrations: &[Migration]) -> Migrator {
    let migrations = migrations.iter().map(|(version, name, sql)| {
        let (name, sql) = ((*name).into(), sqlx::SqlStr::from_static(sql));
        sqlx::migrate::Migration::new(*version, name, MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.set_ignore_missing(true); // those of the runtime
    migrator
}
