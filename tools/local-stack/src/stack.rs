//! A stack as its users see it.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::ending::{end_all, end_orphans, end_unknown, remove_everything};
use crate::error::Doing;
use crate::external::{self, External};
use crate::layout::{Layout, make_folder};
use crate::lock::Lock;
use crate::plan::{Programs, plan};
use crate::process::ProcessState;
use crate::starting::{bring_up, start_missing};
use crate::{
    Addresses, Component, ComponentState, ComponentStatus, Port, ProcessId, Progress, StackError,
    StackOptions, StackRecord, artefacts, java, launch,
};

/// How often other ports are chosen when someone takes a free one between choice and use.
const ATTEMPTS: u32 = 3;

/// A stack that is up. It owns nothing: dropping it leaves every process running
/// ([`OwnedStack`] takes them down), and any number of these may exist for one stack, in any
/// number of programs.
#[derive(Clone, Debug)]
pub struct Stack {
    record: StackRecord,
}

impl Stack {
    /// Brings up whatever of the stack is not up: fetches the programs the first time, resumes
    /// what is paused, starts what is missing, all at once, and waits until everything answers.
    ///
    /// Waits for other programs that do the same with this stack. After an error, what did
    /// start goes on running and is in the record; call it again, or [`Stack::end`].
    pub fn up(options: &StackOptions, progress: &mut dyn Progress) -> Result<Stack, StackError> {
        make_folder(&options.root)?;
        let root = real_path(&options.root)?;
        let _lock = Lock::wait(&Layout::of(&root).stack_lock())?;
        let external = External::from_environment();
        external.check()?;
        if options.fresh {
            remove_everything(&root)?;
        }
        let own = Component::ALL.into_iter().filter(|component| !external.gives(*component));
        let own: Vec<Component> = own.collect();
        let programs = if own.is_empty() { Programs::default() } else { find(options, progress)? };
        end_unknown(&root, &own)?;
        let mut attempt = 1;
        loop {
            let record = plan(options, &root, programs.clone(), &external)?;
            match start_missing(&record, &own, progress) {
                Err(StackError::PortTaken { component, .. })
                    if options.ports.of(component) == Port::Free && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                outcome => return outcome.map(|()| Stack { record }),
            }
        }
    }

    /// The stack in this folder, if any of its processes runs or all of it is external.
    pub fn attach(root: &Path) -> Result<Option<Stack>, StackError> {
        let Some(record) = StackRecord::read(root)? else { return Ok(None) };
        let lives = Component::ALL.iter().any(|component| record.process(*component).is_some());
        let all_external = record.external.len() == Component::ALL.len();
        Ok((lives || all_external).then_some(Stack { record }))
    }

    /// Ends every process of the stack in this folder, also those that no record knows (on
    /// Linux), and returns only when none is left. Data and logs stay. Says what was ended.
    pub fn end(root: &Path) -> Result<Vec<Component>, StackError> {
        if !root.exists() {
            return end_orphans(root, &Component::ALL);
        }
        let root = real_path(root)?;
        let _lock = Lock::wait(&Layout::of(&root).stack_lock())?;
        end_all(&root)
    }

    /// [`Stack::end`] for this stack.
    pub fn down(&self) -> Result<(), StackError> {
        Stack::end(&self.record.root).map(|_ended| ())
    }

    /// Where clients reach the components.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.record.addresses
    }

    /// The stack's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// The folder of its record, data and logs.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.record.root
    }

    /// The file that takes a component's output.
    #[must_use]
    pub fn log(&self, component: Component) -> PathBuf {
        self.record.layout().log(component)
    }

    /// What every component is doing. Takes up to a second for each that does not answer.
    pub fn status(&self) -> Result<Vec<ComponentStatus>, StackError> {
        let record = self.current()?;
        Ok(Component::ALL.into_iter().map(|component| status_of(&record, component)).collect())
    }

    /// SIGKILL, as a crash or a lost machine would. Returns when the process is gone.
    pub fn kill(&self, component: Component) -> Result<(), StackError> {
        launch::kill(component, &self.process(component, "killed")?)
    }

    /// SIGSTOP: connections stay open, nothing answers, as with a network that loses
    /// everything or a machine that hangs. Ends with [`Stack::resume`].
    pub fn pause(&self, component: Component) -> Result<(), StackError> {
        launch::pause(&self.process(component, "paused")?)
    }

    /// SIGCONT, after [`Stack::pause`].
    pub fn resume(&self, component: Component) -> Result<(), StackError> {
        launch::resume(&self.process(component, "resumed")?)
    }

    /// Ends the component in good order. Returns when the process is gone.
    pub fn stop(&self, component: Component) -> Result<(), StackError> {
        launch::stop(component, &self.process(component, "stopped")?)
    }

    /// Starts a component that was killed or stopped, on the same port and the same data, and
    /// waits until it answers; resumes it if it was paused. Harmless when it runs.
    pub fn start(&self, component: Component) -> Result<(), StackError> {
        let _lock = Lock::wait(&self.record.layout().stack_lock())?;
        let record = self.current()?;
        if record.external.contains(&component) {
            return Err(self.not_ours(component, "external", "started"));
        }
        bring_up(&record, component, &mut || {}, &mut |_| {})
    }

    fn current(&self) -> Result<StackRecord, StackError> {
        Ok(StackRecord::read(&self.record.root)?.unwrap_or_else(|| self.record.clone()))
    }

    fn process(&self, component: Component, wanted: &'static str) -> Result<ProcessId, StackError> {
        let record = self.current()?;
        match record.process(component) {
            Some(process) => Ok(process.clone()),
            None if record.external.contains(&component) => {
                Err(self.not_ours(component, "external", wanted))
            }
            None => Err(self.not_ours(component, "not running", wanted)),
        }
    }

    fn not_ours(
        &self,
        component: Component,
        state: &'static str,
        wanted: &'static str,
    ) -> StackError {
        StackError::NotOurs { component, stack: self.record.name.clone(), state, wanted }
    }
}

