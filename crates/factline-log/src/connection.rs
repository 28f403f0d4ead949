//! One lane's own connection: opened when needed, thrown away after any error; and which server is
//! at its other end.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use factline_core::Fault;
use sqlx::{
    ConnectOptions, Connection, PgConnection,
    postgres::{PgConnectOptions, types::Oid},
};

use crate::{LogSettings, classify};

/// A connection that is either usable or not there.
pub(crate) struct LaneConnection {
    options: PgConnectOptions,
    open: Option<PgConnection>,
    /// Have lane and log agreed on the open one?
    agreed: bool,
}

impl LaneConnection {
    /// # Errors
    /// The address cannot be read. Nothing is opened yet.
    pub(crate) fn new(settings: &LogSettings) -> Result<Self, Fault> {
        let options = PgConnectOptions::from_str(&settings.url)
            .map_err(|error| classify("reading the log's address", error))?
            // A plan made while the table was empty would scan it for ever. Of an array the planner
            // thinks that it has ten elements, whatever its length: planning anew for each would
            // tell it nothing, and a nested loop over two of n would read n x n.
            .options([("enable_seqscan", "off"), ("enable_nestloop", "off")])
            .options([("plan_cache_mode", "force_generic_plan"), ("timezone", "UTC")])
            // In milliseconds, as a number without a unit is.
            .options([("lock_timeout", settings.lock_timeout_ms)])
            .application_name("factline-lane");
        Ok(Self { options, open: None, agreed: false })
    }

    /// The connection, opened if there is none.
    ///
    /// # Errors
    /// The database does not take it.
    pub(crate) async fn get(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                self.agreed = false;
                self.options.connect().await?
            }
        };
        Ok(self.open.insert(open))
    }

    /// Is it open, and have lane and log agreed on it?
    pub(crate) fn is_agreed(&self) -> bool {
        self.agreed && self.open.is_some()
    }

    pub(crate) fn agree(&mut self) {
        self.agreed = true;
    }

    /// Forgets the connection after an error: what it still holds is rolled back by the server.
    pub(crate) async fn discard(&mut self) {
        if let Some(broken) = self.open.take()
            && let Err(error) = broken.close_hard().await
        {
            tracing::debug!(%error, "closing a broken connection to the log");
        }
    }
}

/// A server from its start on, and one of its databases. After a failover or a restore it is
/// another one, which may lack what the former had acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incarnation {
    started: DateTime<Utc>,
    database: Oid,
}

impl Incarnation {
    /// # Errors
    /// The database fails.
    pub(crate) async fn of(connection: &mut PgConnection) -> Result<Self, Fault> {
        const ASK: &str = "select pg_postmaster_start_time(), oid from pg_database \
                           where datname = current_database()";
        let (started, database) = sqlx::query_as(ASK)
            .fetch_one(connection)
            .await
            .map_err(|error| classify("asking which server this is", error))?;
        Ok(Self { started, database })
    }
}
