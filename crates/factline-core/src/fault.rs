//! The third kind of no: neither the domain's refusal nor a conflict, but something that broke.

use std::error::Error;

/// The error underneath a fault.
pub type Source = Box<dyn Error + Send + Sync>;

/// What broke, classified by who must act.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It may work in a moment: wait with back-off and try the same again. Nobody acts.
    #[error("{doing}: {source}")]
    Transient {
        /// What was tried, lower case, no full stop.
        doing: &'static str,
        /// What the outside said.
        source: Source,
    },
    /// This one input can never work: set it aside with its stream. A developer acts.
    #[error("{doing}: {source}")]
    Poison {
        /// What was tried.
        doing: &'static str,
        /// What is wrong with the input.
        source: Source,
    },
    /// Nothing can work until an operator changes something: stop, not ready, page.
    #[error("{doing}: {source}")]
    Fatal {
        /// What was tried.
        doing: &'static str,
        /// What the outside said.
        source: Source,
    },
}

impl Fault {
    /// A fault that waiting may cure.
    pub fn transient(doing: &'static str, source: impl Into<Source>) -> Self {
        Self::Transient { doing, source: source.into() }
    }

    /// A fault of the input itself.
    pub fn poison(doing: &'static str, source: impl Into<Source>) -> Self {
        Self::Poison { doing, source: source.into() }
    }

    /// A fault that needs an operator.
    pub fn fatal(doing: &'static str, source: impl Into<Source>) -> Self {
        Self::Fatal { doing, source: source.into() }
    }
}
