//! The process's verb: sagas react. A fact, an answer, a timer or an operator's wish flows in with the
//! instance's state; the next state, commands and timers flow out. Pure: `factline-saga` does the rest.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::{DomainEvent, Recorded};

/// A process over several aggregates: one instance for each stream that begins one.
pub trait Saga: Send + Sync + 'static {
    /// Consumer group, checkpoint row, metric label, and the actor `saga:<name>` of what it causes.
    /// Permanent.
    const NAME: &'static str;
    /// The versions of the definition that this build can run, the newest last. An instance keeps the one
    /// that it began with; one leaves this list when no instance in flight has it.
    const DEFINITIONS: &'static [i32];
    /// What it listens to; the kind names the topic.
    type Event: DomainEvent;
    /// What it takes from an event, in a form that can be kept.
    type Fact: Serialize + DeserializeOwned + Send + Sync;
    /// Where an instance stands. A definition reads the states that it has written, for ever.
    type State: Serialize + DeserializeOwned + Send + Sync;
    /// What it may ask of others.
    type Command: Serialize + DeserializeOwned + Send + Sync;

    /// What an event means to the saga; `None`: nothing.
    fn fact(event: &Recorded<Self::Event>) -> Option<Self::Fact>;

    /// The state in which a fact begins an instance for its stream, where there is none yet. It is reacted
    /// to as well. `None`: without an instance the fact means nothing.
    fn begin(fact: &Self::Fact) -> Option<Self::State>;

    /// What follows. A pure function of its arguments.
    ///
    /// # Errors
    /// The definition has no answer: a person must look. The instance stands where it stood.
    fn react(
        &self,
        definition: i32,
        state: Self::State,
        input: Input<'_, Self::Fact>,
    ) -> Result<Reaction<Self>, Unanswered>;

    /// Whether an instance in this state waits for somebody outside for as long as that takes; otherwise
    /// one that does not move is stuck.
    fn is_patient(state: &Self::State) -> bool {
        let _ = state;
        false
    }
}

/// What an instance reacts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'a, F> {
    /// Something happened.
    Fact(&'a F),
    /// One of its own commands came to an end.
    Answer {
        /// Which step's.
        step: &'a str,
        /// How.
        answer: Answer<'a>,
    },
    /// A timer that it set has run out.
    Timer(&'a str),
    /// An operator wants everything undone. From here on no refusal is without an answer.
    Compensate,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// It was carried out; or an operator says that it is to be taken so.
    Accepted,
    /// It never will be, for the reason with this stable code.
    Refused(&'a str),
}

/// What an instance does about an input.
#[derive(Debug, PartialEq, Eq)]
pub struct Reaction<S: Saga + ?Sized> {
    /// Where it stands now.
    pub state: S::State,
    /// Commands by the name of their step. A step is taken once in an instance's life: one whose name was
    /// used before is not taken again. Commands of one reaction may run at once and in any order.
    pub commands: Vec<(String, S::Command)>,
    /// Timers by name, set to run out after some time, or cleared.
    pub timers: Vec<(&'static str, Option<Duration>)>,
    /// Set when nothing is left to do.
    pub outcome: Option<Outcome>,
}

impl<S: Saga> Reaction<S> {
    /// Stands here now, and does nothing.
    pub fn to(state: S::State) -> Self {
        Self { state, commands: Vec::new(), timers: Vec::new(), outcome: None }
    }
}

/// How an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was for.
    Completed,
    /// It undid what it had done.
    Compensated,
}

/// The definition has no answer to an input; says why, for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unanswered(pub String);
