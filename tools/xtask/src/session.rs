//! A stack that belongs to one run of one command, from the moment it comes up until nothing of it
//! is left.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use local_stack::{OwnedStack, Stack, StackOptions};
use tokio::process::Command;
use tokio::task::spawn_blocking;

use crate::building::Built;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, become_down, interrupted};
use crate::{progress, strays, workspace};

/// The stack is up. [`Session::end`] takes it down; a drop does so too, without saying why if it
/// fails.
#[derive(Debug)]
pub(crate) struct Session {
    stack: OwnedStack,
    root: PathBuf,
    /// Locked while the run lasts; the operating system lets go when this program dies.
    _alone: File,
}

impl Session {
    /// Brings the stack up, after ending what a killed run left. An interrupt meanwhile ends this
    /// program with the stack down.
    ///
    /// # Errors
    /// Another run of the command is at work with this stack, or the stack does not come up.
    pub(crate) async fn begin(
        options: StackOptions,
        interrupt: &mut Interrupt,
    ) -> Result<Session, Failure> {
        let alone = be_alone(&options)?;
        let name = options.name.clone();
        let up = spawn_blocking(move || {
            let root = options.root.canonicalize()?;
            strays::end(&root);
            let stack = Stack::up(&options, progress::suitable().as_mut());
            let stack = stack.inspect_err(|_| drop(Stack::end(&root)))?;
            Ok(Session { stack: OwnedStack::from(stack), root, _alone: alone })
        });
        tokio::select! {
            session = up => session.map_err(panicked)?,
            () = interrupt.wait() => Err(become_down(&name)),
        }
    }

    /// Does some work on a stack of its own, and takes the stack down however it ends.
    ///
    /// # Errors
    /// The stack does not come up or does not end, the work fails, or it is interrupted.
    pub(crate) async fn with<T>(
        options: StackOptions,
        interrupt: &mut Interrupt,
        work: impl AsyncFnOnce(&Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let session = Session::begin(options, interrupt).await?;
        let outcome = tokio::select! {
            outcome = work(&session) => outcome,
            () = interrupt.wait() => Err(interrupted()),
        };
        let ended = session.end().await;
        let done = outcome?;
        ended.map(|()| done)
    }

    /// The stack.
    pub(crate) fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The folder of the stack; also the value of [`strays::MARK`] for what works with it.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The file that says where the stack is.
    pub(crate) fn record_file(&self) -> PathBuf {
        self.root.join("stack.json")
    }

    /// Copies of the programs among what was built, in a folder of the stack: a build that runs
    /// meanwhile must not change what this run works with.
    ///
    /// # Errors
    /// The programs cannot be copied.
    pub(crate) fn copy_programs(&self, built: &[Built]) -> Result<PathBuf, Failure> {
        let programs = self.root.join("programs");
        std::fs::create_dir_all(&programs)?;
        for program in built.iter().filter(|built| built.kind == "bin" && !built.is_test) {
            if let Some(name) = program.executable.file_name() {
                std::fs::copy(&program.executable, programs.join(name))?;
            }
        }
        Ok(programs)
    }

    /// Runs a program that works with this stack, from the checkout, until it ends.
    ///
    /// # Errors
    /// It cannot be started, or it failed: why, it has told by itself.
    pub(crate) async fn run(&self, mut command: Command) -> Result<(), Failure> {
        command.env(strays::MARK, &self.root);
        // The terminal's Ctrl-C is for us: we end the program, and with it what it started.
        command.current_dir(workspace::root()).stdin(Stdio::null());
        command.process_group(0).kill_on_drop(true);
        if command.status().await?.success() { Ok(()) } else { Err(Failure::already_told()) }
    }

    /// Takes everything down.
    ///
    /// # Errors
    /// A process does not end.
    pub(crate) async fn end(self) -> Result<(), Failure> {
        let down = spawn_blocking(move || {
            strays::end(&self.root);
            self.stack.down().map_err(Failure::from)
        });
        down.await.map_err(panicked)?
    }
}

/// What is said about a thread of ours that panicked; it has told where by itself.
fn panicked(_: tokio::task::JoinError) -> Failure {
    Failure::new("the thread that handles the stack failed")
}

fn be_alone(options: &StackOptions) -> Result<File, Failure> {
    std::fs::create_dir_all(&options.root)?;
    let path = options.root.join("run.lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::new(format!(
            "another command is at work with the stack {:?}: end it with Ctrl-C there first",
            options.name
        ))),
        Err(TryLockError::Error(error)) => Err(Failure::from(error)),
    }
}
