//! Settings: layers, and everything that can be wrong with them, at once (hazards 6.5).

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde::Deserialize;
use service_kit::settings::{
    Loaded, Secret, SettingsProblem, SettingsProblems, Validate, in_section, load_from,
    load_service, required, within,
};

const DEFAULTS: &str = r#"
[depot]
address = ""
shelves = 100
share = 0.5
open = true
gates = ["north"]
colour = "red"
key = ""
key_file = ""
books = "postgres://clerk@127.0.0.1/books"
[depot.labels]
"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    depot: Depot,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Depot {
    address: String,
    shelves: u32,
    share: f64,
    open: bool,
    gates: Vec<String>,
    colour: Colour,
    key: Secret,
    books: String,
    labels: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Colour {
    Red,
    Blue,
}

impl Validate for Settings {
    fn validate(&self) -> Vec<SettingsProblem> {
        let problems = [
            required("address", &self.depot.address),
            within("shelves", self.depot.shelves, 1..=500),
        ];
        in_section("depot", problems.into_iter().flatten().collect())
    }
}

/// A file of its own for each test, gone with it.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: &str, mode: u32) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", uuid::Uuid::new_v4()));
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Self(path)
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}

fn load(
    file: Option<&str>,
    environment: &[(&str, &str)],
) -> Result<Loaded<Settings>, SettingsProblems> {
    let file = file.map(|text| File::new("settings", text, 0o600));
    let environment: Vec<_> = environment
        .iter()
        .map(|(key, value)| (format!("FACTLINE__DEPOT__{key}"), (*value).to_owned()))
        .collect();
    load_from(DEFAULTS, file.as_ref().map(|file| file.0.as_path()), environment)
}

fn problems(file: Option<&str>, environment: &[(&str, &str)]) -> Vec<(String, String)> {
    let problems = load(file, environment).unwrap_err().0;
    problems.into_iter().map(|problem| (problem.key, problem.detail)).collect()
}

#[test]
fn the_environment_outranks_the_file_and_the_file_the_defaults() {
    let file = "[depot]\naddress = 'Dock 1'\nshelves = 7\nshare = 1\n[depot.labels]\na = 'b'\n";
    let environment =
        [("SHELVES", "9"), ("GATES", "north, south"), ("COLOUR", "blue"), ("OPEN", "false")];
    let depot = load(Some(file), &environment).unwrap().settings.depot;
    assert_eq!((depot.address.as_str(), depot.shelves, depot.open), ("Dock 1", 9, false));
    assert_eq!(
        (depot.gates, depot.colour),
        (vec!["north".to_owned(), "south".to_owned()], Colour::Blue)
    );
    assert_eq!(depot.labels["a"], "b");
    assert!((depot.share - 1.0).abs() < f64::EPSILON);
}

#[test]
fn a_text_from_the_environment_stays_a_text() {
    for text in ["7", "true", "a = b", "\"quoted\"", " "] {
        let depot = load(None, &[("ADDRESS", "Dock"), ("BOOKS", text)]).unwrap().settings.depot;
        assert_eq!(depot.books, text);
    }
}

#[test]
fn c01_a_missing_required_setting_is_a_problem_with_its_key() {
    let problem = ("depot.address".to_owned(), "is required and has no value".to_owned());
    assert_eq!(problems(None, &[]), [problem]);
}

#[test]
fn c02_unknown_keys_of_file_and_environment_are_problems() {
    let file = "[depot]\naddress = 'x'\nshelfs = 3\n[dept]\nshelves = 3\n";
    let found: Vec<_> = problems(Some(file), &[("SHELFS", "3")]).into_iter().map(|p| p.0).collect();
    assert_eq!(found, ["depot.shelfs", "dept", "depot.shelfs (from FACTLINE__DEPOT__SHELFS)"]);
}

