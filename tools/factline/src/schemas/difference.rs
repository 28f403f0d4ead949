//! What a registry's subject holds otherwise than the repository.

use std::fmt;

use factline_codec::{FULL_TRANSITIVE, Registered, SchemaVersion, WriterSchema};
use serde_json::Value;

/// A subject as the registry holds it.
pub(super) struct Subject {
    pub(super) name: String,
    /// What was set for it; `None` when only the registry's default holds.
    pub(super) compatibility: Option<String>,
    pub(super) registered: Vec<Registered>,
}

/// One thing that is not the same in both.
#[derive(Debug)]
pub(super) enum Difference {
    /// The subject's compatibility is not FULL_TRANSITIVE.
    Compatibility { subject: String, now: Option<String> },
    /// The registry has no such version.
    Missing { subject: String, version: SchemaVersion },
    /// It writes the same bytes, and its text says something else: a default, a doc.
    Text { subject: String, path: String, registered: u32 },
    /// The repository has no such version, or no such subject.
    Extra { subject: String, registered: u32 },
    /// What is registered and our version cannot read each other.
    Unreadable { subject: String, path: String, registered: u32, why: String },
}

/// Everything, in the order in which a push deals with it.
pub(super) fn differences(subject: &Subject, ours: &[SchemaVersion]) -> Vec<Difference> {
    let mut found = Vec::new();
    let name = || subject.name.clone();
    if !ours.is_empty() && subject.compatibility.as_deref() != Some(FULL_TRANSITIVE) {
        let now = subject.compatibility.clone();
        found.push(Difference::Compatibility { subject: name(), now });
    }
    let mut known = Vec::new();
    for version in ours {
        match counterpart(subject, &version.schema) {
            Some(other) => {
                known.push(other.version);
                if !same_text(&other.json, version.schema.json()) {
                    let (path, registered) = (version.path.clone(), other.version);
                    found.push(Difference::Text { subject: name(), path, registered });
                }
            }
            None => found.push(Difference::Missing { subject: name(), version: version.clone() }),
        }
    }
    for other in subject.registered.iter().filter(|other| !known.contains(&other.version)) {
        found.push(Difference::Extra { subject: name(), registered: other.version });
        found.extend(ours.iter().filter_map(|version| unreadable(subject, version, other)));
    }
    found
}

/// The registered version that is ours: with the same text if there is one, otherwise one that writes
/// the same bytes.
fn counterpart<'s>(subject: &'s Subject, ours: &WriterSchema) -> Option<&'s Registered> {
    let registered = || subject.registered.iter();
    let writes_as = |other: &&Registered| {
        WriterSchema::admit(&other.json).is_ok_and(|other| other.writes_as(ours))
    };
    registered()
        .find(|other| same_text(&other.json, ours.json()))
        .or_else(|| registered().find(writes_as))
}

/// A registry may give a text back with other spaces and in another order.
fn same_text(one: &str, other: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    read(one) == read(other)
}

fn unreadable(subject: &Subject, ours: &SchemaVersion, other: &Registered) -> Option<Difference> {
    let compatible = WriterSchema::admit(&other.json)
        .and_then(|registered| ours.schema.check_compatible(&registered));
    let why = compatible.err()?.to_string();
    let (subject, path) = (subject.name.clone(), ours.path.clone());
    Some(Difference::Unreadable { subject, path, registered: other.version, why })
}

impl Difference {
    pub(super) fn subject(&self) -> &str {
        match self {
            Self::Compatibility { subject, .. }
            | Self::Missing { subject, .. }
            | Self::Text { subject, .. }
            | Self::Extra { subject, .. }
            | Self::Unreadable { subject, .. } => subject,
        }
    }

    /// A push does nothing for this subject before a person has decided. A subject that has no
    /// compatibility of its own yet gets one; another one is changed only when the caller says so.
    pub(super) fn hinders_push(&self, set_compatibility: bool) -> bool {
        match self {
            Self::Compatibility { now, .. } => now.is_some() && !set_compatibility,
            Self::Unreadable { .. } => true,
            Self::Missing { .. } | Self::Text { .. } | Self::Extra { .. } => false,
        }
    }

