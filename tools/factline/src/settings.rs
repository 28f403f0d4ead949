//! Where everything is: the defaults, a local stack's record or a file, the environment, `--set`.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use local_stack::Addresses as StackAddresses;
use serde::Deserialize;
use service_kit::settings::{
    ENVIRONMENT_PREFIX, Loaded, SettingsProblem, Validate, load_from, process_environment, required,
};

use crate::Addresses;
use crate::failure::Failure;

const DEFAULTS: &str = include_str!("../config.toml");
/// Where the demo's stack is recorded, below the checkout.
const DEMO: &str = "target/stack/demo/stack.json";

/// See `config.toml`, which lists every key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) log: Log,
    pub(crate) kafka: Kafka,
    pub(crate) registry: RegistryAddress,
    /// Admin addresses by service.
    pub(crate) services: BTreeMap<String, String>,
    /// Databases by service.
    pub(crate) databases: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) url: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kafka {
    pub(crate) brokers: String,
    pub(crate) group_prefix: String,
    pub(crate) topic_prefix: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistryAddress {
    pub(crate) url: String,
    pub(crate) timeout_ms: u64,
}

impl Validate for Settings {
    fn validate(&self) -> Vec<SettingsProblem> {
        let problems = [
            required("log.url", &self.log.url),
            required("kafka.brokers", &self.kafka.brokers),
            required("kafka.topic_prefix", &self.kafka.topic_prefix),
            required("registry.url", &self.registry.url),
        ];
        problems.into_iter().flatten().collect()
    }
}

#[derive(Deserialize)]
struct Record {
    addresses: StackAddresses,
}

/// Loads the settings that the command line asks for.
///
/// # Errors
/// Everything that is wrong with them, together.
pub(crate) fn load(addresses: &Addresses) -> Result<Loaded<Settings>, Failure> {
    let mut variables: HashMap<String, String> = HashMap::new();
    if addresses.config.is_none()
        && let Some(path) = stack_record(addresses.stack.as_deref())
    {
        variables.extend(of_stack(&path)?);
    }
    let own = |(name, _): &(String, String)| name.starts_with(ENVIRONMENT_PREFIX);
    variables.extend(process_environment().filter(own));
    for assignment in &addresses.set {
        variables.extend([assigned(assignment)?]);
    }
    load_from(DEFAULTS, addresses.config.as_deref(), variables)
        .map_err(|problems| Failure::new(problems.to_string()))
}

/// The record that was named, or the demo's in this folder or one above.
fn stack_record(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(named) = named {
        return Some(named.to_owned());
    }
    let here = env::current_dir().ok()?;
    here.ancestors().map(|folder| folder.join(DEMO)).find(|path| path.exists())
}

fn of_stack(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let told = |error: String| Failure::new(format!("read {}: {error}", path.display()));
    let text = fs::read(path).map_err(|error| told(error.to_string()))?;
    let record: Record = serde_json::from_slice(&text).map_err(|error| told(error.to_string()))?;
    Ok(variables(&record.addresses))
}

/// A stack's addresses as settings.
fn variables(stack: &StackAddresses) -> Vec<(String, String)> {
    let settings = [
        ("KAFKA__BROKERS", stack.kafka.clone()),
        ("REGISTRY__URL", stack.registry_url.clone()),
        ("LOG__URL", stack.postgres_url("factline_log")),
        ("DATABASES__COMMAND_API", stack.postgres_url("factline_saga")),
        ("DATABASES__PROJECTOR_LIST", stack.postgres_url("factline_list")),
        ("DATABASES__PROJECTOR_STATS", stack.postgres_url("factline_stats")),
        ("DATABASES__ALERTER", stack.postgres_url("factline_alerts")),
    ];
    settings.map(|(key, value)| (format!("{ENVIRONMENT_PREFIX}{key}"), value)).into()
}

/// `log.url=postgres://…` as a variable.
fn assigned(assignment: &str) -> Result<(String, String), Failure> {
    let (key, value) = assignment
        .split_once('=')
        .ok_or_else(|| Failure::new(format!("--set {assignment}: is not KEY=VALUE")))?;
    let name = key.trim().replace('.', "__").to_uppercase();
    Ok((format!("{ENVIRONMENT_PREFIX}{name}"), value.to_owned()))
}

/// A service's name as people write it: settings cannot hold a hyphen, variables neither.
pub(crate) fn service_name(key: &str) -> String {
    key.replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nowhere() -> Addresses {
        // A file that is there and holds nothing: neither a stack's record nor the demo's counts.
        Addresses { config: Some(PathBuf::from("/dev/null")), stack: None, set: Vec::new() }
    }

    #[test]
    fn the_defaults_are_the_demo() {
        let settings = load(&nowhere()).unwrap().settings;
        assert_eq!(settings.kafka.brokers, "127.0.0.1:19092");
        assert_eq!(settings.databases.len(), 4);
        assert_eq!(settings.services["command_api"], "http://127.0.0.1:9080");
    }

    #[test]
    fn a_setting_on_the_command_line_wins() {
        let mut addresses = nowhere();
        addresses.set = vec!["kafka.brokers=broker:9092".to_owned()];
        assert_eq!(load(&addresses).unwrap().settings.kafka.brokers, "broker:9092");
        addresses.set = vec!["kafka.broker=x".to_owned()];
        assert!(load(&addresses).unwrap_err().to_string().contains("is not a known key"));
        addresses.set = vec!["kafka".to_owned()];
        assert!(load(&addresses).is_err());
    }
}
