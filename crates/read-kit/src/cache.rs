//! Answers of expensive queries, kept in Redis: questions flow in, answers flow out that the database
//! would have given at the position they are told with.
//!
//! **The contract.** An answer is kept under everything that it depends on ([`standing`]): the view's
//! positions, its table, what is parked, the question. So nothing is ever invalidated: a view that
//! moves on has other keys, and those of before expire. An answer is kept only when the view stood the
//! same before and after it was computed, and believed only when it is whole ([`envelope`]). Redis may
//! be away, slow, emptied or wrong at any time: then the database is asked, as without a cache.
//!
//! A caller waits for Redis once, within the budget ([`server`]), and not at all while it keeps failing
//! ([`breaker`]). What is to be kept goes through a short queue to a task of the service.

mod breaker;
mod envelope;
mod server;
mod standing;

use std::{sync::Arc, time::Duration};

use factline_projection::View;
use redis::Client;
use serde::{Serialize, de::DeserializeOwned};
use service_kit::{Phase, Runtime, ServiceError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{
    server::{Errand, Server, Silence},
    standing::Standing,
};
use crate::{
    reading::{Fresh, Reading},
    settings::CacheSettings,
};

/// How many answers may wait to be kept: 16 MB of the longest. Beyond, they are not kept.
const QUEUE: usize = 64;

/// Where answers are kept, or nowhere. Cheap to clone.
#[derive(Clone)]
pub struct Cache(Option<Arc<Kept>>);

struct Kept {
    server: Arc<Server>,
    key_prefix: String,
    changes: mpsc::Sender<Change>,
}

/// What is asked of a view.
#[derive(Debug)]
pub struct Question<'q> {
    projection: &'q str,
    table: &'q str,
    text: &'q str,
}

/// What becomes of a key.
enum Change {
    Keep { key: String, value: Vec<u8> },
    Remove { key: String },
}

/// What Redis knows.
enum Found<Answer> {
    Hit(Answer),
    Miss,
    /// It could not be asked, so there is no use in telling it the answer either.
    Nothing,
}

impl<'q> Question<'q> {
    /// `text` says all that the answer depends on beside the view: the statement and its arguments.
    #[must_use]
    pub fn of<V: View>(text: &'q str) -> Self {
        Self { projection: V::NAME, table: V::TABLE, text }
    }
}

impl Cache {
    /// Every question goes to the database.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// A cache in the settings' Redis, which is reached for when there is something to ask; off when
    /// they name none. Its task works until the runtime stops and reports to readiness as `cache`.
    ///
    /// # Errors
    /// Redis' address cannot be read.
    pub fn begin(settings: &CacheSettings, runtime: &Runtime) -> Result<Self, ServiceError> {
        if settings.redis_url.is_empty() {
            return Ok(Self::off());
        }
        let unusable = |error| ServiceError::new(format!("cache.redis_url: {error}"));
        let client = Client::open(&*settings.redis_url).map_err(unusable)?;
        let server = Arc::new(Server::new(
            client,
            Duration::from_millis(settings.answer_within_ms),
            Duration::from_millis(settings.pause_ms),
            runtime.health.component("cache"),
        ));
        let (changes, queue) = mpsc::channel(QUEUE);
        let (writer, keep_for_ms) = (Arc::clone(&server), settings.keep_for_ms);
        runtime.tasks.spawn(Phase::Working, "cache", move |stop| async move {
            change(&writer, queue, keep_for_ms, &stop).await;
            stop.cancelled().await; // when those who asked are gone first
            Ok(())
        });
        let key_prefix = settings.key_prefix.clone();
        Ok(Self(Some(Arc::new(Kept { server, key_prefix, changes }))))
    }

