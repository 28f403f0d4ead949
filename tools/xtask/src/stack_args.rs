//! The arguments that say which stack and where, for every command that has to do with one.

use clap::Args;
use local_stack::{Port, Ports, StackOptions};

use crate::failure::Failure;
use crate::workspace;

/// Which stack.
#[derive(Args, Clone, Debug)]
pub(crate) struct StackName {
    /// The stack's name; stacks of different names run side by side
    #[arg(long, default_value = "demo", value_parser = folder_name)]
    pub(crate) name: String,
}

/// Which stack, and where it listens.
#[derive(Args, Clone, Debug)]
pub(crate) struct StackArgs {
    #[command(flatten)]
    pub(crate) stack: StackName,
    /// Listen on any free ports, as every stack does that is not named demo
    #[arg(long)]
    pub(crate) free_ports: bool,
    /// Throw away the data of earlier runs first
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Kafka's port; its controller takes the next one [demo: 19092]
    #[arg(long, env = "FACTLINE_KAFKA_PORT", hide_env_values = true, value_name = "PORT")]
    pub(crate) kafka_port: Option<u16>,
    /// The registry's port [demo: 18081]
    #[arg(long, env = "FACTLINE_REGISTRY_PORT", hide_env_values = true, value_name = "PORT")]
    pub(crate) registry_port: Option<u16>,
    /// PostgreSQL's port [demo: 15432]
    #[arg(long, env = "FACTLINE_POSTGRES_PORT", hide_env_values = true, value_name = "PORT")]
    pub(crate) postgres_port: Option<u16>,
    /// Redis's port [demo: 16379]
    #[arg(long, env = "FACTLINE_REDIS_PORT", hide_env_values = true, value_name = "PORT")]
    pub(crate) redis_port: Option<u16>,
    /// The SMTP server's port; its HTTP API takes the next one [demo: 13025]
    #[arg(long, env = "FACTLINE_MAIL_PORT", hide_env_values = true, value_name = "PORT")]
    pub(crate) mail_port: Option<u16>,
}

impl StackArgs {
    /// What these arguments ask for.
    pub(crate) fn options(&self) -> StackOptions {
        let mut options = StackOptions::new(&workspace::root(), &self.stack.name);
        if self.free_ports {
            options.ports = Ports::FREE;
        }
        let ports = &mut options.ports;
        for (wish, given) in [
            (&mut ports.kafka, self.kafka_port),
            (&mut ports.registry, self.registry_port),
            (&mut ports.postgres, self.postgres_port),
            (&mut ports.redis, self.redis_port),
            (&mut ports.mail, self.mail_port),
        ] {
            *wish = given.map_or(*wish, Port::Fixed);
        }
        options.fresh = self.fresh;
        options
    }
}

/// The names of this checkout's stacks that have ever been up.
pub(crate) fn known_stacks() -> Result<Vec<String>, Failure> {
    let folder = StackOptions::stacks_folder(&workspace::root());
    let Ok(entries) = folder.read_dir() else { return Ok(Vec::new()) };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("stack.json").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

fn folder_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match text {
        "" => Err("a stack needs a name".to_owned()),
        "artefacts" => Err("the folder of this name holds the unpacked archives".to_owned()),
        _ if text.chars().all(allowed) => Ok(text.to_owned()),
        _ => Err("use letters, digits, - and _ only".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stacks_name_is_a_plain_folder_name() {
        assert!(folder_name("test-1").is_ok());
        assert!(folder_name("../demo").is_err());
        assert!(folder_name("artefacts").is_err());
        assert!(folder_name("").is_err());
    }

    #[test]
    fn a_port_that_is_named_wins_over_free_ports() {
        let args = StackArgs {
            stack: StackName { name: "demo".to_owned() },
            free_ports: true,
            fresh: false,
            kafka_port: Some(9092),
            registry_port: None,
            postgres_port: None,
            redis_port: None,
            mail_port: None,
        };
        let ports = args.options().ports;
        assert_eq!((ports.kafka, ports.redis), (Port::Fixed(9092), Port::Free));
    }
}
