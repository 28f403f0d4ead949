//! How a worker says that a batch did not go as it should: once, when it begins or changes.

use tracing::{error, info, warn};

use crate::{
    Condition, Projection,
    batch::Job,
    checkpoint::Checkpoint,
    meters,
    status::Cause,
    trace::trace_id,
    transaction::Settled,
    worker::{Worker, core::Trouble},
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

    pub(crate) fn tell_refused(&mut self, checkpoints: &[Checkpoint]) {
        meters::refused(self.shared.name());
        for checkpoint in checkpoints {
            let Some(partition) = self.core.desk.get(&checkpoint.id) else { continue };
            warn!(
                projection = self.shared.name(),
                partition = %checkpoint.id,
                expected = partition.applied.0,
                found = checkpoint.position.0,
                "a checkpoint is not where this process left it; nothing was written"
            );
        }
    }

    /// Logged when it begins or changes, not with every attempt.
    pub(crate) fn report(&self, trouble: Trouble) {
        let Trouble { cause, condition, reason } = trouble;
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
