//! Judges what is no business event: every few seconds the services' operators' ports are asked for
//! their figures, the rules are judged, and episodes open and resolve in one transaction; reminders
//! and heartbeats are made due beside them.
//!
//! Any number of processes may do so: an episode that is open already stays as it is. What a process
//! remembers (since when a figure is above its limit) is lost with it, so after a crash a rule fires
//! later by at most its window; what is open is in the database.

mod asking;
mod exposition;
mod filing;
mod settings;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use metrics::{counter, gauge};
use serde_json::json;
use service_kit::{Component, ServiceError};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub use self::settings::{Service, WatchSettings};
use self::{asking::Asking, filing::Filing};
use crate::{
    episodes::Terms,
    rules::{
        Channel, RULE_ERROR, Rules, SILENT, Source,
        judging::{self, Memory, RuleError, Sample, Verdict},
    },
};

/// What the age of the alerter's own newest heartbeat is called, as everywhere.
const HEARTBEAT_AGE: &str = "factline_heartbeat_age_seconds";
/// The service that its own figures are of.
const OWN: &str = "alerter";
/// So many intervals without a heartbeat are no chance.
const MISSING_AFTER: u32 = 3;

/// What is needed to watch.
pub struct WatchParts {
    /// Where episodes are.
    pub pool: PgPool,
    /// Whom to ask.
    pub settings: WatchSettings,
    /// By what to judge.
    pub rules: Rules,
    /// Over what alerts can be told.
    pub channels: Vec<Channel>,
    /// How often a heartbeat of the system comes; zero: there are none.
    pub heartbeat_every: Duration,
    /// The name of the projection that takes them in.
    pub heartbeats: &'static str,
    /// How often to tell that all is well; zero: never.
    pub tell_every: Duration,
}

/// Looks, judges and files.
pub struct Watching {
    parts: WatchParts,
    asking: Asking,
    terms: BTreeMap<String, Terms>,
    memories: BTreeMap<String, Memory>,
    began_at: DateTime<Utc>,
    /// Since when a process has not answered.
    silent_since: BTreeMap<Service, DateTime<Utc>>,
}

/// What one look found.
struct Look {
    at: DateTime<Utc>,
    samples: Vec<Sample>,
    /// The services of which every process answered.
    answered: BTreeSet<String>,
}

/// What is to be the case after a look, by rule and subject.
#[derive(Debug, Default)]
struct Findings {
    firing: BTreeMap<(String, String), serde_json::Value>,
    /// Neither firing nor fine, or not to be judged now.
    unknown: BTreeSet<(String, String)>,
    /// Rules of which nothing can be said.
    unjudged: BTreeSet<String>,
}

