//! The words of these tests: an instance is given what came so far, then told one more thing.

use std::time::Duration;

use domain::fulfilment::{Fulfilment, FulfilmentCommand, News, OrderFact, OrderFulfilment};
use factline_core::saga::{Answer, Input, Outcome, Reaction, Saga, Unanswered};

pub const ORDER: &str = "018f3c1e-7b1a-7000-8000-0000000000a1";
pub const SAGA: OrderFulfilment = OrderFulfilment { payment_timeout: Duration::from_secs(1_800) };

/// Something that comes for an instance.
#[derive(Debug, Clone)]
pub enum Told {
    News(News),
    Accepted(&'static str),
    Refused(&'static str, &'static str),
    TimeIsUp,
    Compensate,
}

pub fn confirmed(lines: &[(&str, i64)]) -> Told {
    let units = lines.iter().map(|(sku, units)| ((*sku).to_owned(), *units)).collect();
    Told::News(News::Confirmed { units })
}

pub fn paid() -> Told {
    Told::News(News::Paid { payment_id: "pay-1".to_owned() })
}

pub fn cancelled(refund_cents: i64) -> Told {
    Told::News(News::Cancelled { refund_cents, currency: "GBP".to_owned() })
}

/// An order of two lines that waits for its payment.
pub fn pending() -> Given {
    given([
        confirmed(&[("candle", 2), ("lantern", 1)]),
        Told::Accepted("reserve/candle"),
        Told::Accepted("reserve/lantern"),
        Told::Accepted("allocate"),
        Told::News(News::Allocated),
    ])
}

pub struct Given {
    state: Option<Fulfilment>,
    version: i64,
}

/// What came so far; each of it had an answer.
pub fn given<const N: usize>(told: [Told; N]) -> Given {
    let given = Given { state: None, version: 0 };
    told.into_iter().fold(given, |given, one| {
        let version = given.version + i64::from(matches!(one, Told::News(_)));
        let reaction = given.react(one).unwrap();
        Given { state: Some(reaction.state), version }
    })
}

impl Given {
    fn react(&self, told: Told) -> Result<Reaction<OrderFulfilment>, Unanswered> {
        let fact = |news| OrderFact { order_id: ORDER.to_owned(), version: self.version + 1, news };
        match told {
            Told::News(news) => {
                let fact = fact(news);
                let begun = || OrderFulfilment::begin(&fact).unwrap();
                let state = self.state.clone().unwrap_or_else(begun);
                SAGA.react(1, state, Input::Fact(&fact))
            }
            Told::Accepted(step) => self.input(Input::Answer { step, answer: Answer::Accepted }),
            Told::Refused(step, code) => {
                self.input(Input::Answer { step, answer: Answer::Refused(code) })
            }
            Told::TimeIsUp => self.input(Input::Timer("payment")),
            Told::Compensate => self.input(Input::Compensate),
        }
    }

    fn input(&self, input: Input<'_, OrderFact>) -> Result<Reaction<OrderFulfilment>, Unanswered> {
        SAGA.react(1, self.state.clone().unwrap(), input)
    }

    pub fn when(self, told: Told) -> Then {
        Then { reaction: self.react(told) }
    }
}

pub struct Then {
    reaction: Result<Reaction<OrderFulfilment>, Unanswered>,
}

impl Then {
    fn reaction(&self) -> &Reaction<OrderFulfilment> {
        self.reaction.as_ref().unwrap()
    }

    #[track_caller]
    pub fn then_steps<const N: usize>(self, steps: [&str; N]) -> Self {
        let taken: Vec<_> = self.reaction().commands.iter().map(|(step, _)| step).collect();
        assert_eq!(taken, steps);
        self
    }

    #[track_caller]
    pub fn then_command(self, expected: FulfilmentCommand) -> Self {
        let asked = &self.reaction().commands;
        assert!(asked.iter().any(|(_, command)| *command == expected), "{asked:?}");
        self
    }

    #[track_caller]
    pub fn then_timer(self, expected: Option<Duration>) -> Self {
        assert_eq!(self.reaction().timers, [("payment", expected)]);
        self
    }

    #[track_caller]
    pub fn then_outcome(self, expected: Option<Outcome>) -> Self {
        assert_eq!(self.reaction().outcome, expected);
        self
    }

    #[track_caller]
    pub fn then_unanswered(self) {
        assert!(self.reaction.is_err(), "{:?}", self.reaction);
    }
}
