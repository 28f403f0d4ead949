//! The relay's figures, per topic and partition.

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use factline_core::Position;
use metrics::{Counter, Gauge, counter, gauge};

/// How often the store's heads are asked for the lag; a question costs one small query.
const HEADS_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

pub(crate) struct Meters {
    topic: Arc<str>,
    events: Counter,
    resends: Counter,
    failures: Counter,
    lag_seconds: Gauge,
    heads_asked: Option<Instant>,
}

impl Meters {
    pub(crate) fn new(topic: &Arc<str>) -> Self {
        let topic = Arc::clone(topic);
        let label = || topic.to_string();
        Self {
            events: counter!("factline_relay_events_total", "topic" => label()),
            resends: counter!("factline_relay_resends_total", "topic" => label()),
            failures: counter!("factline_relay_failures_total", "topic" => label()),
            lag_seconds: gauge!("factline_relay_lag_seconds", "topic" => label()),
            heads_asked: None,
            topic,
        }
    }

    pub(crate) fn acknowledged(&self, events: usize) {
        self.events.increment(events as u64);
    }

    /// Events that will be sent again because the attempt before is not known to have worked.
    pub(crate) fn resent(&self, events: u64) {
        self.resends.increment(events);
    }

    pub(crate) fn failed(&self) {
        self.failures.increment(1);
    }

    /// How long the oldest event that Kafka has not acknowledged has been waiting; `None` when
    /// there is none.
    #[allow(clippy::cast_precision_loss)] // milliseconds of any outage fit into 53 bits
    pub(crate) fn oldest_waiting(&self, since: Option<DateTime<Utc>>) {
        let age_ms = since.map_or(0, |since| (Utc::now() - since).num_milliseconds().max(0));
        self.lag_seconds.set(age_ms as f64 / 1_000.0);
    }

    /// Whether the heads should be asked for now; says so at most once a second.
    pub(crate) fn heads_due(&mut self) -> bool {
        let due = self.heads_asked.is_none_or(|asked| asked.elapsed() >= HEADS_EVERY);
        if due {
            self.heads_asked = Some(Instant::now());
        }
        due
    }

    #[allow(clippy::cast_precision_loss)] // positions stay below 2^53
    pub(crate) fn place(&self, partition: i32, acknowledged: Position, head: Position) {
        let labels = [("topic", self.topic.to_string()), ("partition", partition.to_string())];
        gauge!("factline_relay_position", &labels).set(acknowledged.0 as f64);
        let lag = (head.0 - acknowledged.0).max(0);
        gauge!("factline_relay_lag_events", &labels).set(lag as f64);
    }
}
