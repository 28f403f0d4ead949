//! One table: which Kafka error is whose business.

use factline_core::{Fault, Source};
use rdkafka::{error::KafkaError, types::RDKafkaErrorCode as Code};

/// Who acts on an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Waiting may cure it.
    Transient,
    /// This one record can never be sent or read.
    Poison,
    /// An operator must change something.
    Fatal,
}

/// The fault that a Kafka error is; `doing` says what was tried. An error that the table does not
/// name is transient: a caller that retries without end must bound its patience and then page.
#[must_use]
pub fn classify(doing: &'static str, error: KafkaError) -> Fault {
    let class = class_of(&error);
    with_class(class, doing, error)
}

/// [`classify`] for callers that hold a bare code.
pub(crate) fn classify_code(doing: &'static str, code: Code, source: impl Into<Source>) -> Fault {
    with_class(class_of_code(code), doing, source)
}

fn with_class(class: Class, doing: &'static str, source: impl Into<Source>) -> Fault {
    match class {
        Class::Transient => Fault::transient(doing, source),
        Class::Poison => Fault::poison(doing, source),
        Class::Fatal => Fault::fatal(doing, source),
    }
}

fn class_of(error: &KafkaError) -> Class {
    if let KafkaError::AdminOp(code) = error {
        return class_of_code(*code); // the client's own accessor leaves this one out
    }
    match error.rdkafka_error_code() {
        Some(code) => class_of_code(code),
        None => match error {
            // Wrong settings, an impossible name: no wait cures them.
            KafkaError::ClientConfig(..)
            | KafkaError::ClientCreation(_)
            | KafkaError::Nul(_)
            | KafkaError::Subscription(_) => Class::Fatal,
            _ => Class::Transient, // the client's enum is open: it may grow in a patch release
        },
    }
}

fn class_of_code(code: Code) -> Class {
    match code {
        // Access: the brokers know us and say no.
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::Authentication
        | Code::SSL
        | Code::SecurityDisabled => Class::Fatal,
        // What was set up is not what the settings say: topic absent, recreated, or of another
        // shape; offsets gone; a broker too old.
        Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopicId
        | Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidConfig
        | Code::InvalidRequiredAcks
        | Code::InvalidGroupId
        | Code::InvalidSessionTimeout
        | Code::InconsistentGroupProtocol
        | Code::PolicyViolation
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::UnsupportedCompressionType
        | Code::UnsupportedAssignor
        | Code::InvalidArgument
        | Code::OffsetOutOfRange
        | Code::AutoOffsetReset
        | Code::NoOffset
        | Code::LogTruncation
        | Code::FencedInstanceId
        | Code::UnreleasedInstanceId => Class::Fatal,
        // One record.
        Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge
        | Code::InvalidMessageSize
        | Code::InvalidRecord
        | Code::InvalidTimestamp
        | Code::KeySerialization
        | Code::ValueSerialization
        | Code::KeyDeserialization
        | Code::ValueDeserialization => Class::Poison,
        // The rest: networks, elections, coordinators, time-outs, throttling, purges. Even a
        // client that is `Fatal` is one that its owner replaces, not one that an operator mends.
        _ => Class::Transient, // the client's enum is open: it may grow in a patch release
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(error: KafkaError) -> Class {
        match classify("trying", error) {
            Fault::Transient { .. } => Class::Transient,
            Fault::Poison { .. } => Class::Poison,
            Fault::Fatal { .. } => Class::Fatal,
        }
    }

    macro_rules! table {
        ($($test:ident: $class:ident <- $($code:ident),+;)+) => {$(
            #[test]
            fn $test() {
                for code in [$(Code::$code),+] {
                    for error in [
                        KafkaError::Global(code),
                        KafkaError::MessageProduction(code),
                        KafkaError::MessageConsumption(code),
                        KafkaError::MetadataFetch(code),
                        KafkaError::AdminOp(code),
                    ] {
                        assert_eq!(class(error.clone()), Class::$class, "{error:?}");
                    }
                }
            }
        )+};
    }

    table! {
        a_lost_connection_is_transient:
            Transient <- BrokerTransportFailure, AllBrokersDown, Resolve, NetworkException;
        an_election_or_a_missing_replica_is_transient:
            Transient <- LeaderNotAvailable, NotLeaderForPartition, NotEnoughReplicas,
                NotEnoughReplicasAfterAppend, KafkaStorageError;
        a_timeout_is_transient:
            Transient <- MessageTimedOut, OperationTimedOut, RequestTimedOut, TimedOutQueue;
        a_group_in_motion_is_transient:
            Transient <- RebalanceInProgress, IllegalGeneration, UnknownMemberId,
                CoordinatorNotAvailable, NotCoordinator, CoordinatorLoadInProgress, PollExceeded;
        a_full_queue_or_a_purge_is_transient:
            Transient <- QueueFull, PurgeQueue, PurgeInflight, ThrottlingQuotaExceeded;
        a_spent_idempotent_producer_is_transient_because_a_new_one_works:
            Transient <- Fatal, OutOfOrderSequenceNumber, InvalidProducerEpoch, UnknownProducerId;
        an_error_that_nobody_knows_is_transient:
            Transient <- Unknown;
        a_refused_access_is_fatal:
            Fatal <- TopicAuthorizationFailed, GroupAuthorizationFailed,
                ClusterAuthorizationFailed, SaslAuthenticationFailed, Authentication, SSL;
        a_topic_that_is_not_there_is_fatal:
            Fatal <- UnknownTopic, UnknownTopicOrPartition, UnknownPartition, UnknownTopicId;
        an_offset_that_is_gone_is_fatal:
            Fatal <- OffsetOutOfRange, AutoOffsetReset, NoOffset, LogTruncation;
        a_setting_that_the_brokers_refuse_is_fatal:
            Fatal <- InvalidConfig, InvalidReplicationFactor, PolicyViolation,
                InvalidSessionTimeout, UnsupportedVersion, FencedInstanceId;
        a_record_that_is_too_large_is_poison:
            Poison <- MessageSizeTooLarge, MessageBatchTooLarge, InvalidRecord;
    }

    #[test]
    fn an_impossible_client_configuration_is_fatal() {
        assert_eq!(class(KafkaError::ClientCreation("no".into())), Class::Fatal);
        assert_eq!(class(KafkaError::Subscription("no".into())), Class::Fatal);
    }

    #[test]
    fn a_client_that_went_away_is_transient() {
        assert_eq!(class(KafkaError::Canceled), Class::Transient);
        assert_eq!(class(KafkaError::NoMessageReceived), Class::Transient);
    }

    #[test]
    fn the_fault_says_what_was_tried_and_keeps_the_clients_error() {
        let fault = classify("reading watermarks", KafkaError::Global(Code::AllBrokersDown));
        assert!(fault.to_string().starts_with("reading watermarks: "), "{fault}");
        assert!(std::error::Error::source(&fault).is_some());
    }
}
