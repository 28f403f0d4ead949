//! A world: what may happen next, and what must have come of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use factline_core::saga::Saga as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

use super::tour::{News, Order, Tours};
use crate::{
    machine::{Arrived, Beginning, Changes, Instance, Kept, Status, process},
    wishes::{Wish, act},
};

const STEPS: usize = 400;
const ROUNDS: usize = 400;
/// In steps of the world, as everything here.
const DECIDE_WITHIN: u64 = 10;
const LEASE: u64 = 2 * DECIDE_WITHIN;
const TOURS: usize = 4;
const STATIONS: usize = 3;

/// Whether a command is left alone after its last moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fence {
    Kept,
    Broken,
}

#[derive(Debug, Clone)]
struct Row {
    due: bool,
    attempts: u32,
    next_at: u64,
    key: Uuid,
    order: Order,
}

/// What the log says to a command; a refusal leaves no trace in it.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Accepted,
    Refused(&'static str),
    Later,
}

#[derive(Debug, Clone)]
struct InHand {
    at: (String, String),
    attempt: u32,
    decide_by: u64,
    said: Option<Said>,
}

#[derive(Debug, Default)]
struct Process {
    frozen: bool,
    hand: Vec<InHand>,
}

pub(super) struct World {
    dice: StdRng,
    fence: Fence,
    now: u64,
    events: Vec<Arrived>,
    checkpoint: usize,
    instances: BTreeMap<String, Instance>,
    commands: BTreeMap<(String, String), Row>,
    timers: BTreeMap<(String, String), u64>,
    waiting: BTreeMap<String, VecDeque<Arrived>>,
    processes: [Process; 2],
    keys: BTreeSet<Uuid>,
    /// Free places of each station, and who has one there.
    free: [i64; STATIONS],
    held: BTreeSet<(String, usize)>,
    left: BTreeSet<String>,
    skipped: BTreeSet<(String, String)>,
    tally: BTreeMap<&'static str, u64>,
}

