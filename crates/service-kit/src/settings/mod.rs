//! Settings: a committed default file, an optional file over it, the environment over both. In
//! flows TOML and `FACTLINE__SECTION__KEY=value`; out flow typed settings, or every problem at
//! once, each with its key, before anything has started.
//!
//! The default file lists every key, so it decides which keys exist and of what type they are. An
//! empty table in it accepts any key. A key `x_file` beside a text key `x` names a file whose
//! content becomes `x`; the struct that is read has `x` only.

mod layers;
mod parse;
mod print;
mod secret;

use std::{fmt, path::Path};

use serde::de::DeserializeOwned;

use crate::KitSettings;
pub use print::redact_url;
pub use secret::Secret;

/// The exit code of a service whose settings are wrong: `EX_CONFIG` of sysexits.h.
pub const EXIT_CODE: u8 = 78;

/// What stands before every variable that overrides a setting.
pub const ENVIRONMENT_PREFIX: &str = "FACTLINE__";

/// Checks that one type cannot make: required values, and values against each other.
pub trait Validate {
    /// Every problem, with keys as they stand in the file, relative to this struct.
    fn validate(&self) -> Vec<SettingsProblem>;
}

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsProblem {
    /// The key, dotted: `http.listen`.
    pub key: String,
    /// What is wrong, lower case, no full stop; never the value of a secret.
    pub detail: String,
}

impl SettingsProblem {
    /// A problem of one key.
    pub fn new(key: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { key: key.into(), detail: detail.into() }
    }
}

/// The problems of a nested struct, as its parent reports them.
#[must_use]
pub fn in_section(section: &str, problems: Vec<SettingsProblem>) -> Vec<SettingsProblem> {
    problems
        .into_iter()
        .map(|problem| SettingsProblem::new(format!("{section}.{}", problem.key), problem.detail))
        .collect()
}

/// The problem of a required text that is still empty, if it is.
#[must_use]
pub fn required(key: &str, value: &str) -> Option<SettingsProblem> {
    value.trim().is_empty().then(|| SettingsProblem::new(key, "is required and has no value"))
}

/// The problem of a number outside its range, if it is.
#[must_use]
pub fn within<N>(key: &str, value: N, range: std::ops::RangeInclusive<N>) -> Option<SettingsProblem>
where
    N: PartialOrd + fmt::Display,
{
    (!range.contains(&value)).then(|| {
        let (least, most) = (range.start(), range.end());
        SettingsProblem::new(key, format!("is {value}, not between {least} and {most}"))
    })
}

/// Everything that is wrong with the settings, reported together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsProblems(pub Vec<SettingsProblem>);

impl fmt::Display for SettingsProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings have {} problem(s)", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {}: {}", problem.key, problem.detail))
    }
}

impl std::error::Error for SettingsProblems {}

/// Settings as they take effect, and the text that shows them.
#[derive(Debug)]
pub struct Loaded<T> {
    /// Checked settings.
    pub settings: T,
    effective: String,
}

impl<T> Loaded<T> {
    /// The effective settings as TOML, every secret and every password in a URL redacted.
    #[must_use]
    pub fn effective(&self) -> &str {
        &self.effective
    }
}

/// Loads a struct from its defaults, a file and the process environment.
///
/// # Errors
/// Every unknown key, wrong type, unreadable secret file and failed check, together.
pub fn load<T: DeserializeOwned + Validate>(
    defaults: &'static str,
    file: Option<&Path>,
) -> Result<T, SettingsProblems> {
    load_from(defaults, file, process_environment()).map(|loaded| loaded.settings)
}

/// As [`load`], with the environment given.
///
/// # Errors
/// As [`load`].
pub fn load_from<T: DeserializeOwned + Validate>(
    defaults: &str,
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded<T>, SettingsProblems> {
    let mut layers = layers::resolve(defaults, file, environment);
    let (settings, secrets) = secret::collecting(|| parse::checked::<T>(&mut layers));
    finish(layers, settings, &secrets)
}

/// Loads the sections that this crate owns and, from all the others, the service's own struct.
///
/// # Errors
/// As [`load`].
pub fn load_service<S: DeserializeOwned + Validate>(
    defaults: &str,
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded<(KitSettings, S)>, SettingsProblems> {
    let mut service = layers::resolve(defaults, file, environment);
    let mut kit = service.split_off(&KitSettings::SECTIONS);
    let (settings, secrets) = secret::collecting(|| {
        let kit = parse::checked::<KitSettings>(&mut kit);
        Some((kit, parse::checked::<S>(&mut service)))
    });
    service.absorb(kit);
    finish(service, settings.and_then(|(kit, own)| Some((kit?, own?))), &secrets)
}

/// The variables of this process, those that are not UTF-8 made printable.
pub fn process_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| {
        (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
    })
}

fn finish<T>(
    layers: layers::Layers,
    settings: Option<T>,
    secrets: &[String],
) -> Result<Loaded<T>, SettingsProblems> {
    match settings {
        Some(settings) if layers.problems.is_empty() => {
            let effective = print::redacted(&layers.effective, secrets);
            Ok(Loaded { settings, effective })
        }
        _ => Err(SettingsProblems(layers.problems)),
    }
}
