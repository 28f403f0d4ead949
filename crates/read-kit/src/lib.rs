//! What every read service has around its views, and no business: settings and roles, a migrated
//! database, projections at work, queries that say how fresh they are, pages and their cursors.
//!
//! In flow a service's migrations and its projections, whose events name the topics; out flows a
//! [`Reading`] for each view, which the service's queries ask. A service that starts
//!
//! 1. opens its [`Database`] and has it watched,
//! 2. [`begin`]s each of its views,
//! 3. follows the heartbeat under a name of its own ([`follow_heartbeat`]),
//! 4. serves its routes with what it got, in a process that has the role for it, and with a [`Cache`]
//!    where a query is expensive.
//!
//! `services/projector-list/src/lib.rs` is the shortest one.

#![deny(clippy::wildcard_enum_match_arm)] // a new kind of failure must be answered for by name

pub mod cursor;

mod answers;
mod cache;
mod database;
mod heartbeat;
mod page;
mod projecting;
mod reading;
mod redis;
mod settings;

pub use answers::QueryAnswers;
pub use cache::{Cache, Question};
pub use database::{Database, Migration, migrate, pool};
pub use heartbeat::follow_heartbeat;
pub use page::{Limit, PageError};
pub use projecting::begin;
pub use reading::{Fresh, Reading, fresh_together, unanswered};
pub use redis::{redis_refuses_us, redis_url_problem};
pub use settings::{
    CacheSettings, DatabaseSettings, HistorySettings, QuerySettings, ReadSettings, Role,
};

/// The types that [`service_settings!`] names.
#[doc(hidden)]
pub mod sections {
    pub use factline_codec::RegistrySettings;
    pub use factline_core::heartbeat::HeartbeatSettings;
    pub use factline_kafka::KafkaSettings;
    pub use factline_projection::ProjectionSettings;

    pub use crate::settings::{DatabaseSettings, HistorySettings, QuerySettings};
}
