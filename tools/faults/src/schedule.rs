//! Which fault happens when: pure, and the same for the same seed.
//!
//! A round is every kind once, in an order of its own; rounds follow one another until the load
//! ends. So a run that is long enough for one round fires every kind at least once.

use std::fmt;
use std::time::Duration;

use crate::dice::Dice;

/// A kind of fault. The names are what the summary counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// SIGKILL to one of the two processes of the write side, then a new one.
    KillCommandApi,
    /// The same for one of the three projectors.
    KillProjector,
    /// The same for the alerter.
    KillAlerter,
    /// SIGSTOP for longer than the Kafka session, then SIGCONT: a zombie.
    PauseCommandApi,
    /// The same for one of the projectors.
    PauseProjector,
    /// The same for the alerter.
    PauseAlerter,
    /// SIGKILL to the broker.
    KillKafka,
    /// SIGSTOP to the broker: connections stay open and nothing answers.
    PauseKafka,
    /// SIGKILL to the database, its backends included.
    KillPostgres,
    /// SIGSTOP to the database.
    PausePostgres,
    /// SIGKILL to the schema registry.
    KillRegistry,
    /// SIGKILL to Redis, which keeps nothing.
    KillRedis,
    /// A third projector-list comes, takes partitions over, and goes in order.
    Rebalance,
    /// Redis loses everything it holds while it runs.
    FlushRedis,
    /// Kafka forgets every record there is while a projector is down: retention shorter than an
    /// outage. What is missing then has to be refilled from the log.
    CutTopic,
    /// A record that is no event at all stands in a topic.
    ForeignRecord,
    /// An event of a stream of its own is stored with bytes that no schema reads.
    PoisonStream,
}

impl Kind {
    /// Everything that a run promises.
    pub(crate) const ALL: [Kind; 17] = [
        Kind::KillCommandApi,
        Kind::KillProjector,
        Kind::KillAlerter,
        Kind::PauseCommandApi,
        Kind::PauseProjector,
        Kind::PauseAlerter,
        Kind::KillKafka,
        Kind::PauseKafka,
        Kind::KillPostgres,
        Kind::PausePostgres,
        Kind::KillRegistry,
        Kind::KillRedis,
        Kind::Rebalance,
        Kind::FlushRedis,
        Kind::CutTopic,
        Kind::ForeignRecord,
        Kind::PoisonStream,
    ];

