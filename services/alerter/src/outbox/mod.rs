//! Sends what is due: rows of a table flow in, messages flow out, and what came of them is marked.
//!
//! A message is claimed by moving its next attempt beyond the receiver's time-out, in one committed
//! statement, and only then sent; no lock is held meanwhile. So any number of processes may send, and
//! after a crash between a send and its mark the claim runs out and the same message goes out again
//! under the same id: at least once, recognisable.
//!
//! What is sent, to whom and how is the [`Queue`]'s; [`book`] marks, [`pace`] says when to try again.

pub mod book;
pub mod pace;

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use metrics::counter;
use service_kit::Component;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::book::Book;

/// Messages of one kind on their way to one kind of receiver.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// What is sent, complete.
    type Message: Send + Sync;

    /// For logs and metrics; `snake_case`, permanent.
    fn name(&self) -> &'static str;

    /// Takes what is due, at most as many messages as are sent at once, for at least as long as one
    /// send may take.
    ///
    /// # Errors
    /// The database fails; nothing is taken.
    async fn claim(&self) -> Result<Vec<Claimed<Self::Message>>, sqlx::Error>;

    /// Tries once. Bounded in time; never fails otherwise than by its outcome.
    async fn send(&self, message: &Claimed<Self::Message>) -> Outcome;

    /// What an operator should know while nothing is due.
    ///
    /// # Errors
    /// The database fails.
    async fn trouble(&self) -> Result<Option<String>, sqlx::Error> {
        Ok(None)
    }
}

/// A message that this process may send until its claim runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed<Message> {
    /// The same with every attempt.
    pub id: Uuid,
    /// This attempt included.
    pub attempts: u32,
    /// The receiver may know of it from an earlier attempt.
    pub knew: bool,
    /// What is sent.
    pub message: Message,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// The receiver does not have it; a later attempt may succeed.
    Refused {
        /// For an operator.
        why: String,
        /// How long the receiver asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The receiver does not have it, and no attempt will succeed.
    Rejected {
        /// For an operator.
        why: String,
    },
    /// The receiver may have it, and did not say so in time.
    Uncertain {
        /// For an operator.
        why: String,
    },
}

impl Outcome {
    /// Refused, without a wish when to come back.
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), retry_after: None }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused { .. } => "refused",
            Self::Rejected { .. } => "rejected",
            Self::Uncertain { .. } => "uncertain",
        }
    }
}

/// Sends what a queue has until it is told to stop.
pub struct Sender<Q> {
    queue: Q,
    book: Book,
    look_every: Duration,
}

impl<Q: Queue> Sender<Q> {
    /// `book` is that of the table which the queue claims from.
    pub fn new(queue: Q, book: Book, look_every: Duration) -> Self {
        Self { queue, book, look_every }
    }

    /// Sends until told to stop; messages under way are awaited, which their time-out bounds.
    pub async fn run(self, component: Component, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.round().await {
                Ok(0) => {
                    self.report(&component).await;
                    stop.run_until_cancelled(sleep(self.look_every)).await;
                }
                Ok(_) => {} // there may be more
                Err(error) => {
                    component.degraded(format!("what is due cannot be read: {error}"));
                    stop.run_until_cancelled(sleep(self.look_every)).await;
                }
            }
        }
    }

    /// Sends what is due, as much as at once; says how much.
    async fn round(&self) -> Result<usize, sqlx::Error> {
        let claimed = self.queue.claim().await?;
        let count = claimed.len();
        join_all(claimed.into_iter().map(|message| self.send(message))).await;
        Ok(count)
    }

    async fn send(&self, message: Claimed<Q::Message>) {
        let outcome = self.queue.send(&message).await;
        let (queue, name) = (self.queue.name(), outcome.name());
        counter!("factline_alerter_attempts_total", "queue" => queue, "outcome" => name)
            .increment(1);
        if let Err(error) = self.book.mark(queue, &message, outcome).await {
            // The claim runs out and it is sent again, under the same id.
            tracing::warn!(message.id = %message.id, queue, %error, "an attempt was not marked");
        }
    }

    async fn report(&self, component: &Component) {
        let looked = async { Ok((self.queue.trouble().await?, self.book.waits().await?)) };
        match looked.await {
            Ok((Some(trouble), _)) => component.degraded(trouble),
            Ok((None, true)) => component.degraded("messages wait for their receiver"),
            Ok((None, false)) => component.ready(),
            Err::<_, sqlx::Error>(error) => {
                component.degraded(format!("what is due cannot be read: {error}"));
            }
        }
    }
}
