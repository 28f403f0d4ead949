//! Ctrl-C and SIGTERM as an event, so that whoever holds processes can take them down first.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal as Number, kill_process};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Both signals that ask a program to end. While it lives neither ends the program by itself.
#[derive(Debug)]
pub(crate) struct Interrupt {
    ctrl_c: Signal,
    terminate: Signal,
}

impl Interrupt {
    /// Begins to listen.
    pub(crate) fn listen() -> Result<Interrupt, Failure> {
        let ctrl_c = signal(SignalKind::interrupt())?;
        Ok(Interrupt { ctrl_c, terminate: signal(SignalKind::terminate())? })
    }

    /// Returns when the next of the signals has come. May be dropped and called again.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// What a command that was interrupted says.
pub(crate) fn interrupted() -> Failure {
    Failure::new("interrupted")
}

/// Becomes `xtask down`: for an interrupt while a stack comes up, which cannot be called off. The
/// locks of the threads that were at it go with this program. Returns only when that fails.
pub(crate) fn become_down(stack: &str) -> Failure {
    end_children();
    // A build may have put another program in this one's place since it started.
    let running = Path::new("/proc/self/exe");
    let own = if running.exists() { Ok(running.to_owned()) } else { env::current_exe() };
    match own {
        Ok(own) => {
            let mut down = Command::new(own);
            Failure::from(down.args(["down", "--interrupted", "--name", stack]).exec())
        }
        Err(error) => Failure::from(error),
    }
}

/// Asks every child of this program to end: Maven, on Linux; elsewhere Ctrl-C reaches it as well.
fn end_children() {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    for list in lists {
        let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
        for pid in pids.filter_map(Pid::from_raw) {
            // One that has just ended by itself is as good.
            let _gone = kill_process(pid, Number::TERM);
        }
    }
}
