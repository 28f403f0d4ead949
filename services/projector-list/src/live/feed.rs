//! Events into Redis.

use std::{marker::PhantomData, sync::LazyLock};

use async_trait::async_trait;
use factline_codec::EventView;
use factline_core::{DomainEvent, Fault, Recorded};
use factline_projection::{ApplyError, Projection};
use read_kit::redis_refuses_us;
use redis::{RedisError, Script, ScriptInvocation, aio::ConnectionManager};
use sqlx::PgConnection;

use super::stream_key;
use crate::settings::LiveSettings;

/// Events in one call: a few milliseconds of the one thread that Redis has.
const EVENTS_A_CALL: usize = 200;

const DOING: &str = "telling events to Redis";

/// Adds events behind those that are there, each position once: what the projection repeats after a
/// crash is passed over. A key of another type is somebody's mistake and in the way: away with it.
///
/// Keys: the stream, and the last position of each partition. Arguments: how many events to keep,
/// what channels begin with; then partition, position, type and event, again and again.
static PUSH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        for i, wanted in ipairs({'stream', 'hash'}) do
            local found = redis.call('TYPE', KEYS[i]).ok
            if found ~= 'none' and found ~= wanted then redis.call('DEL', KEYS[i]) end
        end
        for i = 3, #ARGV, 4 do
            local partition, position = ARGV[i], tonumber(ARGV[i + 1])
            local last = tonumber(redis.call('HGET', KEYS[2], partition) or '0') or 0
            if position > last then
                redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*',
                           'type', ARGV[i + 2], 'event', ARGV[i + 3])
                redis.call('PUBLISH', ARGV[2] .. ARGV[i + 2], ARGV[i + 3])
                redis.call('HSET', KEYS[2], partition, position)
            end
        end",
    )
});

/// A projection whose table is the Redis stream of a kind.
pub struct Feed<E> {
    name: &'static str,
    redis: ConnectionManager,
    stream: String,
    positions: String,
    channels: String,
    keep_events: u32,
    events: PhantomData<fn() -> E>,
}

impl<E: DomainEvent> Feed<E> {
    pub(super) fn new(
        name: &'static str,
        redis: ConnectionManager,
        settings: &LiveSettings,
    ) -> Self {
        let stream = stream_key(settings, E::KIND);
        Self {
            name,
            redis,
            positions: format!("{stream}:positions"),
            stream,
            channels: format!("{}events:", settings.key_prefix),
            keep_events: settings.keep_events,
            events: PhantomData,
        }
    }

    fn call(&self, events: &[Recorded<E>]) -> Result<ScriptInvocation<'static>, Fault> {
        let mut call = PUSH.key(&self.stream);
        call.key(&self.positions).arg(self.keep_events).arg(&self.channels);
        for event in events {
            let json = serde_json::to_string(&EventView::of(event));
            let json = json.map_err(|error| Fault::poison("writing an event as JSON", error))?;
            let envelope = &event.envelope;
            call.arg(envelope.partition).arg(envelope.position.0).arg(event.event.name()).arg(json);
        }
        Ok(call)
    }
}

#[async_trait]
impl<E: DomainEvent> Projection for Feed<E> {
    type Event = E;

    fn name(&self) -> &'static str {
        self.name
    }

    /// Before the commit: an event is a fact of the log whether or not this transaction ends well,
    /// and after the commit a crash would lose it for the feed.
    async fn apply(
        &self,
        _tx: &mut PgConnection,
        events: &[Recorded<E>],
    ) -> Result<(), ApplyError> {
        for events in events.chunks(EVENTS_A_CALL) {
            let call = self.call(events)?;
            let told: Result<(), RedisError> = call.invoke_async(&mut self.redis.clone()).await;
            told.map_err(fault)?;
        }
        Ok(())
    }
}

/// Only who we are to Redis is an operator's to mend; the rest passes, or Redis is emptied.
fn fault(error: RedisError) -> Fault {
    if redis_refuses_us(&error) {
        Fault::fatal(DOING, error)
    } else {
        Fault::transient(DOING, error)
    }
}
