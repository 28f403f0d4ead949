//! What is tested with what: the stages of a run, and the features that the tests need.

use serde::Deserialize;

use crate::building::{Built, cargo};
use crate::failure::Failure;

/// Compiles in the places where a test stops a process dead.
const FAILPOINTS: &str = "failpoints";
/// The package of the end-to-end tests.
const END_TO_END: &str = "e2e";

/// A part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Inside libraries and programs.
    Unit,
    /// Of one crate or service, from outside.
    Integration,
    /// The code in the documentation.
    Documentation,
    /// Of the composed system: processes are killed and brokers stopped, so one at a time.
    EndToEnd,
}

/// The tests of a stage in the order in which they were built.
pub(crate) fn of_stage(built: &[Built], stage: Stage) -> impl Iterator<Item = &Built> {
    built.iter().filter(move |built| built.is_test && stage_of(built) == stage)
}

fn stage_of(test: &Built) -> Stage {
    if test.package.file_name().is_some_and(|folder| folder == END_TO_END) {
        Stage::EndToEnd
    } else if test.kind == "test" {
        Stage::Integration
    } else {
        Stage::Unit
    }
}

/// The packages that have the feature `failpoints`. All programs are built with it, so that one
/// build serves every test; a failpoint does nothing unless a test names it.
///
/// # Errors
/// Cargo cannot read the manifests.
pub(crate) fn features() -> Result<Vec<String>, Failure> {
    let mut command = cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = command.as_std_mut().output()?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout)
        .map_err(|error| Failure::new(format!("cargo metadata: {error}")))?;
    let with = |package: &Package| package.features.get(FAILPOINTS).is_some();
    Ok(metadata.packages.into_iter().filter(with).map(|package| package.name).collect())
}

/// The arguments that switch the feature on in these packages.
pub(crate) fn arguments(packages: &[String]) -> Vec<String> {
    packages.iter().map(|package| format!("--features={package}/{FAILPOINTS}")).collect()
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    features: serde_json::Map<String, serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn built(package: &str, kind: &str, is_test: bool) -> Built {
        Built {
            package: PathBuf::from(package),
            name: "it".to_owned(),
            kind: kind.to_owned(),
            is_test,
            executable: PathBuf::from("/t/it"),
        }
    }

    #[test]
    fn every_test_belongs_to_one_stage_and_programs_to_none() {
        let all = [
            built("/w/crates/a", "lib", true),
            built("/w/services/b", "bin", true),
            built("/w/services/b", "bin", false),
            built("/w/crates/a", "test", true),
            built("/w/e2e", "test", true),
            built("/w/e2e", "lib", true),
        ];
        let count = |stage| of_stage(&all, stage).count();
        let counts = [Stage::Unit, Stage::Integration, Stage::EndToEnd].map(count);
        assert_eq!(counts, [2, 1, 2]);
    }
}
