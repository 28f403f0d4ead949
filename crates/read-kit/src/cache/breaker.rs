//! When to stop asking somebody who does not answer: outcomes and the time flow in, leave to ask flows
//! out. No clock of its own.

use std::time::{Duration, Instant};

/// So many failures in a row are an outage: one or two are a restart or a lost packet, and each costs
/// a caller the whole budget.
const FAILURES: u32 = 5;

/// Closed: asking is allowed. Open: it is not, but for one attempt in each pause.
#[derive(Debug)]
pub(super) struct Breaker {
    pause: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    Closed {
        failures: u32,
    },
    /// Nobody asks before this.
    Open {
        until: Instant,
    },
}

impl Breaker {
    pub(super) fn new(pause: Duration) -> Self {
        Self { pause, state: State::Closed { failures: 0 } }
    }

    /// Whether to ask now. The one that is let through while it is open may never come back (its
    /// caller hung up), so it only puts the next attempt off by another pause.
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        if self.is_resting(now) {
            return false;
        }
        if self.is_open() {
            self.state = State::Open { until: now + self.pause };
        }
        true
    }

    /// Whether nobody may ask, as [`Breaker::may_ask`] would say, without being the one who asks.
    pub(super) fn is_resting(&self, now: Instant) -> bool {
        matches!(self.state, State::Open { until } if now < until)
    }

    pub(super) fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    pub(super) fn failed(&mut self, now: Instant) {
        if let State::Closed { failures } = self.state {
            let failures = failures + 1;
            self.state = if failures < FAILURES {
                State::Closed { failures }
            } else {
                State::Open { until: now + self.pause }
            };
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    fn open(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(PAUSE);
        for _ in 0..FAILURES {
            assert!(breaker.may_ask(now));
            breaker.failed(now);
        }
        breaker
    }

    #[test]
    fn w03_after_five_failures_in_a_row_nobody_is_asked_for_a_pause() {
        let now = Instant::now();
        let mut breaker = open(now);
        assert!(breaker.is_open());
        assert!(!breaker.may_ask(now));
        assert!(!breaker.may_ask(now + PAUSE - Duration::from_millis(1)));
    }

    #[test]
    fn w03_a_success_in_between_begins_the_count_again() {
        let now = Instant::now();
        let mut breaker = Breaker::new(PAUSE);
        for _ in 0..3 * FAILURES {
            breaker.failed(now);
            breaker.succeeded();
        }
        assert!(!breaker.is_open() && breaker.may_ask(now));
    }

    #[test]
    fn w03_after_a_pause_one_asks_for_all_and_its_success_lets_the_others_in() {
        let now = Instant::now();
        let mut breaker = open(now);
        assert!(breaker.may_ask(now + PAUSE));
        assert!(!breaker.may_ask(now + PAUSE), "one is enough");
        breaker.succeeded();
        assert!(breaker.may_ask(now + PAUSE) && breaker.may_ask(now + PAUSE));
    }

    #[test]
    fn w03_one_that_fails_or_never_comes_back_puts_the_next_off_by_a_pause() {
        let now = Instant::now();
        let mut breaker = open(now);
        assert!(breaker.may_ask(now + PAUSE));
        breaker.failed(now + PAUSE);
        assert!(!breaker.may_ask(now + PAUSE + PAUSE / 2));
        assert!(breaker.may_ask(now + 2 * PAUSE));
        assert!(!breaker.may_ask(now + 2 * PAUSE + PAUSE / 2), "that one was never heard of again");
        assert!(breaker.may_ask(now + 3 * PAUSE));
    }
}
