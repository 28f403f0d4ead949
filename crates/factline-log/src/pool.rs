//! A pool's connections come back in no transaction, or they do not come back.
//!
//! A connection that returned inside a transaction would take the next borrower's statements into it:
//! their callers are told that they are done, and nobody commits. `sqlx` rolls back the transactions
//! that it began itself; this looks at the server's side, which knows of every one.

use sqlx::{PgConnection, Row as _, postgres::PgPoolOptions};

/// In one message, so that outside a transaction both are the same instant. Inside a failed one the
/// server refuses to answer, and the pool closes the connection for that.
const OUTSIDE: &str = "select now() = statement_timestamp()";

/// The server's code for a statement in a transaction that has failed.
const FAILED_TRANSACTION: &str = "25P02";

/// Lets the pool discard connections that come back inside a transaction, and count them. It costs
/// one short round trip beside the one with which the pool itself looks whether a connection lives;
/// nobody waits for it.
#[must_use]
pub fn without_open_transactions(options: PgPoolOptions) -> PgPoolOptions {
    options.after_release(|connection, _| Box::pin(is_outside(connection)))
}

async fn is_outside(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let outside =
        async { sqlx::raw_sql(OUTSIDE).fetch_one(connection).await?.try_get::<bool, _>(0) };
    let outside = outside.await;
    let is_inside = match &outside {
        Ok(outside) => !outside,
        Err(sqlx::Error::Database(error)) => error.code().as_deref() == Some(FAILED_TRANSACTION),
        Err(_) => false, // a broken connection: closed as well, and nobody's fault
    };
    if is_inside {
        metrics::counter!("factline_database_discarded_connections_total").increment(1);
        tracing::error!("a connection came back inside a transaction and is closed");
    }
    outside
}
