//! What a lane keeps in memory of its streams: their states and their last commands, least recently
//! used first out, within a number of streams and a number of bytes.

use std::{io, num::NonZeroUsize};

use factline_core::{Aggregate, StreamId};
use lru::LruCache;

use crate::{
    Command,
    batch::Outcome,
    load::Loaded,
    snapshot,
    stretch::{Marked, Stretch},
};

/// A bounded memory of streams. A state may be stale: an append tells, and the stream is then
/// decided again under the lock. A command that is remembered here is in the log for good.
pub(crate) struct Cache<A: Aggregate> {
    streams: LruCache<StreamId, Cached<A>>,
    bounds: Bounds,
    bytes: usize,
}

/// How much a cache may hold.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub streams: usize,
    /// Of all streams together, as estimated by [`Cached::bytes`].
    pub bytes: usize,
    /// Of each stream.
    pub recent_commands: usize,
}

struct Cached<A: Aggregate> {
    now: Loaded<A>,
    /// How it came there, as far as it is remembered; ends at `now`.
    recent: Option<Stretch<A>>,
    state_bytes: usize,
    /// What this entry was counted as.
    bytes: usize,
}

/// The list's and the table's own share of an entry: two links, a hash and its slack.
const LINKS_BYTES: usize = 64;
/// A state is weighed when it crosses a multiple of this many events; in between it is taken to
/// grow by what its events carry. More often costs time at every append, less often overestimates
/// states that only count.
const WEIGH_EVERY: i64 = 64;

impl<A: Aggregate> Cache<A> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let streams = NonZeroUsize::new(bounds.streams).unwrap_or(NonZeroUsize::MIN);
        Self { streams: LruCache::new(streams), bounds, bytes: 0 }
    }

    /// One that forgets nothing.
    pub(crate) fn unbounded() -> Self {
        let all = usize::MAX;
        let bounds = Bounds { streams: all, bytes: all, recent_commands: all };
        Self { streams: LruCache::unbounded(), bounds, bytes: 0 }
    }

    pub(crate) fn get(&mut self, stream_id: &StreamId) -> Option<Loaded<A>> {
        self.streams.get(stream_id).map(|cached| cached.now.clone())
    }

    /// The first answers of those commands of a stream that are remembered.
    pub(crate) fn first_answers(
        &mut self,
        stream_id: &StreamId,
        commands: &[&Command<A>],
    ) -> Option<Vec<Option<Outcome<A>>>> {
        let recent = self.streams.get(stream_id)?.recent.as_ref()?;
        Some(recent.first_answers(commands))
    }

    /// Takes in that a stream went from `before` to `now` by `events`, which are in the log.
    pub(crate) fn remember(
        &mut self,
        stream_id: &StreamId,
        before: Loaded<A>,
        now: Loaded<A>,
        events: Vec<Marked<A::Event>>,
    ) {
        let known = self.streams.get_mut(stream_id);
        let Some(known) = known.filter(|known| known.now.version == before.version) else {
            self.take(stream_id);
            return self.put(stream_id, Cached::new(before, now, events, self.bounds));
        };
        let crossed = snapshot::crossed(before.version, now.version, WEIGH_EVERY);
        known.state_bytes = if crossed {
            state_bytes(&*now.state)
        } else {
            known.state_bytes + events.iter().map(|event| event.datum_bytes).sum::<usize>()
        };
        known.now = now;
        known.learn(&before.state, events, self.bounds);
        self.bytes -= known.bytes;
        known.bytes = known.weigh(stream_id);
        self.bytes += known.bytes;
        self.shrink();
    }

    pub(crate) fn clear(&mut self) {
        self.streams.clear();
        self.bytes = 0;
    }

    pub(crate) fn forget(&mut self, stream_id: &StreamId) {
        self.take(stream_id);
    }

    /// Every event that is remembered.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Marked<A::Event>> {
        self.streams
            .iter()
            .filter_map(|(_, cached)| cached.recent.as_ref())
            .flat_map(Stretch::events)
    }

    fn put(&mut self, stream_id: &StreamId, mut cached: Cached<A>) {
        cached.bytes = cached.weigh(stream_id);
        self.bytes += cached.bytes;
        if let Some((_, displaced)) = self.streams.push(stream_id.clone(), cached) {
            self.bytes -= displaced.bytes;
        }
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.bytes > self.bounds.bytes {
            let Some((_, oldest)) = self.streams.pop_lru() else { return };
            self.bytes -= oldest.bytes;
        }
    }

    fn take(&mut self, stream_id: &StreamId) -> Option<Cached<A>> {
        let taken = self.streams.pop(stream_id)?;
        self.bytes -= taken.bytes;
        Some(taken)
    }
}

