//! Where a run has its things: names of databases and topics that no other run has, files, and the
//! settings of each service. Everything else is as in the service's own `config.toml`.

use std::path::PathBuf;

use local_stack::Addresses;

/// The runner's signing secret: 32 bytes, of no value.
const SECRET: &str = "whsec_ZmFjdGxpbmUgZGVtbzogbm90IGEgc2VjcmV0IGF0IGFsbA==";

/// The kinds of aggregates, as topics name them.
pub(crate) const KINDS: [&str; 3] = ["inventory", "order", "customer"];

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    CommandApi,
    List,
    Stats,
    Alerter,
}

impl Service {
    pub(crate) const ALL: [Service; 4] =
        [Service::CommandApi, Service::List, Service::Stats, Service::Alerter];

    /// The name of its program.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Service::CommandApi => "command-api",
            Service::List => "projector-list",
            Service::Stats => "projector-stats",
            Service::Alerter => "alerter",
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) stack: Addresses,
    /// Letters, digits and underscores: in the name of everything that belongs to the run.
    pub(crate) name: String,
    /// The folder of the programs.
    pub(crate) programs: PathBuf,
    /// The folder of what the run leaves.
    pub(crate) folder: PathBuf,
    /// Where alerts go; empty until the receiver listens.
    pub(crate) webhook_url: String,
    /// Which promise the services' build breaks, if any.
    pub(crate) broken: Option<&'static str>,
}

/// An item that swings must be told of more than once; nothing but items is judged.
const RULES: &str = r#"[
    { name = "low_stock", title = "Stock is low", source = "stock", severity = "warning",
      channels = ["webhook"], cooldown_ms = 1000 },
    { name = "service_silent", title = "A service is silent", source = "watch",
      severity = "warning", channels = ["webhook"], cooldown_ms = 0 },
    { name = "rule_error", title = "A rule cannot be judged", source = "watch",
      severity = "warning", channels = ["webhook"], cooldown_ms = 0 },
]"#;

impl Place {
    /// The log's database, or a service's own.
    pub(crate) fn database(&self, service: Service) -> String {
        let what = match service {
            Service::CommandApi => "log",
            Service::List => "list",
            Service::Stats => "stats",
            Service::Alerter => "alerts",
        };
        self.stack.postgres_url(&format!("{}_{what}", self.name))
    }

    /// Where the processes over several aggregates are.
    pub(crate) fn saga_database(&self) -> String {
        self.stack.postgres_url(&format!("{}_saga", self.name))
    }

    /// The topic of a kind.
    pub(crate) fn topic(&self, kind: &str) -> String {
        format!("{}.{kind}.v1", self.name)
    }

    /// The variables of a service.
    pub(crate) fn settings(&self, service: Service) -> Vec<(String, String)> {
        let log_as = |user: &str| {
            let own = format!("//{}@", self.stack.postgres_superuser);
            self.database(Service::CommandApi).replace(&own, &format!("//{user}@"))
        };
        let mut settings = vec![
            ("KAFKA__BROKERS", self.stack.kafka.clone()),
            ("KAFKA__TOPIC_PREFIX", self.name.clone()),
            ("KAFKA__GROUP_PREFIX", format!("{}.", self.name)),
            // The broker's shortest, so that a pause outlasts it soon.
            ("KAFKA__SESSION_TIMEOUT_MS", "6000".to_owned()),
            // Shorter than most outages of the broker, so that sends fail and are repeated.
            ("KAFKA__MESSAGE_TIMEOUT_MS", "2000".to_owned()),
            ("REGISTRY__URL", self.stack.registry_url.clone()),
            ("TELEMETRY__FORMAT", "human".to_owned()),
            // What is in the log is compared with what the load was answered.
            ("HEARTBEAT__EVERY_MS", "0".to_owned()),
            ("HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("ADMIN__LISTEN", "127.0.0.1:0".to_owned()),
        ];
        if service == Service::CommandApi {
            settings.push(("LOG__OWNER_URL", self.database(service)));
            settings.push(("LOG__URL", log_as("factline_log_writer")));
            settings.push(("SAGA__DATABASE__URL", self.saga_database()));
            // An order that nobody pays must end before the run is over.
            settings.push(("SAGA__PAYMENT_TIMEOUT_MS", "30000".to_owned()));
            settings.push(("SAGA__RETRY_MOST_MS", "2000".to_owned()));
        } else {
            settings.push(("DATABASE__URL", self.database(service)));
            settings.push(("HISTORY__URL", log_as("factline_log_reader")));
        }
        if service == Service::List {
            settings.push(("LIVE__REDIS_URL", self.stack.redis_url.clone()));
            settings.push(("LIVE__KEY_PREFIX", format!("{}:", self.name)));
        }
        if service == Service::Stats {
            settings.push(("CACHE__REDIS_URL", self.stack.redis_url.clone()));
            settings.push(("CACHE__KEY_PREFIX", format!("{}:", self.name)));
        }
        if service == Service::Alerter {
            settings.push(("WEBHOOK__URL", self.webhook_url.clone()));
            settings.push(("WEBHOOK__SECRET", SECRET.to_owned()));
            settings.push(("WEBHOOK__ALLOW_INSECURE", "true".to_owned()));
            // Every alert is to come on its own: each is compared.
            settings.push(("ALERTS__MOST_PER_MINUTE", "100000".to_owned()));
            // An alert that was refused or cut off must come again before the run is over.
            settings.push(("WEBHOOK__RETRY_FIRST_MS", "500".to_owned()));
            settings.push(("WEBHOOK__RETRY_MOST_MS", "2000".to_owned()));
            settings.push(("RULES", RULES.to_owned()));
        }
        let broken = self.broken.map(|broken| ("FACTLINE_BROKEN".to_owned(), broken.to_owned()));
        let settings = settings.into_iter().map(|(key, value)| (format!("FACTLINE__{key}"), value));
        settings.chain(broken).collect()
    }

    /// The variables of `factline`.
    pub(crate) fn operator_settings(&self) -> Vec<(String, String)> {
        let settings = [
            ("KAFKA__BROKERS", self.stack.kafka.clone()),
            ("KAFKA__TOPIC_PREFIX", self.name.clone()),
            ("KAFKA__GROUP_PREFIX", format!("{}.", self.name)),
            ("REGISTRY__URL", self.stack.registry_url.clone()),
            ("LOG__URL", self.database(Service::CommandApi)),
            ("DATABASES__PROJECTOR_LIST", self.database(Service::List)),
            ("DATABASES__PROJECTOR_STATS", self.database(Service::Stats)),
            ("DATABASES__ALERTER", self.database(Service::Alerter)),
            ("DATABASES__COMMAND_API", self.saga_database()),
        ];
        settings.map(|(key, value)| (format!("FACTLINE__{key}"), value)).into()
    }
}
