//! Invariants on random feeds, against the naive oracle. A failure names its seed: `seed(n)` runs it again.

use super::kit::{Line, Rig, World};
use super::naive::Known;
use super::world::{self, AUDIENCES, Body, Dice, HOURS, Hour, Kind, Mark, PEOPLE, Record, Says, Shape, What, Whose, feed, instant, world};
use crate::consent::{Feed, OnStale};
use crate::fhir::Version;
use crate::gate::{Release, Shown};
use crate::key::Keys;
use crate::shard::{Claim, Happening, Input, Ownership, Reading, Room, Watermark};
use crate::time::{Instant, Span};
use smallvec::smallvec;
use sonic_rs::{JsonContainerTrait, JsonValueTrait};
use std::collections::BTreeMap;

/// Feeds a property: so many in a plain `cargo test`, `FOOTBRIDGE_SEEDS` asks for more.
fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("FOOTBRIDGE_SEEDS").ok();
    0..asked.map_or(20, |number| number.parse().expect("FOOTBRIDGE_SEEDS is a number"))
}

const PLAIN: Shape = Shape { records: 40, merges: false, stale: true, moves: false, groups: false };
const MOVING: Shape = Shape { records: 40, merges: false, stale: false, moves: true, groups: false };
const GROUPED: Shape = Shape { records: 40, merges: false, stale: false, moves: true, groups: true };
const MERGING: Shape = Shape { records: 40, merges: true, stale: false, moves: true, groups: false };

/// Instants at which releases are compared: in and around the feed, none of them an edge.
fn samples() -> Vec<Hour> {
    (-200..HOURS + 2000).step_by(331).collect()
}

fn apply(rig: &mut Rig, record: &Record) {
    let now = instant(record.at);
    match &record.body {
        None => rig.delete_version(now, record.kind.name(), &record.id(), instant(record.version)),
        Some(body) => {
            let reported = rig.apply(now, &record.json(), record.more);
            let unreadable = match body.whose {
                Whose::Told => body.unreadable,
                Whose::Unclear => true,
                // What it says is nobody's.
                Whose::Nobody => false,
            };
            assert_eq!(reported, unreadable, "I6: what cannot be read is reported, and nothing else is: {record:?}");
        }
    }
}

/// Which of a feed's records come after which: time between them runs.
fn play(rig: &mut Rig, known: &mut Known, record: &Record) {
    rig.run(instant(record.at));
    apply(rig, record);
    known.hear(record);
}

/// Nobody is released before the first record.
fn release(rig: &Rig, person: usize, audience: usize) -> Option<Release> {
    let person = rig.world.person(PEOPLE[person]);
    rig.members.contains_key(&person).then(|| rig.release(person, audience))
}

fn shown(release: &Option<Release>, hour: Hour) -> Option<Shown> {
    release.as_ref()?.at(instant(hour)).ok()
}

/// A stale consent closes more than any record says now.
fn is_restricted(rig: &Rig) -> bool {
    rig.members.values().any(|(member, _)| !member.stale_restrictions.is_empty())
}

fn check_events(rig: &Rig, known: &Known, from: usize, seed: u64) {
    for line in &rig.lines[from..] {
        let person = PEOPLE.iter().position(|name| rig.world.person(name) == line.person).expect("one of ours");
        // I1: from whole records, at the effective instant.
        if !line.exited {
            let hours = line.effective.since(world::start()).0.div_euclid(3_600_000_000);
            assert!(known.is_member(person, &line.audience, hours), "I1, seed {seed}: {}", line.text);
        }
        // I2
        let event = sonic_rs::from_str::<sonic_rs::Value>(&line.json).expect("JSON");
        let keys = |of: &str| {
            event.get(of).and_then(|value| value.as_object()).map(|map| map.iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>())
        };
        let may = match (line.exited, line.audience.as_str()) {
            (false, "had") => (vec!["last"], vec!["email"], true),
            (false, "band") => (vec!["age"], vec![], false),
            _ => (vec![], vec![], false),
        };
        let (attributes, channels) = (keys("attributes").unwrap_or_default(), keys("channels").unwrap_or_default());
        assert!(attributes.iter().all(|key| may.0.contains(&key.as_str())), "I2, seed {seed}: {}", line.text);
        assert!(channels.iter().all(|key| may.1.contains(&key.as_str())), "I2, seed {seed}: {}", line.text);
        assert_eq!(event.get("action").is_some(), may.2, "I2, seed {seed}: {}", line.text);
    }
    // I4
    let mut last: BTreeMap<_, &Line> = BTreeMap::new();
    for line in &rig.lines {
        let before = last.insert((line.person, &line.audience), line);
        let (seq, effective) = before.map_or((0, line.effective), |before| (before.seq, before.effective));
        assert!(line.seq == seq + 1 && line.effective >= effective, "I4, seed {seed}: {}", line.text);
        assert!(line.effective <= line.now, "nothing is told ahead of time, seed {seed}: {}", line.text);
        assert_eq!(line.entered, before.is_none_or(|before| before.exited), "in and out by turns, seed {seed}: {}", line.text);
    }
}