impl<A: Aggregate> Cached<A> {
    fn new(
        before: Loaded<A>,
        now: Loaded<A>,
        events: Vec<Marked<A::Event>>,
        bounds: Bounds,
    ) -> Self {
        let state_bytes = state_bytes(&*now.state);
        let mut cached = Self { now, recent: None, state_bytes, bytes: 0 };
        cached.learn(&before.state, events, bounds);
        cached
    }

    /// Remembers the last commands; `before` is the state before `events`.
    fn learn(&mut self, before: &A, events: Vec<Marked<A::Event>>, bounds: Bounds) {
        if bounds.recent_commands > 0 && !events.is_empty() {
            let recent = self.recent.get_or_insert_with(|| Stretch::starting_at(before.clone()));
            recent.extend(events);
            recent.keep(bounds.recent_commands);
        }
    }

    /// An estimate of what the entry takes: its own size, its id, its place in list and table, the
    /// state as long as its JSON is, once for now and once for the start of what is remembered, and
    /// the remembered events.
    fn weigh(&self, stream_id: &StreamId) -> usize {
        let recent = self.recent.as_ref().map_or(0, |recent| self.state_bytes + recent.bytes());
        size_of::<Self>() + LINKS_BYTES + stream_id.as_str().len() + self.state_bytes + recent
    }
}

/// The state's struct, and how long its JSON is, without making it. A state that has no JSON has no
/// snapshot either, and counts as its bare struct.
fn state_bytes<A: Aggregate>(state: &A) -> usize {
    struct Length(usize);
    impl io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut length = Length(0);
    let json = serde_json::to_writer(&mut length, state).map_or(0, |()| length.0);
    size_of::<A>() + json
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use factline_core::{CommandKey, Version};
    use factline_testkit::{
        History,
        parcels::{Parcel, ParcelEvent, packed},
    };

    use super::*;
    use crate::stretch::Opening;

    fn at(version: i64) -> Loaded<Parcel> {
        let state = Arc::new(Parcel { weight_grams: version, ..Parcel::default() });
        Loaded { state, version: Version(version), snapshot: Version::ZERO }
    }

    /// A stream goes one version further, by a command whose key is that version.
    fn pack(cache: &mut Cache<Parcel>, id: &str, version: i64) {
        let mut recorded = History::new().then(id, packed(1)).build().remove(0);
        recorded.envelope.version = Version(version);
        recorded.envelope.actor = Some("somebody with a name".to_owned());
        let key = CommandKey::from_u128(u128::try_from(version).unwrap());
        let opens = Some(Opening { key, fingerprint: [0; 16] });
        let events = vec![Marked { recorded: Arc::new(recorded), opens, datum_bytes: 1 }];
        let id = StreamId::parse(id).unwrap();
        cache.remember(&id, at(version - 1), at(version), events);
    }

    fn counted(cache: &Cache<Parcel>) -> usize {
        cache.streams.iter().map(|(id, cached)| cached.weigh(id)).sum()
    }

    #[test]
    fn the_cache_stays_within_its_bytes_and_keeps_what_was_used_last() {
        let bounds = Bounds { streams: 10_000, bytes: 50_000, recent_commands: 4 };
        let mut cache = Cache::new(bounds);
        for stream in 0..1_000 {
            for version in 1..=6 {
                pack(&mut cache, &format!("p{stream}"), version);
                assert!(cache.bytes <= bounds.bytes);
            }
        }
        assert_eq!(cache.bytes, counted(&cache));
        assert!(cache.streams.len() > 10, "{} streams", cache.streams.len());
        let last = StreamId::parse("p999").unwrap();
        assert_eq!(cache.get(&last).map(|known| known.version), Some(Version(6)));
        assert!(cache.get(&StreamId::parse("p0").unwrap()).is_none());
        for stream in 0..1_000 {
            cache.forget(&StreamId::parse(&format!("p{stream}")).unwrap());
        }
        assert_eq!(cache.bytes, 0, "what was counted is given back");
    }

    #[test]
    fn a_stream_that_is_written_to_for_ever_stays_small() {
        let bounds = Bounds { streams: 10, bytes: usize::MAX, recent_commands: 32 };
        let mut cache = Cache::new(bounds);
        let mut largest = 0;
        for version in 1..=10_000 {
            pack(&mut cache, "p", version);
            largest = largest.max(cache.bytes);
        }
        let an_event = 100
            + size_of::<Marked<ParcelEvent>>()
            + size_of::<factline_core::Recorded<ParcelEvent>>();
        assert!(largest < 32 * an_event + 2_000, "{largest} bytes");
        let recent = cache.streams.pop_lru().and_then(|(_, cached)| cached.recent);
        assert_eq!(recent.map(|recent| recent.keys().len()), Some(32));
    }

    #[test]
    fn a_stream_that_is_larger_than_all_memory_is_not_kept() {
        let mut cache = Cache::new(Bounds { streams: 10, bytes: 100, recent_commands: 32 });
        pack(&mut cache, "p", 1);
        assert_eq!((cache.streams.len(), cache.bytes), (0, 0));
    }
}
