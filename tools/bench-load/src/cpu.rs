//! CPU time of processes, from /proc; elsewhere than on Linux there is none, and nothing is shown.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// CPU time that a process spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CpuTime {
    /// What it is called in the tables.
    pub process: String,
    /// User and system time.
    pub seconds: f64,
}

/// A process and whatever it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessTree {
    name: String,
    pid: u32,
}

impl ProcessTree {
    /// The process with this pid, its children, and those that it has waited for.
    #[must_use]
    pub fn of(name: &str, pid: u32) -> ProcessTree {
        ProcessTree { name: name.to_owned(), pid }
    }

    /// This process.
    #[must_use]
    pub fn own(name: &str) -> ProcessTree {
        ProcessTree::of(name, std::process::id())
    }
}

/// Reads the CPU time of some processes.
#[derive(Clone, Debug, Default)]
pub struct Meter(Vec<ProcessTree>);

impl Meter {
    /// Of these processes.
    #[must_use]
    pub fn new(processes: Vec<ProcessTree>) -> Meter {
        Meter(processes)
    }

    /// What each has spent in its life.
    #[must_use]
    pub fn read(&self) -> Vec<CpuTime> {
        let tick = 1.0 / crate::as_f64(rustix::param::clock_ticks_per_second().max(1));
        let spent = |tree: &ProcessTree| CpuTime {
            process: tree.name.clone(),
            seconds: crate::as_f64(ticks_of(tree)) * tick,
        };
        self.0.iter().map(spent).collect()
    }

    /// What each has spent since an earlier reading.
    #[must_use]
    pub fn since(&self, before: &[CpuTime]) -> Vec<CpuTime> {
        let mut now = self.read();
        for (now, before) in now.iter_mut().zip(before) {
            now.seconds = (now.seconds - before.seconds).max(0.0);
        }
        now
    }
}

/// A child of ours is another part of the bench with a name of its own, and so are ours left out;
/// a server's children are the server.
fn ticks_of(tree: &ProcessTree) -> u64 {
    let Some(root) = stat(tree.pid) else { return 0 };
    if tree.pid == std::process::id() {
        return root.own;
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children = pids.filter_map(stat).filter(|stat| stat.parent == tree.pid);
    root.own + root.waited_for + children.map(|child| child.own).sum::<u64>()
}

struct Stat {
    parent: u32,
    own: u64,
    waited_for: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    parse(&text)
}

/// The fields after the name, which stands in brackets and may hold anything (proc_pid_stat(5)).
fn parse(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
    let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
    // Counted from the state, which is the third field: ppid 4, utime 14, stime 15, cutime 16,
    // cstime 17.
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: number(11)? + number(12)?,
        waited_for: number(13)? + number(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let text = "7 (a) (b c) S 3 7 7 0 -1 0 0 0 0 0 11 22 33 44 20 0 1 0";
        let stat = parse(text).unwrap();
        assert_eq!((stat.parent, stat.own, stat.waited_for), (3, 33, 77));
    }
}
