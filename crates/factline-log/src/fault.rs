//! What a database error means: one table.

use factline_core::Fault;
use sqlx::Error;

/// Classifies an error of the database by who must act. Also the projections' table.
pub fn classify(doing: &'static str, error: Error) -> Fault {
    let code =
        error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    match (code.as_deref(), &error) {
        (Some(code), _) => match &code[..2.min(code.len())] {
            // Connection lost, resources short, shutting down or starting, serialisation, deadlock.
            "08" | "53" | "57" | "40" | "58" => Fault::transient(doing, error),
            "55" => Fault::transient(doing, error), // a lock not available, an object in use
            "25" => Fault::transient(doing, error), // read-only: a failover under way
            // The input broke a constraint or cannot be stored.
            "22" | "23" => Fault::poison(doing, error),
            // Wrong password or rights, a missing table or column.
            "28" | "42" | "3D" | "3F" => Fault::fatal(doing, error),
            _ => Fault::transient(doing, error), // unknown: never the input's fault
        },
        (None, Error::Io(_) | Error::PoolTimedOut | Error::PoolClosed | Error::Protocol(_)) => {
            Fault::transient(doing, error)
        }
        (None, Error::Tls(_) | Error::Configuration(_) | Error::Migrate(_)) => {
            Fault::fatal(doing, error)
        }
        (
            None,
            Error::ColumnNotFound(_)
            | Error::ColumnDecode { .. }
            | Error::Decode(_)
            | Error::RowNotFound,
        ) => Fault::fatal(doing, error),
        (None, _) => Fault::transient(doing, error),
    }
}
