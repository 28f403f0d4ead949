//! One real stack, on free ports: up, crashes, a pause, down. Takes about half a minute.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use local_stack::{
    Component, ComponentState, OwnedStack, Ports, Quiet, Stack, StackError, StackOptions,
    StackRecord,
};

fn options() -> StackOptions {
    let workspace: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map(Path::to_owned)
        .unwrap_or_default();
    let mut options = StackOptions::new(&workspace, "local-stack-test");
    options.ports = Ports::FREE;
    options
}

fn up(fresh: bool) -> Result<OwnedStack, StackError> {
    Stack::up(&StackOptions { fresh, ..options() }, &mut Quiet).map(OwnedStack::from)
}

/// The body of the registry's answer.
fn ask_registry(stack: &Stack, method: &str, path: &str, body: &str) -> std::io::Result<String> {
    let url = stack.addresses().registry_url.trim_start_matches("http://").to_owned();
    let (host, prefix) = url.split_once('/').unwrap_or((&url, ""));
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "{method} /{prefix}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/vnd.schemaregistry.v1+json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn state_of(stack: &Stack, component: Component) -> Option<(ComponentState, bool)> {
    let status = stack.status().ok()?.into_iter().find(|status| status.component == component)?;
    Some((status.state, status.answers))
}

#[test]
fn a_stack_survives_crashes_and_leaves_nothing_behind() {
    let stack = up(true).unwrap();
    let first = StackRecord::read(stack.root()).unwrap().unwrap();

    // Everything answers, and coming up again changes nothing.
    assert!(stack.status().unwrap().iter().all(|status| status.answers));
    let again = Stack::up(&options(), &mut Quiet).unwrap();
    assert_eq!(StackRecord::read(again.root()).unwrap().unwrap(), first);

    // A paused component is there and does not answer.
    stack.pause(Component::Redis).unwrap();
    let paused = state_of(&stack, Component::Redis);
    assert!(matches!(paused, Some((ComponentState::Paused(_), false))), "{paused:?}");
    stack.resume(Component::Redis).unwrap();
    assert!(matches!(state_of(&stack, Component::Redis), Some((ComponentState::Running(_), true))));

    // What was killed comes back in the same place with the same data.
    let registered =
        ask_registry(&stack, "POST", "/subjects/a/versions", r#"{"schema":"\"long\""}"#);
    assert_eq!(registered.unwrap(), r#"{"id":1}"#);
    for component in [Component::Registry, Component::Kafka, Component::Postgres] {
        stack.kill(component).unwrap();
        assert_eq!(state_of(&stack, component), Some((ComponentState::Stopped, false)));
    }
    stack.start(Component::Registry).unwrap();
    let kept = ask_registry(&stack, "GET", "/schemas/ids/1", "").unwrap();
    assert_eq!(kept, r#"{"schema":"\"long\""}"#);
    let back = Stack::up(&options(), &mut Quiet).unwrap();
    assert_eq!(back.addresses(), &first.addresses);
    assert!(back.status().unwrap().iter().all(|status| status.answers));

    // Down means that no process is left.
    let last = StackRecord::read(stack.root()).unwrap().unwrap();
    stack.down().unwrap();
    assert!(Component::ALL.iter().all(|component| last.process(*component).is_none()));
    assert!(Stack::attach(stack.root()).unwrap().is_none());
    assert_eq!(Stack::end(stack.root()).unwrap(), []);
}
