//! What a service's `main` is made of: in flow the command line, settings and signals; out flow a
//! running service and an exit code (0 done, 1 failed, 2 wrong usage, 78 wrong settings).

use std::{
    future::Future,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::Router;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::de::DeserializeOwned;
use utoipa::openapi::OpenApi;

use crate::{
    Health, KitSettings, Phase, ServiceError, Shutdown, Tasks, admin,
    http::{HttpSettings, Routes},
    listen, measurements,
    settings::{self, Validate},
    shutdown::listen_for_signals,
    telemetry,
};

/// How often the metrics recorder folds its samples: often enough that they stay few, seldom enough
/// that it costs nothing.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// A service.
pub trait Program: 'static {
    /// The binary's name.
    const NAME: &'static str;
    /// The committed default file, which lists every key.
    const DEFAULTS: &'static str;
    /// The service's own sections; `[http] [admin] [telemetry] [shutdown]` are read for it.
    type Settings: DeserializeOwned + Validate;

    /// Wires the service: opens what it needs, spawns its tasks into `runtime.tasks`, begins to
    /// serve HTTP, and returns. The runtime then waits for a signal or a failing task.
    fn start(
        settings: Self::Settings,
        runtime: Runtime,
    ) -> impl Future<Output = Result<(), ServiceError>>;

    /// Creates or upgrades the service's database.
    fn migrate(_settings: Self::Settings) -> impl Future<Output = Result<(), ServiceError>> {
        async { Err(ServiceError::new("this service has nothing to migrate")) }
    }

    /// Whether this build can go on with what its databases hold: asked before it is deployed.
    fn check(_settings: Self::Settings) -> impl Future<Output = Result<(), ServiceError>> {
        async { Ok(()) }
    }

    /// The service's OpenAPI document, if it has one.
    #[must_use]
    fn openapi() -> Option<OpenApi> {
        None
    }
}

/// What a starting service is given; a handle, cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Where its components report.
    pub health: Health,
    /// Where its tasks live.
    pub tasks: Tasks,
    /// The request to stop.
    pub shutdown: Shutdown,
    http: Arc<HttpSettings>,
    http_address: Arc<OnceLock<SocketAddr>>,
    admin_routes: admin::Extra,
}

impl Runtime {
    /// A runtime with nothing in it; [`run`] makes one, tests may.
    #[must_use]
    pub fn new(http: HttpSettings) -> Self {
        let shutdown = Shutdown::new();
        Self {
            health: Health::new(),
            tasks: Tasks::new(shutdown.clone()),
            shutdown,
            http: Arc::new(http),
            http_address: Arc::default(),
            admin_routes: Arc::default(),
        }
    }

    /// Listens on `http.listen` and serves these routes in a task of its own, with every limit of
    /// `[http]`. Returns the bound address.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn serve_http(&self, routes: impl Into<Routes>) -> Result<SocketAddr, ServiceError> {
        let listener = listen::bind(self.http.listen, "http.listen").await?;
        let address = listener.local_addr()?;
        tracing::info!(http.address = %address, "serving http");
        let (routes, settings) = (routes.into(), self.http.clone());
        self.tasks.spawn(Phase::Serving, "http", |stop| async move {
            crate::http::serve(listener, routes, &settings, stop).await;
            Ok(())
        });
        let _second_server = self.http_address.set(address);
        Ok(address)
    }

    /// Adds routes to the admin server. Only the first call counts.
    pub fn admin_routes(&self, routes: Router) {
        let _second_call = self.admin_routes.set(routes);
    }
}

#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A TOML file that overrides the built-in defaults
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand, Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// Run the service (the default)
    Serve,
    /// Create or upgrade the service's database
    Migrate,
    /// Say whether this build can go on with what its databases hold, before it is deployed
    Check,
    /// Print the OpenAPI document
    Openapi,
    /// Print the settings in force, secrets redacted
    Settings,
}

