//! Section `[log]`.

use serde::{Deserialize, Serialize};

/// How the log is reached and how much it takes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// The database, as the role that may append and read but never change history.
    pub url: String,
    /// The database as its owner: only `migrate` uses it.
    pub owner_url: String,
    /// Partitions of every topic. Fixed at the first `migrate`.
    pub partitions: i32,
    /// Lanes for each aggregate kind; each has one database connection. More lanes than database
    /// cores only make the batches smaller.
    pub lanes: usize,
    /// Commands that may wait in one lane before further ones are refused as busy.
    pub lane_queue: usize,
    /// Commands that one append takes at most. Bounds the time that a partition's head is locked.
    pub batch_commands: usize,
    /// Aggregates whose state each lane keeps in memory, at most.
    pub cached_streams: usize,
    /// What they may take in each lane's memory, with their recent commands, in bytes as estimated:
    /// a state counts as long as its JSON is, an event as its struct and its datum.
    pub cached_bytes: usize,
    /// Commands of each cached stream whose repeats are answered without the database. Each costs
    /// the memory of its events.
    pub recent_commands: usize,
    /// A snapshot is written when a stream crosses a multiple of this many events.
    pub snapshot_every: i64,
    /// A snapshot is also written when loading a stream took longer than this, in milliseconds.
    pub snapshot_after_load_ms: u64,
    /// A lane waits so long for a lock, in milliseconds; then its commands are refused as
    /// unavailable, and nothing is written. Another process holds a head for the time of an append;
    /// only a migration holds a lock for longer.
    pub lock_timeout_ms: u32,
    /// Take commands although the server may forget, or the role may change, what was acknowledged.
    /// For data that nobody minds losing.
    pub allow_unsafe_database: bool,
    /// Connections for reading history.
    pub read_connections: u32,
}

impl LogSettings {
    /// What is wrong with the values, as (key, detail).
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, key: &'static str, detail: &str| {
            if !holds {
                problems.push((key, detail.to_owned()));
            }
        };
        require(!self.url.is_empty(), "url", "is required");
        require((1..=1024).contains(&self.partitions), "partitions", "must be 1 to 1024");
        require((1..=64).contains(&self.lanes), "lanes", "must be 1 to 64");
        require(self.lane_queue >= 1, "lane_queue", "must be at least 1");
        require((1..=2048).contains(&self.batch_commands), "batch_commands", "must be 1 to 2048");
        require(self.cached_streams >= 1, "cached_streams", "must be at least 1");
        require(self.cached_bytes >= 1, "cached_bytes", "must be at least 1");
        require(self.lock_timeout_ms >= 1, "lock_timeout_ms", "must be at least 1: 0 never ends");
        require(self.snapshot_every >= 2, "snapshot_every", "must be at least 2");
        require(self.read_connections >= 1, "read_connections", "must be at least 1");
        problems
    }
}
