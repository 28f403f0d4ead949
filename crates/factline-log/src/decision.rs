//! Deciding a stream's commands one after the other on the running state. No I/O; the clock is asked only
//! for a command that may come too late.
//!
//! A decision that panics is a defect of the domain's code. It costs its own command, whose caller
//! is told so, and nobody else: its neighbours are decided as if it had never come.

use std::{
    collections::HashSet,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use factline_codec::{Codec, CodecFault, Encoded};
use factline_core::{Aggregate, StreamId, Version};
use uuid::Uuid;

use crate::{
    Command, CommandFault, Done,
    append::{Group, NewEvent},
    batch::Outcome,
    load::Loaded,
    stretch::Marked,
};

/// What a stream's commands come to, before the log has agreed.
pub(crate) struct Decided<A: Aggregate> {
    /// One for each command, in order.
    pub answers: Vec<Answer<A>>,
    /// The events of all of them, in order.
    pub events: Vec<DecidedEvent<A::Event>>,
    /// The stream after all of them.
    pub after: Loaded<A>,
}

/// What one command comes to.
pub(crate) enum Answer<A: Aggregate> {
    /// It writes these events (perhaps none); the aggregate and its version after it.
    Events(Range<usize>, Arc<A>, Version),
    /// The domain says no.
    Refused(A::Refusal),
    /// The caller insists on another version than this.
    Mismatch(Version),
    /// One of its events cannot be stored.
    Unencodable(CodecFault),
    /// Deciding it panicked.
    Panicked,
    /// The time that it was given is over.
    TooLate,
    /// The same key came before it in the same batch: it waits for that one's outcome.
    Twin,
}

impl<A: Aggregate> Answer<A> {
    /// Does it write nothing, so that no index tells whether its key is known?
    fn is_idle(&self) -> bool {
        match self {
            Self::Events(range, ..) => range.is_empty(),
            Self::Refused(_)
            | Self::Mismatch(_)
            | Self::Unencodable(_)
            | Self::Panicked
            | Self::TooLate => true,
            Self::Twin => false, // the first of them has the key
        }
    }

    /// What the caller is told once the log has taken `events`, which are those of all commands;
    /// nothing yet for a twin.
    pub(crate) fn outcome(self, events: &[Marked<A::Event>]) -> Option<Outcome<A>> {
        match self {
            Self::Events(range, state, version) => {
                let own = events.get(range).unwrap_or_default();
                let events = own.iter().map(|event| event.recorded.clone()).collect();
                Some(Ok(Done { version, state, events, replayed: false }))
            }
            Self::Refused(refusal) => Some(Err(CommandFault::Refused(refusal))),
            Self::Mismatch(current) => Some(Err(CommandFault::VersionMismatch { current })),
            Self::Unencodable(fault) => Some(Err(CommandFault::Unencodable(fault))),
            Self::Panicked => Some(Err(CommandFault::Panicked)),
            Self::TooLate => Some(Err(CommandFault::TooLate)),
            Self::Twin => None,
        }
    }
}

/// An event that was decided and encoded.
#[derive(Clone)]
pub(crate) struct DecidedEvent<E> {
    pub event: E,
    pub event_id: Uuid,
    pub encoded: Encoded,
    /// Which command wrote it.
    pub command: usize,
    /// Is it the first that its command wrote?
    pub opens: bool,
}

/// Decides the commands of one stream.
pub(crate) fn decide<A: Aggregate>(
    start: &Loaded<A>,
    commands: &[&Command<A>],
    codec: &Codec<A::Event>,
) -> Decided<A> {
    let mut decided = Decided {
        answers: Vec::with_capacity(commands.len()),
        events: Vec::with_capacity(commands.len()),
        after: start.clone(),
    };
    let mut keys = HashSet::new();
    for (index, command) in commands.iter().enumerate() {
        let is_first = commands.len() == 1 || keys.insert(command.key);
        let answer = if is_first {
            let attempt = || decide_one(&mut decided, index, command, codec);
            catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_logged_by_the_panic_hook| {
                decided.take_back(index, start);
                told_of_panic::<A>(&command.stream_id)
            })
        } else {
            Answer::Twin
        };
        decided.answers.push(answer);
    }
    decided
}