    /// As the summary names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::KillCommandApi => "kill_command_api",
            Kind::KillProjector => "kill_projector",
            Kind::KillAlerter => "kill_alerter",
            Kind::PauseCommandApi => "pause_command_api",
            Kind::PauseProjector => "pause_projector",
            Kind::PauseAlerter => "pause_alerter",
            Kind::KillKafka => "kill_kafka",
            Kind::PauseKafka => "pause_kafka",
            Kind::KillPostgres => "kill_postgres",
            Kind::PausePostgres => "pause_postgres",
            Kind::KillRegistry => "kill_registry",
            Kind::KillRedis => "kill_redis",
            Kind::Rebalance => "rebalance",
            Kind::FlushRedis => "flush_redis",
            Kind::CutTopic => "cut_topic",
            Kind::ForeignRecord => "foreign_record",
            Kind::PoisonStream => "poison_stream",
        }
    }

    /// How long it lasts, in milliseconds, from and to. A service is paused for longer than its
    /// Kafka session of 6 s, so that it wakes as a zombie; the database for less than callers wait,
    /// and for longer too.
    fn lasts_ms(self) -> (u64, u64) {
        match self {
            Kind::PauseCommandApi | Kind::PauseProjector | Kind::PauseAlerter => (7_500, 11_000),
            Kind::KillCommandApi | Kind::KillProjector | Kind::KillAlerter => (0, 3_000),
            Kind::KillKafka | Kind::KillPostgres => (200, 3_000),
            Kind::PauseKafka | Kind::PausePostgres => (2_000, 8_000),
            Kind::KillRegistry | Kind::KillRedis => (1_000, 5_000),
            Kind::Rebalance => (5_000, 10_000),
            Kind::CutTopic => (3_000, 5_000), // the load needs a moment to leave something to cut
            Kind::FlushRedis | Kind::ForeignRecord | Kind::PoisonStream => (0, 0), // done at once
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One fault to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// After the load has begun.
    pub(crate) at: Duration,
    pub(crate) kind: Kind,
    /// From the blow until the healing begins.
    pub(crate) lasts: Duration,
    /// Which of several processes it hits: any number, taken modulo how many there are.
    pub(crate) which: u64,
}

/// The load runs by itself before the first fault: every view has begun by then.
const WARM: Duration = Duration::from_secs(3);
/// Between two blows there is at least so much, so that a round of faults that each take a few
/// seconds overlaps by two or three and not by all.
const LEAST_BETWEEN_MS: u64 = 3_000;
/// And at most so much: a run of two minutes has room for a whole round.
const MOST_BETWEEN_MS: u64 = 7_000;

/// `factline verify` names the first five records of a topic that are none of ours; with no more than
/// that all of them are named, and none hides another difference.
const MOST_FOREIGN: usize = 5;

/// The faults of a run whose load lasts for `load`, in the order of their times. The first round is
/// whole when `load` has room for it at the closest spacing.
pub(crate) fn plan(seed: u64, load: Duration, kinds: &[Kind]) -> Vec<Planned> {
    let mut dice = Dice::new(seed, 1);
    let mut planned = Vec::new();
    if kinds.iter().all(|kind| *kind == Kind::ForeignRecord) {
        return planned; // none at all, or one that ends
    }
    let room = u64::try_from(load.saturating_sub(WARM).as_millis()).unwrap_or(u64::MAX);
    let most = (room / (kinds.len() as u64 + 1)).clamp(500, MOST_BETWEEN_MS);
    let least = LEAST_BETWEEN_MS.min(most);
    let mut at = WARM;
    loop {
        let mut round = kinds.to_vec();
        dice.shuffle(&mut round);
        for kind in round {
            if at >= load {
                return planned;
            }
            let before = planned.iter().filter(|one: &&Planned| one.kind == kind).count();
            if kind == Kind::ForeignRecord && before == MOST_FOREIGN {
                continue;
            }
            let (from, to) = kind.lasts_ms();
            let lasts = Duration::from_millis(dice.between(from, to));
            planned.push(Planned { at, kind, lasts, which: dice.next() });
            at += Duration::from_millis(dice.between(least, most));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TWO_MINUTES: Duration = Duration::from_secs(120);

    #[test]
    fn a_seed_has_one_schedule_and_another_seed_another() {
        let first = plan(7, TWO_MINUTES, &Kind::ALL);
        assert_eq!(first, plan(7, TWO_MINUTES, &Kind::ALL));
        assert_ne!(first, plan(8, TWO_MINUTES, &Kind::ALL));
    }

    #[test]
    fn two_minutes_have_room_for_every_kind_whatever_the_seed() {
        for seed in 0..500 {
            let kinds: BTreeSet<Kind> =
                plan(seed, TWO_MINUTES, &Kind::ALL).iter().map(|one| one.kind).collect();
            assert_eq!(kinds.len(), Kind::ALL.len(), "seed {seed}");
        }
    }

    #[test]
    fn a_service_is_paused_for_longer_than_its_kafka_session() {
        let pauses = [Kind::PauseCommandApi, Kind::PauseProjector, Kind::PauseAlerter];
        for planned in plan(1, Duration::from_secs(600), &pauses) {
            assert!(planned.lasts > Duration::from_millis(6_000), "{planned:?}");
        }
    }

    #[test]
    fn no_fault_begins_after_the_load_has_ended() {
        let planned = plan(3, Duration::from_secs(30), &Kind::ALL);
        assert!(planned.iter().all(|one| one.at < Duration::from_secs(30)));
        assert!(plan(3, TWO_MINUTES, &[]).is_empty());
    }
}
