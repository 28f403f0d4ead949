//! The schema registry's client (Confluent's API). Asked at start and for ids never seen before,
//! never once a record.

use std::{sync::Arc, time::Duration};

use factline_core::Fault;
use schema_registry_converter::{
    async_impl::schema_registry::{SrSettings, get_schema_by_id_and_type, post_schema},
    error::SRCError,
    schema_registry_common::{SchemaType, SuppliedSchema},
};
use serde::{Deserialize, Serialize};

use crate::WriterSchema;

mod subjects;

pub use subjects::Registered;

/// The compatibility of every subject of ours: any version reads, and is read by, every other.
pub const FULL_TRANSITIVE: &str = "FULL_TRANSITIVE";

/// Section `[registry]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrySettings {
    /// The base address of the Confluent API: `http://host:port/apis/ccompat/v7`.
    pub url: String,
    /// How long one request may take, in milliseconds.
    pub timeout_ms: u64,
    /// May this process register schemas? Only in the local profile; elsewhere a release pushes
    /// them before anything runs.
    pub auto_register: bool,
}

/// A registry.
pub struct Registry {
    url: String,
    http: reqwest::Client,
    calls: SrSettings,
}

impl Registry {
    /// # Errors
    /// The address is not usable. Nothing is sent yet.
    pub fn new(settings: &RegistrySettings) -> Result<Self, Fault> {
        let timeout = Duration::from_millis(settings.timeout_ms);
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .build()
            .map_err(|error| Fault::fatal("building the registry's client", error))?;
        let calls = SrSettings::new_builder(settings.url.clone())
            .set_timeout(timeout)
            .build()
            .map_err(|error| Fault::fatal("reading the registry's address", error))?;
        Ok(Self { url: settings.url.trim_end_matches('/').to_owned(), http, calls })
    }

    /// Registers a schema under a subject that only takes fully compatible successors, and gives
    /// its id. Repeats give the same id.
    ///
    /// # Errors
    /// Transient when the registry does not answer; fatal when it refuses the schema or us.
    pub async fn register(&self, subject: &str, schema: &WriterSchema) -> Result<u32, Fault> {
        self.require_compatibility(subject).await?;
        let full_name = Some(schema.full_name().to_string());
        let supplied = SuppliedSchema::new(full_name, SchemaType::Avro, schema.json().to_owned());
        let registered = post_schema(&self.calls, subject.to_owned(), supplied)
            .await
            .map_err(|error| classify("registering a schema", error))?;
        Ok(registered.id)
    }

    /// The schema behind an id; `None` when the registry does not know the id.
    ///
    /// # Errors
    /// Transient when the registry does not answer, fatal when it refuses us, poison when what it
    /// gives is no admissible Avro schema.
    pub async fn writer_schema(&self, id: u32) -> Result<Option<Arc<WriterSchema>>, Fault> {
        match get_schema_by_id_and_type(id, &self.calls, SchemaType::Avro).await {
            Ok(found) => WriterSchema::admit(&found.schema)
                .map(Some)
                .map_err(|error| Fault::poison("admitting a schema of the registry", error)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(classify("fetching a schema", error)),
        }
    }

    /// Sets a subject's compatibility to [`FULL_TRANSITIVE`], whatever it was.
    ///
    /// # Errors
    /// Transient when the registry does not answer; fatal when it refuses us.
    pub async fn require_compatibility(&self, subject: &str) -> Result<(), Fault> {
        const DOING: &str = "setting a subject's compatibility";
        let url = format!("{}/config/{subject}", self.url);
        let body = serde_json::json!({ "compatibility": FULL_TRANSITIVE });
        let answer = self.http.put(url).json(&body).send().await;
        match answer.and_then(reqwest::Response::error_for_status) {
            Ok(_) => Ok(()),
            Err(error) if error.status().is_some_and(|status| status.is_client_error()) => {
                Err(Fault::fatal(DOING, error))
            }
            Err(error) => Err(Fault::transient(DOING, error)),
        }
    }
}

/// 429 and 5xx may pass, and so may an answer that never came. Another type than Avro is the
/// sender's fault. Every other status is a decision of the registry that only a person can change.
fn classify(doing: &'static str, error: SRCError) -> Fault {
    match status(&error) {
        None if error.error.starts_with("type ") => Fault::poison(doing, error),
        None | Some(429 | 500..) => Fault::transient(doing, error),
        Some(_) => Fault::fatal(doing, error),
    }
}

/// The client tells the status in words only.
fn status(error: &SRCError) -> Option<u16> {
    let (_, after) = error.error.split_once("failed with status ")?;
    after.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_classified_by_who_must_act() {
        let says = |words: &str| classify("asking", SRCError::new(words, None, false));
        let failed = |status: &str| {
            says(&format!("HTTP request to schema registry failed with status {status}"))
        };
        assert!(matches!(failed("503 Service Unavailable"), Fault::Transient { .. }));
        assert!(matches!(failed("429 Too Many Requests"), Fault::Transient { .. }));
        assert!(matches!(failed("401 Unauthorized"), Fault::Fatal { .. }));
        assert!(matches!(failed("409 Conflict"), Fault::Fatal { .. }));
        assert!(matches!(says("error sending request"), Fault::Transient { .. }));
        assert!(matches!(says("type Protobuf, is not correct"), Fault::Poison { .. }));
    }
}