impl Watching {
    /// Touches nothing outside yet.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(parts: WatchParts) -> Result<Self, ServiceError> {
        let asking = Asking::new(&parts.settings, &parts.rules)?;
        let terms =
            |rule: &crate::rules::Rule| (rule.name.clone(), Terms::of(rule, &parts.channels));
        let terms = parts.rules.0.iter().map(terms).collect();
        let (memories, silent_since) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { parts, asking, terms, memories, began_at: Utc::now(), silent_since })
    }

    /// Looks until told to stop.
    pub async fn run(mut self, component: Component, stop: CancellationToken) {
        let mut looks =
            tokio::time::interval(Duration::from_millis(self.parts.settings.look_every_ms));
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            match self.look(Utc::now()).await {
                Ok(()) => component.ready(),
                Err(error) => {
                    component.degraded(format!("episodes cannot be written: {error}"));
                }
            }
        }
    }

    /// Looks once, as of `now`.
    ///
    /// # Errors
    /// The database fails; nothing of this look is kept but what is remembered.
    pub async fn look(&mut self, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        let look = self.ask(now).await?;
        let findings = self.judge(&look);
        let filing = Filing { terms: &self.terms, findings: &findings, answered: &look.answered };
        let mut tx = self.parts.pool.begin().await?;
        filing.file(&mut tx, now).await?;
        for rule in self.parts.rules.0.iter().filter(|rule| rule.repeat_ms > 0) {
            filing::remind(&mut tx, &rule.name, Duration::from_millis(rule.repeat_ms)).await?;
        }
        if let Some(age) = self.all_is_well(&look) {
            filing::tell_all_is_well(&mut tx, now, self.parts.tell_every, age).await?;
        }
        tx.commit().await
    }

    async fn ask(&mut self, now: DateTime<Utc>) -> Result<Look, sqlx::Error> {
        let mut look = Look { at: now, samples: Vec::new(), answered: BTreeSet::new() };
        let mut silent = BTreeSet::new();
        for (service, answer) in self.asking.ask_all().await {
            match answer {
                Ok(samples) => {
                    look.samples.extend(samples);
                    self.silent_since.remove(&service);
                    look.answered.insert(service.name);
                }
                Err(why) => {
                    tracing::debug!(service = service.name, url = service.url, why, "no figures");
                    silent.insert(service.name.clone());
                    self.silent_since.entry(service).or_insert(now);
                }
            }
        }
        look.answered.retain(|name| !silent.contains(name));
        if !self.parts.heartbeat_every.is_zero() {
            let newest = filing::newest_heartbeat(&self.parts.pool, self.parts.heartbeats).await?;
            let age = (now - newest.unwrap_or(self.began_at)).to_std().unwrap_or_default();
            look.samples.push(Sample {
                service: OWN.to_owned(),
                process: String::new(),
                metric: HEARTBEAT_AGE.to_owned(),
                labels: BTreeMap::new(),
                value: age.as_secs_f64(),
            });
        }
        Ok(look)
    }

    fn judge(&mut self, look: &Look) -> Findings {
        let mut findings = Findings::default();
        let rules = self.parts.rules.0.iter().filter(|rule| rule.source == Source::Metric);
        let mut errors = 0_u32;
        for rule in rules {
            if look.samples.is_empty() {
                findings.unjudged.insert(rule.name.clone()); // nobody is asked, or nobody answers
                continue;
            }
            let memory = self.memories.entry(rule.name.clone()).or_default();
            match judging::judge(rule, &look.samples, memory, look.at) {
                Ok(verdicts) => findings.take(&rule.name, rule.above, verdicts),
                Err(error) if self.may_be_silence(&error) => {
                    findings.unjudged.insert(rule.name.clone());
                }
                Err(error) => {
                    errors += 1;
                    counter!("factline_alerter_rule_errors_total", "rule" => rule.name.clone())
                        .increment(1);
                    findings.unjudged.insert(rule.name.clone());
                    let figures = json!({"error": error.to_string()});
                    findings.firing.insert((RULE_ERROR.to_owned(), rule.name.clone()), figures);
                }
            }
        }
        gauge!("factline_alerter_rules_in_error").set(errors);
        self.judge_silence(look, &mut findings);
        findings
    }

    /// Whether a figure may be missing only because the service that tells it is silent, or because
    /// nobody is asked at all.
    fn may_be_silence(&self, error: &RuleError) -> bool {
        let unasked = self.parts.settings.services.is_empty();
        matches!(error, RuleError::Absent(_)) && (unasked || !self.silent_since.is_empty())
    }

    fn judge_silence(&self, look: &Look, findings: &mut Findings) {
        let window = self.terms.get(SILENT).map(|terms| terms.rule().window()).unwrap_or_default();
        for (service, since) in &self.silent_since {
            let subject = (SILENT.to_owned(), service.name.clone());
            let silent = (look.at - *since).to_std().unwrap_or_default();
            if silent >= window {
                let figures = json!({"url": service.url, "silent_s": silent.as_secs()});
                findings.firing.insert(subject, figures);
            } else {
                findings.unknown.insert(subject);
            }
        }
    }

    /// The age of the newest heartbeat, where telling that all is well is wanted and it is: events
    /// come, or are not to come.
    fn all_is_well(&self, look: &Look) -> Option<f64> {
        if self.parts.tell_every.is_zero() {
            return None;
        }
        let own =
            look.samples.iter().find(|sample| sample.service == OWN && sample.process.is_empty());
        let age = own.map_or(0.0, |sample| sample.value);
        let limit = self.parts.heartbeat_every.saturating_mul(MISSING_AFTER);
        (own.is_none() || age <= limit.as_secs_f64()).then_some(age)
    }
}

impl Findings {
    fn take(&mut self, rule: &str, limit: Option<f64>, verdicts: BTreeMap<String, Verdict>) {
        for (subject, verdict) in verdicts {
            let key = (rule.to_owned(), subject);
            match verdict {
                Verdict::Firing(value) => {
                    self.firing.insert(key, json!({"value": value, "limit": limit}));
                }
                Verdict::Pending(_) => drop(self.unknown.insert(key)),
                Verdict::Fine(_) => {}
            }
        }
    }
}
