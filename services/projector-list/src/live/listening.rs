//! `GET /events/live`: server-sent events, as they happen, or from where the caller left off.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures::{Stream, stream};
use http::HeaderMap;
use redis::{
    AsyncConnectionConfig, RedisError, RedisResult,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamKey, StreamRangeReply, StreamReadReply},
};
use serde::Deserialize;
use service_kit::{Problem, extract::Query};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::{
    KINDS, Live,
    place::{EntryId, Place},
    stream_key,
};

/// How long Redis may take to take a caller in.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// Entries in one answer of Redis.
const ENTRIES: usize = 100;
/// A caller that is turned away comes back after so long.
const RETRY_AFTER_S: u32 = 2;

/// What may be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveQuery {
    /// Only events of this kind; all kinds otherwise.
    #[param(inline)]
    kind: Option<KindName>,
}

#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum KindName {
    Inventory,
    Order,
    Customer,
}

/// Tells events as they happen, as server-sent events: `event` is the type, `data` the event as
/// JSON, `id` what to come back with as `Last-Event-ID`. Events of a partition come in the order of
/// their positions. An event `gap` says that some may be missing since that id.
#[utoipa::path(
    get,
    path = "/events/live",
    params(
        LiveQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "of the last event that the \
            caller has seen of the same feed"),
    ),
    responses(
        (status = 200, description = "events without end", body = String,
            content_type = "text/event-stream"),
        (status = 400, description = "malformed_header, unknown_parameter", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "no_live_feed: it is not configured", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "live_feed_unavailable, too_many_listeners; with Retry-After",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn listen(
    State(live): State<Live>,
    Query(query): Query<LiveQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let kinds: Vec<&str> = match query.kind {
        Some(KindName::Inventory) => vec![KINDS[0]],
        Some(KindName::Order) => vec![KINDS[1]],
        Some(KindName::Customer) => vec![KINDS[2]],
        None => KINDS.to_vec(),
    };
    let last = last_event_id(&headers, kinds.len())?;
    let parts = &live.0;
    let client = parts.redis.as_ref().ok_or_else(|| {
        Problem::not_found("no_live_feed", "this process has no live feed configured")
    })?;
    let slot = parts.slots.clone().try_acquire_owned().map_err(|_| {
        let detail = "as many callers listen as this process takes";
        Problem::unavailable("too_many_listeners", detail, RETRY_AFTER_S)
    })?;
    let heartbeat = Duration::from_millis(parts.settings.heartbeat_ms);
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_WITHIN))
        .set_response_timeout(Some(heartbeat + CONNECT_WITHIN)); // it answers late on purpose
    let redis = client.get_multiplexed_async_connection_with_config(&config).await;
    let mut listener = Listener {
        redis: redis.map_err(unavailable)?,
        keys: kinds.iter().map(|kind| stream_key(&parts.settings, kind)).collect(),
        place: Place(Vec::new()),
        pending: VecDeque::new(),
        heartbeat,
        stop: parts.stop.clone(),
        _slot: slot,
    };
    listener.begin(last).await.map_err(unavailable)?;
    Ok(Sse::new(listener.events()).into_response())
}

fn last_event_id(headers: &HeaderMap, streams: usize) -> Result<Option<Place>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let place = value.to_str().ok().and_then(|text| Place::parse(text, streams).ok());
    place.map(Some).ok_or_else(|| {
        let detail = "the header last-event-id must be the id of an event of this feed";
        Problem::bad_request("malformed_header", detail).error("last-event-id", "is malformed")
    })
}

fn unavailable(error: RedisError) -> Problem {
    tracing::warn!(%error, "the live feed is not available");
    Problem::unavailable("live_feed_unavailable", "the live feed is away", RETRY_AFTER_S)
}

