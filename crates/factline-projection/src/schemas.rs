//! Schema ids to schemas: from memory, from the database's copy, from the registry; each id is asked
//! for once, and never on the hot path again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use factline_codec::{Registry, WriterSchema};
use factline_core::Fault;
use sqlx::PgPool;
use tracing::warn;

use crate::settings::{ProjectionSettings, ms};

/// See the module.
pub(crate) struct Schemas {
    database: PgPool,
    registry: Arc<Registry>,
    known: RwLock<HashMap<u32, Result<Arc<WriterSchema>, Bad>>>,
    unknown: Mutex<HashMap<u32, Unknown>>,
    unknown_for: Duration,
    ask_again: Duration,
}

/// A schema that nothing may be decoded with: its records are poison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

/// What an id leads to.
#[derive(Debug)]
pub(crate) enum Found {
    Schema(Arc<WriterSchema>),
    Bad(Bad),
    /// Not now: the registry is away or refuses, or does not know the id yet.
    Wait(Fault),
}

#[derive(Debug, Clone, Copy)]
struct Unknown {
    since: Instant,
    asked: Instant,
}

impl Schemas {
    pub(crate) fn new(
        database: PgPool,
        registry: Arc<Registry>,
        settings: &ProjectionSettings,
    ) -> Self {
        Self {
            database,
            registry,
            known: RwLock::default(),
            unknown: Mutex::default(),
            unknown_for: ms(settings.schema_unknown_for_ms),
            ask_again: ms(settings.schema_ask_again_ms),
        }
    }

    /// Reads the database's copy, so that a registry outage does not stop a restart.
    pub(crate) async fn load(&self) -> Result<(), sqlx::Error> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("select id, json from projection.known_schemas")
                .fetch_all(&self.database)
                .await?;
        for (id, json) in rows {
            let Ok(id) = u32::try_from(id) else { continue }; // no id of the wire format
            match WriterSchema::admit(&json) {
                Ok(schema) => self.remember(id, Ok(schema)),
                // Admission became stricter: the registry is asked, and the answer judged again.
                Err(error) => warn!(schema_id = id, %error, "a stored schema is not admitted"),
            }
        }
        Ok(())
    }

    /// The schema of an id, from memory alone.
    pub(crate) fn known(&self, id: u32) -> Option<Result<Arc<WriterSchema>, Bad>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The schema of an id; asks the registry when it must and may.
    pub(crate) async fn find(&self, id: u32, now: Instant) -> Found {
        if let Some(known) = self.known(id) {
            return known.map_or_else(Found::Bad, Found::Schema);
        }
        let before = self.unknown.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied();
        if let Some(unknown) = before.filter(|u| now.duration_since(u.asked) < self.ask_again) {
            return self.unknown_id(id, unknown.since, now);
        }
        match self.registry.writer_schema(id).await {
            Ok(Some(schema)) => {
                self.store(id, &schema).await;
                self.remember(id, Ok(Arc::clone(&schema)));
                Found::Schema(schema)
            }
            Ok(None) => {
                let since = before.map_or(now, |unknown| unknown.since);
                let mut ids = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
                ids.insert(id, Unknown { since, asked: now });
                drop(ids);
                self.unknown_id(id, since, now)
            }
            Err(Fault::Poison { doing, source }) => {
                let detail = format!("{doing}: {source}");
                let bad = Bad { code: "inadmissible_schema", detail };
                self.remember(id, Err(bad.clone()));
                Found::Bad(bad)
            }
            Err(fault @ (Fault::Transient { .. } | Fault::Fatal { .. })) => Found::Wait(fault),
        }
    }

    /// An id that the registry does not know may be on its way (a lagging replica, a restore).
    fn unknown_id(&self, id: u32, since: Instant, now: Instant) -> Found {
        let detail = format!("the registry does not know schema {id}");
        if now.duration_since(since) >= self.unknown_for {
            Found::Bad(Bad { code: "schema_unknown", detail })
        } else {
            Found::Wait(Fault::transient("looking for a schema", detail))
        }
    }

    fn remember(&self, id: u32, schema: Result<Arc<WriterSchema>, Bad>) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id, schema);
    }

    async fn store(&self, id: u32, schema: &WriterSchema) {
        let stored = sqlx::query(
            "insert into projection.known_schemas (id, json) values ($1, $2) on conflict do nothing",
        )
        .bind(i64::from(id))
        .bind(schema.json())
        .execute(&self.database)
        .await;
        if let Err(error) = stored {
            // The copy only helps a restart; the next process asks the registry instead.
            warn!(schema_id = id, %error, "a schema was not copied to the database");
        }
    }
}
