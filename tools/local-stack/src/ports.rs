//! Which ports a stack listens on.

use std::net::{Ipv4Addr, TcpListener};

use serde::{Deserialize, Serialize};

use crate::{Component, StackError};

/// Below every system's range for outgoing connections (Linux starts at 32768), so that no
/// client's socket can take a component's port while it is down.
const FREE_FROM: u16 = 20_000;
const FREE_TO: u16 = 31_999;

/// A wish for one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Exactly this one, or an error.
    Fixed(u16),
    /// Any; the one of the last run if it is still free.
    Free,
}

/// The wishes for a stack. Ignored for a component that already runs: it keeps its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Kafka's clients. A fixed port also fixes the controller's: the next one.
    pub kafka: Port,
    /// The registry's HTTP API.
    pub registry: Port,
    /// PostgreSQL.
    pub postgres: Port,
    /// Redis.
    pub redis: Port,
    /// SMTP. A fixed port also fixes that of the mail server's HTTP API: the next one.
    pub mail: Port,
}

impl Ports {
    /// The ports of the stack named `demo`: the usual ones, moved out of the way of a Kafka or
    /// a PostgreSQL that runs here already.
    pub const DEMO: Ports = Ports {
        kafka: Port::Fixed(19_092),
        registry: Port::Fixed(18_081),
        postgres: Port::Fixed(15_432),
        redis: Port::Fixed(16_379),
        mail: Port::Fixed(13_025),
    };

    /// Whatever is free.
    pub const FREE: Ports = Ports {
        kafka: Port::Free,
        registry: Port::Free,
        postgres: Port::Free,
        redis: Port::Free,
        mail: Port::Free,
    };

    /// The wish for one component.
    #[must_use]
    pub fn of(&self, component: Component) -> Port {
        match component {
            Component::Kafka => self.kafka,
            Component::Registry => self.registry,
            Component::Postgres => self.postgres,
            Component::Redis => self.redis,
            Component::Mail => self.mail,
        }
    }
}

/// The ports a stack has; 0 for a component that is given from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChosenPorts {
    pub kafka: u16,
    pub kafka_controller: u16,
    pub registry: u16,
    pub postgres: u16,
    pub redis: u16,
    #[serde(default)]
    pub smtp: u16,
    #[serde(default)]
    pub mail_api: u16,
}

impl ChosenPorts {
    /// Every port in use.
    pub fn all(&self) -> Vec<u16> {
        let all = Component::ALL.into_iter().flat_map(|component| self.of(component));
        all.filter(|port| *port != 0).collect()
    }

    /// The ports of one component.
    pub fn of(&self, component: Component) -> Vec<u16> {
        match component {
            Component::Kafka => vec![self.kafka, self.kafka_controller],
            Component::Registry => vec![self.registry],
            Component::Postgres => vec![self.postgres],
            Component::Redis => vec![self.redis],
            Component::Mail => vec![self.smtp, self.mail_api],
        }
    }

    /// Chooses the ports of one component that does not run.
    ///
    /// `taken` holds the ports that other stacks have claimed. A fixed port that someone
    /// listens on is an error; a free one is the last run's, or else the first that nobody has.
    pub fn choose(
        &mut self,
        component: Component,
        wish: Port,
        taken: &[u16],
    ) -> Result<(), StackError> {
        let wishes = match wish {
            Port::Fixed(port) if self.of(component).len() == 2 => {
                vec![wish, Port::Fixed(port.saturating_add(1))]
            }
            Port::Fixed(_) => vec![wish],
            Port::Free => self.of(component).into_iter().map(|_| Port::Free).collect(),
        };
        let mut chosen: Vec<u16> = Vec::new();
        for (wish, last) in wishes.into_iter().zip(self.of(component)) {
            let mut claimed = taken.to_vec();
            claimed.extend(self.all().into_iter().filter(|port| *port != last));
            claimed.extend(&chosen);
            chosen.push(choose_one(component, wish, last, &claimed)?);
        }
        match (component, chosen.as_slice()) {
            (Component::Kafka, [client, controller]) => {
                self.kafka = *client;
                self.kafka_controller = *controller;
            }
            (Component::Registry, [port]) => self.registry = *port,
            (Component::Postgres, [port]) => self.postgres = *port,
            (Component::Redis, [port]) => self.redis = *port,
            (Component::Mail, [smtp, api]) => {
                self.smtp = *smtp;
                self.mail_api = *api;
            }
            (_, _) => {}
        }
        Ok(())
    }
}

fn choose_one(
    component: Component,
    wish: Port,
    last: u16,
    taken: &[u16],
) -> Result<u16, StackError> {
    match wish {
        Port::Fixed(port) if is_free(port) => Ok(port),
        Port::Fixed(port) => Err(StackError::PortTaken { component, port }),
        Port::Free if last != 0 && !taken.contains(&last) && is_free(last) => Ok(last),
        Port::Free => first_free(taken),
    }
}

fn first_free(taken: &[u16]) -> Result<u16, StackError> {
    let span = FREE_TO - FREE_FROM + 1;
    // Programs that choose at the same moment begin at different places.
    let offset = u16::try_from(std::process::id() % u32::from(span)).unwrap_or(0);
    (0..span)
        .map(|step| FREE_FROM + (offset + step) % span)
        .find(|port| !taken.contains(port) && is_free(*port))
        .ok_or(StackError::NoFreePort { from: FREE_FROM, to: FREE_TO })
}

/// Whether nobody listens on this port of 127.0.0.1 at this moment.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    /// Asking whether a port is free takes it for a moment, so these tests take turns.
    fn turn() -> MutexGuard<'static, ()> {
        static TURN: Mutex<()> = Mutex::new(());
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[test]
    fn a_fixed_port_that_someone_listens_on_is_refused_by_name() {
        let _turn = turn();
        let (_held, port) = listener();
        let mut ports = ChosenPorts::default();
        let refused = ports.choose(Component::Redis, Port::Fixed(port), &[]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "port {port} for redis is taken by another program: stop that program, or choose \
                 another port with --redis-port or --free-ports"
            )
        );
    }

    #[test]
    fn a_fixed_kafka_port_gives_the_controller_the_next_one() {
        let _turn = turn();
        let free = first_free(&[]).unwrap();
        let mut ports = ChosenPorts::default();
        ports.choose(Component::Kafka, Port::Fixed(free), &[]).unwrap();
        assert_eq!((ports.kafka, ports.kafka_controller), (free, free + 1));
    }

    #[test]
    fn free_ports_of_one_stack_are_all_different() {
        let _turn = turn();
        let mut ports = ChosenPorts::default();
        for component in Component::ALL {
            ports.choose(component, Port::Free, &[]).unwrap();
        }
        let mut all = ports.all();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 7);
    }

    #[test]
    fn a_free_port_is_the_one_of_the_last_run_while_nobody_took_it() {
        let _turn = turn();
        let last = first_free(&[]).unwrap();
        let mut ports = ChosenPorts { redis: last, ..ChosenPorts::default() };
        ports.choose(Component::Redis, Port::Free, &[]).unwrap();
        assert_eq!(ports.redis, last);
        ports.choose(Component::Redis, Port::Free, &[last]).unwrap();
        assert_ne!(ports.redis, last);
    }

    #[test]
    fn free_ports_lie_below_the_ports_of_outgoing_connections() {
        let _turn = turn();
        assert!((FREE_FROM..=FREE_TO).contains(&first_free(&[]).unwrap()));
    }
}
