//! The commands that a lane works on at once, by stream.

use std::collections::HashMap;

use factline_core::{Aggregate, Fault, StreamId};
use tokio::sync::oneshot;

use crate::{Command, CommandFault, Done};

pub(crate) type Outcome<A> = Result<Done<A>, CommandFault<<A as Aggregate>::Refusal>>;

/// A command that waits for its outcome.
pub(crate) struct Pending<A: Aggregate> {
    pub partition: i32,
    pub command: Command<A>,
    pub reply: oneshot::Sender<Outcome<A>>,
}

impl<A: Aggregate> Pending<A> {
    /// A caller that has gone away does not mind: its command's outcome stands in the log.
    pub(crate) fn answer(self, outcome: Outcome<A>) {
        drop(self.reply.send(outcome));
    }
}

/// The commands of one stream in a batch, in the order of their arrival.
pub(crate) struct StreamBatch<A: Aggregate> {
    pub partition: i32,
    pub stream_id: StreamId,
    pub pending: Vec<Pending<A>>,
}

impl<A: Aggregate> StreamBatch<A> {
    pub(crate) fn commands(&self) -> Vec<&Command<A>> {
        self.pending.iter().map(|pending| &pending.command).collect()
    }

    /// Takes one outcome for each command; a command without one goes on waiting.
    pub(crate) fn answer(&mut self, outcomes: impl IntoIterator<Item = Option<Outcome<A>>>) {
        for (pending, outcome) in std::mem::take(&mut self.pending).into_iter().zip(outcomes) {
            match outcome {
                Some(outcome) => pending.answer(outcome),
                None => self.pending.push(pending),
            }
        }
    }

    /// Ends every command with a fault. `unsure`: their events may be stored all the same.
    pub(crate) fn fail(self, fault: &Fault, unsure: bool) {
        for pending in self.pending {
            let fault = again(fault);
            pending.answer(Err(if unsure {
                CommandFault::OutcomeUnknown(fault)
            } else {
                CommandFault::Unavailable(fault)
            }));
        }
    }

    /// A batch for each command.
    pub(crate) fn apart(self) -> impl DoubleEndedIterator<Item = Self> {
        let Self { partition, stream_id, pending } = self;
        pending.into_iter().map(move |pending| Self {
            partition,
            stream_id: stream_id.clone(),
            pending: vec![pending],
        })
    }
}

/// A batch's commands by stream, both in the order of arrival.
pub(crate) fn by_stream<A: Aggregate>(batch: Vec<Pending<A>>) -> Vec<StreamBatch<A>> {
    let mut places: HashMap<StreamId, usize> = HashMap::new();
    let mut streams: Vec<StreamBatch<A>> = Vec::new();
    for pending in batch {
        let stream_id = pending.command.stream_id.clone();
        let place = *places.entry(stream_id.clone()).or_insert_with(|| {
            streams.push(StreamBatch { partition: pending.partition, stream_id, pending: vec![] });
            streams.len() - 1
        });
        streams[place].pending.push(pending);
    }
    streams
}

/// The same fault for another caller: its source is one error that many waited for.
fn again(fault: &Fault) -> Fault {
    match fault {
        Fault::Transient { doing, source } => Fault::transient(doing, source.to_string()),
        Fault::Poison { doing, source } => Fault::poison(doing, source.to_string()),
        Fault::Fatal { doing, source } => Fault::fatal(doing, source.to_string()),
    }
}
