//! A stretch of one stream's history answers the repeats of the commands that wrote it: the same
//! code for what a lane remembers ([`crate::cache`]) and for what it reads ([`crate::repeats`]).

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use factline_core::{Aggregate, CommandKey, Recorded};

use crate::{Command, CommandFault, Done, Fingerprint, batch::Outcome};

/// The aggregate at some version, and events that follow it without a hole.
pub(crate) struct Stretch<A: Aggregate> {
    start: A,
    events: VecDeque<Marked<A::Event>>,
    /// The keys of the commands that begin in it, in their order: looked through at every command.
    keys: VecDeque<CommandKey>,
    /// What the events take in memory.
    bytes: usize,
}

/// An event, and the command that it opens.
pub(crate) struct Marked<E> {
    pub recorded: Arc<Recorded<E>>,
    /// None when an earlier event opened the command.
    pub opens: Option<Opening>,
    /// The length of its datum: what its data takes in memory, near enough.
    pub datum_bytes: usize,
}

/// What the log keeps of a command, on the first event that it wrote.
#[derive(Clone, Copy)]
pub(crate) struct Opening {
    pub key: CommandKey,
    pub fingerprint: Fingerprint,
}

impl<A: Aggregate> Stretch<A> {
    pub(crate) fn starting_at(start: A) -> Self {
        Self { start, events: VecDeque::new(), keys: VecDeque::new(), bytes: 0 }
    }

    pub(crate) fn extend(&mut self, events: impl IntoIterator<Item = Marked<A::Event>>) {
        for event in events {
            self.keys.extend(event.opens.map(|opening| opening.key));
            self.bytes += event.bytes();
            self.events.push_back(event);
        }
    }

    /// Forgets the oldest commands until no more than `commands` are left.
    pub(crate) fn keep(&mut self, commands: usize) {
        while self.keys.len() > commands {
            self.forget_oldest();
        }
    }

    /// What its events take in memory, as an estimate.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The keys of the commands that begin in it.
    pub(crate) fn keys(&self) -> impl ExactSizeIterator<Item = CommandKey> {
        self.keys.iter().copied()
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &Marked<A::Event>> {
        self.events.iter()
    }

    /// For each command, the answer that it got when it was carried out, if that was here.
    pub(crate) fn first_answers(&self, commands: &[&Command<A>]) -> Vec<Option<Outcome<A>>> {
        let mut answers: Vec<Option<Outcome<A>>> = commands.iter().map(|_| None).collect();
        if !commands.iter().any(|command| self.keys.contains(&command.key)) {
            return answers; // as nearly always
        }
        let mut asked: HashMap<CommandKey, Vec<usize>> = HashMap::new();
        for (index, command) in commands.iter().enumerate() {
            asked.entry(command.key).or_default().push(index);
        }
        let mut state = self.start.clone();
        let mut events = self.events.iter().peekable();
        while let Some(first) = events.next() {
            let mut own = vec![first];
            own.extend(std::iter::from_fn(|| events.next_if(|next| next.opens.is_none())));
            own.iter().for_each(|event| state.evolve(&event.recorded.event));
            let Some(opening) = first.opens else { continue };
            for index in asked.remove(&opening.key).unwrap_or_default() {
                answers[index] = Some(first_answer(commands[index], opening, &own, &state));
            }
        }
        answers
    }

    fn forget_oldest(&mut self) {
        while let Some(event) = self.events.pop_front() {
            if event.opens.is_some() {
                self.keys.pop_front();
            }
            self.bytes -= event.bytes();
            self.start.evolve(&event.recorded.event);
            if self.events.front().is_none_or(|next| next.opens.is_some()) {
                return;
            }
        }
    }
}

fn first_answer<A: Aggregate>(
    command: &Command<A>,
    opening: Opening,
    own: &[&Marked<A::Event>],
    state: &A,
) -> Outcome<A> {
    let events: Vec<_> = own.iter().map(|event| event.recorded.clone()).collect();
    let of_its_stream = events.iter().all(|event| event.envelope.stream_id == command.stream_id);
    if opening.fingerprint != command.fingerprint || !of_its_stream {
        return Err(CommandFault::KeyReused);
    }
    let version = events.last().map(|event| event.envelope.version).unwrap_or_default();
    Ok(Done { version, state: Arc::new(state.clone()), events, replayed: true })
}

impl<E> Marked<E> {
    fn bytes(&self) -> usize {
        let envelope = &self.recorded.envelope;
        let texts = [&envelope.actor, &envelope.traceparent];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        size_of::<Self>() + size_of::<Recorded<E>>() + self.datum_bytes + texts
    }
}