#[test]
fn c03_wrong_types_and_numbers_out_of_range_are_problems() {
    let file = "[depot]\naddress = 5\nopen = 'yes'\nshelves = -1\ncolour = 'green'\n";
    let found: Vec<_> =
        problems(Some(file), &[("SHARE", "much")]).into_iter().map(|p| p.0).collect();
    for key in [
        "depot.address",
        "depot.open",
        "depot.share (from FACTLINE__DEPOT__SHARE)",
        "depot.shelves",
        "depot.colour",
    ] {
        assert_eq!(found.iter().filter(|found| *found == key).count(), 1, "{key} in {found:?}");
    }
    assert_eq!(found.len(), 5, "{found:?}");
    let zero = problems(None, &[("ADDRESS", "x"), ("SHELVES", "0")]);
    assert_eq!(zero, [("depot.shelves".to_owned(), "is 0, not between 1 and 500".to_owned())]);
}

#[test]
fn c01_everything_that_is_wrong_is_reported_at_once() {
    let file = "[depot]\nshelfs = 3\nopen = 1\ncolour = 'green'\n";
    let environment = [("SHELVES", "9000"), ("KEY_FILE", "/nowhere/key"), ("X", "1")];
    let text = load(Some(file), &environment).unwrap_err().to_string();
    for expected in
        ["shelfs", "open", "colour", "shelves: is 9000", "key_file", "depot.x", "address"]
    {
        assert!(text.contains(expected), "{expected:?} is missing from {text}");
    }
    assert!(text.starts_with("the settings have 7 problem(s)"), "{text}");
}

#[test]
fn c01_problems_of_the_kits_sections_and_the_services_stand_together() {
    let defaults = format!("{DEFAULTS}\n{}", include_str!("../../config.toml"));
    let environment = [
        ("FACTLINE__HTTP__MAX_HEADERS".to_owned(), "0".to_owned()),
        ("FACTLINE__TELEMETRY__FORMAT".to_owned(), "loud".to_owned()),
    ];
    let problems = load_service::<Settings>(&defaults, None, environment).unwrap_err();
    let mut keys: Vec<_> = problems.0.into_iter().map(|problem| problem.key).collect();
    keys.sort();
    assert_eq!(keys, ["depot.address", "http.max_headers", "telemetry.format"]);
}

#[test]
fn c04_a_secret_comes_from_a_file_that_only_its_owner_reads() {
    let file = File::new("key", "s3cret\n", 0o600);
    let loaded = load(None, &[("ADDRESS", "x"), ("KEY_FILE", file.text())]).unwrap();
    assert_eq!(loaded.settings.depot.key.expose(), "s3cret");
    assert!(!format!("{loaded:?}").contains("s3cret"));
}

#[test]
fn c04_a_secret_file_that_is_missing_empty_or_world_readable_is_a_problem() {
    let (empty, open) = (File::new("key", "\n", 0o600), File::new("key", "s3cret", 0o644));
    for (path, detail) in [
        ("/nowhere/key", "cannot be read"),
        (empty.text(), "is empty"),
        (open.text(), "is readable by every user"),
    ] {
        let found = problems(None, &[("ADDRESS", "x"), ("KEY_FILE", path)]);
        assert_eq!((found.len(), found[0].0.as_str()), (1, "depot.key_file"));
        assert!(found[0].1.contains(detail), "{found:?}");
    }
    let both = problems(None, &[("ADDRESS", "x"), ("KEY", "a"), ("KEY_FILE", empty.text())]);
    assert!(both[0].1.contains("only one of them"), "{both:?}");
}

#[test]
fn c06_printed_settings_show_no_secret_and_no_password() {
    let environment =
        [("ADDRESS", "Dock 1"), ("KEY", "s3cret"), ("BOOKS", "postgres://clerk:p4ss@db/books")];
    let loaded = load(None, &environment).unwrap();
    let text = loaded.effective();
    assert!(text.contains("Dock 1") && text.contains("postgres://clerk:***@db/books"), "{text}");
    assert!(!text.contains("s3cret") && !text.contains("p4ss"), "{text}");
}

#[test]
fn a_file_that_is_missing_or_not_toml_is_a_problem() {
    let missing = load_from::<Settings>(DEFAULTS, Some("/nowhere/x.toml".as_ref()), []);
    assert!(missing.unwrap_err().to_string().contains("/nowhere/x.toml"));
    assert!(problems(Some("[depot"), &[("ADDRESS", "x")])[0].0.contains("settings-"));
}
