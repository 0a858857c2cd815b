//! The bridge against the rehearsal: the same records, at the same instants, give the same events.
//!
//! In: the invented population. Out: nothing; each audience's topic equals what a room without a log tells.

#![expect(clippy::panic, reason = "a test says in its own words how it fails")]

mod acts;
mod bench;
mod checks;
mod erasures;
mod faults;
mod fleet;
mod lacking;
mod naive;
mod referring;
mod saboteur;
mod seeds;
mod sim;
mod slicing;
mod tape;
mod wide;
mod world;

use bench::{Bench, Told, at, rehearsed};
use footbridge::demo::population;
use footbridge::log::faulty::FaultySession;
use footbridge::pipeline::Worker;
use footbridge_core::time::{Instant, Span};

/// Works until nothing is left to be done at this instant.
fn settle(worker: &mut Worker<FaultySession>) {
    for _ in 0..10_000 {
        worker.turn().expect("no fault was asked for");
        if worker.is_idle() {
            return;
        }
    }
    panic!("it never comes to rest");
}

/// Lets time go on to `until`, stopping wherever a timer is due.
fn pass(bench: &Bench, worker: &mut Worker<FaultySession>, until: Instant) {
    while worker.due() < until {
        bench.clock.set(worker.due());
        settle(worker);
    }
    bench.clock.set(until);
}

/// `restart`: after so many records the worker is dropped, and another goes on from what was committed.
fn bridged(arrivals: &[population::Arrival], from: Instant, until: Instant, restart: usize) -> Told {
    let bench = Bench::new(from, 1);
    let mut worker = bench.worker();
    let source = &bench.intake.sources[0];
    // What is there at the start is history: nobody hears of it before the baseline.
    let (history, feed): (Vec<_>, Vec<_>) = arrivals.iter().partition(|arrival| arrival.at <= from);
    history.iter().for_each(|arrival| bench.append(bench.intake.receive(source, arrival.json.as_bytes()).entries));
    settle(&mut worker);
    assert!(bench.told().is_empty(), "a first load sends no reminder");
    bench.append(bench.intake.baseline(source));
    settle(&mut worker);
    for (number, arrival) in feed.iter().enumerate() {
        if number % restart == restart - 1 {
            worker = bench.worker();
            settle(&mut worker);
        }
        pass(&bench, &mut worker, arrival.at);
        bench.append(bench.intake.receive(source, arrival.json.as_bytes()).entries);
        settle(&mut worker);
    }
    pass(&bench, &mut worker, until.minus(Span(1)));
    bench.told()
}

#[test]
fn the_same_records_give_the_same_events_with_a_log_and_without() {
    let (from, until) = (at("2026-01-01T06:00:00Z"), at("2026-09-01T06:00:00Z"));
    let arrivals = population::invent(7, 150, from, until);
    let text: String = arrivals.iter().flat_map(|arrival| [arrival.json.as_str(), "\n"]).collect();
    let expected = rehearsed(&text, from, until);
    assert!(expected.values().map(Vec::len).sum::<usize>() > 200, "a population that is told much of");
    for restart in [usize::MAX, 37] {
        let found = bridged(&arrivals, from, until, restart);
        for (member, events) in &expected {
            assert_eq!(found.get(member), Some(events), "restart {restart}");
        }
        assert_eq!(found.len(), expected.len(), "restart {restart}");
    }
}