impl<A: Aggregate> Decided<A> {
    /// Undoes what a command left that panicked on its way: the stream is again as the command
    /// before it made it.
    fn take_back(&mut self, command: usize, start: &Loaded<A>) {
        self.events.retain(|event| event.command != command);
        let made = self.answers.iter().rev().find_map(|answer| match answer {
            Answer::Events(_, state, version) => Some((state, version)),
            Answer::Refused(_)
            | Answer::Mismatch(_)
            | Answer::Unencodable(_)
            | Answer::Panicked
            | Answer::TooLate
            | Answer::Twin => None,
        });
        let (state, version) = made.unwrap_or((&start.state, &start.version));
        self.after = Loaded { state: state.clone(), version: *version, snapshot: start.snapshot };
    }
}

fn told_of_panic<A: Aggregate>(stream_id: &StreamId) -> Answer<A> {
    metrics::counter!("factline_log_decision_panics_total", "kind" => A::KIND).increment(1);
    tracing::error!(kind = A::KIND, %stream_id, "a decision panicked; its command is refused");
    Answer::Panicked
}

fn decide_one<A: Aggregate>(
    decided: &mut Decided<A>,
    index: usize,
    command: &Command<A>,
    codec: &Codec<A::Event>,
) -> Answer<A> {
    let stream = &mut decided.after;
    if command.is_too_late() {
        return Answer::TooLate;
    }
    if command.expected.is_some_and(|expected| expected != stream.version) {
        return Answer::Mismatch(stream.version);
    }
    let events = match command.decide(&stream.state) {
        Ok(events) => events,
        Err(refusal) => return Answer::Refused(refusal),
    };
    let encoded: Result<Vec<_>, _> = events.iter().map(|event| codec.encode(event)).collect();
    let encoded = match encoded {
        Ok(encoded) => encoded,
        Err(fault) => return Answer::Unencodable(fault),
    };
    let first = decided.events.len();
    for (event, encoded) in events.into_iter().zip(encoded) {
        Arc::make_mut(&mut stream.state).evolve(&event);
        stream.version = stream.version.next();
        let event_id = Uuid::now_v7(); // rises in lane order: the indexes grow at their right edge
        let opens = decided.events.len() == first;
        decided.events.push(DecidedEvent { event, event_id, encoded, command: index, opens });
    }
    Answer::Events(first..decided.events.len(), stream.state.clone(), stream.version)
}

/// The group that an append takes for decided commands.
pub(crate) fn group<'a, A: Aggregate>(
    partition: i32,
    expected: Version,
    commands: &[&'a Command<A>],
    decided: &'a Decided<A>,
    schema_ids: &[i16],
) -> Option<Group<'a>> {
    let first = commands.first()?;
    let mut idle_keys: Vec<Uuid> = (commands.iter().zip(&decided.answers))
        .filter(|(_, answer)| answer.is_idle())
        .map(|(command, _)| command.key)
        .collect();
    idle_keys.sort_unstable();
    idle_keys.dedup();
    let events = decided
        .events
        .iter()
        .map(|decided| {
            let command = commands[decided.command];
            NewEvent {
                event_id: decided.event_id,
                schema_id: schema_ids[decided.encoded.schema_index],
                payload: &decided.encoded.datum,
                correlation_id: command.correlation_id,
                causation_id: command.causation_id,
                actor: command.actor.as_deref(),
                traceparent: command.traceparent.as_deref(),
                command: decided.opens.then_some((command.key, &command.fingerprint)),
                occurred_at: command.occurred_at,
            }
        })
        .collect();
    Some(Group { partition, stream_id: &first.stream_id, expected, idle_keys, events })
}