/// Release equals the oracle's at every sample, and what was told equals release now.
fn check_release(rig: &Rig, known: &Known, seed: u64) {
    if is_restricted(rig) {
        return;
    }
    let now = rig.now.since(world::start()).0.div_euclid(3_600_000_000);
    // What is past is not kept: evidence is worked out from its record's stamp on.
    let mut hours: Vec<Hour> = samples().into_iter().filter(|hour| *hour > now).collect();
    hours.push(now);
    for (person, name) in PEOPLE.iter().enumerate() {
        for (audience, called) in AUDIENCES.iter().enumerate() {
            let release = release(rig, person, audience);
            for hour in &hours {
                let (engine, naive) = (shown(&release, *hour).is_some(), known.is_member(person, called, *hour));
                let right = if called == &"spread" { !engine || naive } else { engine == naive };
                assert!(right, "seed {seed}: {name} {called} at {}: engine {engine}, oracle {naive}", instant(*hour));
            }
            let Some((member, _)) = rig.members.get(&rig.world.person(name)) else { continue };
            // What is due at this very instant is told by the tick that reaches it.
            if member.awaits() || member.open_group || member.due() <= rig.now {
                continue;
            }
            let told = member.emitted(called).is_some_and(|emitted| emitted.shown.is_some());
            assert_eq!(told, shown(&release, now).is_some(), "seed {seed}: {name} {called} at {}", rig.now);
        }
    }
}

fn agrees_with_the_oracle(world: &World, shape: Shape, seed: u64) {
    let mut dice = Dice::new(seed);
    let records = feed(&mut dice, shape);
    let (mut rig, mut known) = (Rig::new(world), Known::default());
    for record in &records {
        let from = rig.lines.len();
        rig.run(instant(record.at));
        check_events(&rig, &known, from, seed);
        let from = rig.lines.len();
        play(&mut rig, &mut known, record);
        if known.is_contested() {
            // Which of two survivors counts is not the oracle's to say.
            return;
        }
        check_events(&rig, &known, from, seed);
        check_release(&rig, &known, seed);
    }
    let from = rig.lines.len();
    rig.run(instant(HOURS + 2000));
    check_events(&rig, &known, from, seed);
    check_release(&rig, &known, seed);
}

#[test]
fn i1_i2_i4_i6_i9_every_event_and_release_is_what_whole_records_say() {
    let world = world();
    for seed in seeds() {
        agrees_with_the_oracle(&world, PLAIN, seed);
        agrees_with_the_oracle(&world, MOVING, seed);
    }
}

#[test]
fn i1_i4_also_while_persons_are_merged_and_unmerged() {
    let world = world();
    for seed in seeds() {
        agrees_with_the_oracle(&world, MERGING, seed);
    }
}

#[test]
fn i4_also_in_groups() {
    let world = world();
    for seed in seeds() {
        agrees_with_the_oracle(&world, GROUPED, seed);
    }
}

fn incremental_is_recomputed(world: &World, shape: Shape, seed: u64) {
    let mut dice = Dice::new(seed);
    let records = feed(&mut dice, shape);
    let (mut rig, mut known) = (Rig::new(world), Known::default());
    for record in &records {
        play(&mut rig, &mut known, record);
    }
    if is_restricted(&rig) {
        return;
    }
    // Only the newest of each, in any order, all at once.
    let mut newest = known.records();
    dice.shuffle(&mut newest);
    let mut again = Rig::new(world);
    for record in &newest {
        apply(&mut again, &Record { at: HOURS, more: false, ..record.clone() });
    }
    for (person, patient) in PEOPLE.iter().enumerate() {
        for (audience, name) in AUDIENCES.iter().enumerate() {
            let (incremental, replayed) = (release(&rig, person, audience), release(&again, person, audience));
            // The replay's records are all stamped at the end; what was before it is history.
            for hour in samples().into_iter().filter(|hour| *hour >= HOURS) {
                let (one, other) = (shown(&incremental, hour), shown(&replayed, hour));
                assert!(one == other, "I10, seed {seed}: {patient} {name} at {}", instant(hour));
            }
        }
    }
}

