//! `factline schemas`: the repository's schemas, by themselves and beside a registry's.
//!
//! `check` needs the files alone. `diff` and `push` ask the registry for the subjects that the relay
//! publishes under; `push` says what it would do, and does it only when told to.

mod difference;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};

use factline_codec::{Registry, RegistrySettings, SchemaFolder, SchemaVersion, subject};
use factline_core::topic_name;

use crate::failure::Failure;
use crate::settings::Settings;
use difference::{Difference, Subject, differences};

/// What may be done with schemas.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Verb {
    /// Whether every version reads what every other wrote and none was changed after its release;
    /// exit code 1 if not
    Check(Where),
    /// What a registry holds otherwise; exit code 1 if anything
    Diff(Where),
    /// Registers what a registry has not; without --apply only says what it would do
    Push(Push),
}

/// Where the schemas are.
#[derive(clap::Args, Debug)]
pub(crate) struct Where {
    /// The schemas' folder, instead of `schemas` here or in a folder above
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Arguments of `push`.
#[derive(clap::Args, Debug)]
pub(crate) struct Push {
    #[command(flatten)]
    from: Where,
    /// Do it
    #[arg(long)]
    apply: bool,
    /// Also change the compatibility of subjects that have another than FULL_TRANSITIVE
    #[arg(long)]
    set_compatibility: bool,
}

/// Whether the answer is a good one.
pub(crate) async fn run(verb: &Verb, settings: &Settings) -> Result<bool, Failure> {
    match verb {
        Verb::Check(from) => Ok(checked(&read(from)?)),
        Verb::Diff(from) => {
            let subjects = of_folder(&read(from)?, &settings.kafka.topic_prefix)?;
            let found = compare(&registry(settings)?, &subjects).await?;
            found.iter().for_each(|difference| println!("{difference}"));
            println!("{} subjects, {} differences", subjects.len(), found.len());
            Ok(found.is_empty())
        }
        Verb::Push(push) => self::push(push, settings).await,
    }
}

/// Shows what is wrong; nothing is a good answer.
fn checked(folder: &SchemaFolder) -> bool {
    let findings = folder.findings();
    findings.iter().for_each(|finding| println!("{finding}"));
    println!("{} findings", findings.len());
    findings.is_empty()
}

async fn push(push: &Push, settings: &Settings) -> Result<bool, Failure> {
    let folder = read(&push.from)?;
    if !checked(&folder) {
        return Err(Failure::new("nothing is pushed while the schemas have findings"));
    }
    let subjects = of_folder(&folder, &settings.kafka.topic_prefix)?;
    let registry = registry(settings)?;
    let found = compare(&registry, &subjects).await?;
    let held = |found: &Difference| found.hinders_push(push.set_compatibility);
    let left = found.iter().filter(|found| held(found) || found.remedy().is_none());
    left.for_each(|difference| println!("left as it is: {difference}"));
    // A subject that a person must look at first gets nothing more.
    let held: BTreeSet<&str> =
        found.iter().filter(|found| held(found)).map(Difference::subject).collect();
    let mut steps = 0;
    for difference in found.iter().filter(|found| !held.contains(found.subject())) {
        let Some(remedy) = difference.remedy() else { continue };
        if push.apply {
            carry_out(&registry, difference).await?;
            println!("done: {remedy}");
        } else {
            println!("would: {remedy}");
        }
        steps += 1;
    }
    match (steps, push.apply) {
        (0, _) => println!("nothing to do"),
        (_, true) => println!("{steps} done"),
        (_, false) => println!("{steps} to do; --apply does them"),
    }
    Ok(held.is_empty())
}

async fn carry_out(registry: &Registry, difference: &Difference) -> Result<(), Failure> {
    match difference {
        Difference::Compatibility { subject, .. } => {
            registry.require_compatibility(subject).await?
        }
        Difference::Missing { subject, version } => {
            registry.register(subject, &version.schema).await?;
        }
        Difference::Text { .. } | Difference::Extra { .. } | Difference::Unreadable { .. } => {}
    }
    Ok(())
}

/// What the registry holds otherwise, subject by subject.
async fn compare(
    registry: &Registry,
    subjects: &BTreeMap<String, Vec<SchemaVersion>>,
) -> Result<Vec<Difference>, Failure> {
    let topics: BTreeSet<&str> = subjects.keys().filter_map(|name| topic_of(name)).collect();
    let of_ours = |name: &String| topic_of(name).is_some_and(|topic| topics.contains(topic));
    let mut names: BTreeSet<String> =
        registry.subjects().await?.into_iter().filter(of_ours).collect();
    names.extend(subjects.keys().cloned());
    let mut found = Vec::new();
    for name in names {
        let registered = registry.versions(&name).await?;
        let compatibility = registry.compatibility(&name).await?;
        let ours = subjects.get(&name).map(Vec::as_slice).unwrap_or_default();
        found.extend(differences(&Subject { name, compatibility, registered }, ours));
    }
    Ok(found)
}

/// `factline.parcel.v1` of `factline.parcel.v1-factline.parcel.ParcelSent`: a record's name has no
/// hyphen.
fn topic_of(subject: &str) -> Option<&str> {
    subject.rsplit_once('-').map(|(topic, _)| topic)
}

/// The versions of each subject, oldest first.
fn of_folder(
    folder: &SchemaFolder,
    topic_prefix: &str,
) -> Result<BTreeMap<String, Vec<SchemaVersion>>, Failure> {
    let versions = folder.versions().map_err(|problems| Failure::new(problems.join("; ")))?;
    let mut subjects: BTreeMap<String, Vec<SchemaVersion>> = BTreeMap::new();
    for version in versions {
        let name = subject(&topic_name(topic_prefix, &version.kind), version.schema.full_name());
        subjects.entry(name).or_default().push(version);
    }
    Ok(subjects)
}

fn read(from: &Where) -> Result<SchemaFolder, Failure> {
    let folder = match &from.folder {
        Some(folder) => folder.clone(),
        None => above().ok_or_else(|| {
            Failure::new("there is no folder `schemas` here or above: name it with --folder")
        })?,
    };
    SchemaFolder::read(&folder)
        .map_err(|error| Failure::new(format!("read {}: {error}", folder.display())))
}

fn above() -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    here.ancestors().map(|folder| folder.join("schemas")).find(|path| Path::is_dir(path))
}

fn registry(settings: &Settings) -> Result<Registry, Failure> {
    Ok(Registry::new(&RegistrySettings {
        url: settings.registry.url.clone(),
        timeout_ms: settings.registry.timeout_ms,
        auto_register: false, // the operator registers, by a command that says so
    })?)
}