    /// The kept answer to a question, or the one that `compute` gives from the view's own pool. `fresh`
    /// is what [`Reading::fresh`] said before; what is returned is at least so fresh. Safe to cancel.
    ///
    /// # Errors
    /// The database fails.
    pub async fn get_or<Answer: Serialize + DeserializeOwned>(
        &self,
        reading: &Reading,
        fresh: Fresh,
        question: &Question<'_>,
        compute: impl Future<Output = Result<Answer, sqlx::Error>>,
    ) -> Result<(Fresh, Answer), sqlx::Error> {
        let Some(kept) = &self.0 else { return Ok((fresh, compute.await?)) };
        if kept.server.is_left_alone() {
            looked("bypass");
            return Ok((fresh, compute.await?));
        }
        let Some(standing) = Standing::read(&reading.pool, question).await? else {
            return Ok((fresh, compute.await?)); // it has read nothing yet
        };
        let key = format!("{}{}", kept.key_prefix, standing.key(question));
        let fresh = Fresh(standing.freshness.clone());
        match kept.find(&key).await {
            Found::Hit(answer) => Ok((fresh, answer)),
            Found::Nothing => Ok((fresh, compute.await?)),
            Found::Miss => {
                let answer = compute.await?;
                // The view may have moved while it was asked; then this is no answer of either. When
                // that cannot be told, the answer is as good, only not kept.
                let after = Standing::read(&reading.pool, question).await;
                if after.is_ok_and(|after| after.as_ref() == Some(&standing)) {
                    kept.keep(key, &answer);
                }
                Ok((fresh, answer))
            }
        }
    }
}

impl Kept {
    async fn find<Answer: DeserializeOwned>(&self, key: &str) -> Found<Answer> {
        // A byte more than the longest value of ours is enough to see that it is none, however long
        // it is. A key that is not there reads as nothing.
        let mut command = redis::cmd("GETRANGE");
        command.arg(key).arg(0).arg(envelope::MOST_SEALED_BYTES);
        let value: Vec<u8> = match self.server.ask(Errand::Read, &command).await {
            Ok(value) => value,
            Err(Silence::WrongType) => return self.unusable(key),
            Err(Silence::NotAsked) => return nothing("bypass"),
            Err(Silence::Failed) => return nothing("error"),
        };
        if value.is_empty() {
            looked("miss");
            return Found::Miss;
        }
        let answer = envelope::open(key, &value).map(serde_json::from_slice);
        let Some(Ok(answer)) = answer else { return self.unusable(key) };
        looked("hit");
        Found::Hit(answer)
    }

    fn unusable<Answer>(&self, key: &str) -> Found<Answer> {
        tracing::warn!(redis.key = key, "a kept answer cannot be used and is removed");
        self.change(Change::Remove { key: key.to_owned() });
        looked("miss");
        Found::Miss
    }

    fn keep(&self, key: String, answer: &impl Serialize) {
        let value = serde_json::to_vec(answer).ok();
        match value.and_then(|answer| envelope::seal(&key, &answer)) {
            Some(value) => self.change(Change::Keep { key, value }),
            None => changed("unfit"), // too long, or it cannot be written: the caller has it all the same
        }
    }

    fn change(&self, change: Change) {
        if self.changes.try_send(change).is_err() {
            changed("dropped"); // Redis is slower than the callers, or the service stops
        }
    }
}

/// Carries out what is to be changed, one after the other.
async fn change(
    server: &Server,
    mut queue: mpsc::Receiver<Change>,
    keep_for_ms: u64,
    stop: &CancellationToken,
) {
    while let Some(Some(change)) = stop.run_until_cancelled(queue.recv()).await {
        let (command, done) = match change {
            Change::Keep { key, value } => {
                let mut set = redis::cmd("SET");
                set.arg(key).arg(value).arg("PX").arg(keep_for_ms);
                (set, "kept")
            }
            Change::Remove { key } => {
                let mut unlink = redis::cmd("UNLINK"); // does not wait for a large value's memory
                unlink.arg(key);
                (unlink, "removed")
            }
        };
        let answer: Result<redis::Value, Silence> = server.ask(Errand::Write, &command).await;
        changed(match answer {
            Ok(_) => done,
            Err(Silence::NotAsked) => "bypassed",
            Err(Silence::Failed | Silence::WrongType) => "failed",
        });
    }
}

fn nothing<Answer>(outcome: &'static str) -> Found<Answer> {
    looked(outcome);
    Found::Nothing
}

/// What became of a caller's question to Redis.
fn looked(outcome: &'static str) {
    metrics::counter!("factline_cache_total", "outcome" => outcome).increment(1);
}

/// What became of a change.
fn changed(outcome: &'static str) {
    metrics::counter!("factline_cache_changes_total", "outcome" => outcome).increment(1);
}
