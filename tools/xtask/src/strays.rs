//! Processes that an earlier run of a command left behind because it was killed itself.
//!
//! Every process that a run starts carries [`MARK`] in its environment, and so do its children. On
//! Linux such processes can be found when nobody else remembers them.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process};

/// The variable whose value is the folder of the stack that the run works with.
pub(crate) const MARK: &str = "FACTLINE_RUN";

/// How long a stray may take to end in good order: services drain for 20 s at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends whatever carries the mark of this stack, and says how many they were. Call it only while
/// no other run holds the stack.
pub(crate) fn end(stack_root: &Path) -> usize {
    let strays = find(stack_root);
    strays.iter().for_each(|pid| send(*pid, Signal::TERM));
    let deadline = Instant::now() + PATIENCE;
    while !find(stack_root).is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50)); // seems immediate to a person
    }
    find(stack_root).iter().for_each(|pid| send(*pid, Signal::KILL));
    strays.len()
}

fn send(pid: Pid, signal: Signal) {
    // One that has just ended by itself is as good.
    let _gone = kill_process(pid, signal);
}

fn find(stack_root: &Path) -> Vec<Pid> {
    let wanted = format!("{MARK}={}", stack_root.display());
    let own = getpid();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Pid::from_raw)
        .filter(|pid| *pid != own)
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()));
            environment.is_ok_and(|environment| has_entry(&environment, wanted.as_bytes()))
        })
        .collect()
}

/// Whether an environment as the kernel shows it, entries ended by zeros, has this one.
fn has_entry(environment: &[u8], wanted: &[u8]) -> bool {
    environment.split(|byte| *byte == 0).any(|entry| entry == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_entry_marks_a_process() {
        let environment = b"HOME=/root\0FACTLINE_RUN=/w/stack/demo\0TERM=xterm\0";
        assert!(has_entry(environment, b"FACTLINE_RUN=/w/stack/demo"));
        assert!(!has_entry(environment, b"FACTLINE_RUN=/w/stack/dem"));
        assert!(!has_entry(environment, b"RUN=/w/stack/demo"));
    }
}
