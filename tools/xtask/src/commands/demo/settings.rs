//! The settings that tell each service where the demo's surroundings are; everything else is as in
//! the service's own `config.toml`.

use local_stack::Addresses;

use super::webhooks;

/// The variables of a service.
pub(crate) fn of(service: &str, stack: &Addresses, webhook_url: &str) -> Vec<(String, String)> {
    let log_as = |user: &str| {
        let (host, port) = (&stack.postgres_host, stack.postgres_port);
        format!("postgres://{user}@{host}:{port}/factline_log")
    };
    let own = |database: &str| stack.postgres_url(database);
    let mut settings = vec![
        ("KAFKA__BROKERS", stack.kafka.clone()),
        ("REGISTRY__URL", stack.registry_url.clone()),
    ];
    let database = match service {
        "command-api" => {
            settings.push(("LOG__OWNER_URL", own("factline_log")));
            settings.push(("LOG__URL", log_as("factline_log_writer")));
            settings.push(("SAGA__DATABASE__URL", own("factline_saga")));
            None
        }
        "projector-list" => Some("factline_list"),
        "projector-stats" => Some("factline_stats"),
        _ => Some("factline_alerts"),
    };
    if let Some(database) = database {
        settings.push(("DATABASE__URL", own(database)));
        settings.push(("HISTORY__URL", log_as("factline_log_reader")));
    }
    if service == "projector-list" {
        settings.push(("LIVE__REDIS_URL", stack.redis_url.clone()));
    }
    if service == "projector-stats" {
        settings.push(("CACHE__REDIS_URL", stack.redis_url.clone()));
    }
    if service == "alerter" {
        settings.push(("WEBHOOK__URL", webhook_url.to_owned()));
        settings.push(("WEBHOOK__SECRET", webhooks::SECRET.to_owned()));
        settings.push(("WEBHOOK__ALLOW_INSECURE", "true".to_owned()));
        // Every alert is to come on its own: the demo counts them.
        settings.push(("ALERTS__MOST_PER_MINUTE", "100000".to_owned()));
        settings.push(("EMAIL__SMTP", stack.smtp.clone()));
        settings.push(("EMAIL__SECURITY", "none".to_owned()));
        settings.push(("EMAIL__ALLOW_INSECURE", "true".to_owned()));
        settings.push(("EMAIL__FROM", "Factline demo <orders@shop.example>".to_owned()));
    }
    settings.into_iter().map(|(key, value)| (format!("FACTLINE__{key}"), value)).collect()
}
