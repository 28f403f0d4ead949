//! The two services that an event passes, as processes with databases of their own.

use std::time::{Duration, Instant};

use factline_core::topic_name;
use factline_log::{LogReader, LogSettings};
use factline_testkit::{TestDatabase, unique_prefix};
use sqlx::{Connection, PgConnection};
use tokio::time::sleep;

use crate::failure::Failure;
use crate::http::load::{ITEMS, add_items};
use crate::http::server::Server;
use crate::surroundings::Surroundings;
use crate::verify::Numbers;

/// What every item had at first (see `http/load.rs`).
const FIRST_QUANTITY: i64 = 1_000_000_000;
/// After the load the views have caught up in this time, or something has stopped.
const QUIET_WITHIN: Duration = Duration::from_secs(60);
const LIST: &str = "projector-list";

/// See the module.
pub(super) struct System {
    pub(super) api: Server,
    pub(super) list: Server,
    pub(super) list_url: String,
    pub(super) numbers: Numbers,
    log: LogSettings,
    topic: String,
    list_settings: Vec<(&'static str, String)>,
    _databases: [TestDatabase; 2],
}

impl System {
    /// Starts both, with a thousand items.
    pub(super) async fn start(surroundings: &Surroundings) -> Result<System, Failure> {
        let log_database = TestDatabase::create("bench_e2e_log").await;
        let list_database = TestDatabase::create("bench_e2e_list").await;
        let log = Surroundings::log_settings(&log_database.url())?;
        let prefix = unique_prefix("bench");
        let topic = topic_name(&prefix, "inventory");
        let both = [
            ("KAFKA__BROKERS", surroundings.addresses.kafka.clone()),
            ("KAFKA__GROUP_PREFIX", format!("{prefix}.")),
            ("KAFKA__TOPIC_PREFIX", prefix),
            ("REGISTRY__URL", surroundings.addresses.registry_url.clone()),
        ];
        let mut api_settings = vec![
            ("ROLES", "http,relay".to_owned()), // nothing is measured that a saga reacts to
            ("LOG__URL", log.url.clone()),
            ("LOG__OWNER_URL", log.owner_url.clone()),
            ("SAGA__DATABASE__URL", String::new()),
        ];
        api_settings.extend(both[..1].iter().chain(&both[2..]).cloned());
        let list_url = list_database.url();
        let mut list_settings = vec![
            ("DATABASE__URL", list_url.clone()),
            ("LIVE__REDIS_URL", String::new()),
            ("HISTORY__URL", log.owner_url.replace("//postgres@", "//factline_log_reader@")),
        ];
        list_settings.extend(both);
        let api = Server::service(surroundings, "command-api", &api_settings).await?;
        add_items(api.address).await?;
        let list = Server::service(surroundings, LIST, &list_settings).await?;
        let system = System {
            api,
            list,
            list_url,
            numbers: Numbers::default(),
            log,
            topic,
            list_settings,
            _databases: [log_database, list_database],
        };
        system.wait_until_quiet().await?;
        Ok(system)
    }

    /// A second projector comes into the group and leaves it again.
    pub(super) async fn come_and_go(&self, surroundings: &Surroundings) -> Result<(), Failure> {
        /// Long enough for its share of the partitions to be at work there.
        const STAYS: Duration = Duration::from_secs(1);
        let another = Server::another(surroundings, LIST, &self.list_settings).await?;
        sleep(STAYS).await;
        another.stop().await
    }

    /// Every checkpoint is at its partition's head.
    pub(super) async fn wait_until_quiet(&self) -> Result<(), Failure> {
        const APPLIED: &str = "
            select coalesce(sum(position), 0)::bigint from projection.checkpoints
            where projection = 'inventory_list'";
        let reader = LogReader::new(&self.log.owner_url, 1)?;
        let mut connection = PgConnection::connect(&self.list_url).await?;
        let deadline = Instant::now() + QUIET_WITHIN;
        loop {
            let heads = reader.heads(&self.topic).await?;
            let head: i64 = heads.iter().map(|(_, position)| position.0).sum();
            let (applied,): (i64,) = sqlx::query_as(APPLIED).fetch_one(&mut connection).await?;
            if applied == head {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Failure::new(format!("{applied} of {head} events were applied")));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every sale that was answered 201, and no other, is in the view once.
    pub(super) async fn check(&self) -> Result<Result<String, String>, Failure> {
        self.wait_until_quiet().await?;
        let sold = "select count(*), coalesce(sum($1 - on_hand), 0)::bigint from inventory_list";
        let mut connection = PgConnection::connect(&self.list_url).await?;
        let (items, sold): (i64, i64) =
            sqlx::query_as(sold).bind(FIRST_QUANTITY).fetch_one(&mut connection).await?;
        let given = self.numbers.given();
        let told = format!("{sold} of {given} sales in {items} rows");
        let right = sold.unsigned_abs() == given && usize::try_from(items) == Ok(ITEMS);
        Ok(if right { Ok(told) } else { Err(told) })
    }
}
