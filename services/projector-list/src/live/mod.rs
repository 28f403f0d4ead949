//! The live feed: every event as it happens, to whoever listens at `GET /events/live`.
//!
//! ```text
//! Kafka ─▶ projection live_<kind> ─▶ Redis stream stream:<kind> ─▶ one reader a caller ─▶ SSE
//!                                 └▶ Redis channel events:<Type>
//! ```
//!
//! The feed is a projection like any other, only that its table is a Redis stream: it has a consumer
//! group of its own, so a Redis that is away holds up the feed and nothing else, and the feed goes
//! on where it stopped. Redis is disposable: when it forgets, callers miss what they had not yet
//! been told (and are told so when they come back), and no other answer changes.

mod feed;
mod listening;
mod place;

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get};
use domain::{customer::CustomerEvent, inventory::InventoryEvent, order::OrderEvent};
use factline_core::DomainEvent;
use read_kit::{Database, ReadSettings, Role};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use service_kit::{Phase, Runtime, ServiceError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use self::feed::Feed;
pub(crate) use self::listening::{__path_listen, listen};
use crate::settings::LiveSettings;

/// Every kind of event that is told.
const KINDS: [&str; 3] = [InventoryEvent::KIND, OrderEvent::KIND, CustomerEvent::KIND];

/// How long Redis may take to answer the feed. It works behind a transaction that is open.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// What listening needs; cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Parts>);

struct Parts {
    /// None: there is no feed.
    redis: Option<redis::Client>,
    settings: LiveSettings,
    /// One for each caller that listens.
    slots: Arc<Semaphore>,
    /// Feeds never end by themselves.
    stop: CancellationToken,
}

impl Live {
    /// # Errors
    /// Redis' address cannot be read. Nothing is opened yet.
    pub fn new(settings: LiveSettings, runtime: &Runtime) -> Result<Self, ServiceError> {
        let open = |url: &str| redis::Client::open(url).map_err(unusable);
        let url = Some(&*settings.redis_url).filter(|url| !url.is_empty());
        let slots = Arc::new(Semaphore::new(settings.max_clients));
        let stop = runtime.shutdown.stop(Phase::Serving);
        Ok(Self(Arc::new(Parts { redis: url.map(open).transpose()?, settings, slots, stop })))
    }

    /// The route of those who listen.
    pub fn routes(self) -> Router {
        Router::new().route("/events/live", get(listen)).with_state(self)
    }

    /// Begins to feed Redis, if there is one and this process projects.
    ///
    /// # Errors
    /// As [`read_kit::begin`].
    pub fn begin(
        &self,
        settings: &ReadSettings,
        database: &Database,
        runtime: &Runtime,
    ) -> Result<(), ServiceError> {
        if !settings.plays(Role::Project) {
            return Ok(());
        }
        if let Some(items) = self.feed::<InventoryEvent>("live_inventory")? {
            read_kit::begin(items, Role::Project, settings, database, runtime)?;
        }
        if let Some(orders) = self.feed::<OrderEvent>("live_order")? {
            read_kit::begin(orders, Role::Project, settings, database, runtime)?;
        }
        if let Some(customers) = self.feed::<CustomerEvent>("live_customer")? {
            read_kit::begin(customers, Role::Project, settings, database, runtime)?;
        }
        Ok(())
    }

    /// What feeds Redis with the events of a kind; none where there is no Redis. It is reached for
    /// when there is something to tell.
    ///
    /// # Errors
    /// Redis' address cannot be used.
    pub fn feed<E: DomainEvent>(
        &self,
        name: &'static str,
    ) -> Result<Option<Feed<E>>, ServiceError> {
        let Some(client) = self.0.redis.clone() else { return Ok(None) };
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(ANSWER_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN))
            .set_number_of_retries(0); // the projection runtime tries again
        let redis = ConnectionManager::new_lazy_with_config(client, config).map_err(unusable)?;
        Ok(Some(Feed::new(name, redis, &self.0.settings)))
    }
}

fn unusable(error: redis::RedisError) -> ServiceError {
    ServiceError::new(format!("live.redis_url: {error}"))
}

/// The stream of a kind's events.
fn stream_key(settings: &LiveSettings, kind: &str) -> String {
    format!("{}stream:{kind}", settings.key_prefix)
}
