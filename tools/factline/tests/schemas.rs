//! `factline schemas` as an operator runs it, against the real registry.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Output},
};

use factline_codec::{
    FULL_TRANSITIVE, RELEASE_RECORD, Registry, RegistrySettings, SchemaFolder, WriterSchema,
    subject,
};
use factline_core::topic_name;
use factline_testkit::{stack, unique_prefix};

const WEIGHT: &str = r#"{"name":"weight_grams","type":"long"}"#;
const NOTE: &str = r#"{"name":"note","type":["null","string"],"default":null}"#;

/// A schemas' folder of one kind that no other test has; gone when dropped.
struct Folder {
    path: PathBuf,
    kind: String,
}

impl Folder {
    /// Version 1 alone.
    fn new(test: &str) -> Self {
        let kind = unique_prefix(test).replace('-', "_");
        let folder = Self { path: env::temp_dir().join(&kind), kind };
        fs::create_dir_all(folder.path.join(&folder.kind)).unwrap();
        folder.write(1, &folder.sent(WEIGHT));
        folder
    }

    fn sent(&self, fields: &str) -> String {
        let namespace = format!("factline.{}", self.kind);
        format!(
            r#"{{"type":"record","name":"ParcelSent","namespace":"{namespace}","fields":[{fields}]}}"#
        )
    }

    fn file(&self, version: u32) -> PathBuf {
        self.path.join(&self.kind).join(format!("parcel_sent.v{version}.avsc"))
    }

    /// Writes a version and records what is new.
    fn write(&self, version: u32, schema: &str) {
        fs::write(self.file(version), schema).unwrap();
        let record = SchemaFolder::read(&self.path).unwrap().renewed_record();
        fs::write(self.path.join(RELEASE_RECORD), record).unwrap();
    }

    fn subject(&self) -> String {
        let topic = topic_name("factline", &self.kind);
        subject(&topic, &format!("factline.{}.ParcelSent", self.kind))
    }

    /// Whether the answer was good, and what it said.
    fn run(&self, verb: &str, arguments: &[&str]) -> (bool, String) {
        let mut factline = Command::new(env!("CARGO_BIN_EXE_factline"));
        factline.args(["schemas", verb, "--folder"]).arg(&self.path).args(arguments);
        let Output { status, stdout, stderr } = factline.output().unwrap();
        let told = [stdout, stderr].concat();
        (status.success(), String::from_utf8(told).unwrap())
    }

    fn is(&self, verb: &str, arguments: &[&str], good: bool, sentences: &[&str]) {
        let (answered, told) = self.run(verb, arguments);
        assert_eq!(answered, good, "{verb} {arguments:?}: {told}");
        for sentence in sentences {
            assert!(told.contains(sentence), "{verb} {arguments:?} lacks {sentence:?}: {told}");
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.path));
    }
}

fn registry() -> Registry {
    let url = stack().registry_url;
    Registry::new(&RegistrySettings { url, timeout_ms: 10_000, auto_register: true }).unwrap()
}

#[tokio::test]
async fn what_a_registry_lacks_is_shown_first_and_then_registered_as_the_relay_would() {
    let folder = Folder::new("schemas pushed");
    let missing = ["v1.avsc is not registered", "has no compatibility of its own", "2 differences"];
    folder.is("diff", &[], false, &missing);
    folder.is("push", &[], true, &["would: register", "would: set the compatibility", "2 to do"]);
    folder.is("diff", &[], false, &missing); // a dry run changes nothing
    folder.is("push", &["--apply"], true, &["done: register", "2 done"]);
    folder.is("diff", &[], true, &["1 subjects, 0 differences"]);
    folder.is("push", &["--apply"], true, &["nothing to do"]);

    let (registry, name) = (registry(), folder.subject());
    assert_eq!(registry.compatibility(&name).await.unwrap().as_deref(), Some(FULL_TRANSITIVE));
    let versions = registry.versions(&name).await.unwrap();
    let relays =
        registry.register(&name, &WriterSchema::admit(&folder.sent(WEIGHT)).unwrap()).await;
    assert_eq!(versions.iter().map(|one| one.id).collect::<Vec<_>>(), [relays.unwrap()]);

    folder.write(2, &folder.sent(&format!("{WEIGHT},{NOTE}")));
    folder.is("diff", &[], false, &["v2.avsc is not registered", "1 differences"]);
    folder.is("push", &["--apply"], true, &["1 done"]);
    folder.is("diff", &[], true, &[]);

    fs::remove_file(folder.file(2)).unwrap();
    folder.is("diff", &[], false, &["extra: version 2 is in no file"]);
    folder.is("check", &[], false, &["was released and is gone"]);
    folder.is("push", &["--apply"], false, &["nothing is pushed"]);
}

#[tokio::test]
async fn a_compatibility_that_somebody_set_is_changed_only_on_request() {
    let folder = Folder::new("schemas compatibility");
    folder.is("push", &["--apply"], true, &["2 done"]);
    let (registry, name) = (registry(), folder.subject());
    let config = format!("{}/config/{name}", stack().registry_url);
    let weaker = serde_json::json!({ "compatibility": "BACKWARD" });
    let answer = reqwest::Client::new().put(config).json(&weaker).send().await.unwrap();
    assert!(answer.status().is_success());

    folder.write(2, &folder.sent(&format!("{WEIGHT},{NOTE}")));
    folder.is("diff", &[], false, &["its compatibility is BACKWARD", "v2.avsc is not registered"]);
    folder.is("push", &["--apply"], false, &["left as it is", "nothing to do"]);
    assert_eq!(registry.compatibility(&name).await.unwrap().as_deref(), Some("BACKWARD"));
    assert_eq!(registry.versions(&name).await.unwrap().len(), 1);

    folder.is("push", &["--apply", "--set-compatibility"], true, &["from BACKWARD", "2 done"]);
    assert_eq!(registry.compatibility(&name).await.unwrap().as_deref(), Some(FULL_TRANSITIVE));
    folder.is("diff", &[], true, &[]);
}

#[tokio::test]
async fn a_text_that_says_something_else_is_told_and_left() {
    let folder = Folder::new("schemas texts");
    let documented = folder.sent(r#"{"name":"weight_grams","type":"long","doc":"Grams."}"#);
    let other = WriterSchema::admit(&documented).unwrap();
    registry().register(&folder.subject(), &other).await.unwrap();
    folder.is("diff", &[], false, &["different: version 1 writes the bytes of", "1 differences"]);
    folder.is("push", &["--apply"], true, &["left as it is", "nothing to do"]);
    assert_eq!(registry().versions(&folder.subject()).await.unwrap().len(), 1);
}

#[test]
fn a_check_needs_neither_a_registry_nor_a_stack() {
    let folder = Folder::new("schemas checked");
    let nowhere = ["--set", "registry.url=http://127.0.0.1:1"];
    folder.is("check", &nowhere, true, &["0 findings"]);
    fs::write(folder.file(1), folder.sent(r#"{"name":"weight_grams","type":"int"}"#)).unwrap();
    folder.is("check", &nowhere, false, &["differs from what was released", "1 findings"]);
}
