//! Simulation: a seed decides the population, the faults, who holds which partition, and when.
//!
//! In: seeds. Out: nothing; whatever fails on the way, what comes out is what the rehearsal tells, each event once (I3, I5).
//! Never here: real time. `just sim SEED` runs one seed again.

use super::bench::{Bench, at, rehearsed};
use super::fleet::Fleet;
use super::saboteur::Orders;
use super::seeds;
use footbridge::demo::population;
use footbridge::log::faulty::{Chance, Odds};
use footbridge_core::time::Span;
use std::collections::BTreeSet;

/// Seeds that a plain `cargo test` runs; `FOOTBRIDGE_SIM_SEEDS` asks for more, `FOOTBRIDGE_SIM_SEED` for one.
const SEEDS: u64 = 40;

fn weather(sim: &mut Fleet) {
    sim.disturb();
    if sim.chance.happens(25) {
        sim.bench.log.compact();
    }
}

fn run(seed: u64) -> u32 {
    let mut chance = Chance::new(seed);
    let (from, until) = (at("2026-01-01T06:00:00Z"), at("2026-05-01T05:00:00Z"));
    let arrivals = population::invent(seed, 8 + chance.below(20), from, until);
    let text: String = arrivals.iter().flat_map(|arrival| [arrival.json.as_str(), "\n"]).collect();
    let expected = rehearsed(&text, from, until);
    let bench = Bench::new(from, seed);
    let mut sim = Fleet::new(bench, chance, Orders::new(None, seed));
    sim.bench.log.odds(Odds { commit: 30, append: 60, torn: 30, drained_late: 100, short_poll: 300 });
    let source = sim.bench.intake.sources[0].clone();
    let (history, feed): (Vec<_>, Vec<_>) = arrivals.iter().partition(|arrival| arrival.at <= from);
    for arrival in history {
        sim.bench.append(sim.bench.intake.receive(&source, arrival.json.as_bytes()).entries);
        weather(&mut sim);
    }
    sim.settle().expect("it comes to rest");
    assert!(sim.bench.told().is_empty(), "seed {seed}: a first load sends no reminder");
    sim.bench.append(sim.bench.intake.baseline(&source));
    sim.settle().expect("it comes to rest");
    for arrival in feed {
        sim.pass(arrival.at).expect("it comes to rest");
        weather(&mut sim);
        sim.bench.append(sim.bench.intake.receive(&source, arrival.json.as_bytes()).entries);
        sim.settle().expect("it comes to rest");
    }
    sim.pass(until.minus(Span(1))).expect("it comes to rest");
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
    let halts: u64 = seeds::each(0..seeds, |seed| Ok(run(seed)))
        .into_iter()
        .map(|(seed, halts)| u64::from(halts.unwrap_or_else(|why| panic!("seed {seed}: {why}"))))
        .sum();
    eprintln!("{seeds} seeds, {halts} failures on the way");
    assert!(halts > seeds, "a simulation in which nothing fails shows nothing");
}
