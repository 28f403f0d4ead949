//! The schemas that stored events were written with, by their small number.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use factline_codec::WriterSchema;
use factline_core::Fault;
use sqlx::PgConnection;

use crate::classify;

/// Every schema of the log that this process has met.
#[derive(Default)]
pub(crate) struct SchemaBook {
    by_id: RwLock<HashMap<i16, Arc<WriterSchema>>>,
}

impl SchemaBook {
    /// The schema of a number that stands on an event; asks the database for new ones.
    pub(crate) async fn get(
        &self,
        connection: &mut PgConnection,
        schema_id: i16,
    ) -> Result<Arc<WriterSchema>, Fault> {
        if let Some(known) = self.known(schema_id) {
            return Ok(known);
        }
        self.load(connection).await?;
        self.known(schema_id).ok_or_else(|| {
            Fault::poison("reading an event", format!("no schema has the number {schema_id}"))
        })
    }

    /// The numbers of today's schemas, in their order; new ones are added to the log.
    pub(crate) async fn number(
        &self,
        connection: &mut PgConnection,
        schemas: &[Arc<WriterSchema>],
    ) -> Result<Vec<i16>, Fault> {
        let mut numbers = Vec::with_capacity(schemas.len());
        for schema in schemas {
            numbers.push(number_of(connection, schema).await?);
        }
        Ok(numbers)
    }

    fn known(&self, schema_id: i16) -> Option<Arc<WriterSchema>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(&schema_id).cloned()
    }

    async fn load(&self, connection: &mut PgConnection) -> Result<(), Fault> {
        let rows: Vec<(i16, String)> = sqlx::query_as("select schema_id, json from log.schemas")
            .fetch_all(connection)
            .await
            .map_err(|error| classify("reading the log's schemas", error))?;
        for (schema_id, json) in rows {
            if self.known(schema_id).is_none() {
                let schema = WriterSchema::admit(&json)
                    .map_err(|error| Fault::poison("reading the log's schemas", error))?;
                let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
                by_id.insert(schema_id, schema);
            }
        }
        Ok(())
    }
}

/// Looks before it inserts: an insert that conflicts would use up one of 32,767 numbers.
async fn number_of(connection: &mut PgConnection, schema: &WriterSchema) -> Result<i16, Fault> {
    const FIND: &str = "select schema_id from log.schemas where full_name = $1 and json = $2";
    const ADD: &str =
        "insert into log.schemas (full_name, json) values ($1, $2) on conflict do nothing";
    let failed = |error| classify("numbering a schema", error);
    let (full_name, json) = (&**schema.full_name(), schema.json());
    let find = sqlx::query_as(FIND).bind(full_name).bind(json);
    if let Some((number,)) = find.fetch_optional(&mut *connection).await.map_err(failed)? {
        return Ok(number);
    }
    let add = sqlx::query(ADD).bind(full_name).bind(json);
    add.execute(&mut *connection).await.map_err(failed)?;
    let find = sqlx::query_as(FIND).bind(full_name).bind(json);
    let (number,) = find.fetch_one(&mut *connection).await.map_err(failed)?;
    Ok(number)
}
