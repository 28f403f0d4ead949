//! The four services as one test sees them: their databases, one prefix for topics and groups.

use std::path::{Path, PathBuf};

use factline_testkit::{Addresses, TestDatabase, stack, unique_prefix};
use tokio::process::Command;

use crate::{Operator, Process};

/// The four services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Commands, history, relay.
    CommandApi,
    /// The list view.
    List,
    /// The statistics views.
    Stats,
    /// The alerts.
    Alerter,
}

impl Service {
    const ALL: [Self; 4] = [Self::CommandApi, Self::List, Self::Stats, Self::Alerter];

    fn binary(self) -> &'static str {
        match self {
            Self::CommandApi => "command-api",
            Self::List => "projector-list",
            Self::Stats => "projector-stats",
            Self::Alerter => "alerter",
        }
    }
}

/// One composed system. Its databases go with it.
pub struct System {
    stack: Addresses,
    prefix: String,
    folder: PathBuf,
    log: TestDatabase,
    saga: TestDatabase,
    list: TestDatabase,
    stats: TestDatabase,
    alerts: TestDatabase,
    /// Of every service, beside those that say where everything is.
    settings: Vec<(String, String)>,
}

impl System {
    /// Databases for a test on the stack of this run, migrated; nothing runs yet.
    pub async fn create(test_name: &str) -> Self {
        Self::create_on(test_name, stack()).await
    }

    /// The same with settings that all services share.
    pub async fn create_with(test_name: &str, settings: &[(&str, &str)]) -> Self {
        Self::build(test_name, stack(), settings).await
    }

    /// The same on a stack that the caller owns.
    pub async fn create_on(test_name: &str, stack: Addresses) -> Self {
        Self::build(test_name, stack, &[]).await
    }

    async fn build(test_name: &str, stack: Addresses, settings: &[(&str, &str)]) -> Self {
        let prefix = unique_prefix(test_name);
        let folder = std::env::temp_dir().join("factline-e2e").join(&prefix);
        let database = async |of: &str| {
            TestDatabase::create_on(stack.clone(), &format!("{test_name}_{of}")).await
        };
        let system = Self {
            stack: stack.clone(),
            prefix,
            folder,
            log: database("log").await,
            saga: database("saga").await,
            list: database("list").await,
            stats: database("stats").await,
            alerts: database("alerts").await,
            settings: settings
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
        };
        for service in Service::ALL {
            system.migrate(service).await;
        }
        system
    }

    /// Starts a process of a service with its default settings.
    pub async fn start(&self, service: Service) -> Process {
        self.start_as(service, service.binary(), &[]).await
    }

    /// Starts the list with its live feed.
    pub async fn start_live_list(&self) -> Process {
        let redis = ("FACTLINE__LIVE__REDIS_URL", &*self.stack.redis_url);
        self.start_as(Service::List, "live-list", &[redis]).await
    }

    /// Starts the write side with the role that carries orders through.
    pub async fn start_with_saga(&self, name: &str, environment: &[(&str, &str)]) -> Process {
        let mut all = vec![("FACTLINE__ROLES", "http,relay,saga")];
        all.extend(environment);
        self.start_as(Service::CommandApi, name, &all).await
    }

    /// Starts a process under a name of its own, with further settings or a failpoint.
    pub async fn start_as(
        &self,
        service: Service,
        name: &str,
        environment: &[(&str, &str)],
    ) -> Process {
        let mut all = self.environment(service);
        all.extend(environment.iter().map(|(key, value)| ((*key).into(), (*value).into())));
        Process::start(&binary(service.binary()), &self.folder, name, &all).await
    }

    /// The operator's program, which finds this system's parts and the admin interfaces of these
    /// processes.
    pub fn operator(&self, processes: &[(Service, &Process)]) -> Operator {
        let databases = [Service::List, Service::Stats, Service::Alerter];
        let key = |kind: &str, service: Service| {
            format!("FACTLINE__{kind}__{}", service.binary().replace('-', "_").to_uppercase())
        };
        let mut environment = vec![
            ("FACTLINE__KAFKA__BROKERS".to_owned(), self.stack.kafka.clone()),
            ("FACTLINE__KAFKA__GROUP_PREFIX".to_owned(), format!("{}.", self.prefix)),
            ("FACTLINE__KAFKA__TOPIC_PREFIX".to_owned(), self.prefix.clone()),
            ("FACTLINE__REGISTRY__URL".to_owned(), self.stack.registry_url.clone()),
            ("FACTLINE__LOG__URL".to_owned(), self.log.url()),
        ];
        let database = |service| (key("DATABASES", service), self.database(service).url());
        environment.extend(databases.map(database));
        environment.push((key("DATABASES", Service::CommandApi), self.saga.url()));
        let admin = |(service, process): &(Service, &Process)| {
            (key("SERVICES", *service), process.admin_url().to_owned())
        };
        environment.extend(processes.iter().map(admin));
        Operator::new(binary("factline"), environment)
    }

