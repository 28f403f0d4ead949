//! `cargo xtask schemathesis`: every service's OpenAPI document held against the service itself.
//!
//! In: the documents that the services serve. schemathesis (schemathesis.readthedocs.io) makes up
//! requests from them, good ones and bad ones, sends them to the real services on a stack of their
//! own, and compares each answer with what the document says. Out: every finding, with a line of
//! curl that repeats it. The seed is fixed, so two runs send the same requests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use local_stack::StackOptions;
use tokio::process::Command;
use tokio::time::Instant;

use super::demo::services::{self, Launch, SERVICES, Services};
use super::demo::webhooks::Receiver;
use crate::building;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, interrupted};
use crate::session::Session;
use crate::{strays, workspace};

/// The stack's name: never the demo's, so that both may run.
const STACK: &str = "schemathesis";
/// What pip installs: the tool and everything it needs, each at one version.
const REQUIREMENTS: &str = include_str!("schemathesis/requirements.txt");
/// What is checked and how, with the reason for each exception.
const CONFIG: &str = "tools/xtask/src/commands/schemathesis/schemathesis.toml";
/// A check of our own.
const CHECKS: &str = "tools/xtask/src/commands/schemathesis/checks.py";

/// Arguments of `schemathesis`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only this service
    #[arg(long, value_name = "NAME", value_parser = SERVICES.map(|(service, _, _)| service))]
    service: Option<String>,
    /// Made-up requests of each kind for each operation, at most
    #[arg(long, value_name = "N", default_value_t = 10)]
    examples: u32,
    /// Where the making-up begins
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u32,
}

/// Runs it; fails when anything was found.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(schemathesis(args))
}

async fn schemathesis(args: &Args) -> Result<(), Failure> {
    let mut interrupt = Interrupt::listen()?;
    let mut options = StackOptions::new(&workspace::root(), STACK);
    options.fresh = true;
    let target = workspace::target(&options);
    let mut arguments = vec!["build", "--workspace"];
    arguments.extend(SERVICES.iter().flat_map(|(service, _, _)| ["--bin", service]));
    let built = building::build(&arguments, &mut interrupt).await?;
    let folder = target.join("schemathesis");
    let tool = tokio::select! {
        tool = install(&folder) => tool?,
        () = interrupt.wait() => return Err(interrupted()),
    };
    let work = async |session: &Session| against_all(args, &tool, &built, session).await;
    Session::with(options, &mut interrupt, work).await
}

/// The tool in a Python environment of its own below the target folder, installed once for each set
/// of versions.
async fn install(folder: &Path) -> Result<PathBuf, Failure> {
    let environment = folder.join("python");
    let (tool, installed) = (environment.join("bin/schemathesis"), folder.join("installed.txt"));
    if tool.exists() && fs::read_to_string(&installed).is_ok_and(|text| text == REQUIREMENTS) {
        return Ok(tool);
    }
    eprintln!("installing schemathesis from PyPI into {}", environment.display());
    let mut python = Command::new("python3");
    python.args(["-m", "venv", "--clear"]).arg(&environment);
    let words = "python3 cannot make an environment: Python 3.11 or newer with venv is needed";
    succeed(python, words).await?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
    pip.arg(&requirements);
    succeed(pip, "pip cannot install schemathesis: see above").await?;
    fs::rename(requirements, installed)?;
    Ok(tool)
}

async fn succeed(mut command: Command, otherwise: &str) -> Result<(), Failure> {
    let status = command.stdin(Stdio::null()).kill_on_drop(true).status().await;
    if status.is_ok_and(|status| status.success()) { Ok(()) } else { Err(Failure::new(otherwise)) }
}

/// command-api first: what it is made to do gives the others something to show.
async fn against_all(
    args: &Args,
    tool: &Path,
    built: &[building::Built],
    session: &Session,
) -> Result<(), Failure> {
    let program = |service: &'static str| Ok((service, building::binary(built, service)?));
    let programs = SERVICES.iter().map(|(service, _, _)| program(service));
    let programs = programs.collect::<Result<_, Failure>>()?;
    let receiver = Receiver::listen().await?;
    let launch =
        Launch { session, programs: &programs, webhook_url: receiver.url(), free_ports: true };
    services::migrate(&launch).await?;
    let mut services = Services::start(&launch).await?;
    let mut found = Vec::new();
    let wanted = |service: &str| args.service.as_deref().is_none_or(|wanted| wanted == service);
    for (service, _, _) in SERVICES.into_iter().filter(|(service, _, _)| wanted(service)) {
        let began = Instant::now();
        let is_good = against(args, tool, service, &services, session).await?;
        println!("{service}: {} after {:.0} s", word(is_good), began.elapsed().as_secs_f32());
        services.check()?;
        if !is_good {
            found.push(service);
        }
    }
    services.end().await;
    if found.is_empty() { Ok(()) } else { Err(Failure::new(told(&found))) }
}

fn word(is_good: bool) -> &'static str {
    if is_good { "as documented" } else { "NOT as documented" }
}

fn told(found: &[&str]) -> String {
    format!("{} and what it documents differ: see above", found.join(", "))
}

/// Whether a service answers as it says.
async fn against(
    args: &Args,
    tool: &Path,
    service: &str,
    services: &Services,
    session: &Session,
) -> Result<bool, Failure> {
    let url = &services.place(service)?.url;
    let mut command = Command::new(tool);
    command.arg("--config-file").arg(workspace::root().join(CONFIG)).arg("run");
    command.arg(format!("{url}/openapi.json")).args(["--url", url]);
    command.args(["--max-examples", &args.examples.to_string()]);
    command.args(["--seed", &args.seed.to_string()]);
    command.env("SCHEMATHESIS_HOOKS", workspace::root().join(CHECKS));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.env(strays::MARK, session.root());
    // It leaves notes of its own where it runs.
    command.current_dir(session.root()).stdin(Stdio::null());
    // The terminal's Ctrl-C is for us: we end it, and then what it works with.
    command.process_group(0).kill_on_drop(true);
    Ok(command.status().await?.success())
}
