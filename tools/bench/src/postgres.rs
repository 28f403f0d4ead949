//! What PostgreSQL itself tells: how much it wrote to its log, how often it flushed, and how fast
//! one commit after the other is on this disk at this moment.

use std::time::{Duration, Instant};

use bench_load::{Gauge, Latency, as_f64};
use factline_testkit::TestDatabase;
use sqlx::{Connection, PgConnection};
use tokio::time::sleep;

use crate::failure::Failure;

/// How long the serial commits before each cell are counted: some hundred of them on a slow disk.
const SERIAL: Duration = Duration::from_millis(300);

/// How fast one commit after the other is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Serial {
    pub(crate) per_second: f64,
    pub(crate) latency: Latency,
}

/// One row a transaction, one transaction after the other, on one connection.
pub(crate) struct SerialCommits {
    connection: PgConnection,
    _database: TestDatabase,
}

impl SerialCommits {
    /// Makes its own database and warms it.
    pub(crate) async fn prepare() -> Result<SerialCommits, Failure> {
        let database = TestDatabase::create("serial_commits").await;
        let mut connection = PgConnection::connect(&database.url()).await?;
        sqlx::query("create table commits (number bigint)").execute(&mut connection).await?;
        let mut commits = SerialCommits { connection, _database: database };
        commits.measure().await?;
        Ok(commits)
    }

    /// Commits for a moment.
    pub(crate) async fn measure(&mut self) -> Result<Serial, Failure> {
        let gauge = Gauge::new();
        let notes = gauge.notes();
        gauge.begin();
        let start = Instant::now();
        while start.elapsed() < SERIAL {
            let began = Instant::now();
            let insert = sqlx::query("insert into commits values ($1)").bind(1_i64);
            insert.execute(&mut self.connection).await?;
            notes.note(1, began.elapsed());
        }
        let per_second = as_f64(gauge.units()) / start.elapsed().as_secs_f64();
        // Otherwise the server counts these flushes up to ten seconds later, in the middle of a cell.
        sqlx::query("select pg_stat_force_next_flush()").execute(&mut self.connection).await?;
        Ok(Serial { per_second, latency: gauge.latency() })
    }
}

/// A cell begins as every other cell does: right after a checkpoint.
pub(crate) async fn checkpoint(owner_url: &str) -> Result<PgConnection, Failure> {
    let mut connection = PgConnection::connect(owner_url).await?;
    sqlx::query("checkpoint").execute(&mut connection).await?;
    Ok(connection)
}

/// Watches a server's log and flushes, from the checkpoint on that a cell begins with.
pub(crate) struct Wal {
    connection: PgConnection,
    flushed_before: u64,
}

impl Wal {
    /// As a user that may see everything.
    pub(crate) async fn watch(owner_url: &str) -> Result<Wal, Failure> {
        let mut wal = Wal { connection: checkpoint(owner_url).await?, flushed_before: 0 };
        wal.flushed_before = wal.flushes().await?;
        Ok(wal)
    }

    /// Bytes written so far (`pg_current_wal_lsn`).
    pub(crate) async fn bytes(&mut self) -> Result<u64, Failure> {
        let query = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint";
        let (bytes,): (i64,) = sqlx::query_as(query).fetch_one(&mut self.connection).await?;
        Ok(u64::try_from(bytes).unwrap_or_default())
    }

    /// Flushes of the log since the checkpoint, by all processes of the server (`pg_stat_io`, object `wal`). A
    /// backend reports them when it is idle for a second, or when it ends: so wait for that first.
    pub(crate) async fn flushes(&mut self) -> Result<u64, Failure> {
        self.wait_until_alone().await?;
        let query = "select coalesce(sum(fsyncs), 0)::bigint from pg_stat_io where object = 'wal'";
        let (flushes,): (i64,) = sqlx::query_as(query).fetch_one(&mut self.connection).await?;
        Ok(u64::try_from(flushes).unwrap_or_default().saturating_sub(self.flushed_before))
    }

    async fn wait_until_alone(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let query = "select count(*) from pg_stat_activity
                         where datname = current_database() and pid <> pg_backend_pid()
                           and backend_type = 'client backend'";
            let (others,): (i64,) = sqlx::query_as(query).fetch_one(&mut self.connection).await?;
            if others == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Failure::new("a cell's connections do not end"));
            }
            sleep(Duration::from_millis(10)).await; // ends after a few
        }
    }
}

/// What was written between two readings, for one unit.
pub(crate) fn grown(readings: &[u64], units: u64) -> Option<f64> {
    let [before, after] = readings else { return None };
    Some(as_f64(after.saturating_sub(*before)) / as_f64(units.max(1)))
}
