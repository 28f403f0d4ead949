//! Why a bench could not go on.

use bench_load::LoadFault;
use factline_core::Fault;

/// One sentence for the person at the terminal.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure with this sentence: lower case, no full stop.
    pub(crate) fn new(sentence: impl Into<String>) -> Failure {
        Failure(sentence.into())
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        Failure(format!("the database: {error}"))
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure(fault.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure(error.to_string())
    }
}

impl From<LoadFault<Failure>> for Failure {
    fn from(fault: LoadFault<Failure>) -> Failure {
        Failure(fault.to_string())
    }
}
