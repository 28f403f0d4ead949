//! A projection's tables in memory, with transactions: what `transaction::write` does in SQL, in the
//! same order. A transaction holds its checkpoints' locks from its first statement to its end, as
//! rows do; nothing of it is seen before it commits.
//!
//! The delivery contract is checked here, at every commit.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use factline_core::{Envelope, Fault, Position, Recorded};
use factline_kafka::Record;
use uuid::Uuid;

use super::{
    history::{Nature, PARTITIONS, index_of, partition_id},
    outside::Outside,
    tally::Happening,
};
use crate::{
    ApplyError, Poisoned,
    batch::Job,
    checkpoint::{Checkpoint, Slice},
    park::{Parking, STREAM_PARKED, StreamName},
    testing::ParcelEvent,
    transaction::{Setback, Settled, Sorted, sort},
};

/// An event's place in the log.
pub(super) type At = (usize, i64);

/// See the module.
#[derive(Debug, Default, Clone)]
pub(super) struct Database {
    pub(super) checkpoints: [Row; PARTITIONS],
    /// Which transaction has locked which checkpoint.
    locks: [Option<u64>; PARTITIONS],
    processed: HashSet<Uuid>,
    /// The view: every stream's effects in the order in which they came.
    pub(super) effects: HashMap<StreamName, Vec<i64>>,
    pub(super) parked_streams: HashSet<StreamName>,
    pub(super) parked: BTreeMap<At, String>,
    foreign: BTreeSet<At>,
    /// What a crash of the server may take back to: the state before each of the last commits.
    before: VecDeque<Self>,
    /// The furthest that each checkpoint was before a crash took it back.
    pub(super) furthest: [i64; PARTITIONS],
}

/// Commits that are not on the disk yet.
const UNFLUSHED: usize = 3;

/// A checkpoint.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Row {
    pub(super) position: i64,
    pub(super) next_offset: Option<i64>,
}

/// What a transaction has written.
#[derive(Debug)]
pub(super) struct Staged {
    slices: Vec<Slice>,
    effects: Vec<(At, Uuid, StreamName)>,
    parks: Vec<Parked>,
    foreign: Vec<At>,
    pub(super) settled: Settled,
}

#[derive(Debug)]
struct Parked {
    at: At,
    stream: StreamName,
    code: String,
    first: bool,
}

fn at(envelope: &Envelope) -> At {
    (index_of(envelope.partition), envelope.position.0)
}

fn stream(envelope: &Envelope) -> StreamName {
    (envelope.topic.to_string(), envelope.stream_id.as_str().to_owned())
}

/// The connection is gone.
pub(super) fn broken_connection() -> Setback {
    Setback::Database(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()))
}

impl Database {
    pub(super) fn checkpoint(&self, partition: usize) -> Checkpoint {
        let Row { position, next_offset } = self.checkpoints[partition];
        let partitions = i32::try_from(PARTITIONS).unwrap();
        let (id, position) = (partition_id(partition), Position(position));
        Checkpoint { id, position, next_offset, partitions, deaths: 0 }
    }

    /// Locks a batch's checkpoints, or none of them: then who holds one.
    pub(super) fn lock(&mut self, transaction: u64, slices: &[Slice]) -> Result<(), u64> {
        let lanes = || slices.iter().map(|slice| index_of(slice.id.partition));
        if let Some(holder) = lanes().find_map(|lane| self.locks[lane]) {
            return Err(holder);
        }
        for lane in lanes() {
            self.locks[lane] = Some(transaction);
        }
        Ok(())
    }

    /// A transaction has ended, one way or another.
    pub(super) fn unlock(&mut self, transaction: u64) {
        for lock in &mut self.locks {
            lock.take_if(|holder| *holder == transaction);
        }
    }

    /// Whether it is still in a transaction.
    pub(super) fn knows(&self, transaction: u64) -> bool {
        self.locks.contains(&Some(transaction))
    }

    /// A commit is not on the disk at once.
    fn remember(&mut self) {
        let now = Self { before: VecDeque::new(), ..self.clone() };
        self.before.push_back(now);
        if self.before.len() > UNFLUSHED {
            self.before.pop_front();
        }
    }

    fn is_settled(&self, one: &Envelope) -> bool {
        self.processed.contains(&one.event_id) || self.parked.contains_key(&at(one))
    }
}

/// The server crashes: some of its last commits were not on the disk, and every session ends.
pub(super) fn crash(outside: &mut Outside) {
    let lost = outside.pick(0..outside.database.before.len() + 1);
    let furthest = std::array::from_fn(|partition| {
        outside.database.checkpoints[partition].position.max(outside.database.furthest[partition])
    });
    for _ in 0..lost {
        if let Some(before) = outside.database.before.pop_back() {
            let earlier = std::mem::take(&mut outside.database.before);
            outside.database = Database { before: earlier, ..before };
        }
    }
    outside.database.locks = Default::default();
    outside.database.furthest = furthest;
    for (lane, row) in outside.lanes.iter_mut().zip(&outside.database.checkpoints) {
        lane.expire(0, row.position); // what retention has removed was perhaps applied then
    }
    outside.say(|| format!("the database's server crashes and takes {lost} commits back"));
    outside.count(Happening::ServerCrashed);
}

