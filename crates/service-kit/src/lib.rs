//! What every service needs and no business: settings, telemetry, health, shutdown, the HTTP
//! server with its limits, extractors that refuse bad input, and problem documents.
//!
//! A service implements [`Program`] and calls [`run`]; what flows in is a settings file, the
//! environment and HTTP requests, what flows out is HTTP answers, logs, metrics and an exit code.

pub mod extract;
pub mod health;
pub mod http;
pub mod settings;
pub mod telemetry;

mod admin;
mod context;
mod error;
mod kit_settings;
mod listen;
mod measurements;
mod problem;
mod program;
mod shutdown;
mod tasks;
mod trace;

pub use context::RequestContext;
pub use error::ServiceError;
pub use health::{Component, Health};
pub use kit_settings::{AdminSettings, KitSettings, ShutdownSettings};
pub use listen::bind;
pub use problem::{FieldError, Problem, ProblemDocument};
pub use program::{Program, Runtime, run};
pub use shutdown::{Phase, Shutdown};
pub use tasks::Tasks;
pub use trace::TraceContext;
