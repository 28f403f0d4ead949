//! Callers that ask the write side for something over HTTP, again and again, until they are told
//! to stop. An attempt whose outcome is unknown is repeated with the same key, at either process,
//! until it is decided or the time for that is over.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::commands::{self, Known, Request};
use crate::dice::Dice;
use crate::failure::Failure;
use crate::history::{History, Operation, Outcome};

/// Callers at once: enough that batches hold several commands and streams are fought over.
const CALLERS: u64 = 16;
/// A caller thinks for so long between two operations, so that some hundreds come a second: more
/// would only measure this machine.
const THINKS_MS: (u64, u64) = (10, 60);
/// A caller gives an attempt up after so long: shorter than the longest pause of a service, so that
/// a frozen process leaves unknown outcomes behind.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(4);
/// Between two attempts of one operation.
const AGAIN_MS: (u64, u64) = (50, 400);
/// A service that has just started may say 503 for a moment.
const OPEN_WITHIN: Duration = Duration::from_secs(60);
/// After the load's end, operations whose outcome is unknown are tried for so long again.
const DECIDED_WITHIN: Duration = Duration::from_secs(10);

/// Where the processes of the write side are now; a dead one's address stays until the next.
pub(crate) type Targets = Arc<RwLock<Vec<String>>>;

/// What callers share.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) targets: Targets,
    pub(crate) history: Arc<History>,
    pub(crate) began: Instant,
    known: Known,
    client: Client,
}

impl Load {
    /// Nobody asks for anything yet.
    ///
    /// # Errors
    /// There is no HTTP client.
    pub(crate) fn new(targets: Targets, history: Arc<History>) -> Result<Load, Failure> {
        let client = Client::builder().no_proxy().timeout(ATTEMPT_WITHIN).build()?;
        let known = Known::default();
        Ok(Load { targets, history, began: Instant::now(), known, client })
    }

    /// Items and customers, each acknowledged.
    ///
    /// # Errors
    /// One is not.
    pub(crate) async fn open(&self, dice: &mut Dice) -> Result<(), Failure> {
        for request in commands::opening() {
            let deadline = Instant::now() + OPEN_WITHIN;
            loop {
                let operation = self.operate(dice, request.clone(), deadline).await;
                let outcome = operation.outcome;
                self.history.take(operation)?;
                if outcome == Outcome::Acknowledged {
                    break;
                }
                if Instant::now() >= deadline {
                    let path = &request.path;
                    return Err(Failure::told(format!("{path} was not acknowledged at the start")));
                }
                sleep(Duration::from_millis(200)).await;
            }
        }
        Ok(())
    }

    /// Callers for so long; returns when the last operation is decided or given up.
    ///
    /// # Errors
    /// The history cannot be written.
    pub(crate) async fn run(self: &Arc<Load>, seed: u64, lasts: Duration) -> Result<(), Failure> {
        let mut callers = JoinSet::new();
        let until = Instant::now() + lasts;
        for caller in 0..CALLERS {
            let (load, dice) = (Arc::clone(self), Dice::new(seed, 1_000 + caller));
            callers.spawn(async move { load.call(dice, until).await });
        }
        while let Some(caller) = callers.join_next().await {
            caller??;
        }
        Ok(())
    }

    /// Asks for the events of an item whose second one is stored spoiled; whether there is one behind
    /// it. The write side may refuse the rest: whoever has to read the stream again cannot.
    ///
    /// # Errors
    /// The history cannot be written.
    pub(crate) async fn poison(&self, which: u64) -> Result<bool, Failure> {
        let mut dice = Dice::new(which, 4);
        let mut acknowledged = 0;
        for request in commands::poisonous(&format!("poison-{which:016x}")) {
            let until = Instant::now() + DECIDED_WITHIN;
            let operation = self.operate(&mut dice, request, until).await;
            acknowledged += u32::from(operation.outcome == Outcome::Acknowledged);
            self.history.take(operation)?;
        }
        Ok(acknowledged >= 2)
    }

    async fn call(&self, mut dice: Dice, until: Instant) -> Result<(), Failure> {
        while Instant::now() < until {
            let request = commands::next(&mut dice, &self.known);
            let operation = self.operate(&mut dice, request.clone(), until + DECIDED_WITHIN).await;
            if operation.outcome == Outcome::Acknowledged {
                self.known.placed(&request, &operation.events);
            }
            self.history.take(operation)?;
            sleep(Duration::from_millis(dice.between(THINKS_MS.0, THINKS_MS.1))).await;
        }
        Ok(())
    }

