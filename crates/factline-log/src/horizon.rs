//! For how long a database has not been able to forget.
//!
//! No vacuum removes a row version that the oldest open transaction might still see, so a session that was
//! left open makes every table and index that is updated grow. Its transaction's begin is for privileged eyes
//! alone; what it holds back is for all: so this remembers since when that has been the same.

use std::time::{Duration, Instant};

use metrics::gauge;
use sqlx::PgPool;

/// The oldest transaction id that some session of this database holds back. While none has been assigned
/// since, nothing is held back by it.
const HELD: &str = "
    select held.xid::text
    from pg_stat_activity, lateral (values (backend_xid), (backend_xmin)) held (xid)
    where datname = current_database() and pid <> pg_backend_pid() and age(held.xid) > 0
    order by age(held.xid) desc
    limit 1";

/// What a database cannot forget, and since when that has been seen.
#[derive(Debug, Default)]
pub(crate) struct Horizon {
    held: Option<(String, Instant)>,
}

impl Horizon {
    /// Answers for how long looks have found the same transaction to be the oldest.
    pub(crate) async fn look(&mut self, pool: &PgPool) -> Result<Duration, sqlx::Error> {
        let now: Option<String> = sqlx::query_scalar(HELD).fetch_optional(pool).await?;
        if self.held.as_ref().map(|(xid, _)| xid) != now.as_ref() {
            self.held = now.map(|xid| (xid, Instant::now()));
        }
        let held = self.held.as_ref().map_or(Duration::ZERO, |(_, since)| since.elapsed());
        gauge!("factline_database_horizon_held_seconds").set(held.as_secs_f64());
        Ok(held)
    }
}
