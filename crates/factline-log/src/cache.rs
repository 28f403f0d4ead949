//! The aggregates' states that a lane keeps, least recently used first out.

use std::num::NonZeroUsize;

use factline_core::StreamId;
use lru::LruCache;

use crate::load::Loaded;

/// A bounded memory of streams. It may be stale: an append tells, and the stream is then decided
/// again under the lock.
pub(crate) struct Cache<A>(LruCache<StreamId, Loaded<A>>);

impl<A: Clone> Cache<A> {
    pub(crate) fn new(streams: usize) -> Self {
        Self(LruCache::new(NonZeroUsize::new(streams).unwrap_or(NonZeroUsize::MIN)))
    }

    pub(crate) fn get(&mut self, stream_id: &StreamId) -> Option<Loaded<A>> {
        self.0.get(stream_id).cloned()
    }

    pub(crate) fn put(&mut self, stream_id: StreamId, loaded: Loaded<A>) {
        self.0.put(stream_id, loaded);
    }

    pub(crate) fn forget(&mut self, stream_id: &StreamId) {
        self.0.pop(stream_id);
    }
}
