//! Processes that outlive us: starting them, knowing them again, sending them signals.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::StackError;
use crate::error::Doing;

/// How often a process is looked at while somebody waits for it.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(25);

/// A process that can be told from a later one with the same pid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The operating system's number for it.
    pub pid: u32,
    /// When it started, in the operating system's own words: on Linux the boot's id and the
    /// clock ticks since then, elsewhere what `ps` prints.
    pub started: String,
}

/// What a process does, if it is still the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessState {
    Running,
    /// Stopped by a signal.
    Paused,
    /// Ended; or its pid belongs to another process by now.
    Gone,
}

/// The user a process runs as, where that is not our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub uid: u32,
    pub gid: u32,
}

impl ProcessId {
    /// The process with this pid now, if there is one.
    pub(crate) fn of(pid: u32) -> Option<ProcessId> {
        look(pid).map(|seen| ProcessId { pid, started: seen.started })
    }

    pub(crate) fn state(&self) -> ProcessState {
        match look(self.pid) {
            Some(seen) if seen.started == self.started => seen.state,
            Some(_) | None => ProcessState::Gone,
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.state() == ProcessState::Gone
    }

    /// This process and its children, itself first. PostgreSQL's server processes are children
    /// of the one that was started. Elsewhere than on Linux only the process itself is known.
    pub(crate) fn family(&self) -> Vec<ProcessId> {
        let mut family = vec![self.clone()];
        family.extend(all_pids().into_iter().filter_map(|pid| {
            let seen = look(pid)?;
            (seen.parent == Some(self.pid)).then_some(ProcessId { pid, started: seen.started })
        }));
        family
    }

    /// Sends the signal, unless the process has gone.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), StackError> {
        if self.is_gone() {
            return Ok(());
        }
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(());
        };
        match kill_process(pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => {
                Err(error.into()).doing(|| format!("send a signal to process {}", self.pid))
            }
        }
    }

    /// Waits until the process has gone. False when it has not within `patience`.
    pub(crate) fn wait_gone(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while !self.is_gone() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(LOOK_EVERY);
        }
        true
    }
}

/// Starts the command in its own process group, deaf to the terminal's Ctrl-C, with both its
/// outputs going to `log`, which is made anew.
///
/// When it ends before we do, it is reaped at once, so that it never looks alive to others.
pub(crate) fn spawn(
    mut command: Command,
    user: Option<User>,
    log: &Path,
) -> Result<ProcessId, StackError> {
    let program = command.get_program().to_owned();
    let doing = || format!("start {}", program.display());
    let output = File::create(log).doing(|| format!("write {}", log.display()))?;
    let errors = output.try_clone().doing(doing)?;
    command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
    become_user(&mut command, user);
    let mut child = command.spawn().doing(doing)?;
    let id = ProcessId::of(child.id())
        .ok_or_else(|| std::io::Error::other("it ended at once"))
        .doing(doing)?;
    thread::Builder::new()
        .name(format!("reap-{}", child.id()))
        .spawn(move || child.wait())
        .doing(doing)?;
    Ok(id)
}

/// Runs the command to its end. Its output goes to `log`, made anew; true when it succeeded.
pub(crate) fn run(
    mut command: Command,
    user: Option<User>,
    log: &Path,
) -> Result<bool, StackError> {
    let program = command.get_program().to_owned();
    let doing = || format!("run {}", program.display());
    let output = File::create(log).doing(|| format!("write {}", log.display()))?;
    let errors = output.try_clone().doing(doing)?;
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    become_user(&mut command, user);
    Ok(command.status().doing(doing)?.success())
}

fn become_user(command: &mut Command, user: Option<User>) {
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
}

struct Seen {
    state: ProcessState,
    started: String,
    /// Known on Linux only.
    parent: Option<u32>,
}

fn look(pid: u32) -> Option<Seen> {
    if Path::new("/proc/self/stat").exists() {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        return parse_proc_stat(&stat, boot.trim());
    }
    let pid = pid.to_string();
    let output = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid]).output().ok()?;
    parse_ps(&String::from_utf8_lossy(&output.stdout))
}

/// Every pid there is, on Linux; nothing elsewhere.
pub(crate) fn all_pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// `pid (any name, even with ") ") state parent …`; the 20th field is the number of threads and
/// the 22nd the start time (proc_pid_stat(5)).
fn parse_proc_stat(stat: &str, boot: &str) -> Option<Seen> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let threads: u32 = fields.get(17)?.parse().ok()?;
    let state = match state_of(fields.first()?)? {
        // Only its first thread has ended: the others still hold its ports and files.
        ProcessState::Gone if threads > 1 => ProcessState::Running,
        state => state,
    };
    let ticks = fields.get(19)?;
    let parent = fields.get(1)?.parse().ok();
    Some(Seen { state, started: format!("{boot}+{ticks}"), parent })
}

/// One line: the state's letters, then the date.
fn parse_ps(line: &str) -> Option<Seen> {
    let (state, started) = line.trim().split_once(char::is_whitespace)?;
    Some(Seen { state: state_of(state)?, started: started.trim().to_owned(), parent: None })
}

/// A zombie has ended, whoever has not collected it.
fn state_of(letters: &str) -> Option<ProcessState> {
    match letters.chars().next()? {
        'Z' | 'X' => Some(ProcessState::Gone),
        'T' => Some(ProcessState::Paused),
        _ => Some(ProcessState::Running),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4711 (java (x) y) S 1 4711 4711 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 \
                        987654 1 2 3";

    #[test]
    fn a_process_is_known_by_its_boot_and_start_time_whatever_its_name_is() {
        let seen = parse_proc_stat(STAT, "boot").unwrap();
        assert_eq!(seen.started, "boot+987654");
        assert_eq!(seen.parent, Some(1));
        assert_eq!(seen.state, ProcessState::Running);
    }

    #[test]
    fn a_zombie_has_gone_and_a_stopped_process_is_paused() {
        let zombie = parse_proc_stat(&STAT.replace(") S", ") Z"), "boot").unwrap();
        let paused = parse_proc_stat(&STAT.replace(") S", ") T"), "boot").unwrap();
        assert_eq!((zombie.state, paused.state), (ProcessState::Gone, ProcessState::Paused));
    }

    #[test]
    fn a_zombie_with_threads_left_has_not_gone() {
        let dying = STAT.replace(") S", ") Z").replace(" 20 0 1 0 ", " 20 0 31 0 ");
        assert_eq!(parse_proc_stat(&dying, "boot").unwrap().state, ProcessState::Running);
    }

    #[test]
    fn the_line_of_ps_gives_state_and_start() {
        let seen = parse_ps("Ss   Sat Nov 21 11:55:26 2026\n").unwrap();
        assert_eq!(seen.started, "Sat Nov 21 11:55:26 2026");
        assert_eq!(seen.state, ProcessState::Running);
        assert!(parse_ps("").is_none());
    }

    #[test]
    fn a_pid_that_belongs_to_another_process_by_now_is_gone_and_gets_no_signal() {
        let own = ProcessId::of(std::process::id()).unwrap();
        assert_eq!(own.state(), ProcessState::Running);
        let stale = ProcessId { started: "an earlier boot+1".to_owned(), ..own };
        assert!(stale.is_gone());
        stale.signal(Signal::KILL).unwrap();
    }
}