    async fn operate(&self, dice: &mut Dice, request: Request, until: Instant) -> Operation {
        let Request { path, body, .. } = &request;
        let mut operation = Operation {
            key: dice.uuid().to_string(),
            correlation_id: dice.uuid(),
            path: path.clone(),
            request: body.clone(),
            outcome: Outcome::Unknown,
            status: None,
            code: None,
            token: None,
            events: Vec::new(),
            attempts: 0,
            began_us: self.now_us(),
            ended_us: 0,
        };
        let mut lost = false;
        loop {
            operation.attempts += 1;
            let answer = self.attempt(dice, &request, &operation).await;
            if operation.hear(answer, &mut lost) || Instant::now() >= until {
                break;
            }
            sleep(Duration::from_millis(dice.between(AGAIN_MS.0, AGAIN_MS.1))).await;
        }
        operation.ended_us = self.now_us();
        operation
    }

    async fn attempt(&self, dice: &mut Dice, request: &Request, operation: &Operation) -> Answer {
        let target = {
            let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
            dice.one_of(&targets).cloned().unwrap_or_default()
        };
        let url = format!("{target}{}", request.path);
        let sending = self.client.request(request.method.clone(), url);
        let sending = sending
            .header("Idempotency-Key", &operation.key)
            .header("X-Correlation-Id", operation.correlation_id.to_string())
            .json(&request.body);
        match sending.send().await {
            Ok(response) => read(response).await,
            Err(error) if error.is_connect() => Answer::NotSent,
            Err(_) => Answer::Lost,
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// What came back of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// No connection: certainly nothing happened.
    NotSent,
    /// It may have happened.
    Lost,
    /// Status, token, body.
    Whole(u16, Option<String>, Value),
}

async fn read(response: Response) -> Answer {
    let status = response.status().as_u16();
    let token = response.headers().get("consistency-token");
    let token = token.and_then(|token| token.to_str().ok()).map(str::to_owned);
    match response.json::<Value>().await {
        Ok(body) => Answer::Whole(status, token, body),
        Err(_) => Answer::Lost, // cut off in the middle
    }
}

impl Operation {
    /// Takes an answer in; whether the operation is decided. `lost`: an attempt before may have
    /// happened, or may still: a refusal then says nothing about it.
    pub(crate) fn hear(&mut self, answer: Answer, lost: &mut bool) -> bool {
        let (status, token, body) = match answer {
            Answer::NotSent => return false,
            Answer::Lost => {
                *lost = true;
                return false;
            }
            Answer::Whole(status, token, body) => (status, token, body),
        };
        self.status = Some(status);
        self.code = body["code"].as_str().map(str::to_owned);
        match status {
            200 | 201 => {
                self.outcome = Outcome::Acknowledged;
                (self.token, self.code) = (token, None);
                self.events = serde_json::from_value(body["events"].clone()).unwrap_or_default();
                true
            }
            503 if self.code.as_deref() != Some("outcome_unknown") && !*lost => {
                self.outcome = Outcome::Failed; // nothing was written, it says
                true
            }
            400..=499 if status != 409 || self.code.as_deref() != Some("in_progress") => {
                self.outcome = if *lost { Outcome::Unknown } else { Outcome::Failed };
                true
            }
            _ => {
                *lost |= self.code.as_deref() == Some("outcome_unknown") || status == 500;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn operation() -> Operation {
        Operation {
            key: String::new(),
            correlation_id: Uuid::nil(),
            path: String::new(),
            request: Value::Null,
            outcome: Outcome::Unknown,
            status: None,
            code: None,
            token: None,
            events: Vec::new(),
            attempts: 1,
            began_us: 0,
            ended_us: 0,
        }
    }

    fn heard(answers: &[(u16, &str)], lost_first: bool) -> (Outcome, bool) {
        let (mut one, mut lost, mut decided) = (operation(), false, false);
        if lost_first {
            decided = one.hear(Answer::Lost, &mut lost);
        }
        for (status, code) in answers {
            decided = one.hear(Answer::Whole(*status, None, json!({"code": code})), &mut lost);
        }
        (one.outcome, decided)
    }

    #[test]
    fn a_refusal_is_a_failure_unless_an_attempt_before_it_was_lost() {
        assert_eq!(heard(&[(422, "insufficient_stock")], false), (Outcome::Failed, true));
        assert_eq!(heard(&[(422, "insufficient_stock")], true), (Outcome::Unknown, true));
        assert_eq!(heard(&[(503, "busy")], false), (Outcome::Failed, true));
    }

    #[test]
    fn an_unknown_outcome_is_tried_again_until_it_is_known() {
        assert_eq!(heard(&[(503, "outcome_unknown")], false), (Outcome::Unknown, false));
        let both = [(503, "outcome_unknown"), (503, "busy")];
        assert_eq!(heard(&both, false), (Outcome::Unknown, false), "busy decides nothing now");
        let both = [(503, "outcome_unknown"), (201, "")];
        assert_eq!(heard(&both, false), (Outcome::Acknowledged, true));
    }
}
