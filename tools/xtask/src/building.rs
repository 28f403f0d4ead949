//! Building with cargo: its output is shown, what it built comes back.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;

use crate::failure::Failure;
use crate::interrupt::{Interrupt, interrupted};
use crate::workspace;

/// A program that cargo built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// The folder of its package's `Cargo.toml`.
    pub(crate) package: PathBuf,
    /// The target's name: a binary's, or of a test its file's or library's.
    pub(crate) name: String,
    /// `lib`, `bin`, `test` …
    pub(crate) kind: String,
    /// Runs tests instead of what it is.
    pub(crate) is_test: bool,
    /// The program.
    pub(crate) executable: PathBuf,
}

/// The cargo that runs us, or the one on the PATH.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(workspace::root()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs `cargo <arguments>`, which must be a build, and returns what it built or found built.
///
/// # Errors
/// The build failed (cargo has said why) or was interrupted.
pub(crate) async fn build(
    arguments: &[&str],
    interrupt: &mut Interrupt,
) -> Result<Vec<Built>, Failure> {
    let mut command = cargo();
    command.args(arguments).arg("--message-format=json-render-diagnostics");
    let child = command.stdout(Stdio::piped()).spawn()?;
    let output = tokio::select! {
        output = child.wait_with_output() => output?,
        () = interrupt.wait() => return Err(interrupted()),
    };
    if !output.status.success() {
        return Err(Failure::new("the build failed: see above"));
    }
    Ok(programs(&String::from_utf8_lossy(&output.stdout)))
}

/// The program of this name among what was built.
pub(crate) fn binary(built: &[Built], name: &str) -> Result<PathBuf, Failure> {
    let wanted = |built: &&Built| built.name == name && built.kind == "bin" && !built.is_test;
    let found = built.iter().find(wanted).map(|built| built.executable.clone());
    found.ok_or_else(|| Failure::new(format!("cargo built no program called {name}")))
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// Reads cargo's messages, one JSON object a line
/// (doc.rust-lang.org/cargo/reference/external-tools.html#json-messages).
fn programs(messages: &str) -> Vec<Built> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let artifacts = messages.filter(|message| message.reason == "compiler-artifact");
    artifacts
        .filter_map(|message| {
            let target = message.target?;
            Some(Built {
                package: message.manifest_path?.parent().map(Path::to_owned)?,
                name: target.name,
                kind: target.kind.into_iter().next()?,
                is_test: message.profile?.test,
                executable: message.executable?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_cargos_messages_the_programs_are_taken() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{"name":"a","kind":["lib"]},"profile":{"test":false},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{"name":"a","kind":["bin"]},"profile":{"test":false},"executable":"/t/a"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let built = programs(messages);
        assert_eq!(built.len(), 1);
        assert_eq!(binary(&built, "a").unwrap(), Path::new("/t/a"));
        assert!(binary(&built, "b").is_err());
    }
}
