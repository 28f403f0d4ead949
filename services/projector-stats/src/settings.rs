//! The service's own sections; `config.toml` lists every key.

use read_kit::{CacheSettings, Role};

read_kit::service_settings! {
    /// Everything but what every service has.
    pub struct Settings of Role {
        /// Where answers of expensive queries are kept.
        pub cache: CacheSettings,
    }
}
