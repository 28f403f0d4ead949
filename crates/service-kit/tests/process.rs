//! The whole program as a process: the example service, its exit codes and its admin port.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests, outside a #[test]

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

const DEADLINE: Duration = Duration::from_secs(20);

/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(10);

fn parcels() -> Command {
    // Cargo builds examples with the tests, two folders beside this binary.
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples/parcels"));
    command
        .env("FACTLINE__HTTP__LISTEN", "127.0.0.1:0")
        .env("FACTLINE__ADMIN__LISTEN", "127.0.0.1:0")
        .env("FACTLINE__DEPOT__ADDRESS", "Dock 1")
        .env("FACTLINE__DEPOT__SIGNING_SECRET", "s3cret")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(text).unwrap()
}

/// A running service; killed when a test fails.
struct Running {
    child: Child,
    http: String,
    admin: String,
}

impl Running {
    fn start() -> Self {
        let file = address_file();
        let child = parcels().env("FACTLINE__HTTP__ADDRESS_FILE", &file).spawn().unwrap();
        let mut running = Self { child, http: String::new(), admin: String::new() };
        let began = Instant::now();
        while !file.exists() {
            assert!(began.elapsed() < DEADLINE, "the service writes its addresses");
            assert_eq!(running.child.try_wait().unwrap(), None, "the service runs");
            thread::sleep(LOOK_EVERY);
        }
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(file).unwrap();
        let address = |name| text.lines().find_map(|line: &str| line.strip_prefix(name)).unwrap();
        (running.http, running.admin) = (address("http=").to_owned(), address("admin=").to_owned());
        running
    }

    fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn address_file() -> PathBuf {
    std::env::temp_dir().join(format!("addresses-{}", uuid::Uuid::new_v4()))
}

fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[test]
fn a_service_starts_answers_its_operators_and_stops_on_sigterm_with_0() {
    let mut running = Running::start();
    assert_eq!(get(&running.http, "/depot"), (200, "Dock 1".to_owned()));
    assert_eq!(get(&running.http, "/metrics").0, 404);
    for path in ["/livez", "/startupz"] {
        assert_eq!(get(&running.admin, path).0, 200, "{path}");
    }
    let began = Instant::now();
    while get(&running.admin, "/readyz").0 != 200 {
        assert!(began.elapsed() < DEADLINE, "the service becomes ready");
        thread::sleep(LOOK_EVERY);
    }
    let ready = get(&running.admin, "/readyz").1;
    assert_eq!(ready, r#"{"status":"ready","components":{"sorting":{"status":"ready"}}}"#);
    let (status, metrics) = get(&running.admin, "/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("factline_http_request_duration_seconds_bucket{"), "{metrics}");
    assert!(metrics.contains(r#"route="/depot""#), "{metrics}");
    assert_eq!(get(&running.admin, "/nowhere").0, 404);
    running.terminate();
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

#[test]
fn c01_c02_c03_wrong_settings_exit_78_with_every_problem() {
    let output = parcels()
        .env("FACTLINE__DEPOT__ADDRESS", "")
        .env("FACTLINE__DEPOT__SHELVES", "-1")
        .env("FACTLINE__HTTP__LISTEN", "everywhere")
        .env("FACTLINE__HTTP__PORT", "80")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    for key in ["depot.address", "depot.shelves", "http.listen", "http.port"] {
        assert!(said(&output).contains(key), "{key} in {}", said(&output));
    }
}

#[test]
fn c04_a_missing_secret_file_exits_78() {
    let mut command = parcels();
    command.env_remove("FACTLINE__DEPOT__SIGNING_SECRET");
    let output = command.env("FACTLINE__DEPOT__SIGNING_SECRET_FILE", "/nowhere/secret").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(said(&output).contains("depot.signing_secret_file: /nowhere/secret cannot be read"));
}

#[test]
fn c06_the_printed_settings_are_redacted() {
    let output = parcels()
        .arg("settings")
        .env("FACTLINE__DEPOT__BOOKS", "postgres://clerk:p4ss@db/books")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).contains("address = \"Dock 1\""), "{}", said(&output));
    assert!(!said(&output).contains("s3cret") && !said(&output).contains("p4ss"));
}

#[test]
fn c16_a_port_in_use_exits_1_and_names_port_and_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (variable, key) in
        [("FACTLINE__HTTP__LISTEN", "http.listen"), ("FACTLINE__ADMIN__LISTEN", "admin.listen")]
    {
        let output = parcels().env(variable, &address).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let sentence =
            format!("cannot listen on {address} ({key}): another process already listens there");
        assert!(said(&output).contains(&sentence), "{}", said(&output));
    }
}

#[test]
fn c16_an_address_file_that_cannot_be_written_exits_1() {
    let file = "/nowhere/addresses";
    let output = parcels().env("FACTLINE__HTTP__ADDRESS_FILE", file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("cannot write /nowhere/addresses (http.address_file)"));
}

#[test]
fn the_openapi_document_needs_no_settings_and_a_wrong_verb_exits_2() {
    let mut command = parcels();
    let output = command.env_remove("FACTLINE__DEPOT__ADDRESS").arg("openapi").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).contains("\"title\": \"parcels\""), "{}", said(&output));
    assert_eq!(parcels().arg("dance").output().unwrap().status.code(), Some(2));
    let output = parcels().arg("migrate").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("nothing to migrate"));
}
