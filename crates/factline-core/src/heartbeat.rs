//! The heartbeat: an event that the system writes to itself, so that an idle system can be told from
//! a dead one. It goes the way of every event; whoever reads it knows that the whole way works.
//!
//! A kind like any other, with one stream in one partition, and no business.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Aggregate, CommandKey, Decide, Moment, Refusal, RefusalKind, Sample, StreamId, command_key,
    event_set,
};

/// The topic has one partition: a second one would double what is kept for ever and prove the same.
pub const PARTITIONS: i32 = 1;

event_set! {
    /// Everything that can happen to a heart.
    pub enum HeartbeatEvent of "heartbeat" {
        HeartbeatSent: "heartbeat_sent.v1",
    }
}

/// The write side was alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatSent {
    /// Which interval since 1970 it stands for.
    pub slot: i64,
    /// How long an interval is.
    pub every_ms: i64,
}

impl Sample for HeartbeatSent {
    fn sample() -> Self {
        Self { slot: 56_666_666, every_ms: 30_000 }
    }
}

/// The stream's state: there is nothing to know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heart {}

/// A heart refuses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRefusal {}

/// One beat: of one interval, however many processes send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    slot: i64,
    every_ms: i64,
}

impl Beat {
    /// The beat of the interval that `now` is in. `every_ms`: above 0.
    #[must_use]
    pub fn at(now: DateTime<Utc>, every_ms: u32) -> Self {
        let every_ms = i64::from(every_ms.max(1));
        Self { slot: now.timestamp_millis().div_euclid(every_ms), every_ms }
    }

    /// The one stream.
    #[must_use]
    pub fn stream() -> StreamId {
        uuid::Uuid::nil().into()
    }

    /// The same for every process that sends this beat, so that one of them writes it.
    #[must_use]
    pub fn key(&self) -> CommandKey {
        command_key(&Self::stream(), &format!("{} every {} ms", self.slot, self.every_ms))
    }

    /// When its interval ends and the next beat is due.
    #[must_use]
    pub fn ends_at_ms(&self) -> i64 {
        (self.slot + 1).saturating_mul(self.every_ms)
    }
}

impl Aggregate for Heart {
    const STATE_VERSION: i32 = 1;
    type Event = HeartbeatEvent;
    type Refusal = NoRefusal;

    fn evolve(&mut self, event: &HeartbeatEvent) {
        match event {
            HeartbeatEvent::HeartbeatSent(_) => {}
        }
    }
}

impl Decide<Beat> for Heart {
    fn decide(&self, beat: &Beat, _at: Moment) -> Result<Vec<HeartbeatEvent>, NoRefusal> {
        Ok(vec![HeartbeatSent { slot: beat.slot, every_ms: beat.every_ms }.into()])
    }
}

impl std::fmt::Display for NoRefusal {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

impl std::error::Error for NoRefusal {}

impl Refusal for NoRefusal {
    fn code(&self) -> &'static str {
        match *self {}
    }

    fn kind(&self) -> RefusalKind {
        match *self {}
    }
}

/// The section `[heartbeat]` of every service: the same value in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatSettings {
    /// How often the write side sends one; 0: never, and nobody waits for one.
    pub every_ms: u32,
}

impl HeartbeatSettings {
    /// Whether there are heartbeats.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.every_ms > 0
    }

    /// What is wrong with the values, as (key, detail).
    #[must_use]
    pub fn problems(self) -> Vec<(&'static str, String)> {
        // The log keeps each: ten a second is a test's; one an hour tells nobody in time.
        let fits = !self.is_on() || (100..=3_600_000).contains(&self.every_ms);
        let problem = ("every_ms", "must be 0 or 100 to 3600000".to_owned());
        if fits { Vec::new() } else { vec![problem] }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        Utc.timestamp_millis_opt(1_700_000_010_000 + ms).unwrap()
    }

    #[test]
    fn two_processes_send_one_beat_in_an_interval_and_another_in_the_next() {
        let beat = Beat::at(at(0), 30_000);
        assert_eq!(beat.key(), Beat::at(at(29_999), 30_000).key());
        assert_ne!(beat.key(), Beat::at(at(30_000), 30_000).key());
        assert_ne!(beat.key(), Beat::at(at(0), 10_000).key(), "another rhythm is another beat");
        assert_eq!(beat.ends_at_ms(), at(30_000).timestamp_millis());
    }

    #[test]
    fn a_beat_is_one_event_whatever_was_before() {
        let sent = Heart::default().decide(&Beat::at(at(0), 30_000), Moment(at(0)));
        let expected = HeartbeatSent { slot: 56_666_667, every_ms: 30_000 };
        assert_eq!(sent, Ok(vec![expected.into()]));
    }

    #[test]
    fn an_interval_is_off_or_within_reason() {
        let wrong = |every_ms| !HeartbeatSettings { every_ms }.problems().is_empty();
        assert!(wrong(99) && wrong(3_600_001));
        assert!(!wrong(0) && !wrong(100) && !wrong(3_600_000));
    }
}
