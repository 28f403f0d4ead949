//! GreenMail: a whole SMTP server that delivers to nobody. What it was sent stays in its memory, and
//! its HTTP API shows it.

use std::process::Command;

use crate::artefacts::only_file;
use crate::layout::make_folder;
use crate::{Component, StackError, StackRecord};

/// A path of the HTTP API that is answered when SMTP is.
pub(crate) const READY_PATH: &str = "/api/service/readiness";

/// Makes the folder it works in, which stays empty.
pub(crate) fn prepare(record: &StackRecord) -> Result<(), StackError> {
    make_folder(&record.layout().data(Component::Mail))
}

/// The server: SMTP and the API, none of the protocols that read mail. Every recipient exists.
pub(crate) fn command(record: &StackRecord) -> Result<Command, StackError> {
    let folder = record.layout().data(Component::Mail);
    let program = only_file(&record.artefacts.join("mail"), |name| name.ends_with(".jar"))?;
    let mut command = Command::new(&record.java);
    command.args([
        // Ten thousand mails of two kilobytes, several times over.
        "-Xmx128m",
        "-XX:+UseSerialGC",
        // It is up in a second, and serves little enough to stay without the optimising compiler.
        "-XX:TieredStopAtLevel=1",
        "-Djava.awt.headless=true",
        "-Dgreenmail.smtp.hostname=127.0.0.1",
        &format!("-Dgreenmail.smtp.port={}", record.ports.smtp),
        "-Dgreenmail.auth.disabled",
        "-Dgreenmail.api.hostname=127.0.0.1",
        &format!("-Dgreenmail.api.port={}", record.ports.mail_api),
    ]);
    command.arg("-jar").arg(program).current_dir(folder);
    Ok(command)
}
