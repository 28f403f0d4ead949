//! The heartbeat's sender: in flows the time, out flows one event an interval, through a lane like
//! any command's. So it proves the door that callers use.
//!
//! Every process that takes commands sends; of one interval they all send the same command, and one
//! of them writes it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use factline_core::{
    DomainEvent,
    heartbeat::{Beat, Heart, HeartbeatEvent, PARTITIONS},
};
use factline_log::{Command, Lanes, LogSettings, fingerprint};
use factline_relay::RelaySettings;
use service_kit::{Phase, Runtime, ServiceError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{own_lanes, settings::Settings, told};

/// Names the topic.
pub(crate) const KIND: &str = HeartbeatEvent::KIND;

/// The relay of another process looks for heartbeats so often: they are some a minute, and a second is
/// nothing beside their interval.
const RELAY_POLL_MS: u64 = 1_000;

/// Begins to send; gives what wakes the relay.
///
/// # Errors
/// The log's address cannot be read.
pub(crate) fn begin(settings: &Settings, runtime: &Runtime) -> Result<Arc<Notify>, ServiceError> {
    let log = LogSettings { partitions: PARTITIONS, lanes: 1, ..settings.log.clone() };
    let topic = settings.kafka.topic(KIND);
    let (lanes, parts) = Lanes::<Heart>::start(&log, &topic).map_err(told)?;
    let wake = parts.appended.clone();
    own_lanes(runtime, lanes.clone(), parts);
    let every_ms = settings.heartbeat.every_ms;
    runtime.tasks.spawn(Phase::Working, "heartbeat", move |stop| async move {
        send(&lanes, every_ms, stop).await;
        Ok(())
    });
    Ok(wake)
}

/// The relay's pace for heartbeats.
pub(crate) fn relay(settings: &RelaySettings) -> RelaySettings {
    RelaySettings { poll_ms: settings.poll_ms.max(RELAY_POLL_MS), ..settings.clone() }
}

/// Sends at once, for an interval may be long, and then at the beginning of each.
async fn send(lanes: &Lanes<Heart>, every_ms: u32, stop: CancellationToken) {
    let mut missed: u64 = 0;
    loop {
        let now = Utc::now();
        let beat = Beat::at(now, every_ms);
        match lanes.execute(command(beat, now)).await {
            Ok(_) => missed = 0,
            // Whoever needs the log says that it is away; one warning in a row will do here.
            Err(error) if missed == 0 => {
                missed = 1;
                warn!(%error, "a heartbeat was not written");
            }
            Err(error) => {
                missed = missed.saturating_add(1);
                debug!(%error, missed, "a heartbeat was not written");
            }
        }
        let pause = pause(beat, Utc::now());
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

fn command(beat: Beat, now: DateTime<Utc>) -> Command<Heart> {
    let key = beat.key();
    Command::new(Beat::stream(), key, fingerprint(KIND, key.as_bytes()), now, beat)
}

/// Until the next interval; nothing when it has begun meanwhile.
fn pause(beat: Beat, now: DateTime<Utc>) -> Duration {
    let left_ms = beat.ends_at_ms() - now.timestamp_millis();
    Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn the_next_beat_is_sent_when_its_interval_begins_or_at_once_when_it_has() {
        let at = |ms: i64| Utc.timestamp_millis_opt(1_700_000_010_000 + ms).unwrap();
        let beat = Beat::at(at(0), 30_000);
        assert_eq!(pause(beat, at(4_000)), Duration::from_secs(26));
        assert_eq!(pause(beat, at(45_000)), Duration::ZERO);
    }

    #[test]
    fn beats_wake_their_relay_so_its_own_look_is_a_slow_one() {
        assert_eq!(relay(&RelaySettings::default()).poll_ms, RELAY_POLL_MS);
    }
}