/// One caller, with a connection of its own: Redis holds its answer back until there is something.
struct Listener {
    redis: MultiplexedConnection,
    /// Of the streams, in the order of the place's ids.
    keys: Vec<String>,
    place: Place,
    pending: VecDeque<Event>,
    heartbeat: Duration,
    stop: CancellationToken,
    _slot: OwnedSemaphorePermit,
}

impl Listener {
    /// Goes to where the caller left off, or to the end.
    async fn begin(&mut self, last: Option<Place>) -> RedisResult<()> {
        let Some(last) = last else {
            for key in self.keys.clone() {
                let end = self.edge("XREVRANGE", &key, ("+", "-")).await?.unwrap_or_default();
                self.place.0.push(end);
            }
            return Ok(());
        };
        self.place = last;
        for (index, key) in self.keys.clone().iter().enumerate() {
            let start = self.edge("XRANGE", key, ("-", "+")).await?;
            let known = self.place.0[index];
            // A place that the stream does not reach back to: what lay between is forgotten.
            if known > EntryId::default() && start.is_none_or(|start| start > known) {
                self.pending.push_back(Event::default().event("gap").data(key.as_str()));
            }
        }
        Ok(())
    }

    /// The first or the last id of a stream; none when it is empty, or no stream.
    async fn edge(
        &mut self,
        command: &str,
        key: &str,
        (from, to): (&str, &str),
    ) -> RedisResult<Option<EntryId>> {
        let mut ask = redis::cmd(command);
        ask.arg(key).arg(from).arg(to).arg("COUNT").arg(1);
        let found: RedisResult<StreamRangeReply> = ask.query_async(&mut self.redis).await;
        match found {
            Ok(found) => Ok(found.ids.first().and_then(|entry| entry.id.parse().ok())),
            Err(error) if error.code() == Some("WRONGTYPE") => Ok(None), // the feed removes it
            Err(error) => Err(error),
        }
    }

    /// Events without end. When Redis goes away the answer ends: callers come back by themselves,
    /// with the id of the last event that they have seen.
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, async |mut listener| {
            let stop = listener.stop.clone();
            tokio::select! {
                () = stop.cancelled() => None,
                event = listener.next() => event.map(|event| (Ok(event), listener)),
            }
        })
    }

    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.pending.pop_front() {
            return Some(event);
        }
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(ENTRIES).arg("BLOCK").arg(self.heartbeat.as_millis().to_string());
        read.arg("STREAMS").arg(&self.keys);
        for id in &self.place.0 {
            read.arg(id.to_string());
        }
        let found: RedisResult<Option<StreamReadReply>> = read.query_async(&mut self.redis).await;
        match found {
            Ok(found) => self.take_in(found.map(|found| found.keys).unwrap_or_default()),
            Err(error) => {
                tracing::warn!(%error, "a live feed ends");
                return None;
            }
        }
        self.pending.pop_front().or_else(|| Some(Event::default().comment("")))
    }

    /// In the order in which Redis took them, whichever stream they are of.
    fn take_in(&mut self, found: Vec<StreamKey>) {
        let mut entries: Vec<(EntryId, usize, StreamId)> = Vec::new();
        for StreamKey { key, ids } in found {
            let Some(index) = self.keys.iter().position(|one| *one == key) else { continue };
            let ids = ids.into_iter().filter_map(|entry| Some((entry.id.parse().ok()?, entry)));
            entries.extend(ids.map(|(id, entry)| (id, index, entry)));
        }
        entries.sort_by_key(|(id, index, _)| (*id, *index));
        for (id, index, entry) in entries {
            self.place.0[index] = id;
            let text = |name| entry.get::<String>(name).unwrap_or_default();
            let (event_type, data) = (text("type"), text("event"));
            let one_line = |text: &str| !text.is_empty() && !text.contains(['\n', '\r']);
            if !one_line(&event_type) || !one_line(&data) {
                continue; // no entry of ours
            }
            let event = Event::default().id(self.place.to_string()).event(event_type).data(data);
            self.pending.push_back(event);
        }
    }
}