#[test]
fn i10_incremental_is_what_a_replay_of_the_newest_gives() {
    let world = world();
    for seed in seeds() {
        incremental_is_recomputed(&world, PLAIN, seed);
        incremental_is_recomputed(&world, MOVING, seed);
        incremental_is_recomputed(&world, MERGING, seed);
        incremental_is_recomputed(&world, GROUPED, seed);
    }
}

/// The feed with something hidden in it.
fn hide(dice: &mut Dice, records: &[Record]) -> Vec<Record> {
    let mut hidden = records.to_vec();
    let place = PEOPLE.len() + dice.below(records.len() - PEOPLE.len());
    if dice.chance(30) {
        let says = dice.pick(&[Says::DeniesTreat, Says::DeniesMarketing, Says::RedactsRestricted]);
        let body = Body { mark: Mark::None, unreadable: dice.chance(30), whose: Whose::Told, what: What::Consent(says) };
        let at = records[place].at;
        let persons = vec![dice.below(PEOPLE.len())];
        hidden.insert(place, Record { at, version: at, kind: Kind::Consent, id: 90, persons, body: Some(body), more: false });
        return hidden;
    }
    let target = &mut hidden[place];
    let body = target.body.as_mut();
    if let Some(body) = body {
        match dice.chance(50) {
            true => body.unreadable = true,
            false => body.mark = Mark::Hiv,
        }
    }
    hidden
}

fn hiding_never_adds(world: &World, shape: Shape, seed: u64) {
    let mut dice = Dice::new(seed);
    let records = feed(&mut dice, shape);
    let hidden = hide(&mut dice, &records);
    let (mut plain, mut less, mut known) = (Rig::new(world), Rig::new(world), Known::default());
    let mut rest = hidden.iter();
    for record in &records {
        play(&mut plain, &mut known, record);
        for other in rest.by_ref() {
            play(&mut less, &mut Known::default(), other);
            if (other.kind, other.id, other.version, other.at) == (record.kind, record.id, record.version, record.at) {
                break;
            }
        }
        for (person, name) in PEOPLE.iter().enumerate() {
            for (audience, called) in AUDIENCES.iter().enumerate() {
                let (hidden, whole) = (release(&less, person, audience), release(&plain, person, audience));
                for hour in samples() {
                    let added = shown(&hidden, hour).is_some() && shown(&whole, hour).is_none();
                    assert!(!added, "I11, seed {seed}: {name} {called} at {}", instant(hour));
                }
            }
        }
    }
}

#[test]
fn i11_hiding_never_adds() {
    let world = world();
    for seed in seeds() {
        hiding_never_adds(&world, PLAIN, seed);
        hiding_never_adds(&world, MOVING, seed);
        hiding_never_adds(&world, MERGING, seed);
    }
}

/// The engine's own room, with its index and timers, without a state ever written.
fn in_the_room(world: &World, records: &[Record]) -> Vec<(String, String)> {
    let keys = Keys::new(b"invented routing");
    let mut room = Room::new(&world.definitions, &keys, &world.member_keys, Vec::new());
    let mut out: Vec<Happening> = Vec::new();
    for record in records {
        apply_in_room(world, &mut room, record, &mut out);
    }
    room.run(instant(HOURS + 2000), &mut out);
    let mut lines: Vec<(String, String)> = out
        .iter()
        .map(|happening| (format!("{:?}", happening.person), sonic_rs::to_string(&happening.told.event).expect("JSON")))
        .collect();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}

