//! One table: which failure is whose business. An error in, a [`Class`] out.
//!
//! Infrastructure never parks anything: only [`Class::Poison`] does, and nothing here gives it to a
//! lost connection, a refused login or a missing table.

use factline_core::Fault;

/// Who acts on a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Time: wait with back-off, try the same again.
    Transient,
    /// An operator: not consuming, not ready, looked at again every few seconds.
    Config,
    /// A developer: this input cannot be applied; its stream is parked.
    Poison,
    /// Nobody has classified it: transient for a while, then stop and page.
    Unknown,
}

/// The class of a database error.
#[must_use]
pub fn class_of(error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Database(error) => {
            error.code().map_or(Class::Unknown, |code| class_of_sqlstate(&code))
        }
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => Class::Transient,
        // A row or a type is not what the code says: a migration is missing, or the view is wrong.
        sqlx::Error::Configuration(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::Migrate(_) => Class::Config,
        _ => Class::Unknown, // the library's enum is open
    }
}

/// The class of a fault that another crate has already judged.
#[must_use]
pub fn class_of_fault(fault: &Fault) -> Class {
    match fault {
        Fault::Transient { .. } => Class::Transient,
        Fault::Poison { .. } => Class::Poison,
        Fault::Fatal { .. } => Class::Config,
    }
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

    macro_rules! table {
        ($($test:ident: $class:ident <- $($code:literal),+;)+) => {$(
            #[test]
            fn $test() {
                for code in [$($code),+] {
                    assert_eq!(class_of_sqlstate(code), Class::$class, "{code}");
                }
            }
        )+};
    }

    table! {
        a_lost_connection_is_transient: Transient <- "08000", "08003", "08006", "08001";
        d09_a_serialization_failure_or_deadlock_is_transient: Transient <- "40001", "40P01";
        d11_a_full_disk_or_too_many_connections_is_transient: Transient <- "53100", "53200", "53300";
        d11_a_server_that_stops_starts_or_fails_over_is_transient:
            Transient <- "57P01", "57P02", "57P03", "25006";
        d12_a_lock_that_is_not_granted_is_transient: Transient <- "55P03", "57014";
        a_transaction_that_the_server_ended_is_transient: Transient <- "25P03";
        a_refused_login_is_configuration: Config <- "28000", "28P01";
        a_missing_right_is_configuration: Config <- "42501";
        d07_a_missing_table_or_column_is_configuration: Config <- "42P01", "42703", "42P10";
        a_missing_database_or_schema_is_configuration: Config <- "3D000", "3F000";
        d08_a_constraint_violation_is_poison: Poison <- "23505", "23514", "23502", "23503", "23P01";
        data_that_does_not_fit_its_column_is_poison: Poison <- "22003", "22P05", "22001";
        an_error_that_nobody_knows_is_unknown: Unknown <- "XX000", "0A000", "P0001";
    }

    #[test]
    fn a_timeout_of_the_pool_or_a_broken_pipe_is_transient() {
        let pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        for error in [sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed, sqlx::Error::Io(pipe)] {
            assert_eq!(class_of(&error), Class::Transient, "{error}");
        }
    }

    #[test]
    fn a_failed_tls_handshake_or_a_row_of_another_shape_is_configuration() {
        let column = sqlx::Error::ColumnNotFound("sent".into());
        for error in [sqlx::Error::Tls("no".into()), column, sqlx::Error::Decode("no".into())] {
            assert_eq!(class_of(&error), Class::Config, "{error}");
        }
    }

    #[test]
    fn the_registrys_verdicts_are_taken_over() {
        assert_eq!(class_of_fault(&Fault::transient("asking", "503")), Class::Transient);
        assert_eq!(class_of_fault(&Fault::fatal("asking", "401")), Class::Config);
        assert_eq!(class_of_fault(&Fault::poison("reading", "no Avro")), Class::Poison);
    }
}
