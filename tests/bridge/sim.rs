//! Simulation: a seed decides the population, the faults, who holds which partition, and when.
//!
//! In: seeds. Out: nothing; whatever fails on the way, what comes out is what the rehearsal tells, each event once (I3, I5).
//! Never here: real time. `just sim SEED` runs one seed again.

use super::bench::{Bench, at, rehearsed};
use footbridge::demo::population;
use footbridge::log::faulty::{Chance, FaultySession, Odds};
use footbridge::log::{Place, Retry};
use footbridge::pipeline::{Halt, Worker};
use footbridge_core::time::{Instant, Span};
use std::collections::BTreeSet;

/// Seeds that a plain `cargo test` runs; `FOOTBRIDGE_SIM_SEEDS` asks for more, `FOOTBRIDGE_SIM_SEED` for one.
const SEEDS: u64 = 40;

struct Sim {
    bench: Bench,
    chance: Chance,
    workers: Vec<Worker<FaultySession>>,
    /// Faults that were met, for a look at what the simulation reaches.
    halts: u32,
}

impl Sim {
    /// Works until all workers rest at this instant, whatever fails.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut dead = false;
            for worker in &mut self.workers {
                match worker.turn() {
                    Ok(()) => {}
                    Err(halt) => {
                        self.halts += 1;
                        let ends = match &halt {
                            Halt::Log(error) => error.retry == Retry::Never,
                            Halt::Clock { .. } => false,
                        };
                        dead |= ends || worker.recover().is_err();
                    }
                }
            }
            if dead {
                // Another process takes over; the one that lost its session learns it from its next commit, if it has any.
                self.share();
            } else if self.workers.iter().all(Worker::is_idle) {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn share(&mut self) {
        let count = 1 + self.chance.below(3);
        self.workers = self.bench.workers(count);
    }

    /// What an orchestrator, a network or a clumsy operator may do between two records.
    fn disturb(&mut self) {
        match self.chance.below(40) {
            0 => self.share(),
            1 => {
                // Without a word to the one that had it.
                let place = Place::landing(self.chance.below(usize::from(self.bench.bridge.partitions.0)) as u16);
                let to = self.chance.below(self.workers.len());
                let to = self.workers[to].log().id();
                self.bench.log.steal(place, to);
            }
            2 => {
                let place = Place::owners(self.chance.below(usize::from(self.bench.bridge.partitions.0)) as u16);
                let to = self.chance.below(self.workers.len());
                let to = self.workers[to].log().id();
                self.bench.log.hand_over(place, to);
            }
            3 => self.bench.log.compact(),
            _ => {}
        }
    }

    fn pass(&mut self, until: Instant) {
        loop {
            let due = self.workers.iter().map(Worker::due).min().unwrap_or(Instant::END);
            if due >= until {
                break;
            }
            if due > self.bench.clock.now() {
                self.bench.clock.set(due);
            }
            self.settle();
        }
        self.bench.clock.set(until);
    }
}

fn run(seed: u64) -> u32 {
    let mut chance = Chance::new(seed);
    let (from, until) = (at("2026-01-01T06:00:00Z"), at("2026-05-01T05:00:00Z"));
    let arrivals = population::invent(seed, 8 + chance.below(20), from, until);
    let text: String = arrivals.iter().flat_map(|arrival| [arrival.json.as_str(), "\n"]).collect();
    let expected = rehearsed(&text, from, until);
    let bench = Bench::new(from, seed);
    let mut sim = Sim { workers: bench.workers(2), bench, chance, halts: 0 };
    sim.bench.log.odds(Odds { commit: 30, append: 60, torn: 30, drained_late: 100, short_poll: 300 });
    let source = sim.bench.intake.sources[0].clone();
    let (history, feed): (Vec<_>, Vec<_>) = arrivals.iter().partition(|arrival| arrival.at <= from);
    for arrival in history {
        sim.bench.append(sim.bench.intake.receive(&source, arrival.json.as_bytes()).entries);
        sim.disturb();
    }
    sim.settle();
    assert!(sim.bench.told().is_empty(), "seed {seed}: a first load sends no reminder");
    sim.bench.append(sim.bench.intake.baseline(&source));
    sim.settle();
    for arrival in feed {
        sim.pass(arrival.at);
        sim.disturb();
        sim.bench.append(sim.bench.intake.receive(&source, arrival.json.as_bytes()).entries);
        sim.settle();
    }
    sim.pass(until.minus(Span(1)));
    let found = sim.bench.told();
    for (member, events) in &expected {
        assert_eq!(found.get(member), Some(events), "seed {seed}");
    }
    assert_eq!(found.keys().collect::<BTreeSet<_>>(), expected.keys().collect(), "seed {seed}");
    sim.halts
}

#[test]
fn whatever_fails_each_event_comes_once_and_none_is_missing() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number of seeds"));
    if let Some(seed) = number("FOOTBRIDGE_SIM_SEED") {
        run(seed);
        return;
    }
    let seeds = number("FOOTBRIDGE_SIM_SEEDS").unwrap_or(SEEDS);
    let halts: u64 = (0..seeds).map(|seed| u64::from(run(seed))).sum();
    eprintln!("{seeds} seeds, {halts} failures on the way");
    assert!(halts > seeds, "a simulation in which nothing fails shows nothing");
}