pub fn apply_in_room(world: &World, room: &mut Room, record: &Record, out: &mut Vec<Happening>) {
    let now = instant(record.at);
    room.run(now, out);
    let version = Version(instant(record.version).micros());
    if record.body.is_none() {
        let key = world.key(record.kind.name(), &record.id());
        room.unshare(key, Some(version), now, out);
        hear(room, now, Ownership::Delete { resource: key, version: Some(version), stamp: now }, false, out);
        return;
    }
    match world.read(record.json().as_bytes(), now).expect("readable") {
        Reading::Unread => panic!("read by this world"),
        Reading::Nobody { key, version, .. } => {
            let claim = Claim { resource: key, version, stamp: now, persons: smallvec![], asks: None };
            hear(room, now, Ownership::Claim(claim), record.more, out);
        }
        Reading::Unclear { unclear, .. } => hear(room, now, Ownership::Unclear(unclear), record.more, out),
        Reading::Shared { key, shared, .. } => room.share(key, shared, now, out),
        Reading::About { persons, mut put, .. } => {
            put.more = record.more;
            for (person, _) in persons {
                room.put(person, now, Input::Put(put.clone()), out);
            }
        }
    }
}

fn hear(room: &mut Room, now: Instant, heard: Ownership, more: bool, out: &mut Vec<Happening>) {
    for (person, input) in room.owners(heard) {
        room.put(person, now, input.with_more(more), out);
    }
}

fn in_the_rig(world: &World, records: &[Record]) -> Vec<(String, String)> {
    let mut rig = Rig::new(world);
    for record in records {
        rig.run(instant(record.at));
        apply(&mut rig, record);
    }
    rig.run(instant(HOURS + 2000));
    let mut lines: Vec<(String, String)> = rig.lines.into_iter().map(|line| (format!("{:?}", line.person), line.json)).collect();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}

/// What a partition hears besides records.
#[derive(Debug, Clone, Copy)]
enum Control {
    Hold(bool),
    /// The source of consents has proved itself up to now.
    Watermark,
}

/// Holds and watermarks now and then; at the end neither is in the way.
fn controls(dice: &mut Dice) -> Vec<(Hour, Control)> {
    let mut out = vec![(0, Control::Watermark)];
    let (mut now, mut held) = (0, false);
    while now < HOURS {
        now += 1 + dice.below(24 * 6) as Hour;
        held ^= dice.chance(40);
        out.push((now, if dice.chance(50) { Control::Watermark } else { Control::Hold(held) }));
    }
    out.extend([(now + 1, Control::Hold(false)), (now + 2, Control::Watermark)]);
    out
}

fn watched(on_stale: OnStale) -> World {
    let mut world = world();
    world.definitions.policy.feed = Feed { stale_after: Span::days(5), on_stale };
    world
}

/// The rig, hour by hour, with its own idea of freshness. Checks I1 after each of its steps.
fn watched_rig(world: &World, records: &[Record], controls: &[(Hour, Control)], seed: u64) -> Vec<(String, String)> {
    let (mut rig, mut known) = (Rig::new(world), Known::default());
    rig.fresh_until = Instant::BEGIN.plus(Span::days(5));
    let mut controls = controls.iter().peekable();
    let (end, mut records) = (controls.clone().next_back().expect("a last one").0, records.iter().peekable());
    for hour in 0..=end {
        let from = rig.lines.len();
        rig.run(instant(hour));
        check_watched(&rig, &known, from, seed);
        while let Some((_, control)) = controls.next_if(|(at, _)| *at == hour) {
            let from = rig.lines.len();
            rig.now = instant(hour);
            match control {
                Control::Hold(hold) => {
                    if std::mem::replace(&mut rig.hold, *hold) && !hold {
                        rig.review();
                    }
                }
                Control::Watermark => {
                    rig.fresh_until = instant(hour).plus(Span::days(5));
                    rig.review();
                }
            }
            check_watched(&rig, &known, from, seed);
        }
        while let Some(record) = records.next_if(|record| record.at == hour) {
            let from = rig.lines.len();
            apply(&mut rig, record);
            known.hear(record);
            check_watched(&rig, &known, from, seed);
        }
    }
    check_release(&rig, &known, seed);
    rig.lines.into_iter().map(|line| (format!("{:?}", line.person), line.json)).collect()
}

