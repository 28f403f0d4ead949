//! Filing: records in, places in the batch out; no I/O. What only the outside knows is asked for,
//! one [`Need`] at a time, and filed when it is answered.

use factline_codec::StoredEvent;
use factline_core::{DomainEvent, Envelope, Fault, Position, Recorded};
use factline_kafka::{PartitionId, Record};

use super::{Job, Origin, Standstill, Unreadable};
use crate::{
    checkpoint::Slice,
    classify::{Place, place},
    partition::{Incoming, Intake, offset_behind},
    reading::Opened,
    schemas::Bad,
    trust::lethal,
};

/// What a job needs next from outside.
#[derive(Debug)]
pub(crate) enum Need<'a> {
    /// A record's data; the answer goes to [`Job::opened`].
    Data {
        envelope: &'a Envelope,
        record: &'a Record,
        /// Of the record's topic.
        partitions: i32,
    },
    /// Missing events, from the log; the answer goes to [`Job::found`].
    History { id: PartitionId, after: Position, missing: i64 },
}

impl<E: DomainEvent> Job<E> {
    /// Files whatever can be filed as it is, and says what is needed to go on. `None`: every intake
    /// is filed, or keeps its rest because its partition stands still.
    pub(crate) fn need(&mut self) -> Option<Need<'_>> {
        self.file_what_needs_nothing();
        while let Some(bad) = self.intakes.get(self.at).and_then(Intake::lethal) {
            self.opened(Opened::Unreadable(bad));
            self.file_what_needs_nothing();
        }
        let Some(intake) = self.intakes.get(self.at) else {
            self.batch.slices.retain(|slice| slice.next_offset.is_some() || slice.moved());
            return None;
        };
        if let Some(missing) = intake.refill {
            let (id, after) = (intake.id.clone(), intake.expected);
            return Some(Need::History { id, after, missing });
        }
        let one = intake.incoming.front()?;
        let envelope = one.envelope.as_ref().ok()?;
        Some(Need::Data { envelope, record: &one.record, partitions: intake.partitions })
    }

    /// Files repeats and foreign records; goes from an intake that is done to the next.
    fn file_what_needs_nothing(&mut self) {
        while let Some(intake) = self.intakes.get_mut(self.at) {
            if self.batch.slices.len() == self.at {
                self.batch.slices.push(Slice {
                    id: intake.id.clone(),
                    epoch: intake.epoch,
                    expected: intake.expected,
                    position: intake.expected,
                    next_offset: None,
                    recorded_at: None,
                    oldest_recorded_at: None,
                    records: 0,
                });
            }
            if intake.refill.is_some() {
                return;
            }
            let slice = &mut self.batch.slices[self.at];
            let next = |one: &mut Incoming| match &one.envelope {
                Ok(envelope) => place(slice.position, envelope.position) == Place::Next,
                Err(_) => false,
            };
            match intake.incoming.pop_front_if(|one| !next(one)) {
                Some(one) => {
                    slice.deal_with(&one);
                    match one.envelope {
                        Ok(envelope) => self.batch.repeats.push((envelope, one.record)),
                        Err(fault) => self.batch.foreign.push((fault, one.record)),
                    }
                }
                None if intake.incoming.is_empty() => self.at += 1,
                None => return,
            }
        }
    }

    /// Files the record that was asked for.
    pub(crate) fn opened(&mut self, opened: Opened<E>) {
        let Some(intake) = self.intakes.get_mut(self.at) else { return };
        if let Opened::Wait(fault) = opened {
            return self.stand_still(Standstill::Failed(fault));
        }
        let Some(one) = intake.incoming.pop_front() else { return };
        let slice = &mut self.batch.slices[self.at];
        slice.deal_with(&one);
        let Ok(envelope) = one.envelope else { return };
        slice.advance(&envelope);
        let origin = Origin::Kafka(one.record);
        match opened {
            Opened::Event(event) => {
                self.batch.events.push(Recorded { envelope, event });
                self.batch.origins.push(origin);
            }
            Opened::Unreadable(bad) => {
                self.batch.unreadable.push(Unreadable { envelope, origin, bad });
            }
            Opened::Wait(_) => {}
        }
    }

    /// Files the events of the log that were asked for. `why`: what it means when there are none.
    pub(crate) fn found(
        &mut self,
        found: Result<Vec<StoredEvent>, Fault>,
        why: &str,
        open: impl Fn(&StoredEvent) -> Result<E, Bad>,
    ) {
        let found = match found {
            Ok(found) => found,
            Err(fault) => return self.stand_still(Standstill::Failed(fault)),
        };
        let Some(intake) = self.intakes.get(self.at) else { return };
        let asked = intake.refill.unwrap_or_default();
        let all = i64::try_from(found.len()).is_ok_and(|found| found < asked);
        if let Some(losses) = intake.open_end.filter(|_| all) {
            self.made_up.push((intake.id.clone(), intake.epoch, losses));
            if found.is_empty() {
                self.at += 1;
                return;
            }
        }
        let (expected, deaths) = (intake.expected, intake.deaths);
        let dense =
            |(event, nth): (&StoredEvent, i64)| event.envelope.position.0 == expected.0 + nth;
        if found.is_empty() || !found.iter().zip(1..).all(dense) {
            let gap = format!("{asked} events after position {expected} are missing; {why}");
            return self.stand_still(Standstill::Gap(gap));
        }
        for stored in found {
            self.refilled += 1;
            self.batch.slices[self.at].advance(&stored.envelope);
            let event = lethal(deaths).map_or_else(|| open(&stored), Err);
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
        self.at += 1;
    }

    fn stand_still(&mut self, standstill: Standstill) {
        if let Some(intake) = self.intakes.get(self.at) {
            self.standstills.push((intake.id.clone(), standstill));
            self.at += 1;
        }
    }
}

impl Intake {
    /// Why its next record is not opened again.
    fn lethal(&self) -> Option<Bad> {
        let record = self.refill.is_none() && !self.incoming.is_empty();
        lethal(self.deaths.filter(|_| record))
    }
}

impl Slice {
    /// A record of Kafka needs not come again.
    fn deal_with(&mut self, one: &Incoming) {
        self.next_offset = Some(offset_behind(one));
        self.records += 1;
    }

    fn advance(&mut self, envelope: &Envelope) {
        self.position = envelope.position;
        self.recorded_at = Some(envelope.recorded_at);
        self.oldest_recorded_at.get_or_insert(envelope.recorded_at);
    }

    fn moved(&self) -> bool {
        self.position > self.expected
    }
}
