//! What inputs do to instances. Pure: instances and inputs flow in, what is to be written flows out.
//!
//! An instance takes its inputs one after the other. The first one that its definition has no answer to,
//! or at which it panics, makes it need a person, and everything that comes later waits behind that one,
//! in order. What was never answered is never lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use factline_core::saga::{Answer, Input, Outcome, Reaction, Saga, Unanswered};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It goes on by itself.
    Running,
    /// It waits for a person.
    NeedsAttention,
    /// It did what it was for.
    Completed,
    /// It undid what it had done.
    Compensated,
}

/// One instance, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) definition: i32,
    pub(crate) state: Value,
    pub(crate) status: Status,
    pub(crate) attention: Option<String>,
    pub(crate) patient: bool,
    pub(crate) correlation_id: Uuid,
    pub(crate) traceparent: Option<String>,
    /// The event behind the last input.
    pub(crate) causation_id: Uuid,
}

/// An input in the form in which it waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub(crate) enum Kept {
    Fact { fact: Value },
    Answer { step: String, refused: Option<String> },
    Timer { timer: String },
    Compensate,
}

/// An input for an instance.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Arrived {
    pub(crate) instance: String,
    pub(crate) input: Kept,
    /// The event behind it.
    pub(crate) cause: Uuid,
    /// What it begins where there is no instance yet.
    pub(crate) begins: Option<Beginning>,
}

/// How an instance begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Beginning {
    pub(crate) state: Value,
    /// Of the flow.
    pub(crate) correlation_id: Uuid,
    /// Of the event: the trace goes on in every command.
    pub(crate) traceparent: Option<String>,
}

/// A command that is to be carried out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct NewCommand {
    pub(crate) instance: String,
    pub(crate) step: String,
    pub(crate) definition: i32,
    pub(crate) key: Uuid,
    pub(crate) command: Value,
    pub(crate) correlation_id: Uuid,
    pub(crate) traceparent: Option<String>,
    pub(crate) causation_id: Uuid,
}

/// A timer that is to run, or not any more.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TimerChange {
    pub(crate) after: Option<Duration>,
    pub(crate) causation_id: Uuid,
}

/// Everything that one transaction writes.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes {
    /// Instances that have moved.
    pub(crate) moved: BTreeSet<String>,
    pub(crate) commands: Vec<NewCommand>,
    /// By instance and name; the last word counts.
    pub(crate) timers: BTreeMap<(String, String), TimerChange>,
    /// Inputs that wait for a person.
    pub(crate) waiting: Vec<Arrived>,
    /// Instances that have ended; their timers go.
    pub(crate) ended: Vec<String>,
}

/// By which whoever carries a step out knows its repeat.
pub(crate) fn key_of(saga: &str, instance: &str, step: &str) -> Uuid {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("saga:{saga}").as_bytes());
    Uuid::new_v5(&namespace, format!("{instance}/{step}").as_bytes())
}

/// Takes inputs into the instances that they are for, in order. `instances` holds all of them that exist.
pub(crate) fn process<S: Saga>(
    saga: &S,
    instances: &mut BTreeMap<String, Instance>,
    arrived: impl IntoIterator<Item = Arrived>,
) -> Changes {
    let mut changes = Changes::default();
    for one in arrived {
        if !instances.contains_key(&one.instance) {
            let Some(beginning) = &one.begins else { continue };
            instances.insert(one.instance.clone(), begin::<S>(beginning, one.cause));
        }
        if let Some(instance) = instances.get_mut(&one.instance) {
            changes.take(saga, instance, one);
        }
    }
    changes
}

fn begin<S: Saga>(beginning: &Beginning, cause: Uuid) -> Instance {
    Instance {
        definition: S::DEFINITIONS.last().copied().unwrap_or_default(),
        state: beginning.state.clone(),
        status: Status::Running,
        attention: None,
        patient: false,
        correlation_id: beginning.correlation_id,
        traceparent: beginning.traceparent.clone(),
        causation_id: cause,
    }
}

impl Changes {
    /// One input of one instance.
    pub(crate) fn take<S: Saga>(&mut self, saga: &S, instance: &mut Instance, one: Arrived) {
        match instance.status {
            Status::Completed | Status::Compensated => {} // it comes too late to matter
            Status::NeedsAttention => self.waiting.push(one),
            Status::Running => match react(saga, instance, &one.input) {
                Ok(reaction) => self.follow::<S>(instance, &one, reaction),
                Err(Unanswered(why)) => {
                    instance.status = Status::NeedsAttention;
                    instance.attention = Some(why);
                    self.moved.insert(one.instance.clone());
                    self.waiting.push(one);
                }
            },
        }
    }

    fn follow<S: Saga>(
        &mut self,
        instance: &mut Instance,
        one: &Arrived,
        Reacted { state, patient, commands, timers, outcome }: Reacted,
    ) {
        instance.state = state;
        instance.patient = patient;
        instance.causation_id = one.cause;
        self.moved.insert(one.instance.clone());
        self.commands.extend(commands.into_iter().map(|(step, command)| NewCommand {
            key: key_of(S::NAME, &one.instance, &step),
            instance: one.instance.clone(),
            step,
            definition: instance.definition,
            command,
            correlation_id: instance.correlation_id,
            traceparent: instance.traceparent.clone(),
            causation_id: one.cause,
        }));
        for (timer, after) in timers {
            let key = (one.instance.clone(), timer.to_owned());
            self.timers.insert(key, TimerChange { after, causation_id: one.cause });
        }
        if let Some(outcome) = outcome {
            instance.status = match outcome {
                Outcome::Completed => Status::Completed,
                Outcome::Compensated => Status::Compensated,
            };
            self.ended.push(one.instance.clone());
        }
    }
}

/// A reaction in the form in which it is stored.
struct Reacted {
    state: Value,
    patient: bool,
    commands: Vec<(String, Value)>,
    timers: Vec<(&'static str, Option<Duration>)>,
    outcome: Option<Outcome>,
}

/// Asks the definition. A state that cannot be read and a panic are no answer either.
fn react<S: Saga>(saga: &S, instance: &Instance, input: &Kept) -> Result<Reacted, Unanswered> {
    let reacting = || {
        let state = serde_json::from_value(instance.state.clone()).map_err(unreadable)?;
        let fact;
        let input = match input {
            Kept::Fact { fact: kept } => {
                fact = serde_json::from_value(kept.clone()).map_err(unreadable)?;
                Input::Fact(&fact)
            }
            Kept::Answer { step, refused } => {
                let answer = refused.as_deref().map_or(Answer::Accepted, Answer::Refused);
                Input::Answer { step, answer }
            }
            Kept::Timer { timer } => Input::Timer(timer),
            Kept::Compensate => Input::Compensate,
        };
        let Reaction { state, commands, timers, outcome } =
            saga.react(instance.definition, state, input)?;
        let patient = S::is_patient(&state);
        let stored =
            |(step, command)| Ok((step, serde_json::to_value(command).map_err(unreadable)?));
        let commands = commands.into_iter().map(stored).collect::<Result<_, Unanswered>>()?;
        let state = serde_json::to_value(state).map_err(unreadable)?;
        Ok(Reacted { state, patient, commands, timers, outcome })
    };
    catch_unwind(AssertUnwindSafe(reacting)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Unanswered(format!("the definition panicked: {}", text.unwrap_or_default())))
    })
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` hands it over
fn unreadable(error: serde_json::Error) -> Unanswered {
    Unanswered(format!("the state, an input or a command has another form: {error}"))
}
