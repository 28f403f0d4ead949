//! Parked rows to the dead-letter topic `<group>.dlq`: at least once, in the order of parking.
//!
//! The database is the truth; the topic is a copy for the tools that people have. Key, value and
//! headers are untouched; what went wrong stands in the headers that Spring's dead letters have,
//! its numbers big-endian as there.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use factline_core::Fault;
use factline_kafka::{Admin, HeaderName, Headers, KafkaSettings, Outgoing, Producer};
use sqlx::{PgConnection, PgPool};
use tokio::{sync::watch, time::timeout};
use tracing::warn;

use crate::{
    Condition, Projection, failure::class_of, row, settings::ms, shared::Shared, status::Cause,
};

/// How many rows are sent in one transaction. Their locks keep other replicas from sending them too.
const PAGE: i64 = 200;
/// How long a page may be unacknowledged; then its rows are free for another try.
const SEND_WITHIN: Duration = Duration::from_secs(30);

const PARKED: &str = "
    select topic, partition, position as row_key, record_offset, record_at_ms, record_key,
           record_value, header_names, header_values, code, detail
    from projection.parked_events
    where projection = $1 and exported_at is null
    order by parked_at, topic, partition, position limit $2
    for update skip locked";

const FOREIGN: &str = "
    select topic, partition, record_offset as row_key, record_offset, record_at_ms, record_key,
           record_value, header_names, header_values, code, detail
    from projection.foreign_records
    where projection = $1 and exported_at is null
    order by topic, partition, record_offset limit $2
    for update skip locked";

const MARK_PARKED: &str = "
    update projection.parked_events t set exported_at = now()
    from unnest($2::text[], $3::int[], $4::bigint[]) k (topic, partition, row_key)
    where t.projection = $1 and t.topic = k.topic and t.partition = k.partition
      and t.position = k.row_key";

const MARK_FOREIGN: &str = "
    update projection.foreign_records t set exported_at = now()
    from unnest($2::text[], $3::int[], $4::bigint[]) k (topic, partition, row_key)
    where t.projection = $1 and t.topic = k.topic and t.partition = k.partition
      and t.record_offset = k.row_key";

row! {
    #[derive(Debug)]
    struct Row {
        topic: String,
        partition: i32,
        row_key: i64,
        record_offset: Option<i64>,
        record_at_ms: Option<i64>,
        record_key: Option<Vec<u8>>,
        record_value: Option<Vec<u8>>,
        header_names: Vec<String>,
        header_values: Vec<Option<Vec<u8>>>,
        code: String,
        detail: String,
    }
}

/// See the module.
pub(crate) struct Export<P: Projection> {
    shared: Arc<Shared<P>>,
    kafka: KafkaSettings,
    topic: Arc<str>,
    group: String,
    /// Made when the first row is there: most projections never need one.
    producer: Option<Producer>,
}

impl<P: Projection> Export<P> {
    pub(crate) fn new(shared: Arc<Shared<P>>, kafka: KafkaSettings) -> Self {
        let topic = kafka.dead_letters(shared.name()).into();
        let group = kafka.group(shared.name());
        Self { shared, kafka, topic, group, producer: None }
    }

