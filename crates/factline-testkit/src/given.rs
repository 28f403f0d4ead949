//! Given these events, when this command comes, then these events happen, or it is refused. The
//! order is enforced by types: only [`Given`] has `when`, only [`Outcome`] has `then_…`.

use chrono::DateTime;
use factline_core::{Aggregate, Decide, Moment, Refusal};
use serde_json::Value;

/// An aggregate with a past.
pub struct Given<A> {
    state: A,
}

impl<A: Aggregate> Given<A> {
    /// A stream in which nothing has happened.
    #[must_use]
    pub fn nothing() -> Self {
        Self { state: A::default() }
    }

    /// A stream in which these events have happened, in this order.
    #[must_use]
    pub fn events(events: impl Into<Vec<A::Event>>) -> Self {
        Self::nothing().and(events)
    }

    /// More events after those.
    #[must_use]
    pub fn and(mut self, events: impl Into<Vec<A::Event>>) -> Self {
        for event in events.into() {
            self.state.evolve(&event);
        }
        self
    }

    /// A command comes, at a fixed moment that matters to nobody.
    pub fn when<C>(self, command: C) -> Outcome<A>
    where
        A: Decide<C>,
    {
        self.when_at(command, Moment(DateTime::UNIX_EPOCH))
    }

    /// A command comes at this moment. It is decided twice, on the state and on the state's own
    /// snapshot: a decision is a pure function, and a snapshot changes nothing.
    pub fn when_at<C>(self, command: C, at: Moment) -> Outcome<A>
    where
        A: Decide<C>,
    {
        let decision = self.state.decide(&command, at);
        let decided_on_snapshot = through_snapshot(&self.state).decide(&command, at);
        match (&decision, &decided_on_snapshot) {
            (Ok(first), Ok(second)) => assert_eq!(first, second, "a snapshot changed a decision"),
            (Err(first), Err(second)) => {
                assert_eq!(first.code(), second.code(), "a snapshot changed a refusal");
            }
            (first, second) => panic!("a snapshot changed {first:?} into {second:?}"),
        }
        Outcome { before: self.state, decision }
    }
}

fn through_snapshot<A: Aggregate>(state: &A) -> A {
    let written = serde_json::to_value(state).expect("the state can be written as a snapshot");
    let read: A = serde_json::from_value(written.clone()).expect("a snapshot can be read");
    let again = serde_json::to_value(&read).expect("the state can be written as a snapshot");
    assert_eq!(written, again, "a snapshot lost something");
    read
}

/// What the aggregate answered.
#[must_use]
pub struct Outcome<A: Aggregate> {
    before: A,
    decision: Result<Vec<A::Event>, A::Refusal>,
}

impl<A: Aggregate> Outcome<A> {
    /// Exactly these events happen. The stream goes on, with them as its past.
    pub fn then_events(self, expected: impl Into<Vec<A::Event>>) -> Given<A> {
        let expected = expected.into();
        match &self.decision {
            Ok(events) => assert_eq!(*events, expected, "other events happened"),
            Err(refusal) => panic!("expected {expected:?}, was refused: {refusal}"),
        }
        Given { state: self.before }.and(expected)
    }

    /// It is accepted, and nothing happens.
    pub fn then_nothing(self) -> Given<A> {
        self.then_events([])
    }

    /// It is refused with this code.
    #[track_caller]
    pub fn then_refused(self, code: &str) -> Refused {
        match self.decision {
            Ok(events) => panic!("expected the refusal {code}, but {events:?} happened"),
            Err(refusal) => {
                assert_eq!(refusal.code(), code, "refused for another reason: {refusal}");
                Refused { details: Value::Object(refusal.details()) }
            }
        }
    }
}

impl<A: Aggregate> Given<A> {
    /// Looks at the state.
    pub fn then_state(self, check: impl FnOnce(&A)) -> Self {
        check(&self.state);
        self
    }
}

/// A refusal whose code was as expected.
pub struct Refused {
    details: Value,
}

impl Refused {
    /// The refusal's figures are exactly these.
    #[track_caller]
    pub fn with(self, expected: Value) {
        assert_eq!(self.details, expected, "the refusal gives other figures");
    }
}
