//! The operator's program, as a person runs it.

use std::path::PathBuf;

use serde_json::Value;
use tokio::process::Command;

/// See the module.
pub struct Operator {
    program: PathBuf,
    environment: Vec<(String, String)>,
}

/// What the program said.
#[derive(Debug)]
pub struct Report {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub text: String,
}

impl Operator {
    pub(crate) fn new(program: PathBuf, environment: Vec<(String, String)>) -> Self {
        Self { program, environment }
    }

    /// Runs it with these arguments, as somebody called `ada`.
    pub async fn run(&self, arguments: &[&str]) -> Report {
        let output = Command::new(&self.program)
            .args(arguments)
            .env("USER", "ada")
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .output()
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(complaint, "", "{arguments:?} complains");
        Report {
            code: output.status.code(),
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
        }
    }

    /// Runs it with `--json`; what it printed, an object a line.
    pub async fn ask(&self, arguments: &[&str]) -> Vec<Value> {
        let report = self.run(&[arguments, &["--json"]].concat()).await;
        report.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
