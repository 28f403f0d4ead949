//! Cutting a topic, as retention does.

use factline_core::Fault;
use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
};

use super::Admin;
use crate::{classify, context::LoggingContext, fault::classify_code};

impl Admin {
    /// Removes every record that the topic has at this moment, as retention would in time; how many
    /// offsets that were. What no projection has read by then, it has to read from the log: this is
    /// for proving that it does.
    ///
    /// # Errors
    /// The cluster did not answer in time, or refused; some partitions may be cut. Fatal when there
    /// is no such topic.
    pub async fn cut(&self, topic: &str) -> Result<i64, Fault> {
        const DOING: &str = "cutting a topic";
        let failed = |error| classify(DOING, error);
        let ends = self.watermarks(topic).await?;
        let mut places = TopicPartitionList::new();
        for end in &ends {
            let place = Offset::Offset(end.high);
            places.add_partition_offset(topic, end.partition, place).map_err(failed)?;
        }
        let config = self.settings.client_config();
        let client: AdminClient<LoggingContext> =
            config.create_with_context(LoggingContext).map_err(failed)?;
        let options = AdminOptions::new()
            .request_timeout(Some(self.deadline()))
            .operation_timeout(Some(self.deadline()));
        let cut = client.delete_records(&places, &options).await;
        // The client's drop joins a thread that looks up every 100 ms.
        tokio::task::spawn_blocking(move || drop(client));
        for partition in cut.map_err(failed)?.elements() {
            if let Err(error) = partition.error() {
                let code =
                    error.rdkafka_error_code().unwrap_or(rdkafka::types::RDKafkaErrorCode::Unknown);
                return Err(classify_code(DOING, code, code));
            }
        }
        Ok(ends.iter().map(|end| end.high - end.low).sum())
    }
}
