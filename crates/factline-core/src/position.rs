//! The two counters of the log. Both start at 1; 0 means "before the first".

use serde::{Deserialize, Serialize};

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// Before the first.
            pub const ZERO: Self = Self(0);

            /// The one that must follow.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// Where an event stands in its partition: gapless, in commit order, the same in the store, on
    /// Kafka and in every projection's checkpoint.
    Position
}

counter! {
    /// Where an event stands in its stream. The expected version of a new stream is 0.
    Version
}
