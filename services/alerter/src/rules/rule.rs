//! One rule, as `config.toml` has it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use service_kit::settings::{SettingsProblem, within};
use utoipa::ToSchema;

/// `[[rules]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Names its episodes; `snake_case`, permanent.
    pub name: String,
    /// What is wrong when it fires, for a person.
    pub title: String,
    /// What is judged.
    pub source: Source,
    /// The services' metric; of `source = "metric"` alone, as are the next six.
    #[serde(default)]
    pub metric: String,
    /// What is compared: the metric, or its rise within the window.
    #[serde(default)]
    pub figure: Figure,
    /// The labels that, behind the service's name, tell one subject from another.
    #[serde(default)]
    pub labels: Vec<String>,
    /// It fires above this.
    #[serde(default)]
    pub above: Option<f64>,
    /// For a value: how long it must be above before it fires. For a rise: within what time.
    #[serde(default)]
    pub window_ms: u64,
    /// What it means that no service tells the metric.
    #[serde(default)]
    pub absent: Absent,
    /// How bad it is.
    pub severity: Severity,
    /// Over what it is told.
    pub channels: Vec<Channel>,
    /// The least time between two episodes of one subject being told.
    pub cooldown_ms: u64,
    /// How often an episode that nobody has acknowledged is told again; 0: never.
    #[serde(default)]
    pub repeat_ms: u64,
    /// What one message tells of.
    #[serde(default)]
    pub group: Group,
    /// How long a message waits for more of its group.
    #[serde(default)]
    pub group_window_ms: u64,
    /// `rule` or `rule/subject`: while such an episode is open, nothing is told of this rule's.
    #[serde(default)]
    pub inhibited_by: Vec<String>,
}

/// What a rule judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The items' stock, by events, in the transaction that takes them into `stock_watch`. The
    /// limit is each item's own reorder point.
    Stock,
    /// The metrics of services.
    Metric,
    /// What the alerter itself finds out while it judges.
    Watch,
}

/// What of a metric is compared with the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Its value; the largest where several series are of one subject.
    #[default]
    Value,
    /// By how much it rose within the window; for counters.
    Rise,
}

/// What it means that no service tells a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// The rule cannot be judged, and that is told.
    #[default]
    Error,
    /// There is nothing to judge here.
    Fine,
}

/// How bad it is that a rule fires. The worst is told first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look within the day.
    Warning,
    /// Somebody must look now.
    Critical,
}

/// Over what something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// `[webhook]`.
    Webhook,
    /// `[email]`, to `alerts_to`.
    Email,
}

/// What one message tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// One episode.
    #[default]
    Subject,
    /// Every episode of the rule that came within the group's window.
    Rule,
}

impl Severity {
    /// As in SQL and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Channel {
    /// As in SQL and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Email => "email",
        }
    }
}

impl Rule {
    /// The least time between two episodes of one subject being told.
    #[must_use]
    pub const fn cooldown(&self) -> Duration {
        Duration::from_millis(self.cooldown_ms)
    }

    /// For how long, or within what time, a figure is judged.
    #[must_use]
    pub const fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms)
    }

    /// How long a message waits for more of its group.
    #[must_use]
    pub const fn group_window(&self) -> Duration {
        match self.group {
            Group::Subject => Duration::ZERO,
            Group::Rule => Duration::from_millis(self.group_window_ms),
        }
    }

    /// What is wrong with it by itself; keys behind the rule's name.
    pub(super) fn problems(&self) -> Vec<SettingsProblem> {
        const MONTH_MS: u64 = 31 * 24 * 3_600_000; // a longer silence is taken for health
        const HOUR_MS: u64 = 3_600_000; // who groups for longer wants a report
        const LONGEST_NAME: usize = 64;
        let problem = |key: &str, detail: &str| SettingsProblem::new(key, detail);
        let mut problems: Vec<_> = [
            within("cooldown_ms", self.cooldown_ms, 0..=MONTH_MS),
            within("repeat_ms", self.repeat_ms, 0..=MONTH_MS),
            within("window_ms", self.window_ms, 0..=24 * HOUR_MS),
            within("group_window_ms", self.group_window_ms, 0..=HOUR_MS),
        ]
        .into_iter()
        .flatten()
        .collect();
        let snake = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=LONGEST_NAME).contains(&self.name.len()) || !self.name.bytes().all(snake) {
            problems.push(problem("name", "must be snake_case, at most 64 letters"));
        }
        if self.title.trim().is_empty() {
            problems.push(problem("title", "is required and has no value"));
        }
        if self.repeat_ms != 0 && self.cooldown_ms > self.repeat_ms {
            problems
                .push(problem("cooldown_ms", "is longer than repeat_ms, so it would never end"));
        }
        if (self.group == Group::Rule) != (self.group_window_ms > 0) {
            problems.push(problem("group_window_ms", "belongs to group = \"rule\""));
        }
        problems.extend(self.judged_problems());
        problems
    }

    fn judged_problems(&self) -> Vec<SettingsProblem> {
        let problem = |key: &str, detail: &str| SettingsProblem::new(key, detail);
        let mut problems = Vec::new();
        match self.source {
            Source::Metric => {
                if self.metric.trim().is_empty() {
                    problems.push(problem("metric", "is required and has no value"));
                }
                if !self.above.is_some_and(f64::is_finite) {
                    problems.push(problem("above", "is required, and a finite number"));
                }
                if self.figure == Figure::Rise && self.window_ms == 0 {
                    problems.push(problem("window_ms", "is 0, and nothing rises in no time"));
                }
            }
            Source::Stock | Source::Watch => {
                let given = [
                    ("metric", !self.metric.is_empty()),
                    ("figure", self.figure != Figure::Value),
                    ("labels", !self.labels.is_empty()),
                    ("above", self.above.is_some()),
                    ("absent", self.absent != Absent::Error),
                ];
                let given = given.into_iter().filter(|(_, given)| *given);
                let only = "is for source = \"metric\" alone";
                problems.extend(given.map(|(key, _)| problem(key, only)));
                if self.source == Source::Stock && self.window_ms != 0 {
                    problems.push(problem("window_ms", "events are judged one by one"));
                }
            }
        }
        problems
    }
}
