//! Kafka, a schema registry, PostgreSQL, Redis and an SMTP server as plain processes on this machine.
//!
//! In: a workspace with `deploy/local/pom.xml`, a Java and a Maven. Out: five processes that
//! listen on 127.0.0.1 and one file, `<root>/stack.json`, that says where they are and which
//! processes they are. Whoever can read that file can use, kill, pause and restart them; the
//! program that started them need not be alive.
//!
//! What holds:
//! - The processes run in their own process groups and live until [`Stack::down`], whatever
//!   happens to the program that started them.
//! - Kafka, the registry and PostgreSQL keep everything they acknowledged across [`Stack::kill`]
//!   and [`Stack::start`]; Redis and the SMTP server keep nothing.
//! - Signals go only to processes that are certainly ours: a process is known by its pid *and*
//!   the moment it started, so a reused pid is never hit.
//! - [`Stack::up`] may be called at any time, by several programs at once: it starts what is
//!   missing and leaves the rest alone.
//! - A component whose address is in the environment (see [`ENVIRONMENT`]) is used as it is and
//!   neither started nor stopped.

mod addresses;
mod artefacts;
mod component;
mod ending;
mod error;
mod external;
mod java;
mod kafka;
mod launch;
mod layout;
mod lock;
mod mail;
mod options;
mod orphans;
mod plan;
mod ports;
mod postgres;
mod probe;
mod process;
mod progress;
mod record;
mod redis;
mod registry;
mod stack;
mod starting;
mod unpack;

pub use addresses::Addresses;
pub use component::{Component, ComponentState, ComponentStatus};
pub use error::StackError;
pub use external::ENVIRONMENT;
pub use options::StackOptions;
pub use ports::{Port, Ports};
pub use process::ProcessId;
pub use progress::{Progress, Quiet, Step};
pub use record::StackRecord;
pub use stack::{OwnedStack, Stack};
