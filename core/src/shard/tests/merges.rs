//! Stories of merged persons: what the survivor gets, what it gives back, and when both gates are closed.

use super::kit::{Rig, World, about, at, audience, consent, patient, policy, purpose};
use crate::shard::{Fact, Input};
use crate::time::Instant;

fn day(text: &str) -> Instant {
    at(&format!("2026-{text}T00:00:00Z"))
}

fn seen() -> World {
    World::new(policy(), &[audience("seen", r#""members":{"Observation":"status = 'final'"}"#)])
}

fn observation(id: &str, whom: &str) -> String {
    about("Observation", id, &[whom], r#","status":"final""#)
}

fn linked(name: &str, kind: &str, other: &str) -> String {
    patient(name, "1980-01-01", &format!(r#","link":[{{"type":"{kind}","other":{{"reference":"Patient/{other}"}}}}]"#))
}

fn alone(name: &str) -> String {
    patient(name, "1980-01-01", "")
}

/// Ann, and Bea with a final observation, in.
fn ann_and_bea(world: &World) -> Rig<'_> {
    let mut rig = Rig::new(world);
    rig.put(day("01-01"), &alone("ann"));
    rig.put(day("01-01"), &alone("bea"));
    rig.put(day("01-02"), &observation("o", "bea"));
    assert_eq!(rig.told(), ["2026-01-02T00:00:00Z bea seen entered qualified"]);
    rig
}

#[test]
fn the_old_person_leaves_and_the_survivor_enters_and_an_unmerge_undoes_both() {
    let world = seen();
    for (who, link, back) in
        [("bea", linked("bea", "replaced-by", "ann"), alone("bea")), ("ann", linked("ann", "replaces", "bea"), alone("ann"))]
    {
        let mut rig = ann_and_bea(&world);
        rig.put(day("01-03"), &link);
        let mut told = rig.told();
        told.sort();
        assert_eq!(told, ["2026-01-03T00:00:00Z ann seen entered qualified", "2026-01-03T00:00:00Z bea seen exited merged"], "{who}");
        rig.put(day("01-04"), &observation("late", "bea"));
        rig.delete(day("01-04"), "Observation", "o");
        assert!(rig.told().is_empty(), "what still arrives counts for the survivor");
        rig.put(day("01-05"), &back);
        let mut told = rig.told();
        told.sort();
        assert_eq!(
            told,
            ["2026-01-05T00:00:00Z ann seen exited no-longer-qualified", "2026-01-05T00:00:00Z bea seen entered qualified"],
            "{who}"
        );
    }
}

#[test]
fn the_survivor_waits_until_both_sides_met_also_the_second_time() {
    let world = seen();
    let mut rig = ann_and_bea(&world);
    rig.put(day("01-02"), &consent("c", "bea", "active", &purpose("deny", "TREAT"), ""));
    rig.told();
    for _ in 0..2 {
        rig.post = Some(Vec::new());
        rig.put(day("01-03"), &linked("ann", "replaces", "bea"));
        rig.put(day("01-03"), &observation("own", "ann"));
        assert!(rig.told().is_empty(), "what the other side denied is not known yet");
        rig.deliver();
        assert!(rig.told().is_empty(), "it was a denial");
        rig.delete(day("01-04"), "Observation", "own");
        rig.put(day("01-05"), &alone("ann"));
    }
}

#[test]
fn a_person_never_seen_answers_with_an_empty_hand_over() {
    let world = seen();
    let mut rig = Rig::new(&world);
    rig.put(day("01-01"), &linked("ann", "replaces", "nobody"));
    rig.put(day("01-02"), &observation("o", "ann"));
    assert_eq!(rig.told(), ["2026-01-02T00:00:00Z ann seen entered qualified"]);
}

#[test]
fn a_chain_leads_to_its_end_and_a_circle_closes_all() {
    let world = seen();
    let mut rig = ann_and_bea(&world);
    rig.put(day("01-01"), &alone("cat"));
    rig.put(day("01-03"), &linked("bea", "replaced-by", "ann"));
    rig.put(day("01-04"), &linked("ann", "replaced-by", "cat"));
    assert!(rig.told().last().is_some_and(|line| line == "2026-01-04T00:00:00Z cat seen entered qualified"));
    rig.put(day("01-05"), &linked("cat", "replaced-by", "bea"));
    assert_eq!(rig.told(), ["2026-01-05T00:00:00Z cat seen exited merged"]);
    assert!(rig.facts.contains(&Fact::MergeCycle));
    for name in ["ann", "bea", "cat"] {
        assert!(rig.release(world.person(name), 0).at(day("01-06")).is_err());
    }
}

#[test]
fn who_leaves_a_circle_does_not_go_on_with_what_it_heard_before() {
    let world = seen();
    let mut rig = ann_and_bea(&world);
    rig.put(day("01-03"), &linked("bea", "replaced-by", "ann"));
    rig.put(day("01-04"), &linked("ann", "replaced-by", "bea"));
    // A death that bea hears of within the circle.
    rig.put(
        day("01-05"),
        &patient("cat", "1980-01-01", r#","deceasedBoolean":true,"link":[{"other":{"reference":"Patient/bea"},"type":"replaced-by"}]"#),
    );
    rig.told();
    rig.put(day("01-06"), &alone("ann"));
    assert_eq!(rig.told(), Vec::<String>::new());
}

#[test]
fn links_that_cannot_be_read_take_no_merge_back() {
    let world = seen();
    let mut rig = ann_and_bea(&world);
    rig.put(day("01-03"), &linked("ann", "replaces", "bea"));
    rig.told();
    rig.put(day("01-04"), &patient("ann", "1980-01-01", r#","link":[7]"#));
    assert_eq!(rig.told(), ["2026-01-04T00:00:00Z ann seen exited merged"], "and bea stays out");
}

#[test]
fn a_deleted_patient_claims_nobody() {
    let world = seen();
    let mut rig = ann_and_bea(&world);
    rig.put(day("01-03"), &linked("ann", "replaces", "bea"));
    rig.told();
    rig.delete(day("01-04"), "Patient", "ann");
    assert_eq!(rig.told(), ["2026-01-04T00:00:00Z ann seen exited no-longer-qualified", "2026-01-04T00:00:00Z bea seen entered qualified"]);
}

#[test]
fn who_is_erased_is_forgotten_by_the_survivor_too() {
    let world = seen();
    let mut rig = ann_and_bea(&world);
    rig.put(day("01-03"), &linked("bea", "replaced-by", "ann"));
    rig.told();
    rig.input(world.person("bea"), day("01-04"), Input::Erase);
    assert_eq!(rig.told(), ["2026-01-04T00:00:00Z ann seen exited no-longer-qualified"]);
    rig.put(day("01-05"), &linked("bea", "replaced-by", "ann"));
    rig.put(day("01-05"), &observation("o", "bea"));
    assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann seen entered qualified"], "a later hand-over is not taken for a repetition");
}

#[test]
fn with_a_survivor_whoever_was_merged_into_it_is_erased_and_two_that_replace_each_other_end() {
    let world = seen();
    let mut rig = ann_and_bea(&world);
    rig.put(day("01-03"), &linked("bea", "replaced-by", "ann"));
    rig.told();
    rig.input(world.person("ann"), day("01-04"), Input::Erase);
    assert_eq!(rig.told(), ["2026-01-04T00:00:00Z ann seen exited erased"]);
    for name in ["ann", "bea"] {
        let (member, versions) = &rig.members[&world.person(name)];
        assert!(member.patient.is_none() && member.evidence.is_empty() && versions.is_empty(), "{name}");
    }
    // Who is not merged into her any more stays.
    let mut rig = ann_and_bea(&world);
    rig.put(day("01-03"), &linked("bea", "replaced-by", "ann"));
    rig.put(day("01-04"), &alone("bea"));
    rig.told();
    rig.input(world.person("ann"), day("01-05"), Input::Erase);
    assert!(rig.members[&world.person("bea")].0.patient.is_some());

    let mut rig = ann_and_bea(&world);
    rig.put(day("01-03"), &linked("bea", "replaced-by", "ann"));
    rig.put(day("01-03"), &linked("ann", "replaced-by", "bea"));
    rig.input(world.person("ann"), day("01-04"), Input::Erase);
    assert!(["ann", "bea"].iter().all(|name| rig.members[&world.person(name)].0.patient.is_none()));
}

#[test]
fn who_is_erased_is_still_whom_a_survivor_replaces_until_the_survivor_says_otherwise() {
    let world = seen();
    let mut rig = ann_and_bea(&world);
    rig.put(day("01-03"), &linked("ann", "replaces", "bea"));
    rig.told();
    rig.input(world.person("bea"), day("01-04"), Input::Erase);
    assert_eq!(rig.told(), ["2026-01-04T00:00:00Z ann seen exited no-longer-qualified"]);
    rig.put(day("01-05"), &alone("bea"));
    rig.put(day("01-06"), &observation("o", "bea"));
    assert_eq!(rig.told(), ["2026-01-06T00:00:00Z ann seen entered qualified"], "what is sent anew counts for ann, who waits for nobody");

    // A survivor that is erased replaces nobody any more.
    rig.input(world.person("ann"), day("01-07"), Input::Erase);
    rig.told();
    rig.put(day("01-08"), &alone("bea"));
    rig.put(day("01-08"), &observation("o", "bea"));
    assert_eq!(rig.told(), ["2026-01-08T00:00:00Z bea seen entered qualified"]);
}

#[test]
fn a_label_that_comes_with_the_other_person_rides_on_the_survivors_evidence() {
    let world = seen();
    let encounter = |label: Option<&str>| about("Encounter", "e", &["bea"], &super::kit::meta(None, label));
    let own = about("Observation", "own", &["ann"], r#","status":"final","encounter":{"reference":"Encounter/e"}"#);
    let mut rig = Rig::new(&world);
    rig.put(day("01-01"), &linked("ann", "replaces", "bea"));
    rig.put(day("01-02"), &own);
    assert!(rig.told().is_empty(), "where it leads is not known");
    rig.put(day("01-03"), &encounter(None));
    assert_eq!(rig.told(), ["2026-01-03T00:00:00Z ann seen entered qualified"]);
    rig.put(day("01-04"), &encounter(Some("HIV")));
    assert_eq!(rig.told(), ["2026-01-04T00:00:00Z ann seen exited sensitive"]);
    // And the other way round: the survivor's label, the old person's evidence.
    let mut rig = Rig::new(&world);
    rig.put(day("01-01"), &linked("ann", "replaces", "bea"));
    rig.put(day("01-02"), &about("Observation", "o", &["bea"], r#","status":"final","encounter":{"reference":"Encounter/e"}"#));
    rig.put(day("01-03"), &about("Encounter", "e", &["ann"], ""));
    assert_eq!(rig.told(), ["2026-01-03T00:00:00Z ann seen entered qualified"]);
}
