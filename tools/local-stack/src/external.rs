//! Components that are given from outside by environment variables.

use std::collections::BTreeMap;
use std::env;

use crate::{Addresses, Component, StackError, probe};

/// The variables that replace a component with one that runs already, and what each holds.
pub const ENVIRONMENT: [(Component, &str, &str); 5] = [
    (Component::Kafka, "FACTLINE_KAFKA", "host:port, or several with commas between"),
    (Component::Registry, "FACTLINE_REGISTRY_URL", "http://host:port/path of a Confluent API"),
    (Component::Postgres, "FACTLINE_POSTGRES", "[user[:password]@]host:port of a superuser"),
    (Component::Redis, "FACTLINE_REDIS_URL", "redis://[user:password@]host:port"),
    (Component::Mail, "FACTLINE_SMTP", "host:port of an SMTP server"),
];

/// What the environment gives, by component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct External {
    values: BTreeMap<Component, String>,
}

impl External {
    /// Reads the variables; an empty one counts as absent.
    pub fn from_environment() -> External {
        External::from(|variable| env::var(variable).ok())
    }

    fn from(read: impl Fn(&str) -> Option<String>) -> External {
        let given = ENVIRONMENT.into_iter().filter_map(|(component, variable, _)| {
            let value = read(variable)?.trim().trim_end_matches('/').to_owned();
            (!value.is_empty()).then_some((component, value))
        });
        External { values: given.collect() }
    }

    pub fn gives(&self, component: Component) -> bool {
        self.values.contains_key(&component)
    }

    pub fn components(&self) -> Vec<Component> {
        self.values.keys().copied().collect()
    }

    /// Makes sure that something listens at every address given.
    pub fn check(&self) -> Result<(), StackError> {
        for (component, value) in &self.values {
            let address = host_and_port(*component, value)?;
            if !probe::connects(&address) {
                let variable = variable_of(*component);
                return Err(StackError::Unreachable { variable, component: *component, address });
            }
        }
        Ok(())
    }

    /// Puts what is given in place of the stack's own addresses.
    pub fn apply(&self, addresses: &mut Addresses) -> Result<(), StackError> {
        for (component, value) in &self.values {
            match component {
                Component::Kafka => addresses.kafka.clone_from(value),
                Component::Registry => addresses.registry_url.clone_from(value),
                Component::Redis => addresses.redis_url.clone_from(value),
                Component::Postgres => apply_postgres(value, addresses)?,
                Component::Mail => {
                    addresses.smtp.clone_from(value);
                    addresses.mail_url.clear(); // SMTP alone shows nobody what it was sent
                }
            }
        }
        Ok(())
    }
}

/// Whether something listens at an external component's address now.
pub(crate) fn listens(component: Component, address: &str) -> bool {
    host_and_port(component, address).is_ok_and(|place| probe::connects(&place))
}

fn apply_postgres(value: &str, addresses: &mut Addresses) -> Result<(), StackError> {
    let place = host_and_port(Component::Postgres, value)?;
    let (host, port) = place.rsplit_once(':').unwrap_or((&place, ""));
    addresses.postgres_host = host.to_owned();
    addresses.postgres_port = port.parse().map_err(|_| bad(Component::Postgres, value))?;
    addresses.postgres_socket = None;
    if let Some((login, _)) = value.rsplit_once('@') {
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password.to_owned())),
            None => (login, None),
        };
        addresses.postgres_superuser = user.to_owned();
        addresses.postgres_password = password;
    }
    Ok(())
}

/// `host:port` out of a list of addresses, a URL or a login with an address.
fn host_and_port(component: Component, value: &str) -> Result<String, StackError> {
    let first = value.split(',').next().unwrap_or_default().trim();
    let (scheme, rest) = first.split_once("://").unwrap_or(("", first));
    let place = rest.split('/').next().unwrap_or_default();
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let usual = match scheme {
        "http" => Some("80"),
        "https" => Some("443"),
        "redis" | "rediss" => Some("6379"),
        _ => None,
    };
    match (place.rsplit_once(':'), usual) {
        (Some((host, port)), _) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(place.to_owned())
        }
        (None, Some(port)) if !place.is_empty() => Ok(format!("{place}:{port}")),
        (_, _) => Err(bad(component, value)),
    }
}

fn bad(component: Component, value: &str) -> StackError {
    let expected = ENVIRONMENT
        .into_iter()
        .find_map(|(of, _, expected)| (of == component).then_some(expected))
        .unwrap_or_default();
    // Whatever stands before the @ may be a password.
    let shown = value.rsplit_once('@').map_or(value, |(_, place)| place).to_owned();
    StackError::BadAddress { variable: variable_of(component), value: shown, expected }
}

fn variable_of(component: Component) -> &'static str {
    ENVIRONMENT
        .into_iter()
        .find_map(|(of, variable, _)| (of == component).then_some(variable))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::ChosenPorts;

    fn given(variable: &'static str, value: &'static str) -> External {
        External::from(|asked| (asked == variable).then(|| value.to_owned()))
    }

    fn addresses(external: &External) -> Addresses {
        let mut addresses = Addresses::local(&ChosenPorts::default(), None);
        external.apply(&mut addresses).unwrap();
        addresses
    }

    #[test]
    fn a_postgres_given_from_outside_may_come_with_a_login() {
        let plain = addresses(&given("FACTLINE_POSTGRES", "db:5432"));
        assert_eq!(plain.postgres_url("shop"), "postgres://postgres@db:5432/shop");
        let login = addresses(&given("FACTLINE_POSTGRES", "admin:s3:cret@db:5432"));
        assert_eq!(login.postgres_url("shop"), "postgres://admin:s3:cret@db:5432/shop");
    }

    #[test]
    fn an_empty_variable_gives_nothing() {
        assert_eq!(given("FACTLINE_KAFKA", "  ").components(), []);
    }

    #[test]
    fn every_kind_of_address_has_a_host_and_a_port() {
        let of = |value| host_and_port(Component::Kafka, value).unwrap();
        assert_eq!(of("a:9092,b:9092"), "a:9092");
        assert_eq!(of("http://registry/apis/ccompat/v7"), "registry:80");
        assert_eq!(of("redis://user:secret@cache:7000/0"), "cache:7000");
    }

    #[test]
    fn an_address_without_a_port_is_refused_without_showing_a_password() {
        let refused =
            given("FACTLINE_POSTGRES", "admin:secret@db").check().unwrap_err().to_string();
        assert!(refused.starts_with("FACTLINE_POSTGRES is \"db\""), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
}
