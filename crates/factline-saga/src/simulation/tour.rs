//! A small saga: a tour is loaded at some stations, then it leaves; or what was loaded is unloaded again.

use std::{collections::BTreeMap, time::Duration};

use factline_core::{
    Recorded,
    saga::{Answer, Input, Outcome, Reaction, Saga, Unanswered},
};
use factline_testkit::parcels::ParcelEvent;
use serde::{Deserialize, Serialize};

pub(super) struct Tours;

pub(super) const PATIENCE: Duration = Duration::from_millis(60); // in ticks of the world

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum News {
    /// A tour over so many stations.
    Planned { stations: usize },
    /// It is not wanted any more.
    CalledOff,
    /// Its definition cannot cope with this.
    Puzzling,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Tour {
    /// By station.
    loads: BTreeMap<usize, Load>,
    undo: bool,
    forgiving: bool,
    leaving: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Load {
    Wanted,
    Asked,
    Held,
    Unloading,
    Settled,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Order {
    Load(usize),
    Unload(usize),
    Leave,
}

impl Saga for Tours {
    const NAME: &'static str = "tours";
    const DEFINITIONS: &'static [i32] = &[1];
    type Event = ParcelEvent;
    type Fact = News;
    type State = Tour;
    type Command = Order;

    fn fact(_event: &Recorded<ParcelEvent>) -> Option<News> {
        None // the world tells facts
    }

    fn begin(fact: &News) -> Option<Tour> {
        let News::Planned { stations } = fact else { return None };
        let loads = (0..*stations).map(|station| (station, Load::Wanted)).collect();
        Some(Tour { loads, undo: false, forgiving: false, leaving: false })
    }

    fn react(
        &self,
        _definition: i32,
        mut tour: Tour,
        input: Input<'_, News>,
    ) -> Result<Reaction<Self>, Unanswered> {
        let mut left = false;
        match input {
            Input::Fact(News::Planned { .. }) => {}
            Input::Fact(News::CalledOff) => tour.undo |= !tour.leaving,
            Input::Fact(News::Puzzling) if !tour.forgiving => panic!("what is this"),
            Input::Fact(News::Puzzling) => {}
            Input::Timer(_) => tour.undo |= !tour.leaving,
            Input::Compensate => {
                tour.undo |= !tour.leaving;
                tour.forgiving = true;
            }
            Input::Answer { step: "leave", .. } => left = true,
            Input::Answer { step, answer } => tour.answered(step, answer)?,
        }
        let commands = tour.due();
        let begun = matches!(input, Input::Fact(News::Planned { .. }));
        let mut reaction: Reaction<Self> = Reaction::to(tour);
        reaction.commands = commands;
        if begun {
            reaction.timers.push(("patience", Some(PATIENCE)));
        }
        let settled = reaction.state.loads.values().all(|load| *load == Load::Settled);
        reaction.outcome = match (left, reaction.state.undo && settled) {
            (true, _) => Some(Outcome::Completed),
            (false, true) => Some(Outcome::Compensated),
            (false, false) => None,
        };
        Ok(reaction)
    }
}

impl Tour {
    fn answered(&mut self, step: &str, answer: Answer<'_>) -> Result<(), Unanswered> {
        let (what, station) = step.split_once('/').unwrap();
        let station: usize = station.parse().unwrap();
        let next = match (what, answer) {
            ("load", Answer::Accepted) => Load::Held,
            ("load", Answer::Refused("full")) => {
                self.undo = true;
                Load::Settled
            }
            ("load", Answer::Refused(_)) if self.forgiving => Load::Settled,
            ("load", Answer::Refused(code)) => return Err(Unanswered(code.to_owned())),
            (_, _) => Load::Settled,
        };
        self.loads.insert(station, next);
        Ok(())
    }

    fn due(&mut self) -> Vec<(String, Order)> {
        let mut due = Vec::new();
        for (station, load) in &mut self.loads {
            let (what, order, next) = match *load {
                Load::Wanted => ("load", Order::Load(*station), Load::Asked),
                Load::Held if self.undo => ("unload", Order::Unload(*station), Load::Unloading),
                Load::Asked | Load::Held | Load::Unloading | Load::Settled => continue,
            };
            *load = next;
            due.push((format!("{what}/{station}"), order));
        }
        if !self.undo && !self.leaving && self.loads.values().all(|load| *load == Load::Held) {
            self.leaving = true;
            due.push(("leave".to_owned(), Order::Leave));
        }
        due
    }
}
