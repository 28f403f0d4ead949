//! All rules together, checked against each other.

use std::collections::BTreeSet;

use serde::Deserialize;
use service_kit::settings::{SettingsProblem, Validate, in_section};

use super::{Rule, Source};

/// The rule whose source is the items' stock.
pub const LOW_STOCK: &str = "low_stock";
/// The rule that fires when another one cannot be judged.
pub const RULE_ERROR: &str = "rule_error";
/// The rule that fires when a service does not tell its metrics.
pub const SILENT: &str = "service_silent";

/// Which rules must be there, and what they judge: others are judged as metrics alone.
const BUILT_IN: [(&str, Source); 3] =
    [(LOW_STOCK, Source::Stock), (RULE_ERROR, Source::Watch), (SILENT, Source::Watch)];

/// `[[rules]]`. After [`Validate`], the three of them that the code names are there.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Rules(pub Vec<Rule>);

impl Rules {
    /// A rule by its name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.name == name)
    }
}

impl Validate for Rules {
    fn validate(&self) -> Vec<SettingsProblem> {
        let mut problems = Vec::new();
        let mut names = BTreeSet::new();
        for rule in &self.0 {
            problems.extend(in_section(&rule.name, rule.problems()));
            if !names.insert(rule.name.as_str()) {
                problems.push(SettingsProblem::new(&rule.name, "is there twice"));
            }
            let known = BUILT_IN.iter().find(|(name, _)| *name == rule.name);
            if known.map_or(Source::Metric, |(_, source)| *source) != rule.source {
                let key = format!("{}.source", rule.name);
                problems.push(SettingsProblem::new(key, "is not what a rule of this name judges"));
            }
            for inhibitor in &rule.inhibited_by {
                let name = inhibitor.split('/').next().unwrap_or_default();
                if name == rule.name || self.named(name).is_none() {
                    let key = format!("{}.inhibited_by", rule.name);
                    let detail = format!("{inhibitor:?} begins with no other rule's name");
                    problems.push(SettingsProblem::new(key, detail));
                }
            }
        }
        let missing = BUILT_IN.iter().filter(|(name, _)| !names.contains(name));
        problems.extend(missing.map(|(name, _)| SettingsProblem::new(*name, "is missing")));
        problems
    }
}

#[cfg(test)]
mod tests {
    use service_kit::settings::load_service;

    use crate::settings::Settings;

    /// The problems of settings in which one text of the committed rules is another.
    fn problems(replaced: &[(&str, &str)]) -> String {
        let mut text = include_str!("../../config.toml").to_owned();
        for (from, to) in replaced {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        let loaded = load_service::<Settings>(&text, None, []);
        loaded.err().map(|problems| problems.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_committed_rules_have_no_problem() {
        assert_eq!(problems(&[]), "");
    }

    #[test]
    fn c15_a_cooldown_longer_than_the_repeat_is_refused_at_load() {
        let told = problems(&[(
            "cooldown_ms = 900000\nrepeat_ms = 14400000",
            "cooldown_ms = 2\nrepeat_ms = 1",
        )]);
        assert!(told.contains("\n  rules.dead_letters.cooldown_ms: is longer"), "{told}");
    }

    #[test]
    fn c01_every_problem_of_the_rules_is_reported_together() {
        let told = problems(&[
            ("name = \"saga_stuck\"", "name = \"Saga stuck\""),
            ("above = 2.0", "above = nan"),
            ("figure = \"rise\"\n", "figure = \"rise\"\ngroup_window_ms = 5\n"),
            ("title = \"A rule cannot be judged\"\n", "title = \"\"\nmetric = \"x\"\n"),
            (
                "inhibited_by = [\"heartbeat_missing/alerter\"",
                "inhibited_by = [\"low_stock\", \"x/y\"",
            ),
            ("name = \"service_silent\"", "name = \"silent_service\""),
        ]);
        for key in [
            "rules.Saga stuck.name",
            "rules.projection_late.above",
            "rules.consumer_replaced.group_window_ms",
            "rules.rule_error.title",
            "rules.rule_error.metric",
            "rules.low_stock.inhibited_by",
            "rules.silent_service.source",
            "rules.service_silent",
        ] {
            assert!(told.contains(&format!("\n  {key}: ")), "{key}: {told}");
        }
    }

    #[test]
    fn the_environment_may_name_all_the_rules() {
        let rules = r#"[
            { name = "low_stock", title = "x", source = "stock", severity = "info",
              channels = [], cooldown_ms = 7 },
            { name = "service_silent", title = "x", source = "watch", severity = "info",
              channels = [], cooldown_ms = 0 },
            { name = "rule_error", title = "x", source = "watch", severity = "info",
              channels = [], cooldown_ms = 0 },
        ]"#;
        let given = [("FACTLINE__RULES".to_owned(), rules.to_owned())];
        let text = include_str!("../../config.toml");
        let loaded = load_service::<Settings>(text, None, given);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(loaded.settings.1.rules.named("low_stock").unwrap().cooldown_ms, 7);
    }

    #[test]
    fn c02_a_rule_with_an_unknown_key_or_an_expression_is_refused_at_load() {
        for bad in ["when = \"value / 0 > 1\"", "above = \"1/0\"", "pattern = \"(a+)+$\""] {
            let told = problems(&[("above = 2.0", bad)]);
            assert!(told.contains("rules"), "{bad}: {told}");
        }
    }
}