    /// Exports until told to stop.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let every = ms(self.shared.settings.export_every_ms);
        let mut attempts = 0;
        loop {
            let wait = match self.export_all().await {
                Ok(()) => {
                    attempts = 0;
                    self.shared.board.clear(&Cause::Export);
                    every
                }
                Err(fault) => {
                    self.producer = None; // spent, if it was that
                    attempts += 1;
                    self.complain(&fault);
                    self.shared.settings.back_off(attempts).max(every)
                }
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.shared.parked.notified(), if attempts == 0 => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn complain(&self, fault: &Fault) {
        let reason = format!("dead letters are not exported: {fault}");
        if self.shared.board.set(Cause::Export, Condition::Degraded, reason) {
            warn!(projection = self.shared.name(), %fault, "dead letters are not exported");
        }
    }

    async fn export_all(&mut self) -> Result<(), Fault> {
        for (select, mark) in [(PARKED, MARK_PARKED), (FOREIGN, MARK_FOREIGN)] {
            while self.export_page(select, mark).await? {}
        }
        Ok(())
    }

    /// Sends one page; says whether there was one.
    async fn export_page(
        &mut self,
        select: &'static str,
        mark: &'static str,
    ) -> Result<bool, Fault> {
        let pool: PgPool = self.shared.database.clone();
        let name = self.shared.name();
        let mut tx = pool.begin().await.map_err(database)?;
        let rows: Vec<Row> = sqlx::query_as(select)
            .bind(name)
            .bind(PAGE)
            .fetch_all(&mut *tx)
            .await
            .map_err(database)?;
        if rows.is_empty() {
            return Ok(false);
        }
        let letters = rows.iter().map(|row| self.letter(row)).collect();
        let sending = self.producer().await?.send_all(letters);
        match timeout(SEND_WITHIN, sending).await {
            Ok(sent) => sent.map_err(|failure| failure.source)?,
            Err(elapsed) => return Err(Fault::transient("sending dead letters", elapsed)),
        }
        mark_exported(&mut tx, name, mark, &rows).await.map_err(database)?;
        tx.commit().await.map_err(database)?;
        Ok(true)
    }

    async fn producer(&mut self) -> Result<&Producer, Fault> {
        if self.producer.is_none() {
            let config = self.kafka.topic_config();
            Admin::new(&self.kafka)?.ensure_topic(&self.topic, 1, &config).await?;
        }
        match &mut self.producer {
            Some(producer) => Ok(producer),
            empty => Ok(empty.insert(Producer::new(&self.kafka)?)),
        }
    }

    fn letter(&self, row: &Row) -> Outgoing {
        let values = row.header_values.iter().map(|value| value.clone().map(Bytes::from));
        let names = row.header_names.iter().cloned().map(HeaderName::Owned);
        let mut headers: Headers = names.zip(values).collect();
        headers.extend(self.reasons(row));
        Outgoing {
            topic: Arc::clone(&self.topic),
            partition: Some(0),
            key: row.record_key.clone().map(Bytes::from),
            value: row.record_value.clone().map(Bytes::from),
            headers,
        }
    }

    /// Names and encodings of Spring for Apache Kafka's `DeadLetterPublishingRecoverer`.
    fn reasons(&self, row: &Row) -> Headers {
        let header = |name: &str, value: Vec<u8>| {
            (HeaderName::Owned(format!("kafka_dlt-{name}")), Some(Bytes::from(value)))
        };
        let mut headers = vec![
            header("original-topic", row.topic.clone().into_bytes()),
            header("original-partition", row.partition.to_be_bytes().to_vec()),
            header("original-consumer-group", self.group.clone().into_bytes()),
            header("exception-fqcn", row.code.clone().into_bytes()),
            header("exception-message", row.detail.clone().into_bytes()),
        ];
        let offset = row.record_offset.map(i64::to_be_bytes);
        headers.extend(offset.map(|offset| header("original-offset", offset.to_vec())));
        if let Some(at_ms) = row.record_at_ms {
            headers.push(header("original-timestamp", at_ms.to_be_bytes().to_vec()));
            headers.push(header("original-timestamp-type", b"CreateTime".to_vec()));
        }
        headers
    }
}

async fn mark_exported(
    tx: &mut PgConnection,
    projection: &str,
    mark: &'static str,
    rows: &[Row],
) -> Result<(), sqlx::Error> {
    sqlx::query(mark)
        .bind(projection)
        .bind(rows.iter().map(|row| row.topic.clone()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.partition).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.row_key).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

fn database(error: sqlx::Error) -> Fault {
    use crate::failure::Class;
    const DOING: &str = "reading parked rows";
    match class_of(&error) {
        Class::Config => Fault::fatal(DOING, error),
        Class::Transient | Class::Unknown | Class::Poison => Fault::transient(DOING, error),
    }
}
