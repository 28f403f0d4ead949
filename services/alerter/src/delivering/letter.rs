//! An alert's body as a mail: what a receiver of webhooks gets as JSON, a person gets as lines.

use askama::Template;
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::email::Letter;

#[derive(Template)]
#[template(path = "alert.txt")]
struct Text<'a> {
    facts: &'a [(String, String)],
}

#[derive(Template)]
#[template(path = "alert.html")]
struct Html<'a> {
    subject: &'a str,
    facts: &'a [(String, String)],
}

/// The letter; the same for the same delivery.
///
/// # Errors
/// The body is none that this version wrote.
pub(super) fn letter(id: Uuid, to: &str, body: &str) -> Result<Letter, String> {
    let body: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let at = body["timestamp"].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    let at = at.ok_or_else(|| "an alert's body has no time".to_owned())?;
    let subject = subject(&body);
    let facts: Vec<(String, String)> = body["data"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.replace('_', " "), shown(value)))
        .collect();
    let text = Text { facts: &facts }.render().map_err(|error| error.to_string())?;
    let html =
        Html { subject: &subject, facts: &facts }.render().map_err(|error| error.to_string())?;
    let (to_name, to_address) = (String::new(), to.to_owned());
    Ok(Letter { id, to_name, to_address, subject, text, html, at })
}

/// `critical, opened: Events are parked: projector-list/inventory_list`.
fn subject(body: &Value) -> String {
    let kind = body["type"].as_str().unwrap_or_default();
    let kind = kind.strip_prefix("alert.").unwrap_or(kind);
    let data = &body["data"];
    let text = |name: &str| data[name].as_str();
    match (text("severity"), text("title"), text("subject")) {
        (Some(severity), Some(title), Some(subject)) => {
            format!("{severity}, {kind}: {title}: {subject}")
        }
        (_, _, _) => match data["count"].as_u64() {
            Some(count) => format!("{kind} of {count} alerts"),
            None => format!("alerts: {kind}"),
        },
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(name: &str) -> Letter {
        let body = json!({
            "type": "alert.opened", "timestamp": "2026-01-05T09:00:00Z",
            "data": {"severity": "critical", "title": "Stock is low", "subject": name,
                     "name": name, "figures": {"available": 1}, "resolved_at": null},
        });
        letter(Uuid::from_u128(7), "ops@shop.example", &body.to_string()).unwrap()
    }

    #[test]
    fn an_alert_reads_as_lines() {
        let letter = of("85123A");
        assert_eq!(letter.subject, "critical, opened: Stock is low: 85123A");
        assert!(letter.text.contains("\nfigures: {\"available\":1}\n"), "{}", letter.text);
        assert!(!letter.text.contains("resolved"), "{}", letter.text);
    }

    #[test]
    fn w12_markup_in_an_alert_is_shown_as_it_is() {
        let letter = of("<img src=x onerror=alert(1)> {{7*7}}\r\nBcc: eve@example.com");
        assert!(!letter.html.contains("<img"), "{}", letter.html);
        assert!(letter.html.contains("{{7*7}}"), "computed never: {}", letter.html);
        let written = letter.message(&"alerts@shop.example".parse().unwrap()).unwrap().formatted();
        let written = String::from_utf8(written).unwrap();
        let (head, _) = written.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    }
}
