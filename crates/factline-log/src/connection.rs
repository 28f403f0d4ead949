//! One lane's own connection: opened when needed, thrown away after any error.

use std::str::FromStr;

use factline_core::Fault;
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use crate::{LogSettings, classify};

/// A connection that is either usable or not there.
pub(crate) struct LaneConnection {
    options: PgConnectOptions,
    open: Option<PgConnection>,
}

impl LaneConnection {
    /// # Errors
    /// The address cannot be read. Nothing is opened yet.
    pub(crate) fn new(settings: &LogSettings) -> Result<Self, Fault> {
        let options = PgConnectOptions::from_str(&settings.url)
            .map_err(|error| classify("reading the log's address", error))?
            // A plan made while the table was empty would scan it for ever.
            .options([("enable_seqscan", "off"), ("timezone", "UTC")])
            // In milliseconds, as a number without a unit is.
            .options([("lock_timeout", settings.lock_timeout_ms)])
            .application_name("factline-lane");
        Ok(Self { options, open: None })
    }

    /// The connection, opened if there is none.
    ///
    /// # Errors
    /// The database does not take it.
    pub(crate) async fn get(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.options.connect().await?,
        };
        Ok(self.open.insert(open))
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