    /// A service's database, to plant a fault in.
    pub fn database(&self, service: Service) -> &TestDatabase {
        match service {
            Service::CommandApi => &self.log,
            Service::List => &self.list,
            Service::Stats => &self.stats,
            Service::Alerter => &self.alerts,
        }
    }

    /// Where the sagas of command-api are.
    pub fn saga_database(&self) -> &TestDatabase {
        &self.saga
    }

    /// The name of a topic of this system.
    pub fn topic(&self, kind: &str) -> String {
        format!("{}.{kind}.v1", self.prefix)
    }

    /// The consumer group of a projection of this system.
    pub fn group(&self, projection: &str) -> String {
        format!("{}.{projection}", self.prefix)
    }

    /// Where files of this test may stand.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The stack that it runs on.
    pub fn stack(&self) -> &Addresses {
        &self.stack
    }

    async fn migrate(&self, service: Service) {
        let output = Command::new(binary(service.binary()))
            .arg("migrate")
            .envs(self.environment(service))
            .output()
            .await
            .unwrap_or_else(|error| panic!("migrate {}: {error}", service.binary()));
        assert!(
            output.status.success(),
            "{} migrate: {}",
            service.binary(),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn environment(&self, service: Service) -> Vec<(String, String)> {
        let mut all = vec![
            ("KAFKA__BROKERS", self.stack.kafka.clone()),
            ("KAFKA__TOPIC_PREFIX", self.prefix.clone()),
            ("KAFKA__GROUP_PREFIX", format!("{}.", self.prefix)),
            // The broker's shortest: tests of dead and frozen consumers wait for it.
            ("KAFKA__SESSION_TIMEOUT_MS", "6000".to_owned()),
            ("REGISTRY__URL", self.stack.registry_url.clone()),
            ("TELEMETRY__FORMAT", "human".to_owned()),
            // Tests count events; the one of the heartbeat sets its own.
            ("HEARTBEAT__EVERY_MS", "0".to_owned()),
        ];
        let reader = self.log.url().replace("//postgres@", "//factline_log_reader@");
        match service {
            Service::CommandApi => {
                let writer = self.log.url().replace("//postgres@", "//factline_log_writer@");
                all.push(("LOG__URL", writer));
                all.push(("LOG__OWNER_URL", self.log.url()));
                all.push(("SAGA__DATABASE__URL", self.saga.url()));
                // Most tests do themselves what the saga would do; those of sagas ask for all roles.
                all.push(("ROLES", "http,relay".to_owned()));
            }
            Service::List => {
                all.push(("LIVE__REDIS_URL", String::new())); // three consumers that few tests need
                all.push(("LIVE__KEY_PREFIX", format!("{}:", self.prefix)));
            }
            Service::Stats => {
                all.push(("CACHE__REDIS_URL", self.stack.redis_url.clone()));
                all.push(("CACHE__KEY_PREFIX", format!("{}:", self.prefix)));
            }
            Service::Alerter => {
                // Reactions are four consumers that few tests need.
                all.push(("ROLES", "watch,deliver,query".to_owned()));
            }
        }
        if service != Service::CommandApi {
            all.push(("DATABASE__URL", self.database(service).url()));
            all.push(("HISTORY__URL", reader));
        }
        let all = all.into_iter().map(|(key, value)| (format!("FACTLINE__{key}"), value));
        all.chain(self.settings.clone()).collect()
    }
}

/// Where the services' binaries are: `cargo xtask test` keeps copies of its own, so that a demo that
/// is built meanwhile does not change what is tested. Otherwise beside the test's own binary.
fn binary(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("FACTLINE_PROGRAMS") {
        return PathBuf::from(folder).join(name);
    }
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap_or(Path::new("."));
    folder.join(name)
}
