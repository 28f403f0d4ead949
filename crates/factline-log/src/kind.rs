//! What all lanes of one aggregate kind share.

use std::sync::Arc;

use factline_codec::Codec;
use factline_core::{Aggregate, Fault};

use crate::schemas::SchemaBook;

/// One aggregate kind in the log. Never changes while the process runs.
pub(crate) struct Kind<A: Aggregate> {
    pub topic: Arc<str>,
    pub codec: Codec<A::Event>,
    /// The schemas of stored events, as they are met.
    pub schemas: SchemaBook,
}

impl<A: Aggregate> Kind<A> {
    /// # Errors
    /// A compiled-in schema is not admissible: a defect of the build.
    pub(crate) fn new(topic: &str) -> Result<Arc<Self>, Fault> {
        let codec =
            Codec::new().map_err(|error| Fault::fatal("admitting the event schemas", error))?;
        Ok(Arc::new(Self { topic: topic.into(), codec, schemas: SchemaBook::default() }))
    }
}
