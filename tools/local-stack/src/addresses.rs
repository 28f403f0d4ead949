//! Where the five components of a stack are.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Component;
use crate::ports::ChosenPorts;

/// Everything a service needs to find its surroundings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// `bootstrap.servers`: host:port, plaintext.
    pub kafka: String,
    /// The Confluent API, without a slash at the end: `http://127.0.0.1:18081/apis/ccompat/v7`.
    pub registry_url: String,
    /// Name or address.
    pub postgres_host: String,
    /// TCP port.
    pub postgres_port: u16,
    /// A user that may create databases and roles; from 127.0.0.1 no password is asked.
    pub postgres_superuser: String,
    /// Only ever set for a server given from outside.
    pub postgres_password: Option<String>,
    /// The folder of the Unix socket of our own server.
    pub postgres_socket: Option<PathBuf>,
    /// `redis://127.0.0.1:16379`.
    pub redis_url: String,
    /// The SMTP server: host:port, plaintext. Empty in the record of a stack from before it had one.
    #[serde(default)]
    pub smtp: String,
    /// GreenMail's HTTP API, which shows what the SMTP server was sent; empty for a server given
    /// from outside.
    #[serde(default)]
    pub mail_url: String,
}

impl Addresses {
    /// `postgres://user@host:port/database`, for the superuser.
    #[must_use]
    pub fn postgres_url(&self, database: &str) -> String {
        let user = &self.postgres_superuser;
        let login = match &self.postgres_password {
            Some(password) => format!("{user}:{password}"),
            None => user.clone(),
        };
        format!("postgres://{login}@{}:{}/{database}", self.postgres_host, self.postgres_port)
    }

    /// One component's address as a person would write it, without any password.
    #[must_use]
    pub fn of(&self, component: Component) -> String {
        match component {
            Component::Kafka => self.kafka.clone(),
            Component::Registry => self.registry_url.clone(),
            Component::Postgres => format!("{}:{}", self.postgres_host, self.postgres_port),
            Component::Redis => match (self.redis_url.find("://"), self.redis_url.rfind('@')) {
                (Some(scheme), Some(at)) => {
                    format!("{}{}", &self.redis_url[..scheme + 3], &self.redis_url[at + 1..])
                }
                (_, _) => self.redis_url.clone(),
            },
            Component::Mail => self.smtp.clone(),
        }
    }

    /// The addresses of a stack whose components all run on these ports.
    pub(crate) fn local(ports: &ChosenPorts, postgres_socket: Option<PathBuf>) -> Addresses {
        Addresses {
            kafka: format!("127.0.0.1:{}", ports.kafka),
            registry_url: format!("http://127.0.0.1:{}/apis/ccompat/v7", ports.registry),
            postgres_host: "127.0.0.1".to_owned(),
            postgres_port: ports.postgres,
            postgres_superuser: "postgres".to_owned(),
            postgres_password: None,
            postgres_socket,
            redis_url: format!("redis://127.0.0.1:{}", ports.redis),
            smtp: format!("127.0.0.1:{}", ports.smtp),
            mail_url: format!("http://127.0.0.1:{}", ports.mail_api),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_stands_in_the_url_and_nowhere_else() {
        let mut addresses =
            Addresses::local(&ChosenPorts { postgres: 5432, ..ChosenPorts::default() }, None);
        assert_eq!(addresses.postgres_url("shop"), "postgres://postgres@127.0.0.1:5432/shop");
        addresses.postgres_password = Some("secret".to_owned());
        addresses.redis_url = "redis://user:secret@cache:6379/0".to_owned();
        assert_eq!(
            addresses.postgres_url("shop"),
            "postgres://postgres:secret@127.0.0.1:5432/shop"
        );
        assert_eq!(addresses.of(Component::Postgres), "127.0.0.1:5432");
        assert_eq!(addresses.of(Component::Redis), "redis://cache:6379/0");
    }
}
