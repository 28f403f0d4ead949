//! The loop of whatever is asked for through the database: look, carry out, wait, until told to stop.

use std::{future::Future, time::Duration};

use tokio::{sync::watch, time::sleep};
use tracing::warn;

use crate::ProjectionSettings;

/// How often the database is looked at: at a person's pace, far from the hot path.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Somebody who looks for what is asked, and does it.
pub(crate) trait Rounds: Send {
    /// One look, with all that follows from it. Dropping it is like a crash.
    ///
    /// # Errors
    /// Something has to wait, for what the sentence says; it is looked for again.
    fn round(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

/// Makes rounds until told to stop. What is under way is abandoned then, and stays asked for.
pub(crate) async fn patrol(
    mut rounds: impl Rounds,
    projection: &'static str,
    settings: &ProjectionSettings,
    mut stop: watch::Receiver<bool>,
) {
    let mut attempts = 0;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            went = rounds.round() => match went {
                Ok(()) => attempts = 0,
                Err(why) => {
                    attempts += 1;
                    if attempts == 1 {
                        warn!(projection, why, "what an operator asked for waits");
                    }
                }
            },
        }
        let wait = match attempts {
            0 => LOOK_EVERY,
            _ => settings.back_off(attempts).max(LOOK_EVERY),
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = sleep(wait) => {}
        }
    }
}
