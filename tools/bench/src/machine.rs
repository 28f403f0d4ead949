//! What the figures were measured on.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use crate::surroundings::workspace;

/// Processor, cores, memory and kernel in one line.
pub(crate) fn description() -> String {
    let cores = available_parallelism().map_or(0, usize::from);
    let processor = value_in("/proc/cpuinfo", "model name");
    let memory = value_in("/proc/meminfo", "MemTotal");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = memory.trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / 1024 / 1024;
    let os = std::env::consts::OS;
    format!("{cores} cores ({processor}), {memory} GiB, {os} {}", kernel.trim())
}

/// How busy the machine was over the last one, five and fifteen minutes.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// The checkout's commit, and whether anything was changed since.
pub(crate) fn commit() -> String {
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    let changed = !git(&[
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        "crates",
        "services",
        "tools",
        "Cargo.lock",
    ])
    .is_empty();
    if changed { format!("{commit} with changes") } else { commit }
}

fn git(arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "safe.directory=*"]).args(arguments).current_dir(workspace());
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

fn value_in(file: &str, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key));
    let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim());
    value.unwrap_or("unknown").to_owned()
}
