//! What a registry holds, asked without changing anything.

use factline_core::Fault;
use reqwest::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};

use super::Registry;

/// A version of a subject, as the registry holds it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Registered {
    /// The registry's own number, from 1; not the one of our file.
    pub version: u32,
    /// The schema's id, which stands in every Kafka record.
    pub id: u32,
    /// The schema's text.
    #[serde(rename = "schema")]
    pub json: String,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "compatibilityLevel")]
    level: String,
}

impl Registry {
    /// The names of all subjects.
    ///
    /// # Errors
    /// Transient when the registry does not answer, fatal when it refuses us.
    pub async fn subjects(&self) -> Result<Vec<String>, Fault> {
        Ok(self.get("listing the subjects", "subjects").await?.unwrap_or_default())
    }

    /// The compatibility that was set for a subject itself; `None` when only the registry's default
    /// holds.
    ///
    /// # Errors
    /// As [`Self::subjects`].
    pub async fn compatibility(&self, subject: &str) -> Result<Option<String>, Fault> {
        let path = format!("config/{subject}?defaultToGlobal=false");
        let config: Option<Config> = self.get("reading a subject's compatibility", &path).await?;
        Ok(config.map(|config| config.level))
    }

    /// All versions of a subject, in the registry's order; none when there is no such subject.
    ///
    /// # Errors
    /// As [`Self::subjects`].
    pub async fn versions(&self, subject: &str) -> Result<Vec<Registered>, Fault> {
        const DOING: &str = "reading a subject's versions";
        let path = format!("subjects/{subject}/versions");
        let numbers: Vec<u32> = self.get(DOING, &path).await?.unwrap_or_default();
        let mut versions = Vec::with_capacity(numbers.len());
        for number in numbers {
            let path = format!("subjects/{subject}/versions/{number}");
            versions.extend(self.get::<Registered>(DOING, &path).await?); // none: deleted meanwhile
        }
        Ok(versions)
    }

    /// What is there; `None` for 404.
    async fn get<T: DeserializeOwned>(
        &self,
        doing: &'static str,
        path: &str,
    ) -> Result<Option<T>, Fault> {
        let answer = self.http.get(format!("{}/{path}", self.url)).send().await;
        let answer = answer.map_err(|error| Fault::transient(doing, error))?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let refused =
            answer.status().is_client_error() && answer.status() != StatusCode::TOO_MANY_REQUESTS;
        let answer = answer.error_for_status().map_err(|error| {
            if refused { Fault::fatal(doing, error) } else { Fault::transient(doing, error) }
        })?;
        answer.json().await.map(Some).map_err(|error| Fault::fatal(doing, error))
    }
}
