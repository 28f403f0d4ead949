//! What the relay of a topic is doing, for readiness and operators.

/// Sent over a watch channel. Trouble here is "degraded", never a reason to refuse commands: a
/// command needs the store alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayStatus {
    /// Not yet connected to anything.
    Starting,
    /// Relaying, or waiting for something to relay.
    Running,
    /// Another process holds the topic's lease.
    Standby,
    /// The schema registry does not answer, so events with unknown schema ids wait.
    WaitingForRegistry(String),
    /// Kafka or the store does not answer; it tries again by itself.
    Retrying(String),
    /// It tries again, but an operator must change something first.
    Failed(String),
    /// Shut down.
    Stopped,
}

impl RelayStatus {
    /// Whether events reach Kafka, here or through the process that holds the lease.
    #[must_use]
    pub const fn is_healthy(&self) -> bool {
        match self {
            Self::Running | Self::Standby => true,
            Self::Starting
            | Self::WaitingForRegistry(_)
            | Self::Retrying(_)
            | Self::Failed(_)
            | Self::Stopped => false,
        }
    }
}