    /// What a push does about it; `None` for what it leaves as it is: nothing is ever taken out of a
    /// registry, for records on Kafka name it.
    pub(super) fn remedy(&self) -> Option<String> {
        match self {
            Self::Compatibility { subject, now: None } => {
                Some(format!("set the compatibility of {subject} to {FULL_TRANSITIVE}"))
            }
            Self::Compatibility { subject, now: Some(now) } => Some(format!(
                "change the compatibility of {subject} from {now} to {FULL_TRANSITIVE}"
            )),
            Self::Missing { subject, version } => {
                Some(format!("register {} as {subject}", version.path))
            }
            Self::Text { .. } | Self::Extra { .. } | Self::Unreadable { .. } => None,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compatibility { subject, now: None } => {
                write!(
                    f,
                    "{subject}: has no compatibility of its own; {FULL_TRANSITIVE} is promised"
                )
            }
            Self::Compatibility { subject, now: Some(now) } => {
                write!(f, "{subject}: its compatibility is {now}; {FULL_TRANSITIVE} is promised")
            }
            Self::Missing { subject, version } => {
                write!(f, "{subject}: missing: {} is not registered", version.path)
            }
            Self::Text { subject, path, registered } => write!(
                f,
                "{subject}: different: version {registered} writes the bytes of {path}, and its text \
                 says something else"
            ),
            Self::Extra { subject, registered } => {
                write!(f, "{subject}: extra: version {registered} is in no file")
            }
            Self::Unreadable { subject, path, registered, why } => {
                write!(f, "{subject}: different: version {registered} and {path}: {why}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use factline_codec::SchemaFolder;

    use super::*;

    const WEIGHT: &str = r#"{"name":"weight_grams","type":"long"}"#;

    fn sent(fields: &str) -> String {
        format!(
            r#"{{"type":"record","name":"ParcelSent","namespace":"factline.parcel","fields":[{fields}]}}"#
        )
    }

    fn ours() -> Vec<SchemaVersion> {
        let files = [("parcel/parcel_sent.v1.avsc", sent(WEIGHT))];
        SchemaFolder::from_iter(files).versions().unwrap()
    }

    fn told(compatibility: Option<&str>, registered: &[&str]) -> Vec<String> {
        let registered = (1..).zip(registered).map(|(version, json)| Registered {
            version,
            id: version,
            json: (*json).to_owned(),
        });
        let compatibility = compatibility.map(str::to_owned);
        let subject =
            Subject { name: "s".to_owned(), compatibility, registered: registered.collect() };
        differences(&subject, &ours()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_same_text_in_other_words_is_no_difference() {
        let spaced = sent(WEIGHT).replace(',', ", ");
        assert!(told(Some("FULL_TRANSITIVE"), &[&spaced]).is_empty());
        let found = told(None, &[&spaced]);
        assert_eq!(found, ["s: has no compatibility of its own; FULL_TRANSITIVE is promised"]);
        let found = told(Some("BACKWARD"), &[&spaced]);
        assert_eq!(found, ["s: its compatibility is BACKWARD; FULL_TRANSITIVE is promised"]);
    }

    #[test]
    fn missing_different_and_extra_versions_are_told_apart() {
        let ok = Some("FULL_TRANSITIVE");
        assert_eq!(told(ok, &[]), ["s: missing: parcel/parcel_sent.v1.avsc is not registered"]);
        let documented = sent(r#"{"name":"weight_grams","type":"long","doc":"Grams."}"#);
        assert_eq!(
            told(ok, &[&documented]),
            [
                "s: different: version 1 writes the bytes of parcel/parcel_sent.v1.avsc, and its text \
              says something else"
            ]
        );
        assert!(told(ok, &[&documented, &sent(WEIGHT)])[0].contains("version 1 is in no file"));
        let renamed = sent(r#"{"name":"mass","type":"long"}"#);
        let found = told(ok, &[&sent(WEIGHT), &renamed]);
        assert_eq!(found[0], "s: extra: version 2 is in no file");
        assert!(found[1].starts_with("s: different: version 2 and parcel/parcel_sent.v1.avsc: "));
    }
}
