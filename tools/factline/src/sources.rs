//! The places that answer: the log's database, every projector's, Kafka, the services.

use std::str::FromStr;
use std::time::Duration;

use factline_kafka::KafkaSettings;
use factline_log::LogReader;
use reqwest::Client;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::failure::Failure;
use crate::settings::{Settings, service_name};

/// A person waits for no longer than this for a service or a database that is away.
const PATIENCE: Duration = Duration::from_secs(3);
/// One question at a time, and one beside it.
const CONNECTIONS: u32 = 2;

/// A service that projects, and its database.
pub(crate) struct Projector {
    pub(crate) service: String,
    pub(crate) database: PgPool,
}

/// Everything that can be asked; connections are opened when needed.
pub(crate) struct Sources {
    /// Reads events as such.
    pub(crate) reader: LogReader,
    /// The log's database.
    pub(crate) log: PgPool,
    pub(crate) projectors: Vec<Projector>,
    /// Name and admin address.
    pub(crate) services: Vec<(String, String)>,
    pub(crate) kafka: KafkaSettings,
    pub(crate) http: Client,
}

/// A topic of the log and how far each of its partitions is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// In the order of the partitions, from 0.
    pub(crate) heads: Vec<i64>,
    /// What the relay has sent, likewise.
    pub(crate) relayed: Vec<i64>,
}

impl Sources {
    /// # Errors
    /// An address cannot be read.
    pub(crate) fn new(settings: Settings) -> Result<Sources, Failure> {
        let projectors = settings
            .databases
            .iter()
            .map(|(key, url)| Ok(Projector { service: service_name(key), database: pool(url)? }));
        let http = Client::builder().no_proxy().timeout(PATIENCE).build();
        let services = settings.services.iter();
        Ok(Sources {
            reader: LogReader::new(&settings.log.url, CONNECTIONS)?,
            log: pool(&settings.log.url)?,
            projectors: projectors.collect::<Result<_, Failure>>()?,
            services: services.map(|(key, url)| (service_name(key), url.clone())).collect(),
            kafka: KafkaSettings {
                brokers: settings.kafka.brokers,
                group_prefix: settings.kafka.group_prefix,
                topic_prefix: settings.kafka.topic_prefix,
                client_id: "factline-operator".to_owned(),
                ..KafkaSettings::default()
            },
            http: http.map_err(|error| Failure::new(error.to_string()))?,
        })
    }

    /// The log's topics with the positions of this moment.
    ///
    /// # Errors
    /// The log does not answer.
    pub(crate) async fn topics(&self) -> Result<Vec<Topic>, Failure> {
        const TOPICS: &str = "
            select h.topic, array_agg(h.position order by h.partition),
                   array_agg(coalesce(c.position, 0) order by h.partition)
            from log.heads h left join log.relay_cursors c using (topic, partition)
            group by 1 order by 1";
        let rows: Vec<(String, Vec<i64>, Vec<i64>)> =
            sqlx::query_as(TOPICS).fetch_all(&self.log).await?;
        let topic = |(name, heads, relayed)| Topic { name, heads, relayed };
        Ok(rows.into_iter().map(topic).collect())
    }
}

impl Topic {
    /// The last position of a partition; 0 when there is no such partition.
    pub(crate) fn head(&self, partition: i32) -> i64 {
        let index = usize::try_from(partition).ok();
        index.and_then(|index| self.heads.get(index)).copied().unwrap_or_default()
    }

    /// Events of the whole topic.
    pub(crate) fn events(&self) -> i64 {
        self.heads.iter().sum()
    }
}

fn pool(url: &str) -> Result<PgPool, Failure> {
    let options = PgConnectOptions::from_str(url)?.application_name("factline-operator");
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
    Ok(pool.connect_lazy_with(options))
}