impl World {
    pub(super) fn new(seed: u64, fence: Fence) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut events = Vec::new();
        for tour in 0..TOURS {
            let stations = dice.random_range(1..=STATIONS);
            events.push(fact(tour, &News::Planned { stations }));
        }
        for _ in 0..3 {
            let news = if dice.random_bool(0.2) { News::Puzzling } else { News::CalledOff };
            let place = dice.random_range(TOURS..=events.len());
            events.insert(place, fact(dice.random_range(0..TOURS), &news));
        }
        Self {
            dice,
            fence,
            now: 0,
            events,
            checkpoint: 0,
            instances: BTreeMap::new(),
            commands: BTreeMap::new(),
            timers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            processes: Default::default(),
            keys: BTreeSet::new(),
            free: [2; STATIONS],
            held: BTreeSet::new(),
            left: BTreeSet::new(),
            skipped: BTreeSet::new(),
            tally: BTreeMap::new(),
        }
    }

    pub(super) fn run(self) -> BTreeMap<&'static str, u64> {
        self.run_and_look().unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    /// # Errors
    /// What is wrong in the end.
    pub(super) fn run_and_look(mut self) -> Result<BTreeMap<&'static str, u64>, String> {
        for _ in 0..STEPS {
            self.now += 1;
            self.step();
        }
        self.processes.iter_mut().for_each(|process| process.frozen = false);
        for _ in 0..ROUNDS {
            self.now += 1;
            self.round();
        }
        self.look()?;
        Ok(self.tally)
    }

    fn step(&mut self) {
        let one = self.dice.random_range(0..2);
        match self.dice.random_range(0..100) {
            0..8 => self.deliver(),
            8..28 => self.claim(one),
            28..55 => self.carry_out(one),
            55..80 => self.record(one),
            80..83 => self.crash(one),
            83..86 => self.processes[one].frozen = !self.processes[one].frozen,
            86..92 => self.fire(),
            92..96 => {
                let station = self.dice.random_range(0..STATIONS);
                let change = if self.dice.random_bool(0.5) { 1 } else { -1 };
                self.free[station] = (self.free[station] + change).clamp(0, 4);
            }
            _ => self.operate(None),
        }
    }

    /// Everybody has a turn, and nothing goes wrong.
    fn round(&mut self) {
        self.deliver();
        self.fire();
        for one in 0..2 {
            self.claim(one);
            self.carry_out(one);
            self.record(one);
        }
        self.operate(Some(Wish::Compensate));
    }

    fn heals(&self) -> bool {
        self.now > STEPS as u64
    }

    fn fault(&mut self, share: f64) -> bool {
        !self.heals() && self.dice.random_bool(share)
    }

    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// A batch of events is taken in, or its process dies before the commit.
    fn deliver(&mut self) {
        let end = (self.checkpoint + self.dice.random_range(1..4)).min(self.events.len());
        let arrived = self.events[self.checkpoint..end].to_vec();
        if self.commit(arrived) {
            self.checkpoint = end;
        }
    }

    /// One transaction of inputs.
    fn commit(&mut self, arrived: Vec<Arrived>) -> bool {
        let mut instances = self.instances.clone();
        let changes = process(&Tours, &mut instances, arrived);
        if self.fault(0.1) {
            self.count("crash before a commit");
            return false;
        }
        self.instances = instances;
        self.write(changes);
        true
    }

    fn write(&mut self, changes: Changes) {
        let Changes { commands, timers, waiting, ended, moved: _ } = changes;
        for new in commands {
            let order = serde_json::from_value(new.command).unwrap();
            let row = Row { due: true, attempts: 0, next_at: self.now, key: new.key, order };
            self.commands.entry((new.instance, new.step)).or_insert(row);
        }
        for (timer, change) in timers {
            match change.after {
                Some(after) => {
                    let after = u64::try_from(after.as_millis()).unwrap();
                    self.timers.insert(timer, self.now + after);
                }
                None => drop(self.timers.remove(&timer)),
            }
        }
        for one in waiting {
            let line = self.waiting.entry(one.instance.clone()).or_default();
            line.push_back(one);
            let what = if line.len() == 1 { "needed attention" } else { "waited behind attention" };
            self.count(what);
        }
        self.timers.retain(|(instance, _), _| !ended.contains(instance));
    }

    fn claim(&mut self, one: usize) {
        if self.processes[one].frozen {
            return;
        }
        let due = |row: &Row| row.due && row.next_at <= self.now;
        let due: Vec<_> =
            self.commands.iter().filter(|(_, row)| due(row)).map(|(at, _)| at.clone()).collect();
        for at in due.into_iter().take(3) {
            let row = self.commands.get_mut(&at).unwrap();
            row.attempts += 1;
            row.next_at = self.now + LEASE;
            let (attempt, decide_by) = (row.attempts, self.now + DECIDE_WITHIN);
            self.processes[one].hand.push(InHand { at, attempt, decide_by, said: None });
        }
    }

    /// A process carries out one of the commands in its hands.
    fn carry_out(&mut self, one: usize) {
        let Process { frozen, hand } = &self.processes[one];
        let open: Vec<_> = (0..hand.len()).filter(|index| hand[*index].said.is_none()).collect();
        if *frozen || open.is_empty() {
            return;
        }
        let index = open[self.dice.random_range(0..open.len())];
        let InHand { at, decide_by, .. } = self.processes[one].hand[index].clone();
        let said = if self.now > decide_by && self.fence == Fence::Kept {
            self.count("woke too late");
            Said::Later
        } else if self.fault(0.1) {
            Said::Later
        } else {
            let said = self.decide(&at);
            if self.fault(0.1) {
                self.count("answer lost");
                Said::Later
            } else {
                said
            }
        };
        self.processes[one].hand[index].said = Some(said);
    }

    /// The log: a key that it knows gets its first answer again.
    fn decide(&mut self, at: &(String, String)) -> Said {
        let Row { key, order, .. } = self.commands[at].clone();
        if self.keys.contains(&key) {
            self.count("absorbed by its key");
            return Said::Accepted;
        }
        match order {
            Order::Load(station) => {
                if self.fault(0.03) {
                    return Said::Refused("haunted");
                }
                if self.free[station] < 1 {
                    return Said::Refused("full");
                }
                self.free[station] -= 1;
                self.held.insert((at.0.clone(), station));
            }
            Order::Unload(station) => {
                if !self.held.remove(&(at.0.clone(), station)) {
                    return Said::Accepted; // nothing to do, and no trace of it
                }
                self.free[station] += 1;
            }
            Order::Leave => assert!(self.left.insert(at.0.clone()), "{at:?} left twice"),
        }
        self.keys.insert(key);
        Said::Accepted
    }

    /// A process records some of what it was told, in any order.
    fn record(&mut self, one: usize) {
        if self.processes[one].frozen {
            return;
        }
        let mut told = Vec::new();
        let mut hand = std::mem::take(&mut self.processes[one].hand);
        hand.retain(|held| {
            let tells = held.said.is_some() && self.dice.random_bool(0.7);
            if tells {
                told.push(held.clone());
            }
            !tells
        });
        self.processes[one].hand = hand;
        let (mut arrived, mut answered) = (Vec::new(), Vec::new());
        for InHand { at, attempt, said, .. } in told {
            let row = self.commands.get_mut(&at).unwrap();
            if !row.due || row.attempts != attempt {
                self.count("superseded");
                continue;
            }
            let refused = match said {
                Some(Said::Refused(code)) => Some(code.to_owned()),
                Some(Said::Accepted) => None,
                Some(Said::Later) | None => {
                    row.next_at = self.now + 1;
                    continue;
                }
            };
            let input = Kept::Answer { step: at.1.clone(), refused };
            arrived.push(arrived_at(&at.0, input));
            answered.push(at);
        }
        if self.commit(arrived) {
            for at in answered {
                self.commands.get_mut(&at).unwrap().due = false;
            }
        } else {
            self.processes[one].hand.clear();
        }
    }

    fn crash(&mut self, one: usize) {
        if !self.processes[one].hand.is_empty() {
            self.count("crash with commands in hand");
        }
        self.processes[one] = Process::default();
    }

    fn fire(&mut self) {
        let due: Vec<_> = (self.timers.iter())
            .filter(|(_, at)| **at <= self.now)
            .map(|(timer, _)| timer.clone())
            .collect();
        let arrived = due
            .iter()
            .map(|(instance, timer)| arrived_at(instance, Kept::Timer { timer: timer.clone() }));
        let before = self.timers.clone();
        self.timers.retain(|timer, _| !due.contains(timer));
        if !self.commit(arrived.collect()) {
            self.timers = before;
        } else if !due.is_empty() {
            self.count("timer fired");
        }
    }

    /// An operator does something about an instance that needs it.
    fn operate(&mut self, wish: Option<Wish>) {
        let needs = |instance: &Instance| instance.status == Status::NeedsAttention;
        let needy: Vec<_> = (self.instances.iter())
            .filter(|(_, instance)| needs(instance))
            .map(|(name, _)| name.clone())
            .collect();
        let Some(name) = needy.first() else { return };
        let (wish, label) = match wish.map_or_else(|| self.dice.random_range(0..3), |_| 2) {
            0 => (Wish::Retry, "retry"),
            1 => (Wish::Skip, "skip"),
            _ => (Wish::Compensate, "compensate"),
        };
        self.count(label);
        let waiting = self.waiting.remove(name).unwrap();
        let instance = self.instances.get_mut(name).unwrap();
        let acted = act(&Tours, name, instance, waiting, wish).unwrap();
        if let Some(step) = acted.again {
            let row = self.commands.get_mut(&(name.clone(), step)).unwrap();
            (row.due, row.next_at) = (true, self.now);
        }
        self.skipped.extend(acted.skipped.map(|step| (name.clone(), step)));
        self.write(acted.changes);
    }

    /// What must have come of it.
    fn look(&mut self) -> Result<(), String> {
        let mut wrong = Vec::new();
        if self.instances.len() != TOURS || self.checkpoint != self.events.len() {
            wrong.push("something was not taken in".to_owned());
        }
        for (name, instance) in self.instances.clone() {
            let held = self.held.iter().filter(|(tour, _)| *tour == name).count();
            let wanted = self.commands.keys().filter(|(tour, step)| {
                *tour == name
                    && step.starts_with("load/")
                    && !self.skipped.contains(&(name.clone(), step.clone()))
            });
            let wanted = wanted.count();
            match instance.status {
                Status::Completed if held == wanted && self.left.contains(&name) => {
                    self.count("completed");
                }
                Status::Compensated if held == 0 && !self.left.contains(&name) => {
                    self.count("compensated");
                }
                Status::Completed
                | Status::Compensated
                | Status::Running
                | Status::NeedsAttention => {
                    wrong.push(format!("{name} holds {held}: {instance:?}"))
                }
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}

fn fact(tour: usize, news: &News) -> Arrived {
    let state = Tours::begin(news).map(|tour| serde_json::to_value(tour).unwrap());
    let begins =
        state.map(|state| Beginning { state, correlation_id: Uuid::nil(), traceparent: None });
    let input = Kept::Fact { fact: serde_json::to_value(news).unwrap() };
    Arrived { begins, ..arrived_at(&format!("tour-{tour}"), input) }
}

fn arrived_at(instance: &str, input: Kept) -> Arrived {
    let instance = instance.to_owned();
    Arrived { instance, input, cause: Uuid::nil(), begins: None }
}
