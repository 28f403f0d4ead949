//! Redis, holding everything in memory and nothing anywhere else.

use std::process::Command;

use crate::layout::make_folder;
use crate::{Component, StackError, StackRecord};

/// Makes the folder it works in, which stays empty.
pub(crate) fn prepare(record: &StackRecord) -> Result<(), StackError> {
    make_folder(&record.layout().data(Component::Redis))
}

/// The server, without snapshots and without an append-only file.
pub(crate) fn command(record: &StackRecord) -> Command {
    let folder = record.layout().data(Component::Redis);
    let mut command = Command::new(record.artefacts.join("redis/redis-server"));
    command.args(["--bind", "127.0.0.1", "--port", &record.ports.redis.to_string()]);
    command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
    command.arg("--dir").arg(&folder).current_dir(folder);
    command
}
