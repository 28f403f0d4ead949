//! What ends a service: any error, with the exit code that tells an operator what kind it is.

use std::{error::Error, fmt};

use crate::settings;

/// Why a service could not start, or stopped. Made from any error by `?`.
pub struct ServiceError {
    source: Box<dyn Error + Send + Sync>,
    exit_code: u8,
}

impl ServiceError {
    /// A reason in words, lower case, no full stop. Exit code 1.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { source: reason.into().into(), exit_code: 1 }
    }

    /// The settings are at fault, found only after they were loaded. Exit code 78.
    pub fn settings(reason: impl Into<String>) -> Self {
        Self { source: reason.into().into(), exit_code: settings::EXIT_CODE }
    }

    /// The process's exit code.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for ServiceError {
    fn from(error: E) -> Self {
        Self { source: Box::new(error), exit_code: 1 }
    }
}

impl fmt::Display for ServiceError {
    /// The error and its causes; a cause that the text already contains is not repeated.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.source.to_string();
        let mut cause = self.source.source();
        while let Some(error) = cause {
            let next = error.to_string();
            if !text.contains(&next) {
                text = format!("{text}: {next}");
            }
            cause = error.source();
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} (exit code {})", self.exit_code)
    }
}
