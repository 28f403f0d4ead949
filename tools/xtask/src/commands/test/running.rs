//! Running test programs and passing on what they say.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::plan::Stage;
use super::tally::Tally;
use crate::building::{Built, cargo};
use crate::failure::Failure;
use crate::session::Session;
use crate::strays;

/// What every test finds around it.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    stack: PathBuf,
    stack_root: PathBuf,
    programs: PathBuf,
}

impl Surroundings {
    /// The session's stack, and copies of the programs that were built.
    ///
    /// # Errors
    /// The programs cannot be copied.
    pub(crate) fn of(session: &Session, built: &[Built]) -> Result<Surroundings, Failure> {
        let programs = session.copy_programs(built)?;
        let (stack, stack_root) = (session.record_file(), session.root().to_owned());
        Ok(Surroundings { stack, stack_root, programs })
    }

    fn apply(&self, command: &mut Command) {
        command.env("FACTLINE_STACK", &self.stack);
        command.env("FACTLINE_PROGRAMS", &self.programs);
        command.env(strays::MARK, &self.stack_root);
    }
}

/// Runs one test program to its end.
///
/// # Errors
/// It cannot be started; a test that fails is no error.
pub(crate) async fn binary(
    test: &Built,
    stage: Stage,
    surroundings: &Surroundings,
    filter: Option<&str>,
) -> Result<Tally, Failure> {
    let origin = origin(test);
    let mut command = Command::new(&test.executable);
    // As cargo does.
    command.current_dir(&test.package).env("CARGO_MANIFEST_DIR", &test.package);
    command.args(filter).stdin(Stdio::null());
    if stage == Stage::EndToEnd {
        command.arg("--test-threads=1");
    }
    surroundings.apply(&mut command);
    run(command, &origin).await
}

/// Runs the code in the documentation.
///
/// # Errors
/// Cargo cannot be started.
pub(crate) async fn documentation(
    surroundings: &Surroundings,
    features: &[String],
    filter: Option<&str>,
) -> Result<Tally, Failure> {
    let mut command = cargo();
    command.args(["test", "--doc", "--workspace", "--no-fail-fast"]).args(features);
    if let Some(filter) = filter {
        command.args(["--", filter]);
    }
    surroundings.apply(&mut command);
    run(command, "documentation").await
}

async fn run(mut command: Command, origin: &str) -> Result<Tally, Failure> {
    println!("\n{origin}");
    // The end of this run ends the test program as well.
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output).split(b'\n');
        while let Some(line) = lines.next_segment().await? {
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            tally.read(origin, &line);
        }
    }
    tally.ended(origin, child.wait().await?.success());
    Ok(tally)
}

/// `crates/factline-log (lib)`, `e2e (test crashes)`.
fn origin(test: &Built) -> String {
    let root = crate::workspace::root();
    let package = test.package.strip_prefix(&root).unwrap_or(&test.package).display();
    match test.kind.as_str() {
        "lib" => format!("{package} (lib)"),
        kind => format!("{package} ({kind} {})", test.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_is_called_by_its_package_and_target() {
        let root = crate::workspace::root();
        let test = Built {
            package: root.join("crates/factline-log"),
            name: "append".to_owned(),
            kind: "test".to_owned(),
            is_test: true,
            executable: PathBuf::new(),
        };
        assert_eq!(origin(&test), "crates/factline-log (test append)");
    }
}
