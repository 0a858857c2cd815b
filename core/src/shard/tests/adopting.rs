//! Adoption of definitions: stories, and the property that it equals having had them from the start (I10).

use super::kit::{Rig, World, about, at, audience, consent, meta, patient, policy, purpose, setting};
use super::properties::apply_in_room;
use super::world::{AUDIENCES, Dice, HOURS, Shape, feed, instant, world};
use crate::key::ResourceKey;
use crate::shard::{Adopt, Former, Happening, Input, Member, Moment, Move, Reading, Room, Versions, moves};
use crate::time::Instant;
use std::collections::BTreeMap;
use std::sync::Arc;

fn day(text: &str) -> Instant {
    at(&format!("2026-{text}T00:00:00Z"))
}

fn seen(status: &str) -> String {
    audience("seen", &format!(r#""members":{{"Observation":"status = '{status}'"}}"#))
}

fn offer() -> String {
    audience("offer", r#""members":{"Patient":"gender.exists()"}"#)
}

/// What a rig of the new definitions made of ann, for one of the old.
fn adopt(old: &World, fresh: &Rig) -> Adopt {
    let (member, versions) = fresh.members[&fresh.world.person("ann")].clone();
    Adopt { member, versions, former: Former::all(&old.definitions, &old.member_keys) }
}

fn feed_ann(rig: &mut Rig) {
    rig.put(day("01-01"), &patient("ann", "1980-01-01", ""));
    rig.put(day("01-02"), &about("Observation", "o", &["ann"], r#","status":"final""#));
}

#[test]
fn who_is_out_under_the_new_definitions_leaves_with_their_name_and_who_is_in_again_goes_on_counting() {
    let (old, new) = (World::new(policy(), &[seen("final")]), World::new(policy(), &[offer(), seen("amended")]));
    let (mut rig, mut fresh) = (Rig::new(&old), Rig::new(&new));
    feed_ann(&mut rig);
    feed_ann(&mut fresh);
    rig.told();
    rig.world = &new;
    rig.input(new.person("ann"), day("01-05"), Input::Adopt(Box::new(adopt(&old, &fresh))));
    assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann offer entered qualified", "2026-01-05T00:00:00Z ann seen exited definition-changed"]);
    rig.put(day("01-06"), &about("Observation", "o", &["ann"], r#","status":"amended""#));
    assert!(rig.lines[0].text.ends_with("seen entered qualified") && rig.lines[0].seq == 3, "{}", rig.lines[0].text);
}

#[test]
fn an_audience_that_is_gone_ends_for_all_who_are_in_it_and_takes_its_number_up_again() {
    let (old, new) = (World::new(policy(), &[seen("final")]), World::new(policy(), &[offer()]));
    let (mut rig, mut fresh) = (Rig::new(&old), Rig::new(&new));
    feed_ann(&mut rig);
    feed_ann(&mut fresh);
    rig.told();
    rig.world = &new;
    // Exits wait for nothing; entries do.
    rig.hold = true;
    rig.input(new.person("ann"), day("01-05"), Input::Adopt(Box::new(adopt(&old, &fresh))));
    assert!(rig.lines[0].json.contains(r#""status":"exited","reason":"ended""#), "{}", rig.lines[0].json);
    assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann seen exited definition-changed"]);
    rig.hold = false;
    rig.now = day("01-06");
    rig.review();
    assert_eq!(rig.told(), ["2026-01-06T00:00:00Z ann offer entered qualified"]);
    let mut back = Rig::new(&old);
    feed_ann(&mut back);
    rig.world = &old;
    rig.input(old.person("ann"), day("01-07"), Input::Adopt(Box::new(adopt(&new, &back))));
    let seen = rig.lines.iter().find(|line| line.audience == "seen").expect("she is in again");
    assert_eq!((seen.seq, seen.entered), (3, true), "{}", seen.text);
}

#[test]
fn a_denial_that_comes_with_the_definitions_keeps_its_name() {
    let old = World::new(policy(), &[seen("final")]);
    let mut strict = policy();
    strict.bases.treatment = crate::consent::Basis::Permit;
    let new = World::new(strict, &[seen("final")]);
    let (mut rig, mut fresh) = (Rig::new(&old), Rig::new(&new));
    feed_ann(&mut rig);
    feed_ann(&mut fresh);
    rig.told();
    let ann = new.person("ann");
    let adopt = adopt(&old, &fresh);
    let (member, versions) = &rig.members[&ann];
    let moment = Moment { now: day("01-05"), hold: false, silent: &[false], fresh_until: Instant::END };
    let counted = moves(&setting(&new, &rig.broadcast), ann, member, versions, &moment, adopt.clone());
    assert_eq!(counted, [("seen".to_owned(), Move::Exited { braked: false })]);
    rig.world = &new;
    rig.input(ann, day("01-05"), Input::Adopt(Box::new(adopt)));
    assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann seen exited no-consent"]);
    rig.put(day("01-06"), &consent("c", "ann", "active", &purpose("permit", "TREAT"), &meta(None, None)));
    assert_eq!(rig.told(), ["2026-01-06T00:00:00Z ann seen entered qualified"]);
}

#[test]
fn who_waits_for_the_owners_under_either_definitions_goes_on_waiting() {
    let (old, new) = (World::new(policy(), &[]), World::new(policy(), &[seen("final")]));
    let (mut rig, mut fresh) = (Rig::new(&old), Rig::new(&new));
    feed_ann(&mut rig);
    feed_ann(&mut fresh);
    let ann = new.person("ann");
    let (one, other) = (ResourceKey::from_u64(1), ResourceKey::from_u64(2));
    rig.members.get_mut(&ann).expect("she is known").0.unconfirmed = vec![one];
    let mut adopt = adopt(&old, &fresh);
    adopt.member.unconfirmed = vec![one, other];
    rig.world = &new;
    rig.input(ann, day("01-05"), Input::Adopt(Box::new(adopt)));
    rig.input(ann, day("01-06"), Input::Confirmed(one));
    assert!(rig.told().is_empty(), "the definitions that were prepared asked, too");
    rig.input(ann, day("01-07"), Input::Confirmed(other));
    assert_eq!(rig.told(), ["2026-01-07T00:00:00Z ann seen entered qualified"]);
}

#[test]
fn moves_are_counted_before_anything_is_done() {
    let (old, new) = (World::new(policy(), &[seen("final")]), World::new(policy(), &[offer(), seen("amended")]));
    let (mut rig, mut fresh) = (Rig::new(&old), Rig::new(&new));
    feed_ann(&mut rig);
    feed_ann(&mut fresh);
    let ann = new.person("ann");
    let (member, versions) = &rig.members[&ann];
    let moment = Moment { now: day("01-05"), hold: false, silent: &[false, false], fresh_until: Instant::END };
    let before = (member.clone(), versions.clone());
    let counted = moves(&setting(&new, &rig.broadcast), ann, member, versions, &moment, adopt(&old, &fresh));
    assert_eq!(counted, [("offer".to_owned(), Move::Entered), ("seen".to_owned(), Move::Exited { braked: true })]);
    assert!((member, versions) == (&before.0, &before.1));
    let same = Adopt { member: member.clone(), versions: versions.clone(), former: Arc::default() };
    assert!(moves(&setting(&old, &rig.broadcast), ann, member, versions, &moment, same).is_empty(), "nothing changed");
}

#[test]
fn an_audience_that_is_gone_leaves_no_timer_behind() {
    let fifty = audience("fifty", r#""members":{"Patient":"birthDate <= today() - 50 years"}"#);
    let (old, new) = (World::new(policy(), &[fifty]), World::new(policy(), &[seen("amended")]));
    let (mut rig, mut fresh) = (Rig::new(&old), Rig::new(&new));
    rig.put(day("01-01"), &patient("ann", "1976-06-01", ""));
    fresh.put(day("01-01"), &patient("ann", "1976-06-01", ""));
    assert!(rig.member("ann").due() < Instant::END, "she will be fifty");
    rig.world = &new;
    rig.input(new.person("ann"), day("01-05"), Input::Adopt(Box::new(adopt(&old, &fresh))));
    assert_eq!(rig.member("ann").due(), Instant::END, "it would be looked at again and again, once it is reached");
}

fn denies(updated: &str) -> String {
    consent("c", "ann", "active", &purpose("deny", "TREAT"), &meta(Some(day(updated)), None))
}

fn permits(updated: &str) -> String {
    consent("c", "ann", "active", &purpose("permit", "TREAT"), &meta(Some(day(updated)), None))
}

#[test]
fn a_consent_that_came_late_goes_on_closing_whatever_order_landing_has_left_them_in() {
    let (old, new) = (World::new(policy(), &[seen("final")]), World::new(policy(), &[seen("final"), offer()]));
    let ann = new.person("ann");
    let (mut rig, mut fresh) = (Rig::new(&old), Rig::new(&new));
    feed_ann(&mut rig);
    feed_ann(&mut fresh);
    rig.put(day("01-05"), &permits("01-05"));
    rig.put(day("01-06"), &denies("01-04"));
    rig.put(day("01-07"), &permits("01-05"));
    rig.told();
    // Compacted, landing has the current one once, behind the late one.
    fresh.put(day("01-06"), &denies("01-04"));
    fresh.put(day("01-07"), &permits("01-05"));
    rig.world = &new;
    rig.input(ann, day("01-08"), Input::Adopt(Box::new(adopt(&old, &fresh))));
    assert!(rig.told().is_empty(), "it is closed until a newer one comes");
    rig.put(day("01-09"), &permits("01-09"));
    assert_eq!(rig.told().len(), 2, "both audiences are entered");
    rig.put(day("01-10"), &denies("01-04"));
    assert_eq!(rig.told().len(), 2, "it never was current, and comes late again");
}

#[test]
fn what_a_replay_makes_of_a_member_closes_already_before_it_is_adopted() {
    let world = World::new(policy(), &[seen("final")]);
    let (mut rig, mut fresh) = (Rig::new(&world), Rig::new(&world));
    feed_ann(&mut rig);
    rig.put(day("01-05"), &permits("01-05"));
    rig.put(day("01-06"), &denies("01-04"));
    rig.told();
    let ann = world.person("ann");
    let known = rig.members[&ann].0.clone();
    feed_ann(&mut fresh);
    fresh.told();
    for (day_of, json) in [("01-06", denies("01-04")), ("01-07", permits("01-05"))] {
        let Ok(Reading::About { put, .. }) = world.read(json.as_bytes(), day(day_of)) else { panic!("a consent of hers") };
        fresh.members.get_mut(&ann).expect("she is known").0.learn_order(&known, &put);
        fresh.put(day(day_of), &json);
    }
    let told = fresh.told();
    assert!(!told.iter().any(|line| line.contains("entered")), "{told:?}");
}

/// Other rules under the same names, one audience more, two fewer, in another order.
fn earlier() -> World {
    let mut policy = policy();
    policy.sensitive.withhold = world().definitions.policy.sensitive.withhold;
    let due = r#""members":{"none":[{"Procedure":"status = 'completed' and performed.ofType(dateTime) > now() - 20 days"}]}"#;
    let had = r#""members":{"Procedure":"status = 'stopped'"}"#;
    let booked = r#""members":{"Appointment":"status = 'booked'"}"#;
    let gone = r#""members":{"Observation":"status = 'final'"}"#;
    let seminar = r#""communication":"marketing","members":{"Patient":"gender = 'female'"}"#;
    World::new(
        policy,
        &[audience("gone", gone), audience("seminar", seminar), audience("booked", booked), audience("had", had), audience("due", due)],
    )
}

/// All of a member but what was told of it.
fn records_of(member: &Member, versions: &Versions) -> (Member, Versions) {
    let merge = crate::shard::member::Merge { sent: 0, received: Vec::new(), ..member.merge.clone() };
    (Member { emitted: Vec::new(), merge, ..member.clone() }, versions.clone())
}

#[test]
fn i4_i10_adopting_is_as_if_the_definitions_had_been_there_from_the_start() {
    let (old, new) = (earlier(), world());
    let keys = crate::key::Keys::new(b"invented routing");
    for seed in 0..8 {
        for shape in [
            Shape { records: 40, merges: false, stale: true, moves: false, groups: false },
            Shape { records: 40, merges: false, stale: false, moves: true, groups: true },
            Shape { records: 40, merges: true, stale: false, moves: true, groups: false },
        ] {
            let mut dice = Dice::new(seed);
            let records = feed(&mut dice, shape);
            let cut = dice.below(records.len());
            let mut running = Room::new(&old.definitions, &keys, &old.member_keys, Vec::new());
            let mut fresh = Room::new(&new.definitions, &keys, &new.member_keys, Vec::new());
            let mut always = Room::new(&new.definitions, &keys, &new.member_keys, Vec::new());
            let (mut told, mut unheard) = (Vec::new(), Vec::new());
            for record in &records[..cut] {
                apply_in_room(&old, &mut running, record, &mut told);
                apply_in_room(&new, &mut fresh, record, &mut unheard);
            }
            let now = instant(records[cut].at - 1).max(instant(records[cut.saturating_sub(1)].at));
            running.run(now, &mut told);
            running.adopt(fresh, now, &mut told);
            for record in &records[cut..] {
                apply_in_room(&new, &mut running, record, &mut told);
            }
            records.iter().for_each(|record| apply_in_room(&new, &mut always, record, &mut unheard));
            running.run(instant(HOURS + 24), &mut told);
            always.run(instant(HOURS + 24), &mut unheard);
            check_same(&running, &always, seed);
            check_sequence(&told, seed);
        }
    }
}

fn check_same(running: &Room, always: &Room, seed: u64) {
    let always: BTreeMap<_, _> = always.members().collect();
    for (person, (member, versions)) in running.members() {
        let (other, other_versions) = always[person];
        assert!(records_of(member, versions) == records_of(other, other_versions), "I10, seed {seed}: {person}");
        let shown = |member: &Member, name: &str| member.emitted(name).and_then(|emitted| emitted.shown);
        for name in AUDIENCES {
            assert_eq!(shown(member, name), shown(other, name), "I10, seed {seed}: {person} {name}");
        }
        assert_eq!(shown(member, "gone"), None, "seed {seed}: {person}");
    }
}

/// I4, across the cut-over.
fn check_sequence(told: &[Happening], seed: u64) {
    let mut last = BTreeMap::new();
    for Happening { person, told } in told {
        let event = &told.event;
        let before = last.insert((*person, event.audience().to_owned()), (event.seq(), event.effective()));
        let (seq, effective) = before.unwrap_or((0, event.effective()));
        assert!(event.seq() == seq + 1 && event.effective() >= effective, "I4, seed {seed}: {person} {}", event.audience());
    }
}
