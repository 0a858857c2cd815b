//! Opt-outs by number or address (C17): stories, and random reports against a naive oracle.

use super::kit::{Rig, World, at, audience, consent, meta, patient, policy, purpose, report};
use super::world::Dice;
use crate::audience::Channel;
use crate::consent::Permission;
use crate::key::Keys;
use crate::shard::{Happening, Input, Reading, Room};
use crate::time::{Instant, Span};
use std::collections::BTreeMap;

const HOME: &str = "+1 312 555 0100";
const WORK: &str = "+1 312 555 0199";

fn day(text: &str) -> Instant {
    at(&format!("2026-{text}T00:00:00Z"))
}

/// Texts to everyone with a mobile number, and letters to everyone with an address.
fn world() -> World {
    let mut policy = policy();
    policy.channels.sms.permission = Permission::ContactOnFile;
    let rule = |channel: &str| {
        format!(r#""channels":["{channel}"],"action":"https://riverside.example/x","members":{{"Patient":"gender.exists()"}}"#)
    };
    World::new(policy, &[audience("texts", &rule("sms")), audience("letters", &rule("email"))])
}

fn with(id: &str, version: Instant, telecom: &[String]) -> String {
    patient(id, "1980-01-01", &format!(r#"{},"telecom":[{}]"#, meta(Some(version), None), telecom.join(",")))
}

fn mobile(number: &str) -> String {
    format!(r#"{{"system":"phone","use":"mobile","value":"{number}"}}"#)
}

fn put(rig: &mut Rig, on: &str, id: &str, numbers: &[&str]) {
    let telecom: Vec<String> = numbers.iter().map(|number| mobile(number)).collect();
    rig.put(day(on), &with(id, day(on), &telecom));
}

fn stop(rig: &mut Rig, on: &str, contact: &str) {
    rig.contact(day(on), None, Channel::Sms, contact, true);
}

fn permits(id: &str, on: &str, rest: &str) -> String {
    consent("c", id, "active", &format!("{}{rest}", purpose("permit", "TREAT")), &dated(on))
}

fn dated(on: &str) -> String {
    format!(r#"{},"dateTime":"2026-{on}T12:00:00Z""#, meta(Some(day(on)), None))
}

#[test]
fn everyone_who_has_the_number_leaves_however_it_is_written() {
    let world = world();
    let mut rig = Rig::new(&world);
    put(&mut rig, "01-01", "ann", &["(312) 555-0100"]);
    put(&mut rig, "01-01", "bea", &["tel:+1-312-555-0100"]);
    put(&mut rig, "01-01", "cat", &[WORK]);
    assert_eq!(rig.told().len(), 3);
    stop(&mut rig, "01-02", "1 312 555 0100");
    let mut told = rig.told();
    told.sort();
    assert_eq!(told, ["2026-01-02T00:00:00Z ann texts exited opted-out", "2026-01-02T00:00:00Z bea texts exited opted-out"]);
    stop(&mut rig, "01-03", HOME);
    assert!(rig.told().is_empty(), "said again it changes nothing");
}

#[test]
fn an_opt_in_lifts_only_what_the_same_contact_recipient_and_channel_suppressed() {
    let world = world();
    let mut rig = Rig::new(&world);
    put(&mut rig, "01-01", "ann", &[HOME]);
    rig.contact(day("01-02"), Some("crm"), Channel::Sms, HOME, true);
    rig.told();
    rig.contact(day("01-03"), Some("lab"), Channel::Sms, HOME, false);
    rig.contact(day("01-03"), None, Channel::Sms, HOME, false);
    rig.contact(day("01-03"), Some("crm"), Channel::Sms, WORK, false);
    rig.contact(day("01-03"), Some("crm"), Channel::Email, "ann@example.org", false);
    rig.opt_out(day("01-03"), "ann", Channel::Sms, false);
    assert!(rig.told().is_empty());
    rig.contact(day("01-04"), Some("crm"), Channel::Sms, "312-555-0100", false);
    assert_eq!(rig.told(), ["2026-01-04T00:00:00Z ann texts entered qualified"]);
    rig.contact(day("01-05"), Some("lab"), Channel::Sms, HOME, true);
    assert!(rig.told().is_empty(), "another recipient's own");
}

#[test]
fn it_holds_for_telecom_that_comes_later_and_for_no_other() {
    let world = world();
    let mut rig = Rig::new(&world);
    stop(&mut rig, "01-01", HOME);
    put(&mut rig, "01-02", "ann", &[HOME]);
    assert!(rig.told().is_empty());
    put(&mut rig, "01-03", "ann", &[WORK]);
    assert_eq!(rig.told(), ["2026-01-03T00:00:00Z ann texts entered qualified"]);
    put(&mut rig, "01-04", "ann", &[WORK, HOME]);
    assert_eq!(rig.told(), ["2026-01-04T00:00:00Z ann texts exited opted-out"], "whichever number would be used");
}

#[test]
fn a_number_counts_while_it_is_valid() {
    let world = world();
    let mut rig = Rig::new(&world);
    let ended = format!(r#"{{"system":"phone","use":"home","value":"{HOME}","period":{{"end":"2026-01-31"}}}}"#);
    rig.put(day("01-01"), &with("ann", day("01-01"), &[ended, mobile(WORK)]));
    rig.told();
    stop(&mut rig, "01-02", HOME);
    assert_eq!(rig.told(), ["2026-01-02T00:00:00Z ann texts exited opted-out"]);
    rig.run(day("03-01"));
    assert_eq!(rig.told()[0], "2026-02-01T00:00:00Z ann texts entered qualified");
}

#[test]
fn the_other_channel_is_not_concerned() {
    let world = world();
    let mut rig = Rig::new(&world);
    let email = r#"{"system":"email","value":"Ann@Example.org"}"#.to_owned();
    rig.put(day("01-01"), &with("ann", day("01-01"), &[email, mobile(HOME)]));
    rig.told();
    stop(&mut rig, "01-02", HOME);
    assert_eq!(rig.told(), ["2026-01-02T00:00:00Z ann texts exited opted-out"]);
    rig.contact(day("01-03"), None, Channel::Email, "mailto:ann@example.org", true);
    assert_eq!(rig.told(), ["2026-01-03T00:00:00Z ann letters exited opted-out"]);
}

#[test]
fn i11_a_number_that_cannot_be_read_brings_nobody_back() {
    let world = world();
    for broken in [r#"{"system":"phone","value":7}"#.to_owned(), mobile(HOME).replace("mobile", "old\",\"rank\":\"x"), "7".to_owned()] {
        let mut rig = Rig::new(&world);
        put(&mut rig, "01-01", "ann", &[HOME, WORK]);
        stop(&mut rig, "01-02", HOME);
        rig.told();
        rig.put(day("01-03"), &with("ann", day("01-03"), &[broken.clone(), mobile(WORK)]));
        assert!(rig.told().is_empty(), "{broken}");
    }
}

#[test]
fn a_number_of_a_merged_person_counts_for_the_survivor() {
    let world = world();
    let mut rig = Rig::new(&world);
    put(&mut rig, "01-01", "ann", &[HOME]);
    put(&mut rig, "01-01", "bea", &[WORK]);
    rig.told();
    let link = r#","link":[{"type":"replaces","other":{"reference":"Patient/ann"}}]"#;
    let merged = with("bea", day("01-02"), &[mobile(WORK)]).replace(r#","telecom""#, &format!(r#"{link},"telecom""#));
    rig.put(day("01-02"), &merged);
    assert_eq!(rig.told(), ["2026-01-02T00:00:00Z ann texts exited merged"]);
    stop(&mut rig, "01-03", HOME);
    assert_eq!(rig.told(), ["2026-01-03T00:00:00Z bea texts exited opted-out"]);
    put(&mut rig, "01-04", "bea", &[WORK]);
    assert_eq!(rig.told(), ["2026-01-04T00:00:00Z bea texts entered qualified"], "unmerged; ann stays out");
}

#[test]
fn c17_a_later_consent_of_the_patient_ends_it_for_that_patient() {
    let world = world();
    let mut rig = Rig::new(&world);
    put(&mut rig, "01-01", "ann", &[HOME]);
    put(&mut rig, "01-01", "bea", &[HOME]);
    stop(&mut rig, "01-10", HOME);
    rig.told();
    rig.put(day("01-11"), &permits("ann", "01-09", ""));
    assert!(rig.told().is_empty(), "an older one");
    rig.put(day("01-12"), &permits("ann", "01-11", ""));
    assert_eq!(rig.told(), ["2026-01-12T00:00:00Z ann texts entered qualified"], "bea did not consent");
    stop(&mut rig, "01-13", HOME);
    assert_eq!(rig.told(), ["2026-01-13T00:00:00Z ann texts exited opted-out"], "said again after it");
    let ends = r#","period":{"end":"2026-01-31"}"#;
    rig.put(day("01-15"), &permits("ann", "01-14", ends));
    assert_eq!(rig.told(), ["2026-01-15T00:00:00Z ann texts entered qualified"]);
    rig.run(day("02-15"));
    assert_eq!(rig.told(), ["2026-02-01T00:00:00Z ann texts exited opted-out"], "it comes back where the Consent ends");
}

#[test]
fn c17_so_it_is_with_an_opt_out_of_the_person() {
    let world = world();
    let mut rig = Rig::new(&world);
    put(&mut rig, "01-01", "ann", &[HOME]);
    rig.opt_out(day("01-10"), "ann", Channel::Sms, true);
    rig.told();
    let undated = consent("c", "ann", "active", &purpose("permit", "TREAT"), &meta(Some(day("01-11")), None));
    let marketing = consent("c", "ann", "active", &purpose("permit", "HMARKT"), &dated("01-12"));
    let revoked = permits("ann", "01-13", "").replace(r#""status":"active""#, r#""status":"inactive""#);
    for (on, text) in [("01-11", undated), ("01-12", marketing), ("01-13", revoked)] {
        rig.put(day(on), &text);
        assert!(rig.told().is_empty(), "{on}");
    }
    rig.put(day("01-14"), &permits("ann", "01-14", ""));
    assert!(rig.told().is_empty(), "dated ahead of now");
    rig.run(day("01-15"));
    assert_eq!(rig.told(), ["2026-01-14T12:00:00Z ann texts entered qualified"]);
}

#[test]
fn a_consent_that_names_no_purpose_ends_nothing() {
    let world = world();
    let mut rig = Rig::new(&world);
    put(&mut rig, "01-01", "ann", &[HOME]);
    stop(&mut rig, "01-02", HOME);
    rig.told();
    rig.put(day("01-04"), &consent("c", "ann", "active", r#""type":"permit""#, &dated("01-03")));
    assert!(rig.told().is_empty());
}

// Random reports

const PEOPLE: [&str; 4] = ["ann", "bea", "cat", "dot"];
const NUMBERS: [[&str; 3]; 3] = [
    ["+1 312 555 0100", "(312) 555-0100", "tel:13125550100"],
    ["+1 312 555 0199", "3125550199", "001 312 555 0199"],
    ["+44 20 7946 0958", "020 7946 0958", "+44 (0)20 7946 0958"],
];

#[derive(Debug, Clone)]
enum Act {
    Patient {
        person: usize,
        numbers: Vec<usize>,
    },
    /// The recipient: everyone, crm, lab.
    Report {
        number: usize,
        recipient: usize,
        out: bool,
    },
    Member {
        person: usize,
        recipient: usize,
        out: bool,
    },
    Consent {
        person: usize,
        active: bool,
        dated: bool,
    },
}

const RECIPIENTS: [Option<&str>; 3] = [None, Some("crm"), Some("lab")];

fn act(dice: &mut Dice) -> Act {
    let (person, number, recipient, out) = (dice.below(PEOPLE.len()), dice.below(NUMBERS.len()), dice.below(3), dice.chance(65));
    match dice.below(10) {
        0..=2 => Act::Patient { person, numbers: (0..NUMBERS.len()).filter(|_| dice.chance(45)).collect() },
        3..=6 => Act::Report { number, recipient, out },
        7 => Act::Member { person, recipient, out },
        _ => Act::Consent { person, active: dice.chance(70), dated: dice.chance(70) },
    }
}

/// Who has what and who said what, by the step in which it was said.
#[derive(Default)]
struct Naive {
    numbers: BTreeMap<usize, Vec<usize>>,
    reports: BTreeMap<(usize, usize), usize>,
    members: BTreeMap<(usize, usize), usize>,
    /// When the newest Consent permitted anew.
    renewed: BTreeMap<usize, usize>,
}

impl Naive {
    fn hear(&mut self, step: usize, act: &Act) {
        let set = |map: &mut BTreeMap<(usize, usize), usize>, key, out| if out { _ = map.insert(key, step) } else { _ = map.remove(&key) };
        match act {
            Act::Patient { person, numbers } => _ = self.numbers.insert(*person, numbers.clone()),
            Act::Report { number, recipient, out } => set(&mut self.reports, (*number, *recipient), *out),
            Act::Member { person, recipient, out } => set(&mut self.members, (*person, *recipient), *out),
            Act::Consent { person, active: true, dated: true } => _ = self.renewed.insert(*person, step),
            Act::Consent { person, .. } => _ = self.renewed.remove(person),
        }
    }

    fn is_in(&self, person: usize) -> bool {
        let Some(numbers) = self.numbers.get(&person).filter(|numbers| !numbers.is_empty()) else { return false };
        let stands = |since: &usize| self.renewed.get(&person).is_none_or(|renewed| renewed < since);
        let theirs = |recipient: usize| recipient != 2;
        let by_number = self.reports.iter().any(|((number, to), since)| numbers.contains(number) && theirs(*to) && stands(since));
        let by_member = self.members.iter().any(|((one, to), since)| *one == person && theirs(*to) && stands(since));
        !by_number && !by_member
    }
}

fn instant(step: usize) -> Instant {
    day("01-01").plus(Span::hours(step as i64))
}

/// What a Patient or Consent of the act says.
fn text(dice: &mut Dice, step: usize, act: &Act) -> Option<String> {
    match act {
        Act::Patient { person, numbers } => {
            let spelled: Vec<String> = numbers.iter().map(|number| mobile(NUMBERS[*number][dice.below(3)])).collect();
            Some(with(PEOPLE[*person], instant(step), &spelled))
        }
        Act::Consent { person, active, dated } => {
            let date = if *dated { format!(r#","dateTime":"{}""#, instant(step)) } else { String::new() };
            let status = if *active { "active" } else { "inactive" };
            let rest = format!("{}{date}", meta(Some(instant(step)), None));
            Some(consent(&format!("c-{person}"), PEOPLE[*person], status, &purpose("permit", "TREAT"), &rest))
        }
        Act::Report { .. } | Act::Member { .. } => None,
    }
}

#[test]
fn i5_i9_random_reports_reach_whom_the_oracle_says_and_an_index_misses_nobody() {
    let world = world();
    let keys = Keys::new(b"invented routing");
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let (mut rig, mut naive) = (Rig::new(&world), Naive::default());
        let mut room = Room::new(&world.definitions, &keys, &world.member_keys, Vec::new());
        let mut out: Vec<Happening> = Vec::new();
        for step in 1..80 {
            let (now, act) = (instant(step), act(&mut dice));
            naive.hear(step, &act);
            room.run(now, &mut out);
            rig.run(now);
            let text = text(&mut dice, step, &act);
            if let Some(text) = &text {
                rig.put(now, text);
                let Ok(Reading::About { persons, put, .. }) = world.read(text.as_bytes(), now) else { panic!("about one person") };
                room.put(persons[0].0, now, Input::Put(put), &mut out);
            }
            match &act {
                Act::Report { number, recipient, out: opted_out } => {
                    let spelled = NUMBERS[*number][dice.below(3)];
                    rig.contact(now, RECIPIENTS[*recipient], Channel::Sms, spelled, *opted_out);
                    room.contact(&report(&world, RECIPIENTS[*recipient], Channel::Sms, spelled, *opted_out), now, &mut out);
                }
                Act::Member { person, recipient, out: opted_out } => {
                    let report = report(&world, RECIPIENTS[*recipient], Channel::Sms, HOME, *opted_out).preference;
                    rig.input(world.person(PEOPLE[*person]), now, Input::Preference(report.clone()));
                    room.put(world.person(PEOPLE[*person]), now, Input::Preference(report), &mut out);
                }
                Act::Patient { .. } | Act::Consent { .. } => {}
            }
            for (person, name) in PEOPLE.iter().enumerate() {
                let told = |member: &crate::shard::Member| member.emitted("texts").is_some_and(|emitted| emitted.shown.is_some());
                let in_rig = rig.members.get(&world.person(name)).is_some_and(|(member, _)| told(member));
                let in_room = room.members().find(|(one, _)| **one == world.person(name)).is_some_and(|(_, (member, _))| told(member));
                assert_eq!((in_rig, in_room), (naive.is_in(person), naive.is_in(person)), "seed {seed}, step {step}, {name}: {act:?}");
            }
        }
        let mut told: Vec<String> = out.iter().map(|one| sonic_rs::to_string(&one.told.event).expect("JSON")).collect();
        let mut events = rig.events();
        told.sort();
        events.sort();
        assert!(told == events && !told.is_empty(), "I5, seed {seed}");
    }
}
