//! What one transaction takes in: events to apply, events that cannot be read, repeats, foreign
//! records; and how far each partition moves by it.
//!
//! A [`Job`] is a batch in the making. It can be dropped by whoever fills it at any await and still
//! knows every record, so nothing is lost when a rebalance interrupts it.

use std::{collections::VecDeque, sync::Arc};

use chrono::{DateTime, Utc};
use factline_codec::{StoredEvent, WriterSchema};
use factline_core::{DomainEvent, Envelope, Fault, Position, Recorded};
use factline_kafka::{HeaderFault, PartitionId, Record};

use crate::{
    Poisoned,
    classify::{Place, place},
    history::History,
    partition::{Incoming, Intake, offset_behind},
    reading::{Opened, Reader},
    schemas::Bad,
};

/// How far one partition moves.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) id: PartitionId,
    pub(crate) epoch: u64,
    partitions: i32,
    /// The checkpoint that the transaction must find.
    pub(crate) expected: Position,
    /// The checkpoint that it leaves.
    pub(crate) position: Position,
    /// `None`: no record of Kafka was dealt with, only events of the log.
    pub(crate) next_offset: Option<i64>,
    pub(crate) recorded_at: Option<DateTime<Utc>>,
    /// How many records of Kafka were dealt with.
    pub(crate) records: usize,
}

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
    pub(crate) batch: Batch<E>,
    pub(crate) standstills: Vec<(PartitionId, Standstill)>,
    /// Events of the batch that turned out to be poison, by index.
    pub(crate) poisoned: Vec<Poisoned>,
    /// Ids of the batch may be known already: look before applying.
    pub(crate) check_ids: bool,
    /// Read from the log, because Kafka did not bring them.
    pub(crate) refilled: u64,
}

impl<E: DomainEvent> Job<E> {
    pub(crate) fn new(intakes: Vec<Intake>) -> Self {
        Self {
            intakes: intakes.into(),
            batch: Batch {
                slices: Vec::new(),
                events: Vec::new(),
                origins: Vec::new(),
                unreadable: Vec::new(),
                repeats: Vec::new(),
                foreign: Vec::new(),
            },
            standstills: Vec::new(),
            poisoned: Vec::new(),
            check_ids: false,
            refilled: 0,
        }
    }

    /// Reads every intake. A partition that cannot go on keeps its rest in the intake.
    pub(crate) async fn open(&mut self, reader: &Reader<E>, history: Option<&dyn History>) {
        for index in 0..self.intakes.len() {
            let intake = &self.intakes[index];
            self.batch.slices.push(Slice {
                id: intake.id.clone(),
                epoch: intake.epoch,
                partitions: intake.partitions,
                expected: intake.expected,
                position: intake.expected,
                next_offset: None,
                recorded_at: None,
                records: 0,
            });
            let opened = match intake.refill {
                Some(missing) => self.refill(index, missing, reader, history).await,
                None => self.open_intake(index, reader).await,
            };
            if let Err(standstill) = opened {
                self.standstills.push((self.intakes[index].id.clone(), standstill));
            }
        }
        self.batch.slices.retain(|slice| slice.next_offset.is_some() || slice.moved());
    }

    async fn open_intake(&mut self, index: usize, reader: &Reader<E>) -> Result<(), Standstill> {
        while let Some(one) = self.intakes[index].incoming.front() {
            let slice = &self.batch.slices[index];
            let next = match &one.envelope {
                Ok(envelope) if place(slice.position, envelope.position) == Place::Next => {
                    Some(reader.open(envelope, &one.record, slice.partitions).await)
                }
                Ok(_) | Err(_) => None,
            };
            if let Some(Opened::Wait(fault)) = next {
                return Err(Standstill::Failed(fault));
            }
            // From here to the loop's head nothing awaits: the record is in one place or the other.
            let Some(one) = self.intakes[index].incoming.pop_front() else { break };
            self.file(index, one, next);
        }
        Ok(())
    }

    fn file(&mut self, index: usize, one: Incoming, opened: Option<Opened<E>>) {
        let slice = &mut self.batch.slices[index];
        slice.next_offset = Some(offset_behind(&one));
        slice.records += 1;
        let envelope = match one.envelope {
            Ok(envelope) => envelope,
            Err(fault) => return self.batch.foreign.push((fault, one.record)),
        };
        match opened {
            Some(Opened::Event(event)) => {
                slice.advance(&envelope);
                self.batch.events.push(Recorded { envelope, event });
                self.batch.origins.push(Origin::Kafka(one.record));
            }
            Some(Opened::Unreadable(bad)) => {
                slice.advance(&envelope);
                let origin = Origin::Kafka(one.record);
                self.batch.unreadable.push(Unreadable { envelope, origin, bad });
            }
            Some(Opened::Wait(_)) | None => self.batch.repeats.push((envelope, one.record)),
        }
    }

    async fn refill(
        &mut self,
        index: usize,
        missing: i64,
        reader: &Reader<E>,
        history: Option<&dyn History>,
    ) -> Result<(), Standstill> {
        let Slice { id, expected, .. } = self.batch.slices[index].clone();
        let gap = |why: &str| {
            Standstill::Gap(format!(
                "{missing} events after position {expected} are missing; {why}"
            ))
        };
        let history = history.ok_or_else(|| gap("no log is configured to read them from"))?;
        let found = history.read(&id.topic, id.partition, expected, missing).await;
        let found = found.map_err(Standstill::Failed)?;
        let dense =
            |(event, nth): (&StoredEvent, i64)| event.envelope.position.0 == expected.0 + nth;
        if found.is_empty() || !found.iter().zip(1..).all(dense) {
            return Err(gap("the log does not have them"));
        }
        for stored in found {
            self.refilled += 1;
            self.batch.slices[index].advance(&stored.envelope);
            let event = reader.open_stored(&stored);
            let StoredEvent { envelope, schema, datum } = stored;
            let origin = Origin::Log { schema, datum };
            match event {
                Ok(event) => {
                    self.batch.events.push(Recorded { envelope, event });
                    self.batch.origins.push(origin);
                }
                Err(bad) => self.batch.unreadable.push(Unreadable { envelope, origin, bad }),
            }
        }
        Ok(())
    }

    /// The records of intakes that were not reached. What was filed stays in the batch.
    pub(crate) fn unopened(&mut self) -> Vec<Incoming> {
        self.intakes.drain(..).flat_map(|intake| intake.incoming).collect()
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

impl Slice {
    fn advance(&mut self, envelope: &Envelope) {
        self.position = envelope.position;
        self.recorded_at = Some(envelope.recorded_at);
    }

    fn moved(&self) -> bool {
        self.position > self.expected
    }
}

impl<E> Batch<E> {
    pub(crate) fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }
}
