//! Apicurio Registry, with its schemas in an H2 database file so that ids survive a restart.

use std::path::PathBuf;
use std::process::Command;

use crate::artefacts::only_file;
use crate::layout::make_folder;
use crate::{Component, StackError, StackRecord};

/// A path of the Confluent API that is answered only when the storage is ready.
pub(crate) const READY_PATH: &str = "/apis/ccompat/v7/subjects";

/// Makes the folder of the database.
pub(crate) fn prepare(record: &StackRecord) -> Result<(), StackError> {
    make_folder(&record.layout().data(Component::Registry))
}

/// The registry, current or of the last line that runs on Java 17: both take these settings,
/// under the names of either.
pub(crate) fn command(record: &StackRecord) -> Result<Command, StackError> {
    let folder = record.layout().data(Component::Registry);
    let programs = record.artefacts.join("registry");
    let program =
        only_file(&programs, |name| name.ends_with("-run.jar") || name.ends_with("-runner.jar"))?;
    // Neither line reads the other's database, and a newer Java may come to this machine.
    let older_line = program.to_string_lossy().ends_with("-runner.jar");
    let url = database_url(folder.join(if older_line { "schemas-2" } else { "schemas-3" }));
    let mut command = Command::new(&record.java);
    command.args([
        "-Xmx384m",
        "-XX:+UseSerialGC",
        // It serves a few requests a minute; without the optimising compiler it is up in two
        // thirds of the time.
        "-XX:TieredStopAtLevel=1",
        "-Djava.awt.headless=true",
        "-Dquarkus.http.host=127.0.0.1",
        &format!("-Dquarkus.http.port={}", record.ports.registry),
        "-Dquarkus.http.access-log.enabled=false",
        "-Dquarkus.management.host=127.0.0.1",
        // Nobody asks its management port; 0 takes any.
        "-Dquarkus.management.port=0",
        "-Dquarkus.otel.sdk.disabled=true",
        &format!("-Dapicurio.datasource.url={url}"),
        &format!("-DREGISTRY_DATASOURCE_URL={url}"),
    ]);
    command.arg("-jar").arg(program).current_dir(folder);
    Ok(command)
}

/// `WRITE_DELAY=0`: a schema that was acknowledged is in the file, also when the process is
/// killed the next moment (H2's default is half a second later).
fn database_url(file: PathBuf) -> String {
    format!("jdbc:h2:file:{};WRITE_DELAY=0", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_written_before_they_are_acknowledged() {
        let url = database_url(PathBuf::from("/stacks/demo/data/registry/schemas-3"));
        assert_eq!(url, "jdbc:h2:file:/stacks/demo/data/registry/schemas-3;WRITE_DELAY=0");
    }
}
