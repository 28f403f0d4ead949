//! How far a database's clock and this process's are apart.
//!
//! Nothing is put in order by a clock here. But how late a view is, when a timer is due and what people are
//! told is read from clocks, and a wrong one makes all of that wrong in silence.

use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::gauge;
use sqlx::PgPool;
use tracing::warn;

/// Far beyond what synchronised clocks and a slow answer come to.
const TOO_FAR: Duration = Duration::from_secs(300);

/// Watches the two clocks.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch {
    too_far: bool,
}

impl ClockWatch {
    /// Answers by how much they differ, either way. What is too much is a warning in the log, once until it is
    /// less.
    pub(crate) async fn look(&mut self, pool: &PgPool) -> Result<Duration, sqlx::Error> {
        let asked = Utc::now();
        let theirs = sqlx::query_scalar("select clock_timestamp()").fetch_one(pool).await?;
        let apart = apart(asked, theirs, Utc::now());
        gauge!("factline_database_clock_apart_seconds").set(apart.as_secs_f64());
        let too_far = apart > TOO_FAR;
        if too_far && !self.too_far {
            warn!(
                seconds = apart.as_secs(),
                database_clock = %theirs,
                "the database's clock and this process's are far apart: one of them is wrong"
            );
        }
        self.too_far = too_far;
        Ok(apart)
    }
}

/// Their clock was read at some moment between the question and the answer.
fn apart(asked: DateTime<Utc>, theirs: DateTime<Utc>, answered: DateTime<Utc>) -> Duration {
    let ours = theirs.clamp(asked, answered.max(asked));
    (theirs - ours).abs().to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn c12_a_clock_that_was_read_while_the_question_was_under_way_is_right() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        assert_eq!(apart(at(100), at(100), at(107)), Duration::ZERO);
        assert_eq!(apart(at(100), at(106), at(107)), Duration::ZERO);
        assert_eq!(apart(at(100), at(110), at(107)), Duration::from_secs(3));
        assert_eq!(apart(at(100), at(90), at(107)), Duration::from_secs(10));
        assert_eq!(apart(at(100), at(103), at(80)), Duration::from_secs(3), "ours went back");
    }
}
