//! A log of its own for each cell: a fresh database with the product's own migrations.

use factline_core::topic_name;
use factline_log::{LogSettings, ensure_topic, migrate};
use factline_testkit::TestDatabase;

use crate::failure::Failure;
use crate::surroundings::Surroundings;

/// Kept until the cell is checked; dropping it drops the database.
pub(crate) struct CellLog {
    _database: TestDatabase,
    pub(crate) topic: String,
    /// The committed defaults, for this database.
    pub(crate) settings: LogSettings,
}

impl CellLog {
    /// Migrates a new database and gives the kind's topic its partitions.
    pub(crate) async fn create(kind: &str) -> Result<CellLog, Failure> {
        CellLog::of_topic(&topic_name("bench", kind)).await
    }

    /// The same for a topic by its name, which Kafka is to know too.
    pub(crate) async fn of_topic(topic: &str) -> Result<CellLog, Failure> {
        let database = TestDatabase::create("bench").await;
        let settings = Surroundings::log_settings(&database.url())?;
        let mut owner = migrate(&settings.owner_url).await?;
        ensure_topic(&mut owner, topic, settings.partitions).await?;
        Ok(CellLog { _database: database, topic: topic.to_owned(), settings })
    }
}