/// Everything of a transaction but its commit.
pub(super) fn write(outside: &mut Outside, job: &Job<ParcelEvent>) -> Result<Staged, Setback> {
    let batch = &job.batch;
    let found = |slice: &Slice| {
        let row = outside.database.checkpoints[index_of(slice.id.partition)];
        row.position == slice.expected.0
    };
    if !batch.slices.iter().all(found) {
        return Err(Setback::Refused);
    }
    let ids = batch.events.iter().map(|event| event.envelope.event_id);
    let known = |id: &Uuid| job.check_ids && outside.database.processed.contains(id);
    let known: HashSet<Uuid> = ids.filter(known).collect();
    let sorted = sort(job, &outside.database.parked_streams, &known);
    apply(outside, &sorted)?;
    let database = &outside.database;
    if sorted.apply.iter().any(|one| database.processed.contains(&one.envelope.event_id)) {
        return Err(Setback::SeenBefore);
    }
    let applied = sorted.apply.iter().map(|event| event.envelope.event_id);
    let parked = sorted.park.iter().map(|one| one.envelope.event_id);
    let here: HashSet<Uuid> = applied.chain(parked).collect();
    let is_fork = |one: &Envelope| !here.contains(&one.event_id) && !database.is_settled(one);
    if let Some((fork, _)) = batch.repeats.iter().find(|(one, _)| is_fork(one)) {
        return Err(Setback::Fork(partition_id(index_of(fork.partition)), fork.position));
    }
    Ok(stage(job, &sorted))
}

fn stage(job: &Job<ParcelEvent>, sorted: &Sorted<'_, ParcelEvent>) -> Staged {
    let batch = &job.batch;
    let effect = |event: &Recorded<ParcelEvent>| {
        let envelope = &event.envelope;
        (at(envelope), envelope.event_id, stream(envelope))
    };
    let parked = |one: &Parking<'_>| Parked {
        at: at(one.envelope),
        stream: stream(one.envelope),
        code: one.code.to_owned(),
        first: one.first,
    };
    let foreign = |record: &Record| (index_of(record.partition), record.offset);
    Staged {
        slices: batch.slices.clone(),
        effects: sorted.apply.iter().map(effect).collect(),
        parks: sorted.park.iter().map(parked).collect(),
        foreign: batch.foreign.iter().map(|(_, record)| foreign(record)).collect(),
        settled: Settled {
            applied: sorted.apply.len(),
            repeats: batch.repeats.len() + sorted.known,
            parked: sorted.park.len(),
            foreign: batch.foreign.len(),
            parked_streams: None,
        },
    }
}

/// The projection: says no to what is poison, each kind in its own way.
fn apply(outside: &mut Outside, sorted: &Sorted<'_, ParcelEvent>) -> Result<(), Setback> {
    let indices = |nature: Nature| -> Vec<usize> {
        let is = |event: &Recorded<ParcelEvent>| {
            let (partition, position) = at(&event.envelope);
            outside.nature(partition, position) == nature
        };
        (0..sorted.apply.len()).filter(|index| is(&sorted.apply[*index])).collect()
    };
    if !indices(Nature::Panics).is_empty() {
        return Err(Setback::Panicked("it cannot be".into()));
    }
    let poisoned = |index| Poisoned {
        index: sorted.index_in_batch(index),
        code: "impossible",
        detail: String::new(),
    };
    let named = indices(Nature::Named);
    if !named.is_empty() {
        return Err(Setback::Poison(named.into_iter().map(poisoned).collect()));
    }
    if !indices(Nature::Refused).is_empty() {
        let fault = Fault::poison("writing a row", "a constraint");
        return Err(Setback::Apply(ApplyError::Fault(fault)));
    }
    if outside.fault(3) {
        outside.count(Happening::TransactionFailed);
        return Err(broken_connection());
    }
    Ok(())
}

/// Makes visible what a transaction has written, and holds it against the delivery contract.
pub(super) fn commit(outside: &mut Outside, staged: &Staged) {
    outside.database.remember();
    for slice in &staged.slices {
        let row = &mut outside.database.checkpoints[index_of(slice.id.partition)];
        assert_eq!(
            row.position, slice.expected.0,
            "a transaction had an effect over a checkpoint of {} that another owner has moved",
            slice.id
        );
        row.position = slice.position.0;
        row.next_offset = slice.next_offset.or(row.next_offset);
    }
    for (at, id, stream) in &staged.effects {
        assert!(outside.database.processed.insert(*id), "{at:?} had its effect twice");
        let effects = outside.database.effects.entry(stream.clone()).or_default();
        effects.push(at.1);
        let due = outside.history.stream(at.0, &stream.1).nth(effects.len() - 1);
        assert_eq!(due, Some(at.1), "{stream:?} has had an effect out of its order");
    }
    for Parked { at, stream, code, first } in &staged.parks {
        let new = outside.database.parked.insert(*at, code.clone()).is_none();
        assert!(new, "{at:?} was parked twice");
        if *first {
            assert!(
                outside.database.parked_streams.insert(stream.clone()),
                "{stream:?} was parked"
            );
        }
        outside.count(match code.as_str() {
            STREAM_PARKED => Happening::LaterEventParked,
            "unreadable" => Happening::UnreadableParked,
            _ => Happening::PoisonParked,
        });
    }
    outside.database.foreign.extend(staged.foreign.iter().copied());
    outside.tally.count(Happening::ForeignRecordKept, staged.settled.foreign);
    outside.tally.count(Happening::RepeatSkipped, staged.settled.repeats);
}
