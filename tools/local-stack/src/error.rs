//! Everything that can keep a stack from coming up, each as one sentence that says what to do.

use std::io;
use std::path::PathBuf;

use crate::Component;

/// Why a stack operation failed. The text is meant to be shown to a person as it is.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// No Java, or only older ones than Kafka runs on.
    #[error(
        "Kafka and the registry need Java 17 or newer, and {found}: install a JDK (21 or newer is best) or set JAVA_HOME to one"
    )]
    Java {
        /// What was found instead.
        found: String,
    },
    /// The build tool that fetches the archives is not there.
    #[error(
        "Maven fetches the local stack and the command `mvn` was not found: install Maven 3.6 or newer, or put it on the PATH"
    )]
    NoMaven,
    /// Maven ran and failed.
    #[error("Maven could not fetch the local stack: {reason} (all of its output: {})", log.display())]
    Maven {
        /// Its first error line.
        reason: String,
        /// Where its output is.
        log: PathBuf,
    },
    /// No archive exists for this machine.
    #[error(
        "there is no PostgreSQL or Redis archive for {os} on {architecture}: give both from outside with FACTLINE_POSTGRES and FACTLINE_REDIS_URL"
    )]
    Platform {
        /// `std::env::consts::OS`.
        os: &'static str,
        /// `std::env::consts::ARCH`.
        architecture: &'static str,
    },
    /// A fixed port belongs to another program.
    #[error(
        "port {port} for {component} is taken by another program: stop that program, or choose another port with --{component}-port or --free-ports"
    )]
    PortTaken {
        /// Who wanted it.
        component: Component,
        /// The port.
        port: u16,
    },
    /// Every port that was tried is in use.
    #[error(
        "no free port was found between {from} and {to}: close some programs or name the ports with --kafka-port and its siblings"
    )]
    NoFreePort {
        /// First port tried.
        from: u16,
        /// Last port tried.
        to: u16,
    },
    /// The process ended before it answered.
    #[error("{component} stopped while it started: {reason} (all of its output: {})", log.display())]
    Died {
        /// Who.
        component: Component,
        /// The last telling line of its log.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
    /// The process runs and does not answer.
    #[error("{component} has not answered within {seconds} s: see {}", log.display())]
    Silent {
        /// Who.
        component: Component,
        /// How long it was given.
        seconds: u64,
        /// Its log.
        log: PathBuf,
    },
    /// A process survived even SIGKILL for longer than we wait.
    #[error("{component} (process {pid}) does not end: end it by hand with `kill -9 {pid}`")]
    Immortal {
        /// Who.
        component: Component,
        /// Its pid.
        pid: u32,
    },
    /// An environment variable holds something that is no address.
    #[error("{variable} is {value:?}, which is not {expected}")]
    BadAddress {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it should look like.
        expected: &'static str,
    },
    /// A component given from outside is not there.
    #[error(
        "{variable} says {component} is at {address}, and nothing answers there: start it, or unset {variable} to let the stack start its own"
    )]
    Unreachable {
        /// The variable.
        variable: &'static str,
        /// Which component.
        component: Component,
        /// host:port
        address: String,
    },
    /// The operation needs a process that this stack does not run.
    #[error("{component} of the stack {stack:?} is {state}, so it cannot be {wanted}")]
    NotOurs {
        /// Which component.
        component: Component,
        /// The stack's name.
        stack: String,
        /// What it is instead.
        state: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The stack's own file is unreadable.
    #[error("{} is not a stack's record ({source}): remove its folder and run `cargo xtask up` again", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A file or a process could not be handled.
    #[error("could not {doing}: {source}")]
    Io {
        /// What was being done, as an infinitive.
        doing: String,
        /// The operating system's answer.
        source: io::Error,
    },
}

/// Gives an I/O error its sentence.
pub(crate) trait Doing<T> {
    /// `doing` is an infinitive: "read /etc/passwd".
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, StackError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, StackError> {
        self.map_err(|source| StackError::Io { doing: doing(), source })
    }
}