fn check_watched(rig: &Rig, known: &Known, from: usize, seed: u64) {
    check_events(rig, known, from, seed);
    for line in &rig.lines[from..] {
        assert!(line.exited || !rig.hold && line.now < rig.fresh_until, "I1, seed {seed}: {}", line.text);
    }
    if rig.now <= rig.fresh_until {
        // What is due at this very instant is told by whoever reaches it.
        return;
    }
    for emitted in rig.members.values().flat_map(|(member, _)| &member.emitted).map(|(_, emitted)| emitted) {
        let may_be_told = match rig.world.definitions.policy.feed.on_stale {
            OnStale::Lease => emitted.until > rig.now || emitted.due <= rig.now,
            OnStale::ExitNow => false,
        };
        assert!(emitted.shown.is_none() || may_be_told, "told of a member though the feed is stale, seed {seed} at {}", rig.now);
    }
}

fn watched_room(world: &World, records: &[Record], controls: &[(Hour, Control)]) -> Vec<(String, String)> {
    let keys = Keys::new(b"invented routing");
    let mut room = Room::new(&world.definitions, &keys, &world.member_keys, Vec::new());
    room.await_watermarks(vec!["consents".to_owned()]);
    let mut out: Vec<Happening> = Vec::new();
    let mut records = records.iter().peekable();
    for (hour, control) in controls {
        while let Some(record) = records.next_if(|record| record.at < *hour) {
            apply_in_room(world, &mut room, record, &mut out);
        }
        let now = instant(*hour);
        room.run(now, &mut out);
        match control {
            Control::Hold(hold) => room.hold(*hold, now, &mut out),
            Control::Watermark => room.watermark(Watermark { source: "consents".to_owned(), complete_to: now }, now, &mut out),
        }
    }
    out.iter().map(|happening| (format!("{:?}", happening.person), sonic_rs::to_string(&happening.told.event).expect("JSON"))).collect()
}

#[test]
fn i1_i5_holds_and_stale_feeds_let_only_exits_pass_and_lose_nothing() {
    for seed in seeds() {
        for on_stale in [OnStale::Lease, OnStale::ExitNow] {
            let world = watched(on_stale);
            let mut dice = Dice::new(seed);
            let (records, controls) = (feed(&mut dice, MOVING), controls(&mut dice));
            let (rig, room) = (watched_rig(&world, &records, &controls, seed), watched_room(&world, &records, &controls));
            assert!(!rig.is_empty(), "something happened, seed {seed}");
            for person in PEOPLE {
                assert!(of_person(&world, &rig, person) == of_person(&world, &room, person), "I5, seed {seed}, {on_stale:?}: {person}");
            }
        }
    }
}

/// What left of one person, sorted: within one instant only a person's own order counts.
fn of_person(world: &World, lines: &[(String, String)], person: &str) -> Vec<String> {
    let person = format!("{:?}", world.person(person));
    let mut own: Vec<String> = lines.iter().filter(|(whose, _)| *whose == person).map(|(_, json)| json.clone()).collect();
    own.sort();
    own
}

#[test]
fn i5_restarts_and_timers_change_no_byte() {
    let world = world();
    for seed in seeds() {
        for shape in [PLAIN, MOVING, GROUPED, MERGING] {
            let records = feed(&mut Dice::new(seed), shape);
            let (rig, room) = (in_the_rig(&world, &records), in_the_room(&world, &records));
            for person in PEOPLE {
                assert!(of_person(&world, &rig, person) == of_person(&world, &room, person), "I5, seed {seed}, {shape:?}");
            }
        }
    }
}

#[test]
fn i5_the_records_of_other_persons_change_no_byte() {
    let world = world();
    for seed in seeds() {
        let records = feed(&mut Dice::new(seed), PLAIN);
        let together = in_the_rig(&world, &records);
        for (place, name) in PEOPLE.iter().enumerate() {
            let own: Vec<Record> = records.iter().filter(|record| is_about(record, place, &records)).cloned().collect();
            let person = format!("{:?}", world.person(name));
            let theirs: Vec<&(String, String)> = together.iter().filter(|(whose, _)| *whose == person).collect();
            let alone = in_the_rig(&world, &own);
            assert!(theirs == alone.iter().collect::<Vec<_>>(), "I5, seed {seed}: {name}");
        }
    }
}

/// Of this person, or of all: a Medication. A delete belongs to whom the resource belonged.
fn is_about(record: &Record, person: usize, all: &[Record]) -> bool {
    let belongs = |record: &Record| record.persons.contains(&person) || record.kind == Kind::Medication;
    belongs(record) || all.iter().any(|other| (other.kind, other.id) == (record.kind, record.id) && belongs(other))
}
