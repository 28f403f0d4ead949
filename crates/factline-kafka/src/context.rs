//! What librdkafka says on its own account, as log lines of ours.

use rdkafka::{ClientContext, config::RDKafkaLogLevel, error::KafkaError};
use tracing::{debug, warn};

/// For clients without callbacks of their own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LoggingContext;

impl ClientContext for LoggingContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_client_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_client_error(&error, reason);
    }
}

/// A log line of the client. Never above `warn`: what a person must act on comes back as a fault
/// of the operation that failed, and is logged where that is handled.
pub(crate) fn log_client_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => {
            warn!(kafka.facility = facility, "the Kafka client says: {message}");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            debug!(kafka.facility = facility, "the Kafka client says: {message}");
        }
    }
}

/// A client-wide error. Most are a lost connection that the client itself repairs.
pub(crate) fn log_client_error(error: &KafkaError, reason: &str) {
    warn!(kafka.error = %error, "the Kafka client reports: {reason}");
}
