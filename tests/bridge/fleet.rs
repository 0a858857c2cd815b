//! Workers on a faulty log: whatever fails, others go on.
//!
//! In: a bench, dice. Out: a bridge at rest at an instant of virtual time. Never here: what should have come out.

use super::bench::{Bench, MEMBER};
use super::saboteur::{Orders, Saboteur};
use anyhow::{bail, ensure};
use footbridge::config::mappings::Mappings;
use footbridge::log::faulty::Chance;
use footbridge::log::{Place, Retry};
use footbridge::pipeline::{Content, Generation, Halt, Kept, Outcome, Purpose, Steward, Worker};
use footbridge::source::landing;
use footbridge_core::consent::BlastRadius;
use footbridge_core::time::Instant;
use std::collections::BTreeSet;

pub struct Fleet {
    pub bench: Bench,
    pub chance: Chance,
    pub workers: Vec<Worker<Saboteur>>,
    pub orders: Orders,
    /// Failures on the way, for a look at what a run reaches.
    pub halts: u32,
    pub steward: Steward,
    /// What it has kept: all that is left of it when its process dies.
    kept: Kept,
    pub adopted: usize,
}

/// A run in which so many rounds bring no rest never comes to it.
const ROUNDS_MAX: u32 = 20_000;
/// Nor has so small a world so many timers in a few weeks.
const TIMERS_MAX: u32 = 20_000;

impl Fleet {
    pub fn new(bench: Bench, chance: Chance, orders: Orders) -> Fleet {
        let in_force = (0, bench.bridge.library.in_force().hash.clone());
        let kept = Kept { in_force, next: None, last: 0, types: types(&bench, 0), keeps_all: false };
        let steward = Steward::new(kept.clone());
        let mut fleet = Fleet { bench, chance, workers: Vec::new(), orders, halts: 0, steward, kept, adopted: 0 };
        fleet.share();
        fleet
    }

    /// One turn of each worker; whether all rest.
    pub fn round(&mut self) -> anyhow::Result<bool> {
        let (mut dead, mut rest) = (false, true);
        for worker in &mut self.workers {
            match worker.turn() {
                Ok(()) => {}
                Err(Halt::Log(error)) if error.trouble == footbridge::log::Trouble::Refused => bail!("the log refused: {error}"),
                Err(halt) => {
                    self.halts += 1;
                    rest = false;
                    dead |= matches!(&halt, Halt::Log(error) if error.retry == Retry::Never) || worker.recover().is_err();
                }
            }
            rest &= worker.is_idle();
        }
        if dead {
            // Another process takes over; the one that lost its session learns it from its next commit, if it has any.
            self.share();
        }
        let changing = self.go_on_changing();
        Ok(rest && !dead && !changing)
    }

    /// Definitions that are to be adopted, as an operator brings them in.
    pub fn want(&mut self, mappings: Mappings) {
        let content = Content::new(mappings, MEMBER);
        let (hash, types) = (content.hash.clone(), content.definitions.types().map(str::to_owned).collect());
        if self.steward.want(&hash, Purpose::Adopt, &types)
            && let Some(next) = &self.steward.kept.next
        {
            self.bench.bridge.library.add(next.generation, content);
        }
        self.kept = self.steward.kept.clone();
    }

    /// A turn of the steward, whose process may die before and after it gives an order; whether it has more to do.
    fn go_on_changing(&mut self) -> bool {
        if self.chance.happens(20) {
            self.steward = Steward::new(self.kept.clone());
        }
        let Some(next) = &self.steward.kept.next else { return false };
        let (bench, radius) = (&self.bench, BlastRadius { share: 100, least: 1000 });
        let types = types(bench, next.generation);
        let (order, outcome) = self.steward.turn(bench.bridge.partitions.0, 1, &bench.bridge.board.read(), radius, &types);
        self.kept = self.steward.kept.clone();
        if let Some(order) = order {
            if self.chance.happens(100) {
                self.steward = Steward::new(self.kept.clone());
            } else {
                self.bench.append(bench.bridge.partitions.all().map(|place| landing::order(place, &order)).collect());
            }
        }
        match outcome {
            Some(Outcome::Adopted(generation)) => {
                self.bench.bridge.library.adopted(generation, None);
                self.adopted += 1;
            }
            Some(Outcome::Dropped(generation)) => self.bench.bridge.library.remove(generation),
            None => {}
        }
        self.steward.kept.next.is_some()
    }

    /// Works until nothing is left to be done at this instant, whatever fails.
    pub fn settle(&mut self) -> anyhow::Result<()> {
        for _ in 0..ROUNDS_MAX {
            let rest = self.round()?;
            let holds = self.workers.iter().any(Worker::holds);
            if rest && !holds && self.due() > self.bench.clock.now() {
                return Ok(());
            }
        }
        let (board, next) = (self.bench.bridge.board.read(), &self.steward.kept.next);
        bail!("it never comes to rest: {} is due at {}, {next:?}, {board:?}", self.due(), self.bench.clock.now())
    }

    pub fn due(&self) -> Instant {
        self.workers.iter().map(Worker::due).min().unwrap_or(Instant::END)
    }

    /// New processes, and all partitions shared between them.
    pub fn share(&mut self) {
        let count = 1 + self.chance.below(3);
        let sessions = self.bench.log.sessions(count).into_iter();
        let worker =
            |session| Worker::new(Saboteur::new(session, self.orders.clone()), self.bench.bridge.clone(), self.bench.clock.clock());
        self.workers = sessions.map(worker).collect();
    }

    /// What an orchestrator, a network or a clumsy operator may do between two records.
    pub fn disturb(&mut self) {
        let partition = self.chance.below(usize::from(self.bench.bridge.partitions.0)) as u16;
        let to = self.workers[self.chance.below(self.workers.len())].log().id();
        match self.chance.below(40) {
            0 => self.share(),
            // Without a word to the one that had it.
            1 => self.bench.log.steal(Place::landing(partition), to),
            2 => self.bench.log.hand_over(Place::owners(partition), to),
            3 => self.bench.log.hand_over(Place::landing(partition), to),
            _ => {}
        }
    }

    /// Lets time go on to `until`, stopping wherever a timer is due.
    pub fn pass(&mut self, until: Instant) -> anyhow::Result<()> {
        let mut timers = 0;
        loop {
            let due = self.due();
            if due >= until {
                break;
            }
            timers += 1;
            ensure!(timers < TIMERS_MAX, "timers are due again and again, the last at {due}");
            if due > self.bench.clock.now() {
                self.bench.clock.set(due);
            }
            self.settle()?;
        }
        self.bench.clock.set(until);
        Ok(())
    }
}

fn types(bench: &Bench, generation: Generation) -> BTreeSet<String> {
    let content = bench.bridge.library.get(generation);
    content.iter().flat_map(|content| content.definitions.types()).map(str::to_owned).collect()
}
