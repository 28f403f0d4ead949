//! The whole system under test: its processes, and the stack below them. Each part has a lock, which
//! whoever does something to it holds until it is healed: two faults never hit one part at once,
//! and any number hit different ones.

use std::sync::{Arc, PoisonError, RwLock};

use local_stack::{Component, Stack};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::spawn_blocking;

use crate::failure::Failure;
use crate::load::Targets;
use crate::meters::Meters;
use crate::place::{Place, Service};
use crate::process::Process;

/// The processes that run throughout: service, name.
const PROCESSES: [(Service, &str); 6] = [
    (Service::CommandApi, "command-api-1"),
    (Service::CommandApi, "command-api-2"),
    (Service::List, "projector-list-1"),
    (Service::List, "projector-list-2"),
    (Service::Stats, "projector-stats"),
    (Service::Alerter, "alerter"),
];
/// One that comes and goes.
const VISITOR: (Service, &str) = (Service::List, "projector-list-3");

/// Places in [`System::processes`].
pub(crate) const COMMAND_APIS: [usize; 2] = [0, 1];
/// See [`COMMAND_APIS`].
pub(crate) const PROJECTORS: [usize; 3] = [2, 3, 4];
/// The only process of its groups.
pub(crate) const STATS: usize = 4;
/// See [`COMMAND_APIS`].
pub(crate) const ALERTER: usize = 5;
/// Of the process that comes and goes.
pub(crate) const THIRD_LIST: usize = 6;

/// See the module.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) place: Place,
    pub(crate) targets: Targets,
    pub(crate) meters: Arc<Meters>,
    stack: Stack,
    processes: Vec<Mutex<Process>>,
    components: [Mutex<()>; Component::ALL.len()],
}

impl System {
    /// Nothing runs yet but the stack.
    pub(crate) fn new(place: Place, stack: Stack) -> System {
        let all = PROCESSES.into_iter().chain([VISITOR]);
        let processes = all.map(|(service, name)| Mutex::new(Process::new(service, name, &place)));
        System {
            targets: Arc::new(RwLock::new(vec![String::new(); COMMAND_APIS.len()])),
            meters: Arc::default(),
            processes: processes.collect(),
            components: Default::default(),
            stack,
            place,
        }
    }

    /// Makes the databases, the log's first because it makes the roles, and starts every process.
    ///
    /// # Errors
    /// A migration or a start fails.
    pub(crate) async fn begin(&self) -> Result<(), Failure> {
        for service in Service::ALL {
            let first = PROCESSES.iter().position(|(of, _)| *of == service).unwrap_or_default();
            self.process(first).await.migrate().await?;
        }
        for index in 0..PROCESSES.len() {
            let mut process = self.process(index).await;
            self.start(index, &mut process).await?;
        }
        Ok(())
    }

    /// A process, alone.
    pub(crate) async fn process(&self, index: usize) -> MutexGuard<'_, Process> {
        self.processes[index].lock().await
    }

    /// Starts a process that is not there, and tells callers and scraper where it is.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) async fn start(&self, index: usize, process: &mut Process) -> Result<(), Failure> {
        let listens = process.start().await?;
        self.meters.watch(&listens.admin);
        let mut targets = self.targets.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = targets.get_mut(index) {
            *target = listens.http;
        }
        Ok(())
    }

    /// A component of the stack, alone.
    pub(crate) async fn component(&self, component: Component) -> MutexGuard<'_, ()> {
        let index = Component::ALL.iter().position(|one| *one == component).unwrap_or_default();
        self.components[index].lock().await
    }

    /// Does something to the stack where blocking is allowed.
    ///
    /// # Errors
    /// It does not work.
    pub(crate) async fn stack(
        &self,
        work: impl FnOnce(&Stack) -> Result<(), local_stack::StackError> + Send + 'static,
    ) -> Result<(), Failure> {
        let stack = self.stack.clone();
        Ok(spawn_blocking(move || work(&stack)).await??)
    }

    /// Starts every process that has ended by itself; their names.
    ///
    /// # Errors
    /// One does not start again.
    pub(crate) async fn mend(&self) -> Result<Vec<&'static str>, Failure> {
        let mut ended = Vec::new();
        for index in 0..PROCESSES.len() {
            let mut process = self.process(index).await;
            if !process.runs() {
                ended.push(process.name);
                self.start(index, &mut process).await?;
            }
        }
        Ok(ended)
    }

    /// Ends every process in good order, all at once.
    ///
    /// # Errors
    /// The operating system refuses.
    pub(crate) async fn end(&self) -> Result<(), Failure> {
        for process in &self.processes {
            process.lock().await.signal(rustix::process::Signal::TERM);
        }
        for process in &self.processes {
            process.lock().await.end().await?;
        }
        Ok(())
    }
}
