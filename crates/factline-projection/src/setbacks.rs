//! What a worker does when a batch did not go as it should, and how it says so: once, when it begins
//! or changes.

use std::{sync::atomic::Ordering, time::Instant};

use factline_kafka::PartitionId;
use tracing::{error, info, warn};

use crate::{
    Condition, Projection,
    batch::{Job, Standstill},
    failure::{Class, class_of_fault},
    partition::Hold,
    settings::ms,
    status::Cause,
    trace::trace_id,
    transaction::Settled,
    worker::Worker,
};

impl<P: Projection> Worker<P> {
    pub(crate) fn tell_parked(&self, job: &Job<P::Event>, settled: Settled) {
        if settled.parked + settled.foreign == 0 {
            return;
        }
        self.shared.parked.notify_one();
        let poison = job.poisoned.iter().filter_map(|one| {
            Some((&job.batch.events.get(one.index)?.envelope, one.code, one.detail.as_str()))
        });
        let unreadable = job
            .batch
            .unreadable
            .iter()
            .map(|one| (&one.envelope, one.bad.code, one.bad.detail.as_str()));
        for (envelope, code, detail) in poison.chain(unreadable) {
            warn!(
                projection = self.shared.name(),
                topic = %envelope.topic,
                partition = envelope.partition,
                position = envelope.position.0,
                stream_id = %envelope.stream_id,
                trace_id = trace_id(envelope).unwrap_or_default(),
                code,
                detail,
                "a stream is parked"
            );
        }
        for (fault, record) in &job.batch.foreign {
            warn!(
                projection = self.shared.name(),
                topic = %record.topic,
                partition = record.partition,
                offset = record.offset,
                code = fault.code(),
                "a record that is no event of ours was set aside"
            );
        }
    }

    pub(crate) fn fail(&mut self, class: Class, reason: String) {
        self.attempts = self.attempts.saturating_add(1);
        let settings = &self.shared.settings;
        let (condition, wait) = match class {
            Class::Config => (Condition::Misconfigured, ms(settings.config_retry_ms)),
            Class::Transient => (Condition::Degraded, settings.back_off(self.attempts)),
            Class::Unknown | Class::Poison => {
                self.unknown_attempts += 1;
                if self.unknown_attempts >= settings.unknown_error_attempts {
                    return self.halt(Cause::Worker(self.index), reason);
                }
                (Condition::Degraded, settings.back_off(self.attempts))
            }
        };
        self.retry_at = Some(Instant::now() + wait);
        self.report(Cause::Worker(self.index), condition, reason);
    }

    pub(crate) fn stand_still(&mut self, id: &PartitionId, standstill: Standstill) {
        let settings = &self.shared.settings;
        let Some(partition) = self.desk.get(id) else { return };
        partition.attempts = partition.attempts.saturating_add(1);
        let slowly = ms(settings.config_retry_ms);
        let (condition, wait, reason) = match standstill {
            Standstill::Gap(why) => (Condition::Stopped, slowly, format!("gap in {id}: {why}")),
            Standstill::Failed(fault) => {
                let reason = format!("{id}: {fault}");
                match class_of_fault(&fault) {
                    Class::Transient => {
                        (Condition::Degraded, settings.back_off(partition.attempts), reason)
                    }
                    Class::Config => (Condition::Misconfigured, slowly, reason),
                    Class::Poison | Class::Unknown => (Condition::Stopped, slowly, reason),
                }
            }
        };
        partition.hold = Hold::BackOff { until: Instant::now() + wait };
        self.report(Cause::Partition(id.clone()), condition, reason);
    }

    pub(crate) fn stop(&mut self, id: &PartitionId, reason: String) {
        if let Some(partition) = self.desk.get(id) {
            partition.hold = Hold::Stopped;
        }
        self.report(Cause::Partition(id.clone()), Condition::Stopped, reason);
    }

    pub(crate) fn halt(&mut self, cause: Cause, reason: String) {
        self.shared.halted.store(true, Ordering::Relaxed);
        self.report(cause, Condition::Stopped, reason);
    }

    /// Logged when it begins or changes, not with every attempt.
    fn report(&self, cause: Cause, condition: Condition, reason: String) {
        if !self.shared.board.set(cause, condition, reason.clone()) {
            return;
        }
        let projection = self.shared.name();
        match condition {
            Condition::Stopped | Condition::Misconfigured => {
                error!(projection, reason, "the projection goes no further");
            }
            Condition::Degraded | Condition::Starting | Condition::Running => {
                warn!(projection, reason, "the projection waits");
            }
        }
    }

    pub(crate) fn clear(&self, cause: &Cause) {
        if self.shared.board.clear(cause) {
            info!(projection = self.shared.name(), "the projection goes on");
        }
    }
}
