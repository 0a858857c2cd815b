//! What must hold of everything that left, by the numbers of the invariants.
//!
//! In: the audience topics, the oracle. Out: the first thing that is wrong. Never here: how it came about.

use super::bench::{Bench, at};
use super::naive::Known;
use super::tape::Records;
use super::world::{AUDIENCES, PEOPLE, SPOILT, patient_id};
use anyhow::{Context, ensure};
use footbridge::log::{Kind, OutTopic};
use footbridge_core::time::{Instant, Span};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub struct Checks {
    /// Place in `PEOPLE` by member id.
    people: BTreeMap<String, usize>,
    /// Read so far, by audience.
    next: BTreeMap<&'static str, u64>,
    ids: BTreeSet<String>,
    last: BTreeMap<(usize, &'static str), Last>,
    told: usize,
    /// The source proves itself, and whether members leave at once when it does not.
    exit_now: Option<bool>,
    /// Each event is told as it is read, for a reader of one seed.
    pub tells: bool,
    pub complete_to: Option<Instant>,
    pub marked: bool,
    /// Whoever was erased once.
    erased: BTreeSet<usize>,
    /// Whoever was erased at rest since the last look.
    leaving: BTreeSet<usize>,
    /// The newest record of the member is a tombstone.
    removed: BTreeSet<(usize, &'static str)>,
}

/// The newest event of a member in an audience.
struct Last {
    seq: u64,
    effective: Instant,
    until: Option<Instant>,
    inside: bool,
    event: Value,
}

enum Read {
    Told(Telling),
    Removed { person: usize, audience: &'static str },
}

struct Telling {
    person: usize,
    audience: &'static str,
    id: String,
    event: Value,
    effective: Instant,
    inside: bool,
}

impl Checks {
    pub fn new(bench: &Bench, exit_now: Option<bool>) -> Checks {
        let namespace = &bench.intake.sources[0].namespace;
        let member =
            |person: usize| bench.bridge.library.in_force().member_keys[0].member(bench.bridge.keys.person(namespace, &patient_id(person)));
        Checks {
            people: (0..PEOPLE).map(|person| (member(person), person)).collect(),
            next: BTreeMap::new(),
            ids: BTreeSet::new(),
            last: BTreeMap::new(),
            told: 0,
            exit_now,
            tells: false,
            complete_to: None,
            marked: false,
            erased: BTreeSet::new(),
            leaving: BTreeSet::new(),
            removed: BTreeSet::new(),
        }
    }

    /// What was not read before.
    fn unread(&self, bench: &Bench) -> anyhow::Result<Vec<Read>> {
        let mut all = Vec::new();
        for audience in AUDIENCES {
            let next = self.next.get(audience).copied().unwrap_or(0);
            for stored in bench.log.outputs(&OutTopic::Audience(audience.into()), next, usize::MAX).list {
                let member = String::from_utf8(stored.key).context("a member id is text")?;
                let person = *self.people.get(&member).context("an event of nobody whom the world knows")?;
                let Some(value) = stored.value else {
                    all.push(Read::Removed { person, audience });
                    continue;
                };
                let event: Value = serde_json::from_slice(&value)?;
                let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                ensure!(text("member") == member && text("audience") == audience, "I7: an event under another key or topic");
                let id = stored.headers.iter().find(|(name, _)| name == "ce_id").map(|(_, id)| id.clone()).context("no ce_id")?;
                let (effective, inside) = (at(&text("effective")), text("status") != "exited");
                all.push(Read::Told(Telling { person, audience, id, effective, inside, event }));
            }
        }
        Ok(all)
    }

    fn unread_events(&self, bench: &Bench) -> anyhow::Result<Vec<Telling>> {
        let told = |read| match read {
            Read::Told(told) => Some(told),
            Read::Removed { .. } => None,
        };
        Ok(self.unread(bench)?.into_iter().filter_map(told).collect())
    }

    fn fresh_until(&self) -> Instant {
        match (self.exit_now, self.complete_to) {
            (None, _) => Instant::END,
            (Some(_), None) => Instant::BEGIN,
            (Some(_), Some(complete_to)) => complete_to.plus(Span::days(5)),
        }
    }

    /// All new events. `since`: what the oracle knew at any instant since the last look; `strict`: it knew all there was to know.
    pub fn events(&mut self, bench: &Bench, since: &[Known], strict: bool, now: Instant) -> anyhow::Result<()> {
        for read in self.unread(bench)? {
            let Telling { person, audience, id, event, effective, inside } = match read {
                Read::Told(told) => told,
                Read::Removed { person, audience } => {
                    self.remove(person, audience)?;
                    continue;
                }
            };
            let what = || format!("p{person} {audience} {event}");
            if self.tells {
                eprintln!("    {}", what());
            }
            *self.next.entry(audience).or_default() += 1;
            self.told += 1;
            ensure!(self.ids.insert(id), "I3: a ce_id twice: {}", what());
            ensure!(effective <= now, "I1: ahead of time: {}", what());
            let seq = event["seq"].as_u64().context("a seq")?;
            let before = self.last.get(&(person, audience));
            let (seq_before, effective_before, was_inside) =
                before.map_or((0, effective, false), |last| (last.seq, last.effective, last.inside));
            ensure!(seq == seq_before + 1, "I4: seq {seq} after {seq_before}: {}", what());
            ensure!(effective >= effective_before, "I4: effective goes back: {}", what());
            ensure!((event["status"] == "entered") != was_inside, "I4: in and out by turns: {}", what());
            if inside {
                let allowed = |known: &Known| match strict && !known.is_contested() {
                    true => known.is_member(person, audience, effective),
                    false => known.permits(person, audience) || known.is_contested() || known.is_merged(person),
                };
                ensure!(since.iter().any(allowed), "I1: the oracle knows of no permit (strict: {strict}): {}", what());
                ensure!(self.marked, "a first load sends no reminder: {}", what());
                ensure!(effective < self.fresh_until(), "I9: told on a stale feed: {}", what());
            }
            let erased = event["reason"] == "erased";
            ensure!(!erased || self.erased.contains(&person), "told of an erasure that nobody asked for: {}", what());
            ensure!(erased || inside || !self.leaving.contains(&person), "left for another reason than the erasure: {}", what());
            self.removed.remove(&(person, audience));
            fields(&event, audience, inside).with_context(what)?;
            let until = event["until"].as_str().map(at);
            ensure!(until.is_some() == inside, "a membership has an end, and an exit none: {}", what());
            self.last.insert((person, audience), Last { seq, effective, until, inside, event });
        }
        for person in std::mem::take(&mut self.leaving) {
            let told = self.last.keys().filter(|(of, audience)| *of == person && self.has_audience(audience, since));
            if let Some((_, audience)) = told.clone().find(|member| !self.removed.contains(member)) {
                anyhow::bail!("p{person} was erased, and stands in the topic of {audience}");
            }
        }
        let disclosed = bench.log.outputs(&OutTopic::Disclosures, 0, usize::MAX).list.len();
        ensure!(disclosed == self.told, "I3: {disclosed} disclosures of {} events", self.told);
        Ok(())
    }

    /// Of these two one is there at a time, and only what is there gets a tombstone.
    fn has_audience(&self, audience: &str, since: &[Known]) -> bool {
        since.iter().all(|known| audience != if known.variant.drug { "medicated" } else { "drug" })
    }

    /// `at_rest`: all before it is decided, and nothing else is brought in until it is done.
    pub fn erase(&mut self, gone: &BTreeSet<usize>, at_rest: bool) {
        self.erased.extend(gone);
        if at_rest {
            self.leaving.extend(gone);
        }
    }

    fn remove(&mut self, person: usize, audience: &'static str) -> anyhow::Result<()> {
        *self.next.entry(audience).or_default() += 1;
        ensure!(self.erased.contains(&person), "a tombstone of p{person} in {audience}, whom nobody erased");
        let last = self.last.get(&(person, audience));
        ensure!(last.is_some_and(|last| !last.inside), "a tombstone of p{person} in {audience} without an exit before it");
        self.removed.insert((person, audience));
        Ok(())
    }

    /// At rest: who is in is who the oracle says is in, with the fields that the oracle knows.
    pub fn rest(&self, known: &Known, now: Instant) -> anyhow::Result<()> {
        if known.is_contested() {
            return Ok(());
        }
        let stale = now >= self.fresh_until();
        for person in 0..PEOPLE {
            for audience in AUDIENCES {
                let last = self.last.get(&(person, audience)).filter(|last| last.inside);
                let (told, member) = (last.is_some(), known.is_member(person, audience, now));
                ensure!(!told || member, "at {now} p{person} is in {audience}, and should not be");
                let may_be_out = stale || !self.marked || known.may_be_closed(person);
                ensure!(told || !member || may_be_out, "at {now} p{person} is not in {audience}, and should be");
                let Some(last) = last else { continue };
                ensure!(last.until > Some(now), "at {now} p{person} is in {audience} beyond the lease");
                ensure!(!stale || self.exit_now == Some(false), "at {now} p{person} is in {audience} though the feed is stale");
                if stale {
                    continue;
                }
                let (attribute, expected) = match audience {
                    "had" => ("last", known.last(person)),
                    "band" => ("age", known.age_band(person).map(str::to_owned)),
                    _ => continue,
                };
                let found = last.event["attributes"][attribute].as_str().map(str::to_owned);
                ensure!(found == expected, "at {now} p{person} in {audience}: {attribute} is {found:?}, not {expected:?}");
            }
        }
        Ok(())
    }

    /// After a backlog that reached nobody by a detour: entries and updates are what is true at its end.
    pub fn only(&self, bench: &Bench, known: &Known) -> anyhow::Result<()> {
        for read in self.unread_events(bench)?.iter().filter(|read| read.inside) {
            let right = known.permits(read.person, read.audience);
            ensure!(right, "I1: told while its revocation lay unread: p{} {} {}", read.person, read.audience, read.event);
        }
        Ok(())
    }

    /// Nothing that is unread claims to be later than this.
    pub fn none_after(&self, bench: &Bench, now: Instant) -> anyhow::Result<()> {
        for read in self.unread_events(bench)? {
            ensure!(read.effective <= now, "told ahead of the clock: p{} {} {}", read.person, read.audience, read.event);
        }
        Ok(())
    }

    /// I6: each record that cannot be read, once, but for those that were sent again. How many.
    pub fn quarantine(&self, bench: &Bench, tape: &Records) -> anyhow::Result<usize> {
        let spoilt = |value: &[u8]| value.windows(SPOILT.len()).any(|part| part == SPOILT.as_bytes());
        let unreadable: BTreeSet<String> = tape
            .values()
            .filter(|record| record.kind == Kind::Put && spoilt(record.value()))
            // All partitions have a broadcast resource; one of them reports it.
            .filter(|record| record.resource_type() != "Medication" || record.place.partition == 0)
            .map(|record| format!("{}/{}", record.place, record.offset))
            .collect();
        let again = tape.values().filter(|record| record.kind == Kind::Retry);
        let again: BTreeSet<String> = again.map(|record| String::from_utf8_lossy(record.value()).into_owned()).collect();
        let expected: BTreeSet<String> = unreadable.difference(&again).cloned().collect();
        let found = bench.log.outputs(&OutTopic::Quarantine, 0, usize::MAX).list;
        let keys: BTreeSet<String> = found.iter().map(|stored| String::from_utf8_lossy(&stored.key).into_owned()).collect();
        ensure!(keys == expected, "I6: in quarantine {keys:?}, unreadable {expected:?}");
        // An offset counts all that ever came.
        let came = found.iter().map(|stored| stored.offset + 1).max().unwrap_or(0);
        ensure!(came <= unreadable.len() as u64, "I6: {} records were unreadable, and {came} came", unreadable.len());
        Ok(found.len())
    }
}

/// I2: nothing but what the definition releases.
fn fields(event: &Value, audience: &str, inside: bool) -> anyhow::Result<()> {
    let names = |of: &str| event[of].as_object().map_or_else(Vec::new, |map| map.keys().map(String::as_str).collect::<Vec<_>>());
    let (attributes, channels, action): (&[&str], &[&str], bool) = match (inside, audience) {
        (true, "had") => (&["last"], &["email"], true),
        (true, "band") => (&["age"], &[], false),
        _ => (&[], &[], false),
    };
    ensure!(names("attributes").iter().all(|name| attributes.contains(name)), "I2: attributes");
    ensure!(names("channels").iter().all(|name| channels.contains(name)), "I2: channels");
    ensure!(event.get("action").is_some() == action, "I2: action");
    Ok(())
}
