//! Whether a topic that is there is one that events may be trusted to.

use factline_core::Fault;
use rdkafka::{
    admin::{ConfigResource, ResourceSpecifier},
    error::KafkaError,
};

use super::{Admin, Administrator, TopicConfig, TopicInfo};
use crate::{classify, fault::classify_code};

impl Admin {
    /// What a topic lacks, each in a few words.
    ///
    /// # Errors
    /// The cluster did not answer in time, or refused to say.
    pub(super) async fn lacks(
        &self,
        name: &str,
        info: &TopicInfo,
        wanted: &TopicConfig,
    ) -> Result<Vec<String>, Fault> {
        let settings = self.describe(name).await?;
        let value = |name: &str| settings.get(name)?.value.clone();
        Ok(lacks(value, info.replication_factor, wanted))
    }

    async fn describe(&self, name: &str) -> Result<ConfigResource, Fault> {
        const DOING: &str = "asking for a topic's settings";
        let topic = ResourceSpecifier::Topic(name);
        let asking = async |client: &Administrator, options: &_| {
            client.describe_configs([&topic], options).await
        };
        match self.administrate(DOING, asking).await?.pop() {
            Some(Ok(settings)) => Ok(settings),
            Some(Err(code)) => Err(classify_code(DOING, code, code)),
            None => Err(classify(DOING, KafkaError::NoMessageReceived)),
        }
    }
}

/// What is not told is not judged.
fn lacks(
    told: impl Fn(&str) -> Option<String>,
    replication_factor: i32,
    wanted: &TopicConfig,
) -> Vec<String> {
    let mut lacks = Vec::new();
    if replication_factor < wanted.replication_factor {
        let wanted = wanted.replication_factor;
        lacks.push(format!("it has {replication_factor} copies where {wanted} are asked for"));
    }
    if let Some(policy) = told("cleanup.policy").filter(|policy| policy != "delete") {
        lacks.push(format!("its cleanup.policy is {policy}, which loses events, and not delete"));
    }
    let number = |name: &str| told(name).and_then(|value| value.parse::<i64>().ok());
    let least = i64::from(wanted.min_insync_replicas);
    if let Some(found) = number("min.insync.replicas").filter(|found| *found < least) {
        lacks.push(format!("its min.insync.replicas is {found} where {least} is asked for"));
    }
    let kept = |millis: i64| if millis < 0 { i64::MAX } else { millis };
    let long = wanted.retention_ms;
    if let Some(found) = number("retention.ms").filter(|found| kept(*found) < kept(long)) {
        lacks.push(format!("its retention.ms is {found} where {long} is asked for"));
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the settings ask for where they say nothing.
    fn wanted() -> TopicConfig {
        crate::KafkaSettings::default().topic_config()
    }

    fn of(copies: i32, settings: &[(&str, &str)], wanted: &TopicConfig) -> Vec<String> {
        let told = |name: &str| {
            let found = settings.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        };
        lacks(told, copies, wanted)
    }

    #[test]
    fn three_copies_of_which_two_confirm_are_asked_for_unless_the_settings_say_otherwise() {
        let confirmed_by = |copies| of(3, &[("min.insync.replicas", copies)], &wanted());
        assert_eq!((confirmed_by("2").len(), confirmed_by("1").len()), (0, 1));
        assert_eq!((of(3, &[], &wanted()).len(), of(2, &[], &wanted()).len()), (0, 1));
    }

    #[test]
    fn c07_a_topic_that_keeps_more_than_is_asked_for_lacks_nothing() {
        let settings =
            [("cleanup.policy", "delete"), ("min.insync.replicas", "3"), ("retention.ms", "-1")];
        assert_eq!(of(5, &settings, &wanted()), Vec::<String>::new());
    }

    #[test]
    fn c07_everything_that_a_topic_lacks_is_told_at_once() {
        let settings = [
            ("cleanup.policy", "compact,delete"),
            ("min.insync.replicas", "1"),
            ("retention.ms", "86400000"),
        ];
        let lacks = of(1, &settings, &wanted()).join("; ");
        for part in ["1 copies", "compact,delete", "min.insync.replicas is 1", "86400000"] {
            assert!(lacks.contains(part), "{part}: {lacks}");
        }
        let for_ever = TopicConfig { retention_ms: -1, ..wanted() };
        assert_eq!(of(3, &[("retention.ms", "86400000")], &for_ever).len(), 1);
    }
}
