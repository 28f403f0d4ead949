//! Cutting a topic, as retention does.

use factline_core::Fault;
use rdkafka::{Offset, TopicPartitionList};

use super::{Admin, Administrator};
use crate::{classify, fault::classify_code};

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
        let cutting = async |client: &Administrator, options: &_| {
            client.delete_records(&places, options).await
        };
        for partition in self.administrate(DOING, cutting).await?.elements() {
            if let Err(error) = partition.error() {
                let code =
                    error.rdkafka_error_code().unwrap_or(rdkafka::types::RDKafkaErrorCode::Unknown);
                return Err(classify_code(DOING, code, code));
            }
        }
        Ok(ends.iter().map(|end| end.high - end.low).sum())
    }
}
