//! The relay's two halves alone.

use factline_kafka::Admin;
use factline_log::LogReader;
use sqlx::{Connection, PgConnection, Row};

use crate::backlog::Backlog;
use crate::failure::Failure;
use crate::log::CellLog;

/// Rows of one page.
const PAGE: usize = 2_000;

const AFTER: &str = "
    select * from log.events
    where topic = $1 and partition = $2 and position > $3 order by position limit 2000";

/// Reads every row of a log, partition by partition.
///
/// # Errors
/// The database fails.
pub(super) async fn scan(log: &CellLog) -> Result<u64, Failure> {
    let partitions = LogReader::new(&log.settings.url, 1)?.partitions(&log.topic).await?;
    let mut connection = PgConnection::connect(&log.settings.url).await?;
    sqlx::query("set enable_seqscan = off").execute(&mut connection).await?;
    let mut rows = 0;
    for partition in 0..partitions {
        let mut last = 0_i64;
        loop {
            let query = sqlx::query(AFTER).bind(&log.topic).bind(partition).bind(last);
            let page = query.fetch_all(&mut connection).await?;
            rows += u64::try_from(page.len()).unwrap_or_default();
            let Some(row) = page.last() else { break };
            last = row.try_get("position")?;
            if page.len() < PAGE {
                break;
            }
        }
    }
    Ok(rows)
}

/// A topic beside the relay's, with as many partitions and the same settings.
///
/// # Errors
/// Kafka refuses it.
pub(super) async fn empty_topic(backlog: &Backlog) -> Result<String, Failure> {
    let topic = format!("{}.raw", backlog.log.topic);
    let (kafka, partitions) = (&backlog.kafka, backlog.log.settings.partitions);
    Admin::new(kafka)?.ensure_topic(&topic, partitions, &kafka.topic_config()).await?;
    Ok(topic)
}
