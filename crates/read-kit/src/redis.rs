//! What every user of Redis asks about it; nothing of a service's outcome is in it.

use redis::{Client, ErrorKind, RedisError};
use service_kit::settings::SettingsProblem;

/// Whether Redis does not take us for whom we say we are. That is an operator's to mend; whatever else
/// fails passes, or Redis is emptied.
#[must_use]
pub fn redis_refuses_us(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
}

/// What is wrong with the key `redis_url` of a section; an empty one says that there is no Redis.
#[must_use]
pub fn redis_url_problem(url: &str) -> Option<SettingsProblem> {
    let wrong = !url.is_empty() && Client::open(url).is_err();
    wrong.then(|| SettingsProblem::new("redis_url", "is not redis://host:port"))
}
