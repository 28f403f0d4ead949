//! The conversation with Redis: commands flow in, answers flow out or nothing does, within the budget.
//! It reports to readiness how that goes. Whatever Redis does, nobody waits longer and nothing fails.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, RedisResult,
    aio::MultiplexedConnection,
};
use service_kit::Component;
use tokio::time::timeout;

use super::breaker::Breaker;
use crate::redis::redis_refuses_us;

/// Reads and writes fail apart (a replica answers the former alone), so each is counted apart.
#[derive(Clone, Copy)]
pub(super) enum Errand {
    Read,
    Write,
}

/// Why there is no answer.
pub(super) enum Silence {
    /// It was not asked: it has failed too often just now.
    NotAsked,
    /// It failed, or took too long.
    Failed,
    /// Under the key is a value of another type: nothing is wrong with Redis.
    WrongType,
}

pub(super) struct Server {
    client: Client,
    answer_within: Duration,
    /// Shared by everybody; none before the first command and after a failure.
    connection: Mutex<Option<MultiplexedConnection>>,
    /// Held by the one who connects.
    connecting: tokio::sync::Mutex<()>,
    health: Mutex<Health>,
}

/// How it goes, and who is told.
struct Health {
    component: Component,
    reads: Line,
    writes: Line,
}

struct Line {
    breaker: Breaker,
    /// Set while it refuses us or is not asked.
    trouble: Option<Trouble>,
}

enum Trouble {
    /// It does not take us for whom we say we are: a person must act.
    Refused(String),
    /// Time may cure it.
    Failing(String),
}

impl Server {
    /// Connects when it is first asked.
    pub(super) fn new(
        client: Client,
        answer_within: Duration,
        pause: Duration,
        component: Component,
    ) -> Self {
        component.ready();
        let line = || Line { breaker: Breaker::new(pause), trouble: None };
        Self {
            client,
            answer_within,
            connection: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            health: Mutex::new(Health { component, reads: line(), writes: line() }),
        }
    }

    /// Whether a read would not be asked anyway.
    pub(super) fn is_left_alone(&self) -> bool {
        self.health().reads.breaker.is_resting(Instant::now())
    }

    /// Asks, within the budget, connecting included. Safe to cancel.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        errand: Errand,
        command: &Cmd,
    ) -> Result<T, Silence> {
        if !self.health().line(errand).breaker.may_ask(Instant::now()) {
            return Err(Silence::NotAsked);
        }
        let answered = match timeout(self.answer_within, self.send(command)).await {
            Ok(Err(error)) if error.code() == Some("WRONGTYPE") => {
                self.health().succeeded(errand);
                return Err(Silence::WrongType);
            }
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Trouble::of(&error)),
            Err(_) => Err(Trouble::Failing(format!("no answer in {:?}", self.answer_within))),
        };
        match answered {
            Ok(answer) => {
                self.health().succeeded(errand);
                Ok(answer)
            }
            Err(trouble) => {
                // By then the address may lead to another server, or this one know us.
                *self.open_connection() = None;
                self.health().failed(errand, trouble);
                Err(Silence::Failed)
            }
        }
    }

    async fn send<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let mut connection = self.connection().await?;
        command.query_async(&mut connection).await
    }

    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        if let Some(open) = self.open_connection().clone() {
            return Ok(open);
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(open) = self.open_connection().clone() {
            return Ok(open); // another one was faster
        }
        // The budget around it all is the only limit.
        let config = AsyncConnectionConfig::new();
        let config = config.set_connection_timeout(None).set_response_timeout(None);
        let fresh = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        *self.open_connection() = Some(fresh.clone());
        Ok(fresh)
    }

    fn open_connection(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner) // a handle
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner) // counts and texts
    }
}

impl Health {
    fn line(&mut self, errand: Errand) -> &mut Line {
        match errand {
            Errand::Read => &mut self.reads,
            Errand::Write => &mut self.writes,
        }
    }

    fn succeeded(&mut self, errand: Errand) {
        let line = self.line(errand);
        line.breaker.succeeded();
        line.trouble = None;
        self.report();
    }

    fn failed(&mut self, errand: Errand, trouble: Trouble) {
        let line = self.line(errand);
        line.breaker.failed(Instant::now());
        let refused = matches!(trouble, Trouble::Refused(_));
        if refused && !matches!(line.trouble, Some(Trouble::Refused(_))) {
            tracing::error!(redis.error = %trouble, "the cache's Redis refuses us");
        }
        if refused || line.breaker.is_open() {
            line.trouble = Some(trouble);
        }
        self.report();
    }

    fn report(&self) {
        let troubles: Vec<String> = [("reads", &self.reads), ("writes", &self.writes)]
            .into_iter()
            .filter_map(|(name, line)| Some(format!("{name}: {}", line.trouble.as_ref()?)))
            .collect();
        if troubles.is_empty() {
            self.component.ready();
        } else {
            self.component.degraded(troubles.join("; "));
        }
    }
}

impl Trouble {
    fn of(error: &RedisError) -> Self {
        let why = match (error.code(), error.detail()) {
            (Some(code), Some(detail)) => format!("{code} {detail}"), // as the server said it
            _ => error.to_string(),
        };
        if redis_refuses_us(error) { Self::Refused(why) } else { Self::Failing(why) }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Failing(why) => f.write_str(why),
        }
    }
}