/// A stack that goes down when this is dropped, a panic included. A signal that ends the
/// program does not drop anything: catch it and return.
#[derive(Debug)]
pub struct OwnedStack(Stack);

impl From<Stack> for OwnedStack {
    fn from(stack: Stack) -> OwnedStack {
        OwnedStack(stack)
    }
}

impl Deref for OwnedStack {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.0
    }
}

impl Drop for OwnedStack {
    fn drop(&mut self) {
        // Whoever needs to know calls `down` himself; a drop can only try.
        let _outcome = self.0.down();
    }
}

fn find(options: &StackOptions, progress: &mut dyn Progress) -> Result<Programs, StackError> {
    let java = java::newest()?;
    make_folder(&options.artefacts)?;
    let artefacts = artefacts::ensure(options, &java, progress)?;
    Ok(Programs { artefacts: real_path(&artefacts)?, java: java.program })
}

fn status_of(record: &StackRecord, component: Component) -> ComponentStatus {
    let address = record.addresses.of(component);
    if record.external.contains(&component) {
        let answers = external::listens(component, &address);
        return ComponentStatus {
            component,
            state: ComponentState::External,
            answers,
            address,
            log: None,
        };
    }
    let state = match record.process(component).map(|process| (process.pid, process.state())) {
        Some((pid, ProcessState::Running)) => ComponentState::Running(pid),
        Some((pid, ProcessState::Paused)) => ComponentState::Paused(pid),
        Some((_, ProcessState::Gone)) | None => ComponentState::Stopped,
    };
    let answers = matches!(state, ComponentState::Running(_)) && launch::answers(record, component);
    let log = Some(record.layout().log(component));
    ComponentStatus { component, state, answers, address, log }
}

fn real_path(path: &Path) -> Result<PathBuf, StackError> {
    path.canonicalize().doing(|| format!("find the folder {}", path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::layout::remove_folder;
    use crate::ports::ChosenPorts;

    /// A stack of which nothing runs.
    pub(crate) fn record(root: &str) -> StackRecord {
        StackRecord {
            name: "demo".to_owned(),
            workspace: PathBuf::from("/work/shop"),
            root: PathBuf::from(root),
            addresses: Addresses::local(&ChosenPorts::default(), None),
            processes: BTreeMap::new(),
            external: Vec::new(),
            artefacts: PathBuf::from("/stacks/artefacts"),
            java: PathBuf::from("/usr/bin/java"),
            postgres_home: PathBuf::from(root).join("data/postgres"),
            ports: ChosenPorts::default(),
        }
    }

    fn root(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("local-stack-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_stack_whose_recorded_processes_are_other_programs_by_now_is_not_there() {
        let root = root("stale");
        make_folder(&root).unwrap();
        let mut written = record(&root.to_string_lossy());
        let stale = ProcessId { pid: std::process::id(), started: "an earlier boot+1".to_owned() };
        written.processes.insert(Component::Kafka, stale);
        written.write().unwrap();
        let read = StackRecord::read(&root).unwrap().unwrap();
        let attached = Stack::attach(&root).unwrap();
        let ended = Stack::end(&root).unwrap();
        remove_folder(&root).unwrap();
        assert_eq!(read, written);
        assert!(attached.is_none());
        assert_eq!(ended, []);
    }

    #[test]
    fn what_does_not_run_cannot_be_killed() {
        let stack = Stack { record: record("/nowhere/demo") };
        let refused = stack.kill(Component::Kafka).unwrap_err().to_string();
        assert_eq!(refused, "kafka of the stack \"demo\" is not running, so it cannot be killed");
    }
}
