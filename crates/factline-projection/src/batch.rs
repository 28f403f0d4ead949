//! What one transaction takes in: events to apply, events that cannot be read, repeats, foreign
//! records; and how far each partition moves by it.
//!
//! A [`Job`] is a batch in the making: it says what it needs from outside and files what it is
//! answered (`filing.rs`, no I/O). It can be dropped by whoever fills it at any await and still
//! knows every record, so nothing is lost when a rebalance interrupts it.

mod filing;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use factline_codec::WriterSchema;
use factline_core::{DomainEvent, Envelope, Fault, Recorded};
use factline_kafka::{HeaderFault, PartitionId, Record};

pub(crate) use self::filing::Need;
use crate::{
    Poisoned,
    checkpoint::Slice,
    history::History,
    partition::{Incoming, Intake},
    reading::Reader,
    schemas::Bad,
    trust::{Mark, Turn},
};

/// Where an event came from, for the row that parks it.
#[derive(Debug)]
pub(crate) enum Origin {
    Kafka(Record),
    Log { schema: Arc<WriterSchema>, datum: bytes::Bytes },
}

/// An event whose data cannot be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) envelope: Envelope,
    pub(crate) origin: Origin,
    pub(crate) bad: Bad,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Batch<E> {
    pub(crate) slices: Vec<Slice>,
    /// In order within each partition.
    pub(crate) events: Vec<Recorded<E>>,
    /// Beside `events`.
    pub(crate) origins: Vec<Origin>,
    pub(crate) unreadable: Vec<Unreadable>,
    pub(crate) repeats: Vec<(Envelope, Record)>,
    pub(crate) foreign: Vec<(HeaderFault, Record)>,
}

/// Why a partition goes no further for now.
#[derive(Debug)]
pub(crate) enum Standstill {
    /// Something outside failed or refused.
    Failed(Fault),
    /// Positions are missing and the log does not have them, or there is no log to ask.
    Gap(String),
}

/// A batch in the making.
#[derive(Debug)]
pub(crate) struct Job<E> {
    intakes: VecDeque<Intake>,
    /// Which of them is being filed.
    at: usize,
    pub(crate) batch: Batch<E>,
    pub(crate) standstills: Vec<(PartitionId, Standstill)>,
    /// Partitions, each under its assignment, of which the log has no more than what was found, and the
    /// losses that this makes up for.
    pub(crate) made_up: Vec<(PartitionId, u64, u32)>,
    /// Events of the batch that turned out to be poison, by index.
    pub(crate) poisoned: Vec<Poisoned>,
    /// Ids of the batch may be known already: look before applying.
    pub(crate) check_ids: bool,
    /// Read from the log, because Kafka did not bring them.
    pub(crate) refilled: u64,
    /// Held until its marks are taken away.
    pub(crate) turn: Option<Turn>,
}

impl<E: DomainEvent> Job<E> {
    pub(crate) fn new(intakes: Vec<Intake>) -> Self {
        Self {
            intakes: intakes.into(),
            at: 0,
            batch: Batch {
                slices: Vec::new(),
                events: Vec::new(),
                origins: Vec::new(),
                unreadable: Vec::new(),
                repeats: Vec::new(),
                foreign: Vec::new(),
            },
            standstills: Vec::new(),
            made_up: Vec::new(),
            poisoned: Vec::new(),
            check_ids: false,
            refilled: 0,
            turn: None,
        }
    }

    /// Reads every intake: the shell around [`Job::need`]. Dropping it between two answers loses
    /// nothing, because no record is on its way then.
    pub(crate) async fn open(&mut self, reader: &Reader<E>, history: Option<&dyn History>) {
        while let Some(need) = self.need() {
            match need {
                Need::Data { envelope, record, partitions } => {
                    let opened = reader.open(envelope, record, partitions).await;
                    self.opened(opened);
                }
                Need::History { id, after, missing } => {
                    let found = match history {
                        Some(log) => log.read(&id.topic, id.partition, after, missing).await,
                        None => Ok(Vec::new()),
                    };
                    let why = match history {
                        Some(past) => format!("{} does not have them", past.name()),
                        None => "no log is configured to read them from".to_owned(),
                    };
                    self.found(found, &why, |stored| reader.open_stored(stored));
                }
            }
        }
    }

    /// What to leave while it is in hand.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        let mark = |intake: &Intake| {
            let (id, position) = (intake.id.clone(), intake.expected);
            intake.deaths.map(|deaths| Mark { id, position, attempt: deaths + 1 })
        };
        self.intakes.iter().filter_map(mark).collect()
    }

    /// How many records are not filed.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.intakes.iter().map(|intake| intake.incoming.len()).sum()
    }

    /// Under which assignment each of its partitions was held when its records were taken.
    pub(crate) fn assignments(&self) -> HashMap<PartitionId, u64> {
        self.intakes.iter().map(|intake| (intake.id.clone(), intake.epoch)).collect()
    }

    /// The records of intakes that were not reached. What was filed stays in the batch.
    pub(crate) fn unopened(&mut self) -> Vec<Incoming> {
        self.intakes.iter_mut().flat_map(|intake| std::mem::take(&mut intake.incoming)).collect()
    }

    /// Every record of Kafka again, for the queues that it came from.
    pub(crate) fn dissolve(mut self) -> Vec<Incoming> {
        let mut incoming = self.unopened();
        let origins = self.batch.origins.into_iter();
        let events = self.batch.events.into_iter().map(|event| event.envelope).zip(origins);
        let unreadable = self.batch.unreadable.into_iter().map(|u| (u.envelope, u.origin));
        incoming.extend(events.chain(unreadable).filter_map(|(envelope, origin)| match origin {
            Origin::Kafka(record) => Some(Incoming { record, envelope: Ok(envelope) }),
            Origin::Log { .. } => None, // read again when it is needed again
        }));
        let repeats = self.batch.repeats.into_iter();
        incoming
            .extend(repeats.map(|(envelope, record)| Incoming { record, envelope: Ok(envelope) }));
        let foreign = self.batch.foreign.into_iter();
        incoming.extend(foreign.map(|(fault, record)| Incoming { record, envelope: Err(fault) }));
        incoming
    }
}

impl<E> Batch<E> {
    pub(crate) fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }
}
