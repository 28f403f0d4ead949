//! The write side's front door: a command in, its outcome out.

use std::sync::Arc;

use factline_core::{Aggregate, Fault, StreamId, partition_for};
use tokio::{
    sync::{
        Notify,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::JoinHandle,
};

use crate::{
    Command, CommandFault, Done, InlineView, LogSettings, batch::Pending, inline::InlineViews,
    kind::Kind, lane::Lane,
};

/// The lanes of one aggregate kind. Cheap to clone; the lanes end when the last clone is dropped,
/// after everything that was accepted is answered.
pub struct Lanes<A: Aggregate> {
    topic: Arc<str>,
    partitions: i32,
    queues: Vec<mpsc::Sender<Pending<A>>>,
}

impl<A: Aggregate> Clone for Lanes<A> {
    fn clone(&self) -> Self {
        Self { topic: self.topic.clone(), partitions: self.partitions, queues: self.queues.clone() }
    }
}

/// What [`Lanes::start`] gives beside the lanes.
pub struct LaneParts {
    /// One task a lane; await them after the last clone of the lanes is dropped.
    pub tasks: Vec<JoinHandle<()>>,
    /// Told after every append that wrote events: the relay's wake-up.
    pub appended: Arc<Notify>,
}

impl<A: Aggregate> Lanes<A> {
    /// Starts the lanes of a topic. They reach for the database at the first command.
    ///
    /// # Errors
    /// A compiled-in schema is not admissible, or the database's address cannot be read.
    pub fn start(settings: &LogSettings, topic: &str) -> Result<(Self, LaneParts), Fault> {
        Self::with_views(settings, topic, Vec::new())
    }

    /// The same with views that are kept in the append's own transaction.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn with_views(
        settings: &LogSettings,
        topic: &str,
        views: Vec<Arc<dyn InlineView<A::Event>>>,
    ) -> Result<(Self, LaneParts), Fault> {
        let (kind, appended) = (Kind::<A>::new(topic)?, Arc::<Notify>::default());
        let views = InlineViews::new(views);
        let (mut queues, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..settings.lanes {
            let (queue, commands) = mpsc::channel(settings.lane_queue);
            let lane = Lane::new(settings, kind.clone(), views.clone(), appended.clone())?;
            queues.push(queue);
            tasks.push(tokio::spawn(lane.run(commands)));
        }
        let lanes = Self::over(kind.topic.clone(), settings.partitions, queues);
        Ok((lanes, LaneParts { tasks, appended }))
    }

    /// A front door to whoever takes commands from these queues.
    pub(crate) fn over(
        topic: Arc<str>,
        partitions: i32,
        queues: Vec<mpsc::Sender<Pending<A>>>,
    ) -> Self {
        Self { topic, partitions, queues }
    }

    /// The kind's topic.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Carries a command out. Dropping the returned future does not undo the command: from here on
    /// it runs in the lane's own task.
    ///
    /// # Errors
    /// [`CommandFault`]; nothing was written unless it is [`CommandFault::OutcomeUnknown`].
    pub async fn execute(&self, command: Command<A>) -> Result<Done<A>, CommandFault<A::Refusal>> {
        let partition = partition_for(command.stream_id.as_str(), self.partitions);
        let lane = usize::try_from(partition).unwrap_or_default() % self.queues.len();
        let (reply, answer) = oneshot::channel();
        let pending = Pending { partition, command, reply };
        self.queues[lane].try_send(pending).map_err(|refused| match refused {
            TrySendError::Full(_) => CommandFault::Busy,
            TrySendError::Closed(_) => {
                CommandFault::Unavailable(Fault::fatal("reaching a lane", "it has ended"))
            }
        })?;
        answer.await.unwrap_or_else(|_| {
            let words = "the lane ended before it answered";
            Err(CommandFault::OutcomeUnknown(Fault::transient("waiting for a lane", words)))
        })
    }

    /// The stream's state now, as its lane sees it: a command that makes nothing happen.
    ///
    /// # Errors
    /// As [`Self::execute`], but never a refusal.
    pub async fn look(&self, stream_id: StreamId) -> Result<Done<A>, CommandFault<A::Refusal>> {
        self.execute(Command::look(stream_id)).await
    }
}
