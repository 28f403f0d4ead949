//! One table: which of the database's errors is whose business. An error in, a [`Class`] or a
//! [`Fault`] out.
//!
//! Only data that does not fit is the input's fault; nothing here blames it for a lost connection,
//! a refused login or a missing table.

use factline_core::Fault;
use sqlx::{
    Error,
    postgres::{PgDatabaseError, PgSeverity},
};

/// Who acts on a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Time: wait with back-off, try the same again.
    Transient,
    /// An operator: not consuming, not ready, looked at again every few seconds.
    Config,
    /// A developer: this input cannot be applied.
    Poison,
    /// Nobody has classified it: transient for a while, then stop and page.
    Unknown,
}

/// Classifies an error of the database by who must act. What nobody has classified may pass.
pub fn classify(doing: &'static str, error: Error) -> Fault {
    match class_of(&error) {
        Class::Transient | Class::Unknown => Fault::transient(doing, error),
        Class::Config => Fault::fatal(doing, error),
        Class::Poison => Fault::poison(doing, error),
    }
}

/// The class of a database error.
#[must_use]
pub fn class_of(error: &Error) -> Class {
    match error {
        Error::Database(error) => {
            error.code().map_or(Class::Unknown, |code| class_of_sqlstate(&code))
        }
        Error::Io(_)
        | Error::Protocol(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed
        | Error::BeginFailed => Class::Transient,
        // A row or a type is not what the code says: a migration is missing, or the view is wrong.
        Error::Configuration(_)
        | Error::Tls(_)
        | Error::TypeNotFound { .. }
        | Error::ColumnIndexOutOfBounds { .. }
        | Error::ColumnNotFound(_)
        | Error::ColumnDecode { .. }
        | Error::Decode(_)
        | Error::RowNotFound
        | Error::Migrate(_) => Class::Config,
        _ => Class::Unknown, // the library's enum is open
    }
}

/// Is it certain that the failed statement left nothing? An `ERROR` is the server's word that it was
/// rolled back. A connection that broke, or a server that went away (`FATAL`), leaves open whether
/// the commit came first.
pub(crate) fn was_rolled_back(error: &Error) -> bool {
    let said = error.as_database_error().and_then(|error| error.try_downcast_ref());
    said.is_some_and(|error: &PgDatabaseError| error.severity() == PgSeverity::Error)
}

/// Would the same fail again at once? A lock that somebody holds or a full disk needs time; one of
/// two that met in a deadlock does not.
pub(crate) fn must_wait(error: &Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    class_of(error) == Class::Transient && !matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// Is what the statement wanted to insert there already? It was rolled back then.
pub(crate) fn is_taken(error: &Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}

fn class_of_sqlstate(code: &str) -> Class {
    match code {
        // Serialization failure, deadlock, lock not available, statement cancelled or timed out,
        // write to a server that has become a replica.
        "40001" | "40P01" | "55P03" | "57014" | "25006" => Class::Transient,
        // The server ended a transaction that stood still: its owner was frozen.
        "25P03" => Class::Transient,
        "42501" => Class::Config, // insufficient privilege
        _ => match code.get(..2) {
            Some("08" | "53" | "57") => Class::Transient, // connection, resources, intervention
            Some("28" | "3D" | "3F" | "42") => Class::Config, // login, database, schema, names
            Some("22" | "23") => Class::Poison,           // this data does not go into this table
            _ => Class::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(codes: &[&str], class: Class) {
        for code in codes {
            assert_eq!(class_of_sqlstate(code), class, "{code}");
        }
    }

    #[test]
    fn a_lost_connection_is_transient() {
        every(&["08000", "08003", "08006", "08001"], Class::Transient);
    }

    #[test]
    fn d09_a_serialization_failure_or_deadlock_is_transient() {
        every(&["40001", "40P01"], Class::Transient);
    }

    #[test]
    fn d11_a_full_disk_or_too_many_connections_is_transient() {
        every(&["53100", "53200", "53300"], Class::Transient);
    }

    #[test]
    fn d11_a_server_that_stops_starts_or_fails_over_is_transient() {
        every(&["57P01", "57P02", "57P03", "25006"], Class::Transient);
    }

    #[test]
    fn d12_a_lock_that_is_not_granted_is_transient() {
        every(&["55P03", "57014"], Class::Transient);
    }

    #[test]
    fn a_transaction_that_the_server_ended_is_transient() {
        every(&["25P03"], Class::Transient);
    }

    #[test]
    fn a_refused_login_or_a_missing_right_is_configuration() {
        every(&["28000", "28P01", "42501"], Class::Config);
    }

    #[test]
    fn d07_a_missing_table_or_column_is_configuration() {
        every(&["42P01", "42703", "42P10"], Class::Config);
    }

    #[test]
    fn a_missing_database_or_schema_is_configuration() {
        every(&["3D000", "3F000"], Class::Config);
    }

    #[test]
    fn d08_a_constraint_violation_is_poison() {
        every(&["23505", "23514", "23502", "23503", "23P01"], Class::Poison);
    }

    #[test]
    fn data_that_does_not_fit_its_column_is_poison() {
        every(&["22003", "22P05", "22001"], Class::Poison);
    }

    #[test]
    fn an_error_that_nobody_knows_is_unknown_and_may_pass() {
        every(&["XX000", "0A000", "P0001"], Class::Unknown);
        let fault = classify("asking", Error::AnyDriverError("?".into()));
        assert!(matches!(fault, Fault::Transient { .. }), "{fault}");
    }

    #[test]
    fn a_timeout_of_the_pool_or_a_broken_pipe_is_transient() {
        let pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        for error in [Error::PoolTimedOut, Error::PoolClosed, Error::Io(pipe)] {
            assert_eq!(class_of(&error), Class::Transient, "{error}");
        }
    }

    #[test]
    fn a_failed_tls_handshake_or_a_row_of_another_shape_is_configuration() {
        let column = Error::ColumnNotFound("sent".into());
        for error in [Error::Tls("no".into()), column, Error::Decode("no".into())] {
            assert_eq!(class_of(&error), Class::Config, "{error}");
        }
    }
}
