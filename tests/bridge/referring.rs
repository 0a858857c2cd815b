//! Who refers to a Medication that all share: by what is on file now, whatever was on file once.
//!
//! In: a few records of one person. Out: nothing. Never here: dice.

use super::bench::{Bench, at};
use super::settle;
use super::wide::mappings_of;
use super::world::{Kind, Record, VARIANTS, What, patient_id};
use footbridge::log::Log;
use footbridge::log::faulty::FaultySession;
use footbridge::pipeline::Worker;
use footbridge::source::landing;

const BORN: &str = "1976-03-15";

fn begun() -> (Bench, Worker<FaultySession>) {
    let bench =
        Bench::of(mappings_of("", VARIANTS[0]).expect("the small world's mappings are right"), at("2026-01-01T06:00:00Z"), 1, false);
    let mut worker = bench.worker();
    bench.append(bench.intake.baseline(&bench.intake.sources[0]));
    let patient = What::Patient { female: true, email: false, number: None, birth: BORN, dead: None, replaced_by: None, replaces: None };
    bring(&bench, Kind::Patient, 0, patient);
    settle(&mut worker);
    (bench, worker)
}

fn bring(bench: &Bench, kind: Kind, id: usize, what: What) {
    let version = bench.clock.now();
    let record = Record { kind, id, person: 0, version, labelled: false, unreadable: false, what: Some(what) };
    bench.append(bench.intake.receive(&bench.intake.sources[0], record.json().as_bytes()).entries);
}

/// In how many places the state says that somebody refers to something.
fn references(bench: &Bench, worker: &Worker<FaultySession>) -> usize {
    let mut found = 0;
    for place in bench.bridge.partitions.all() {
        worker.log().scan(place, b"r", &mut |_, _| found += 1).expect("it holds all of them");
    }
    found
}

#[test]
fn a_reference_that_was_replaced_decides_nothing() {
    let (bench, mut worker) = begun();
    for (now, medication) in [("2026-01-02T00:00:00Z", 0), ("2026-01-03T00:00:00Z", 1)] {
        bench.clock.set(at(now));
        bring(&bench, Kind::Request, 0, What::Request { active: true, medication });
        settle(&mut worker);
    }
    // Before any tick: the record that reaches her birthday is of what she referred to once.
    bench.clock.set(at("2026-03-15T09:00:00Z"));
    bring(&bench, Kind::Medication, 0, What::Medication { active: true });
    settle(&mut worker);
    let told = bench.told();
    let band = told.iter().find(|((audience, _), _)| audience == "band").and_then(|(_, events)| events.first());
    let band = band.expect("she is fifty");
    assert!(band.contains(r#""effective":"2026-03-15T00:00:00Z""#), "it was time that brought her in: {band}");
}

#[test]
fn nothing_says_what_an_erased_person_referred_to() {
    let (bench, mut worker) = begun();
    bring(&bench, Kind::Request, 0, What::Request { active: true, medication: 0 });
    settle(&mut worker);
    assert_eq!(references(&bench, &worker), 1);
    let (bridge, source) = (&bench.bridge, &bench.intake.sources[0]);
    let person = bridge.keys.person(&source.namespace, &patient_id(0));
    bench.append(vec![landing::erase(bridge.partitions, person, &source.name)]);
    settle(&mut worker);
    assert_eq!(references(&bench, &worker), 0);
}
