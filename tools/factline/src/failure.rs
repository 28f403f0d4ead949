//! Why a question could not be answered.

use std::fmt;
use std::io;

use factline_core::Fault;

/// One sentence for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Failure {
    sentence: String,
    broken_pipe: bool,
}

impl Failure {
    /// A failure with this sentence: lower case, no full stop.
    pub(crate) fn new(sentence: impl Into<String>) -> Failure {
        Failure { sentence: sentence.into(), broken_pipe: false }
    }

    /// The reader of the output, such as `head`, has seen enough.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Failure { sentence: error.to_string(), broken_pipe }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        Failure::new(format!("asking the database: {error}"))
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure::new(fault.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure::new(error.to_string())
    }
}
