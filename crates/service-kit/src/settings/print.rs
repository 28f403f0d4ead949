//! Settings as text that may be shown: in flows the table in force and the secrets that were read,
//! out flows TOML without either them or passwords in addresses.

use toml::{Table, Value};

const REDACTED: &str = "***";

/// The table as TOML with secrets redacted.
pub(super) fn redacted(table: &Table, secrets: &[String]) -> String {
    let mut copy = table.clone();
    redact_table(&mut copy, secrets);
    toml::to_string_pretty(&copy).unwrap_or_default() // a table of plain values always prints
}

fn redact_table(table: &mut Table, secrets: &[String]) {
    for (key, value) in table.iter_mut() {
        let named_secret = is_secret_name(key);
        redact_value(value, named_secret, secrets);
    }
}

fn redact_value(value: &mut Value, named_secret: bool, secrets: &[String]) {
    match value {
        Value::Table(section) => redact_table(section, secrets),
        Value::Array(values) => {
            values.iter_mut().for_each(|value| redact_value(value, named_secret, secrets));
        }
        Value::String(text) if text.is_empty() => {}
        Value::String(text) if named_secret || secrets.contains(text) => REDACTED.clone_into(text),
        Value::String(text) => *text = redact_url(text),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

/// Settings of other crates hold secrets as plain text: their names give them away.
fn is_secret_name(key: &str) -> bool {
    !key.ends_with("_file")
        && ["password", "secret", "token", "credential", "api_key", "private_key"]
            .iter()
            .any(|word| key.contains(word))
}

/// An address or data source name with its password replaced by `***`, for logs and errors: in
/// `scheme://user:password@host` and in `password=…`. When in doubt it hides too much.
#[must_use]
pub fn redact_url(text: &str) -> String {
    let text = redact_user_info(text);
    redact_password_parameter(&text)
}

fn redact_user_info(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // The last @, for a password may hold an unescaped @ or /.
    let Some((user_info, host)) = rest.rsplit_once('@') else { return text.to_owned() };
    let Some((user, _password)) = user_info.split_once(':') else { return text.to_owned() };
    format!("{scheme}://{user}:{REDACTED}@{host}")
}

fn redact_password_parameter(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.to_ascii_lowercase().find("password=") {
        let value = found + "password=".len();
        shown.push_str(&rest[..value]);
        shown.push_str(REDACTED);
        let end = rest[value..].find(['&', ' ']).map_or(rest.len(), |length| value + length);
        rest = &rest[end..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c06_a_password_in_an_address_is_hidden() {
        for (given, shown) in [
            ("postgres://carrier:s3cret@db:5432/parcels", "postgres://carrier:***@db:5432/parcels"),
            ("postgres://carrier:a@b/c@db/parcels", "postgres://carrier:***@db/parcels"),
            (
                "postgres://db/parcels?user=x&password=s3cret&a=1",
                "postgres://db/parcels?user=x&password=***&a=1",
            ),
            ("host=db Password=s3cret user=x", "host=db Password=*** user=x"),
            ("postgres://carrier@db/parcels", "postgres://carrier@db/parcels"),
            ("127.0.0.1:9092,127.0.0.1:9093", "127.0.0.1:9092,127.0.0.1:9093"),
        ] {
            assert_eq!(redact_url(given), shown);
        }
    }
}
