//! Why a run could not be carried out. What the checker finds is no failure but its result.

use std::io;

use local_stack::StackError;

/// See the module; each names who has to look at it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A file or a process of this machine.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A component of the stack did not do as it was told.
    #[error("{0}")]
    Stack(#[from] StackError),
    /// The checker cannot read a database.
    #[error("reading a database: {0}")]
    Database(#[from] sqlx::Error),
    /// A program answered otherwise than it is documented to.
    #[error("{what}: {source}")]
    Json {
        /// Whose answer.
        what: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An HTTP client cannot be made.
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    /// A sentence says it: lower case, no full stop.
    #[error("{0}")]
    Told(String),
}

impl Failure {
    /// A failure with this sentence.
    pub(crate) fn told(sentence: impl Into<String>) -> Failure {
        Failure::Told(sentence.into())
    }
}

impl From<tokio::task::JoinError> for Failure {
    fn from(error: tokio::task::JoinError) -> Failure {
        Failure::Told(format!("a task of the runner failed: {error}"))
    }
}
