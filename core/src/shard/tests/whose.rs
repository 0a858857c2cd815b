//! Stories of records that move, are about nobody any more, or of which nobody can tell whose they are.

use super::kit::{Rig, World, about, at, audience, consent, meta, patient, policy, purpose};
use crate::fhir::{Version, Versions};
use crate::shard::{Claim, Fact, Input, Ownership, Reading};
use crate::time::Instant;

fn day(text: &str) -> Instant {
    at(&format!("2026-{text}T00:00:00Z"))
}

/// In `seen` with a final Observation, in `unseen` without one; both of treatment.
fn world() -> World {
    let seen = audience("seen", r#""members":{"Observation":"status = 'final'"}"#);
    let unseen = audience("unseen", r#""members":{"none":[{"Observation":"status = 'final'"}]}"#);
    World::new(policy(), &[seen, unseen])
}

fn both(rig: &mut Rig) {
    rig.put(day("01-01"), &patient("ann", "1980-01-01", ""));
    rig.put(day("01-01"), &patient("bea", "1980-01-01", ""));
}

fn observation(whom: &str, updated: &str) -> String {
    about("Observation", "o", &[whom], &format!(r#","status":"final"{}"#, meta(Some(day(updated)), None)))
}

/// The same resource with another subject: members of it that begin with a comma, or nothing.
fn observation_of(subject: &str, updated: &str) -> String {
    format!(r#"{{"resourceType":"Observation","id":"o","status":"final"{}{subject}}}"#, meta(Some(day(updated)), None))
}

#[test]
fn a_version_about_nobody_takes_the_old_one_back_and_a_late_older_one_stays_refused() {
    for subject in ["", r#","subject":{"reference":"Group/g"}"#, r#","subject":{"reference":"Location/l"}"#] {
        let world = world();
        let mut rig = Rig::new(&world);
        both(&mut rig);
        rig.put(day("01-02"), &observation("ann", "01-02"));
        rig.told();
        assert!(!rig.put(day("01-05"), &observation_of(subject, "01-05")));
        assert_eq!(
            rig.told(),
            ["2026-01-05T00:00:00Z ann seen exited no-longer-qualified", "2026-01-05T00:00:00Z ann unseen entered qualified"]
        );
        rig.put(day("01-06"), &observation("ann", "01-03"));
        assert!(rig.told().is_empty(), "older than the one about nobody: {subject}");
        // Whom it names now cannot know; the owners do, and take it back.
        rig.put(day("01-06"), &observation("bea", "01-04"));
        assert_eq!(rig.told().last().map(String::as_str), Some("2026-01-06T00:00:00Z bea unseen entered qualified"));
        rig.put(day("01-07"), &observation("bea", "01-07"));
        assert_eq!(
            rig.told(),
            ["2026-01-07T00:00:00Z bea seen entered qualified", "2026-01-07T00:00:00Z bea unseen exited no-longer-qualified"]
        );
    }
}

/// Ways to say whom a resource is about that lead to nobody: the last two are refused before anything else is read.
const UNCLEAR: [&str; 5] = [
    r#","subject":{"identifier":{"value":"7"}}"#,
    r##","subject":{"reference":"#contained"}"##,
    r#","subject":{"reference":"urn:uuid:6f1d5e0c-0000-4000-8000-000000000000"}"#,
    r#","subject":{"reference":"Patient/ann"},"subject":{"reference":"Patient/bea"}"#,
    r#","subject":7"#,
];

#[test]
fn i9_i11_what_nobody_can_tell_whose_it_is_is_possible_and_never_sure() {
    for subject in UNCLEAR {
        let world = world();
        let mut rig = Rig::new(&world);
        both(&mut rig);
        rig.put(day("01-02"), &observation("ann", "01-02"));
        rig.told();
        assert!(rig.put(day("01-05"), &observation_of(subject, "01-05")), "I6: {subject}");
        // Not in `seen` any more, and not in `unseen` either: it may be hers still.
        assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann seen exited no-longer-qualified"], "{subject}");
        rig.put(day("01-06"), &observation("ann", "01-03"));
        assert!(rig.told().is_empty(), "an older one again");
        rig.put(day("01-07"), &observation("bea", "01-07"));
        let expected = [
            "2026-01-07T00:00:00Z bea seen entered qualified",
            "2026-01-07T00:00:00Z bea unseen exited no-longer-qualified",
            "2026-01-07T00:00:00Z ann unseen entered qualified",
        ];
        assert_eq!(rig.told(), expected, "it was bea's");
    }
}

#[test]
fn i9_a_consent_of_which_nobody_can_tell_whose_it_is_closes_the_gate_of_whoever_had_it() {
    for (code, effect) in [("TREAT", "permit"), ("TREAT", "deny"), ("HMARKT", "permit")] {
        let world = world();
        let mut rig = Rig::new(&world);
        both(&mut rig);
        let said = |updated: &str| consent("c", "ann", "active", &purpose(effect, code), &meta(Some(day(updated)), None));
        rig.put(day("01-02"), &said("01-02"));
        let open = rig.told().iter().any(|line| line.contains("ann unseen")) && effect == "permit";
        for whose in [r#""patient":{"identifier":{"value":"7"}}"#, r#""language":"en""#, r#""patient":{"reference":"Group/g"}"#] {
            let broken = said("01-05").replace(r#""patient":{"reference":"Patient/ann"}"#, whose);
            assert!(rig.put(day("01-05"), &broken), "I6: {whose}");
        }
        let told = rig.told();
        match open {
            true => assert_eq!(told, ["2026-01-05T00:00:00Z ann unseen exited consent-unreadable"], "{effect} {code}"),
            false => assert!(told.is_empty(), "{effect} {code}: {told:?}"),
        }
        rig.put(day("01-06"), &patient("ann", "1980-01-02", ""));
        assert!(rig.told().is_empty(), "closed still");
        rig.put(day("01-07"), &consent("c", "ann", "active", &purpose("permit", "TREAT"), &meta(Some(day("01-07")), None)));
        assert_eq!(rig.told().len(), 1, "a newer one that can be read opens it");
    }
}

#[test]
fn a_patient_that_says_something_twice_is_its_own_still() {
    let world = world();
    let mut rig = Rig::new(&world);
    both(&mut rig);
    rig.told();
    let twice = patient("ann", "1980-01-01", r#","meta":{},"meta":{}"#);
    assert!(rig.put(day("01-05"), &twice));
    assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann unseen exited merged"]);
}

#[test]
fn i9_a_consent_that_cannot_be_read_closes_the_gate_of_whom_it_names() {
    let world = world();
    let mut rig = Rig::new(&world);
    both(&mut rig);
    rig.told();
    let denies = consent("c", "ann", "active", &purpose("deny", "TREAT"), &meta(Some(day("01-05")), None));
    let escaped = denies.replacen(r#""status""#, r#""st\u0061tus""#, 1);
    assert_ne!(escaped, denies);
    assert!(rig.put(day("01-05"), &escaped), "I6");
    assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann unseen exited consent-unreadable"]);
}

#[test]
fn what_cannot_even_be_named_is_an_error() {
    let world = world();
    for text in [
        "{",
        r#"{"resourceType":"Observation"}"#,
        r#"{"resourceType":"Observation","id":7}"#,
        r#"{"resourceType":"Observation","id":"o","id":"p"}"#,
    ] {
        assert!(world.read(text.as_bytes(), day("01-01")).is_err(), "{text}");
    }
    let unread = world.read(br#"{"resourceType":"Claim","id":"c"}"#, day("01-01"));
    assert!(matches!(unread, Ok(Reading::Unread)), "nothing here reads it");
}

#[test]
fn an_older_version_that_moved_elsewhere_does_not_take_the_newer_one_away() {
    let world = world();
    let mut rig = Rig::new(&world);
    both(&mut rig);
    rig.put(day("01-02"), &observation("ann", "01-02"));
    rig.put(day("01-03"), &observation("ann", "01-08"));
    rig.told();
    // Version 5 said that it is bea's; version 8, known already, that it is ann's.
    rig.put(day("01-09"), &observation("bea", "01-05"));
    let told = rig.told();
    assert!(told.iter().all(|line| !line.contains("ann")), "{told:?}");
    assert!(rig.told().is_empty());
    assert!(rig.member("bea").evidence.iter().all(|(key, _)| *key != world.key("Observation", "o")), "given back");
    rig.delete(day("01-10"), "Observation", "o");
    assert_eq!(
        rig.told(),
        ["2026-01-10T00:00:00Z ann seen exited no-longer-qualified", "2026-01-10T00:00:00Z ann unseen entered qualified"]
    );
}

/// A namespace that orders its versions by id.
fn by_id() -> World {
    World { versions: Versions::Id, ..world() }
}

fn numbered(whom: &str, version: &str, status: &str) -> String {
    about("Observation", "o", &[whom], &format!(r#","status":"{status}","meta":{{"versionId":"{version}"}}"#))
}

fn both_by_id(rig: &mut Rig) {
    for name in ["ann", "bea"] {
        rig.put(day("01-01"), &patient(name, "1980-01-01", r#","meta":{"versionId":"1"}"#));
    }
    rig.told();
}

#[test]
fn by_id_ten_is_newer_than_nine_whatever_their_instants_say() {
    let world = by_id();
    let mut rig = Rig::new(&world);
    both_by_id(&mut rig);
    rig.put(day("01-02"), &numbered("ann", "10", "final"));
    rig.told();
    let nine = numbered("ann", "9", "cancelled").replace(r#""versionId""#, r#""lastUpdated":"2026-01-03T00:00:00Z","versionId""#);
    rig.put(day("01-03"), &nine);
    assert!(rig.told().is_empty());
    assert_eq!(rig.facts, [Fact::Stale]);
    rig.put(day("01-04"), &numbered("bea", "11", "final"));
    assert_eq!(rig.told().len(), 4, "it moved");
}

#[test]
fn by_id_a_put_without_a_version_is_reported_and_takes_no_place() {
    for version in ["", r#","meta":{"versionId":"W/3"}"#] {
        let world = by_id();
        let mut rig = Rig::new(&world);
        both_by_id(&mut rig);
        rig.put(day("01-02"), &numbered("ann", "1", "final"));
        rig.told();
        let without = |rest: &str| about("Observation", "o", &["ann"], &format!(r#","status":"{rest}"{version}"#));
        assert!(rig.put(day("01-03"), &without("cancelled")), "I6");
        assert!(rig.told().is_empty(), "it may be older than the one on file");
        assert!(rig.put(day("01-03"), &about("Observation", "p", &["bea"], &format!(r#","status":"final"{version}"#))), "I6");
        assert_eq!(rig.told(), ["2026-01-03T00:00:00Z bea unseen exited no-longer-qualified"], "not sure, and possible");
        // Of a Consent it may be the newest and a denial: the gate closes until one comes whose version can be told (I9).
        let said = |rest: &str| consent("c", "ann", "active", &purpose("permit", "TREAT"), rest);
        rig.put(day("01-04"), &said(r#","meta":{"versionId":"4"}"#));
        assert!(rig.put(day("01-05"), &said(version)));
        assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann seen exited consent-denied"]);
        rig.put(day("01-06"), &said(r#","meta":{"versionId":"5"}"#));
        assert_eq!(rig.told(), ["2026-01-06T00:00:00Z ann seen entered qualified"]);
        assert!(rig.put(day("01-07"), &said(version)));
        assert_eq!(rig.told(), ["2026-01-07T00:00:00Z ann seen exited consent-denied"], "the second of them as the first");
    }
}

#[test]
fn by_id_a_delete_without_a_version_beats_all_that_came_before_it() {
    let world = by_id();
    let mut rig = Rig::new(&world);
    both_by_id(&mut rig);
    rig.put(day("01-02"), &numbered("ann", "3", "final"));
    rig.put(day("01-03"), &numbered("ann", "7", "final"));
    rig.told();
    rig.delete_as(day("01-04"), "Observation", "o", Some(Version(5)));
    assert!(rig.told().is_empty(), "an older version's");
    rig.delete_as(day("01-05"), "Observation", "o", None);
    assert_eq!(
        rig.told(),
        ["2026-01-05T00:00:00Z ann seen exited no-longer-qualified", "2026-01-05T00:00:00Z ann unseen entered qualified"]
    );
    rig.put(day("01-06"), &numbered("ann", "6", "final"));
    assert!(rig.told().is_empty(), "older than what was deleted");
    rig.put(day("01-07"), &numbered("ann", "8", "final"));
    assert_eq!(rig.told().len(), 2, "written again");
    // Heard late, by an owner that knows of version 8: a claim that was stamped before the delete.
    let key = world.key("Observation", "o");
    let late =
        Claim { resource: key, version: Version(9), stamp: day("01-04"), persons: [world.person("ann")].into_iter().collect(), asks: None };
    rig.hear(day("01-08"), Ownership::Claim(late), false);
    assert_eq!(rig.told().len(), 2, "deleted, too: nine is newer than eight");
}

#[test]
fn i1_a_late_first_version_counts_once_the_owners_know_nothing_newer() {
    let world = world();
    for beaten in [false, true] {
        let mut rig = Rig::new(&world);
        both(&mut rig);
        if beaten {
            // Of one that nobody has seen yet.
            rig.delete_version(day("01-03"), "Observation", "o", day("01-03"));
        }
        rig.told();
        rig.put(day("01-05"), &observation("ann", "01-02"));
        let told = rig.told();
        assert_eq!(told.iter().any(|line| line.contains("seen entered") && !line.contains("unseen")), !beaten, "{told:?}");
        assert!(rig.member("ann").unconfirmed.is_empty(), "the owners always answer");
    }
}

#[test]
fn i1_what_a_bundle_says_of_a_person_waits_for_a_consent_that_went_by_way_of_the_owners() {
    let world = world();
    let mut rig = Rig::new(&world);
    both(&mut rig);
    rig.told();
    let (ann, consent) = (world.person("ann"), world.key("Consent", "c"));
    // The owners' part of the Bundle has not come yet; nothing is told but exits.
    rig.owners_answer = false;
    rig.input(ann, day("01-05"), Input::Awaits(consent));
    rig.put(day("01-05"), &observation("ann", "01-05"));
    assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann unseen exited no-longer-qualified"]);
    rig.owners_answer = true;
    rig.hear(day("01-06"), Ownership::Asked { resource: consent, person: ann }, false);
    assert_eq!(rig.told(), ["2026-01-06T00:00:00Z ann seen entered qualified"]);
}

/// A permit of treatment by ann, as bytes that a change can break.
fn permit(updated: &str) -> String {
    consent("c", "ann", "active", &purpose("permit", "TREAT"), &meta(Some(day(updated)), None))
}

#[test]
fn i9_a_consent_whose_bytes_are_broken_closes_the_gate_of_whom_it_names_until_a_newer_version() {
    let deep = format!(r#","x":{}{}}}"#, "[".repeat(80), "]".repeat(80));
    let ends: [&[u8]; 5] = [deep.as_bytes(), b",\"text\":{\"div\":\"\xff\"}}", b"} trailing", b"}{}", b",\"text\":{\"div\":\"<p"];
    for end in ends {
        let world = world();
        let mut rig = Rig::new(&world);
        both(&mut rig);
        rig.put(day("01-02"), &permit("01-02"));
        rig.told();
        let mut broken = permit("01-05").into_bytes();
        broken.pop();
        broken.extend_from_slice(end);
        let shown = String::from_utf8_lossy(&broken);
        assert!(rig.apply_bytes(day("01-05"), &broken, false), "I6: {shown}");
        assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann unseen exited consent-unreadable"], "{shown}");
        rig.put(day("01-06"), &permit("01-04"));
        assert!(rig.told().is_empty(), "older");
        rig.put(day("01-07"), &permit("01-07"));
        assert_eq!(rig.told(), ["2026-01-07T00:00:00Z ann unseen entered qualified"], "{shown}");
    }
}

#[test]
fn i9_a_consent_cut_off_before_its_version_gives_way_to_the_whole_one() {
    let world = world();
    let mut rig = Rig::new(&world);
    both(&mut rig);
    rig.told();
    let cut = r#"{"resourceType":"Consent","id":"c","patient":{"reference":"Patient/ann"},"status":"acti"#;
    assert!(rig.put(day("01-05"), cut));
    assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann unseen exited consent-unreadable"]);
    rig.put(day("01-06"), &permit("01-02"));
    assert_eq!(rig.told(), ["2026-01-06T00:00:00Z ann unseen entered qualified"], "older than the stamp of the other");
}

#[test]
fn i9_a_consent_without_a_usable_id_closes_the_gate_until_that_is_taken_back() {
    let named = |updated: &str, id: &str| permit(updated).replace(r#""id":"c","#, id);
    for id in ["", r#""id":"a/b","#, r#""id":7,"#, r#""id":null,"#, r#""id":"c","id":"c","#, r#""id":["c"],"#] {
        for by_delete in [true, false] {
            let world = world();
            let mut rig = Rig::new(&world);
            both(&mut rig);
            rig.put(day("01-02"), &permit("01-02"));
            rig.told();
            // Its own instant says nothing: it is no version of anything.
            assert!(rig.put(day("01-05"), &named("01-01", id)), "I6: {id}");
            assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann unseen exited consent-unreadable"], "{id}");
            rig.put(day("01-06"), &permit("01-06"));
            rig.put(day("01-06"), &consent("d", "ann", "active", &purpose("permit", "TREAT"), ""));
            assert!(rig.told().is_empty(), "no other Consent is its newer version: {id}");
            match by_delete {
                true => rig.delete(day("01-07"), "Consent", "unnamed~ann"),
                false => assert!(!rig.put(day("01-07"), &named("01-07", r#""id":"unnamed~ann","#))),
            }
            assert_eq!(rig.told(), ["2026-01-07T00:00:00Z ann unseen entered qualified"], "{id}");
            assert!(rig.put(day("01-08"), &named("01-01", id)));
            assert_eq!(rig.told(), ["2026-01-08T00:00:00Z ann unseen exited consent-unreadable"], "again: {id}");
        }
    }
}

#[test]
fn i9_a_broken_consent_that_names_two_closes_both_gates_and_one_that_names_nobody_is_refused() {
    let world = world();
    let mut rig = Rig::new(&world);
    both(&mut rig);
    rig.told();
    let two = r#""patient":{"reference":"Patient/ann"},"patient":{"reference":"Patient/bea"}"#;
    assert!(rig.put(day("01-05"), &permit("01-05").replace(r#""patient":{"reference":"Patient/ann"}"#, two)));
    assert_eq!(rig.told().len(), 2);
    let nobody = permit("01-05").replace(r#""id":"c","#, "").replace("Patient/ann", "Group/g");
    assert!(world.read(nobody.as_bytes(), day("01-05")).is_err());
}
