//! What the border must know of each kind of aggregate: how its streams are named, how its commands
//! are read, what has to be asked before they can be decided, and how its state is shown.

mod customers;
mod items;
mod orders;

use std::{future::Future, sync::Arc};

use domain::command::{CommandSpec, InvalidFields, ReadError, Shape, Stated};
use factline_codec::Codec;
use factline_core::{Aggregate, Decide, StreamId};
use factline_log::Lanes;
use http::Method;
use serde_json::Value;
use service_kit::Problem;

use crate::{App, answer::problem_of};

/// A kind of aggregate, as requests speak of it.
pub(crate) trait Kind: Aggregate + Decide<Self::Informed> {
    /// Its commands, as they are read.
    type Command: Send;
    /// A command with everything that its decision must know.
    type Informed: Send + Sync + 'static;

    /// The member of a body, and the parameter of a path, that names the stream.
    const ID: &'static str;
    /// What the id is, for the published description.
    const ID_DOC: &'static str;
    /// What it may hold, for the same.
    const ID_SHAPE: Shape;
    /// The commands that make a stream whose id the caller may leave out: it is then derived from
    /// the request's key, so that a retry meets itself.
    const CREATING: &'static [&'static str];
    /// `code` of the answer when there is no such stream.
    const UNKNOWN: &'static str;
    /// Every command, described.
    const SPECS: &'static [CommandSpec];
    /// Every command that has a path of its own.
    const ROUTES: &'static [CommandRoute];
    /// The path of a stream's history.
    const HISTORY: &'static str;

    /// # Errors
    /// It names no stream of this kind.
    fn stream_id(value: &Value) -> Result<StreamId, InvalidFields>;

    /// # Errors
    /// There is no such command, or its data is invalid.
    fn read(name: &str, data: Value) -> Result<Stated<Self::Command>, ReadError>;

    /// Asks others what the command's decision must know.
    ///
    /// # Errors
    /// Nobody could be asked now. What does not exist is no error here: the decision says no.
    fn inform(
        app: &App,
        stream_id: &StreamId,
        command: Self::Command,
        actor: Option<&str>,
    ) -> impl Future<Output = Result<Self::Informed, Problem>> + Send;

    /// The state as JSON; `None` when the stream does not exist.
    fn shown(&self) -> Option<Value>;

    /// Where its events are.
    fn store(app: &App) -> &Store<Self>;
}

/// The lanes of one kind, and what reads its events. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store<A: Aggregate> {
    pub(crate) lanes: Lanes<A>,
    pub(crate) codec: Arc<Codec<A::Event>>,
}

impl<A: Aggregate> Store<A> {
    /// The stream's state now; the default one when there is no such stream.
    ///
    /// # Errors
    /// The log does not answer.
    pub(crate) async fn now(&self, stream_id: StreamId) -> Result<Arc<A>, Problem> {
        self.lanes.look(stream_id).await.map(|done| done.state).map_err(problem_of)
    }
}

/// A path whose requests are one command.
pub(crate) struct CommandRoute {
    pub(crate) method: Method,
    /// The kind's id names the stream; any other parameter is a field of the command.
    pub(crate) path: &'static str,
    /// The command's name on the wire.
    pub(crate) command: &'static str,
    /// With this member in the body it is another command.
    pub(crate) or_with: Option<(&'static str, &'static str)>,
    /// A success makes something new: 201, otherwise 200.
    pub(crate) creates: bool,
}

impl CommandRoute {
    const fn new(method: Method, path: &'static str, command: &'static str, creates: bool) -> Self {
        Self { method, path, command, or_with: None, creates }
    }

    const fn or_with(mut self, member: &'static str, command: &'static str) -> Self {
        self.or_with = Some((member, command));
        self
    }

    /// Every command that the route may be.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.command).chain(self.or_with.map(|(_, command)| command))
    }
}
