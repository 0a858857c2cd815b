//! The bridge against the rehearsal: the same records, at the same instants, give the same events.
//!
//! In: the invented population. Out: nothing; each audience's topic equals what a room without a log tells.

use footbridge::cli::feed::{self, Arrive, Feed};
use footbridge::cli::rehearsal::Engine;
use footbridge::config::files::Files;
use footbridge::config::mappings::{self, Mappings};
use footbridge::demo::{population, shipped};
use footbridge::log::faulty::{Faulty, VirtualClock};
use footbridge::log::{Clock, Landing, OutTopic};
use footbridge::pipeline::{self, Bridge, Worker};
use footbridge::source::intake::{Intake, Source};
use footbridge::source::landing::Partitions;
use footbridge_core::audience::Definitions;
use footbridge_core::fhir::Versions;
use footbridge_core::gate::MemberKey;
use footbridge_core::key::Keys;
use footbridge_core::time::{Instant, Span};
use std::collections::BTreeMap;
use std::sync::Arc;

const ROUTING: &[u8] = b"footbridge rehearsal routing secret";
const MEMBER: &[u8] = b"footbridge rehearsal member secret";
const PARTITIONS: u16 = 4;

fn shipped_mappings() -> Mappings {
    mappings::read_files(&Files::Texts(shipped::MAPPINGS)).mappings.expect("the shipped mappings are right")
}

fn at(text: &str) -> Instant {
    Instant::parse(text).expect("an instant")
}

/// What each member of each audience was told, in order: the event's data as JSON.
type Told = BTreeMap<(String, String), Vec<String>>;

fn rehearsed(text: &str, from: Instant, until: Instant) -> Told {
    let engine = Engine::rehearsing(shipped_mappings());
    let feed = Feed { from, until, arrive: Arrive::LastUpdated, threads: 1 };
    let (fed, _) = feed::read_text(&engine, &feed, "population.ndjson", text);
    let mut told = Told::new();
    for happening in engine.rehearse(fed.first, fed.later, from, until).happenings {
        let event = happening.told.event;
        let json = sonic_rs::to_string(&event).expect("plain data");
        told.entry((event.audience().to_owned(), event.member().to_owned())).or_default().push(json);
    }
    told
}

struct Bench {
    clock: VirtualClock,
    log: Faulty,
    intake: Intake,
    bridge: Arc<Bridge>,
}

impl Bench {
    fn new(from: Instant) -> Bench {
        let Mappings { catalogue, policy, valuesets, .. } = shipped_mappings();
        let member_keys = policy.recipients.iter().map(|recipient| MemberKey::new(&recipient.key, 1, MEMBER)).collect();
        let definitions = Arc::new(Definitions::new(catalogue, policy, valuesets));
        let (keys, partitions) = (Keys::new(ROUTING), Partitions(PARTITIONS));
        let source = Source { name: "push".into(), namespace: String::new(), versions: Versions::LastUpdated };
        let feed =
            pipeline::Feed { name: "push".into(), namespace: String::new(), versions: Versions::LastUpdated, marked: true, proves: false };
        let clock = VirtualClock::at(from);
        let log = Faulty::new(PARTITIONS, clock.clock(), 1);
        let intake = Intake { definitions: Arc::clone(&definitions), keys: keys.clone(), partitions, sources: vec![source] };
        let settings = pipeline::Settings { members_max: 16, slice: 7, ..pipeline::Settings::default() };
        let bridge = Bridge { definitions, keys, member_keys, name: "urn:test".into(), partitions, feeds: vec![feed], settings };
        Bench { clock, log, intake, bridge: Arc::new(bridge) }
    }

    fn worker(&self) -> Worker<impl footbridge::log::Log + use<>> {
        let clock: Clock = self.clock.clock();
        Worker::new(self.log.sessions(1).remove(0), Arc::clone(&self.bridge), clock)
    }

    fn append(&self, entries: Vec<footbridge::log::Entry>) {
        if !entries.is_empty() {
            self.log.append(entries, Box::new(|done| _ = done.expect("durable"))).expect("not full");
        }
    }

    fn told(&self) -> Told {
        let mut told = Told::new();
        for audience in &self.bridge.definitions.catalogue.audiences {
            let outputs = self.log.outputs(&OutTopic::Audience(audience.name.as_str().into()), 0, usize::MAX);
            for stored in outputs.list {
                let member = String::from_utf8(stored.key).expect("a member id is text");
                let json = String::from_utf8(stored.value.expect("an event")).expect("JSON is text");
                told.entry((audience.name.clone(), member)).or_default().push(json);
            }
        }
        told
    }
}

/// Works until nothing is left to be done at this instant.
fn settle(worker: &mut Worker<impl footbridge::log::Log>) {
    for _ in 0..10_000 {
        worker.turn().expect("no fault was asked for");
        if worker.is_idle() {
            return;
        }
    }
    panic!("it never comes to rest");
}

/// Lets time go on to `until`, stopping wherever a timer is due.
fn pass(bench: &Bench, worker: &mut Worker<impl footbridge::log::Log>, until: Instant) {
    while worker.due() < until {
        bench.clock.set(worker.due());
        settle(worker);
    }
    bench.clock.set(until);
}

/// `restart`: after so many records the worker is dropped, and another goes on from what was committed.
fn bridged(arrivals: &[population::Arrival], from: Instant, until: Instant, restart: usize) -> Told {
    let bench = Bench::new(from);
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