/// Runs a service as its command line says; the whole of a service's `main`.
#[must_use]
pub fn run<P: Program>() -> ExitCode {
    let matches = Arguments::command().name(P::NAME).get_matches();
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    match run_verb::<P>(arguments.verb.unwrap_or(Verb::Serve), arguments.config.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _nowhere_to_tell = writeln!(std::io::stderr(), "{}: {error}", P::NAME);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run_verb<P: Program>(verb: Verb, config: Option<&Path>) -> Result<(), ServiceError> {
    if verb == Verb::Openapi {
        let document = P::openapi().ok_or_else(|| ServiceError::new("no OpenAPI document"))?;
        return print(&document.to_pretty_json()?);
    }
    let loaded =
        settings::load_service::<P::Settings>(P::DEFAULTS, config, settings::process_environment())
            .map_err(|problems| ServiceError::settings(problems.to_string()))?;
    if verb == Verb::Settings {
        return print(loaded.effective());
    }
    let (kit, own) = loaded.settings;
    telemetry::init(&kit.telemetry)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match verb {
        Verb::Migrate => tokio.block_on(P::migrate(own)),
        Verb::Check => tokio.block_on(P::check(own)),
        Verb::Serve | Verb::Openapi | Verb::Settings => {
            let outcome = tokio.block_on(serve::<P>(kit, own));
            // A thread that still blocks (a client library's close, say) must not hold the exit.
            tokio.shutdown_timeout(Duration::from_secs(1));
            outcome
        }
    }
}

fn print(text: &str) -> Result<(), ServiceError> {
    Ok(writeln!(std::io::stdout(), "{}", text.trim_end())?)
}

async fn serve<P: Program>(kit: KitSettings, own: P::Settings) -> Result<(), ServiceError> {
    let runtime = Runtime::new(kit.http.clone());
    let (shutdown, health) = (runtime.shutdown.clone(), runtime.health.clone());
    let admin_address = spawn_own_tasks(&kit, &runtime).await?;
    let requested = shutdown.requested();
    let started = tokio::select! {
        started = P::start(own, runtime.clone()) => started,
        () = requested.cancelled() => Ok(()),
    };
    let started = started.and_then(|()| {
        write_addresses(&kit.http.address_file, runtime.http_address.get(), admin_address)
    });
    match &started {
        Ok(()) if !requested.is_cancelled() => {
            health.set_started();
            tracing::info!(service = P::NAME, version = env!("CARGO_PKG_VERSION"), "started");
        }
        Ok(()) => {}
        Err(error) => {
            tracing::error!(%error, "cannot start");
            shutdown.request("the start failed");
        }
    }
    let stopped = runtime.tasks.supervise(&kit.shutdown).await;
    started.and(stopped)
}

/// The tasks that every service has; returns the admin server's address.
async fn spawn_own_tasks(kit: &KitSettings, runtime: &Runtime) -> Result<SocketAddr, ServiceError> {
    let metrics = measurements::install()?;
    let shutdown = runtime.shutdown.clone();
    runtime.tasks.spawn(Phase::Watching, "signals", |_stop| async {
        listen_for_signals(shutdown).await.map_err(ServiceError::from)
    });
    let (requested, health) = (runtime.shutdown.requested(), runtime.health.clone());
    runtime.tasks.spawn(Phase::Watching, "readiness", |stop| async move {
        requested.cancelled().await;
        health.set_stopping();
        stop.cancelled().await;
        Ok(())
    });
    let recorder = metrics.clone();
    runtime.tasks.spawn(Phase::Watching, "metrics upkeep", |stop| async move {
        let mut every = tokio::time::interval(UPKEEP_EVERY);
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            recorder.run_upkeep();
        }
        Ok(())
    });
    let listener = listen::bind(kit.admin.listen, "admin.listen").await?;
    let address = listener.local_addr()?;
    tracing::info!(admin.address = %address, "serving operators");
    let routes = admin::routes(runtime.health.clone(), metrics, runtime.admin_routes.clone());
    let settings = kit.http.for_operators();
    runtime.tasks.spawn(Phase::Watching, "admin", |stop| async move {
        crate::http::serve(listener, routes, &settings, stop).await;
        Ok(())
    });
    Ok(address)
}

/// Writes the bound addresses for whoever started the service, all of it or nothing.
fn write_addresses(
    file: &str,
    http: Option<&SocketAddr>,
    admin: SocketAddr,
) -> Result<(), ServiceError> {
    if file.is_empty() {
        return Ok(());
    }
    let http = http.map(|address| format!("http={address}\n")).unwrap_or_default();
    let unfinished = format!("{file}.unfinished");
    std::fs::write(&unfinished, format!("{http}admin={admin}\n"))
        .and_then(|()| std::fs::rename(&unfinished, file))
        .map_err(|error| {
            ServiceError::new(format!("cannot write {file} (http.address_file): {error}"))
        })
}
