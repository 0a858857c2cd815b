//! A whole landing log worked off in memory: members, timers, owners and messages of one process.
//!
//! In: inputs with their stamps, in order. Out: what each step brings about. `simulate`, `test` and the property tests
//! drive it; the running bridge has the same steps with a store and a log around them.

use super::release::Setting;
use super::step::{Moment, step};
use super::{
    Adopt, Baseline, Broadcast, ContactPreference, Fact, Former, Input, Member, Message, OptOuts, Owner, Ownership, Partition, Shared,
    Told, Versions, Watermark,
};
use crate::audience::Definitions;
use crate::consent::OnStale;
use crate::fhir::Version;
use crate::gate::MemberKey;
use crate::key::{Keys, Person, ResourceKey, Spread};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Orders to stop an audience stand in landing; a rehearsal has none.
static NONE_STOPPED: BTreeSet<String> = BTreeSet::new();

pub struct Room<'a> {
    definitions: &'a Definitions,
    keys: &'a Keys,
    member_keys: &'a [MemberKey],
    members: HashMap<Person, (Member, Versions), Spread>,
    broadcast: Broadcast,
    /// Who refers to a broadcast resource.
    referring: HashMap<ResourceKey, BTreeSet<Person>, Spread>,
    /// Who has a contact, by its bucket.
    holding: BTreeSet<(u64, Person)>,
    owners: HashMap<ResourceKey, Owner, Spread>,
    timers: BTreeSet<(Instant, Person)>,
    due: HashMap<Person, Instant, Spread>,
    partition: Partition,
    sources: Vec<String>,
    /// Sources of consents that have to prove that they delivered all.
    proving: Vec<String>,
    /// By audience.
    silent: Vec<bool>,
    hold: bool,
    fresh_until: Instant,
    /// The end of freshness that all members have heard of.
    stale_since: Option<Instant>,
    now: Instant,
    pub facts: BTreeMap<&'static str, u64>,
}

/// An event and whose it is.
pub struct Happening {
    pub person: Person,
    pub told: Told,
}

impl<'a> Room<'a> {
    /// `sources`: those whose baseline every audience waits for.
    pub fn new(definitions: &'a Definitions, keys: &'a Keys, member_keys: &'a [MemberKey], sources: Vec<String>) -> Room<'a> {
        Room {
            definitions,
            keys,
            member_keys,
            members: HashMap::default(),
            broadcast: Broadcast::default(),
            referring: HashMap::default(),
            holding: BTreeSet::new(),
            owners: HashMap::default(),
            timers: BTreeSet::new(),
            due: HashMap::default(),
            partition: Partition::default(),
            silent: vec![!sources.is_empty(); definitions.catalogue.audiences.len()],
            sources,
            proving: Vec::new(),
            hold: false,
            fresh_until: Instant::END,
            stale_since: None,
            now: Instant::BEGIN,
            facts: BTreeMap::new(),
        }
    }

    pub fn members(&self) -> impl Iterator<Item = (&Person, &(Member, Versions))> {
        self.members.iter()
    }

    /// One input, at its stamp. Timers due before it have fired ([`Room::run`] fires them).
    pub fn put(&mut self, person: Person, now: Instant, input: Input, out: &mut Vec<Happening>) {
        self.now = self.now.max(now);
        let mut queue = VecDeque::from([(person, input)]);
        while let Some((person, input)) = queue.pop_front() {
            self.one(person, input, out, &mut queue);
        }
    }

    fn one(&mut self, person: Person, input: Input, out: &mut Vec<Happening>, queue: &mut VecDeque<(Person, Input)>) {
        let moment = Moment { now: self.now, hold: self.hold, silent: &self.silent, fresh_until: self.fresh_until };
        let setting = Setting {
            definitions: self.definitions,
            keys: self.keys,
            member_keys: self.member_keys,
            broadcast: &self.broadcast,
            stopped: &NONE_STOPPED,
        };
        let (member, versions) = self.members.entry(person).or_default();
        // What is among the member's own resources is no broadcast resource.
        for key in input.refers_to().into_iter().filter(|key| !versions.knows(*key)) {
            self.referring.entry(key).or_default().insert(person);
        }
        let before = input.may_move_contacts().then(|| member.buckets());
        let step = step(&setting, person, member, versions, &moment, input);
        if let Some(before) = before {
            let after = member.buckets();
            before.iter().for_each(|bucket| _ = self.holding.remove(&(*bucket, person)));
            self.holding.extend(after.into_iter().map(|bucket| (bucket, person)));
        }
        let due = if member.open_group { self.now } else { member.due() };
        self.set_timer(person, due);
        for fact in step.facts {
            *self.facts.entry(fact.name()).or_default() += 1;
        }
        out.extend(step.told.into_iter().map(|told| Happening { person, told }));
        queue.extend(step.messages.into_iter().map(|(to, message): (Person, Message)| (to, Input::Message(Box::new(message)))));
        for claim in step.claims {
            queue.extend(self.owners(claim));
        }
        queue.extend(step.erased.into_iter().flat_map(|erased| erased.merged).map(|person| (person, Input::Erase)));
    }

    fn set_timer(&mut self, person: Person, due: Instant) {
        let before = self.due.insert(person, due).unwrap_or(Instant::END);
        if before != due {
            self.timers.remove(&(before, person));
            if due != Instant::END {
                self.timers.insert((due, person));
            }
        }
    }

    /// A delete names no patient, nor does a version about nobody: the owners know whose the resource was. What each of
    /// them has to do.
    pub fn owners(&mut self, heard: Ownership) -> Vec<(Person, Input)> {
        self.owners.entry(heard.resource()).or_default().hear(heard)
    }

    /// A broadcast resource; those who refer to it look again.
    pub fn share(&mut self, key: ResourceKey, shared: Shared, now: Instant, out: &mut Vec<Happening>) {
        let deleted = self.owners.get(&key).is_some_and(|owner| owner.is_deleted(shared.version, shared.stamp));
        if self.broadcast.put(key, Shared { deleted, ..shared }) {
            self.review(key, now, out);
        }
    }

    /// A delete, if it is of a broadcast resource.
    pub fn unshare(&mut self, key: ResourceKey, version: Option<Version>, now: Instant, out: &mut Vec<Happening>) {
        if self.broadcast.delete(key, version, now) {
            self.review(key, now, out);
        }
    }

    /// A report of a contact; those who have it look again.
    pub fn contact(&mut self, report: &ContactPreference, now: Instant, out: &mut Vec<Happening>) {
        self.now = self.now.max(now);
        if !self.broadcast.opt_outs.hear(report, self.now) {
            return;
        }
        let of = |bucket: u64| (bucket, Person::from_bytes([0; 16]))..=(bucket, Person::from_bytes([0xff; 16]));
        let persons = OptOuts::buckets_of(&report.contact).into_iter().flat_map(|bucket| self.holding.range(of(bucket)));
        let persons: BTreeSet<Person> = persons.map(|(_, person)| *person).collect();
        for person in persons {
            self.put(person, now, Input::Review, out);
        }
    }

    fn review(&mut self, key: ResourceKey, now: Instant, out: &mut Vec<Happening>) {
        // By what is on file now: whoever did so once is among them.
        let refers = |person: &Person| self.members.get(person).is_some_and(|(member, _)| member.refers_to(key));
        let referring: Vec<Person> = self.referring.get(&key).into_iter().flatten().copied().filter(refers).collect();
        for person in referring {
            self.put(person, now, Input::Review, out);
        }
    }

    /// The source's first pass is complete: what waited for it is told.
    pub fn baseline(&mut self, source: &str, now: Instant, out: &mut Vec<Happening>) {
        self.partition.baseline(Baseline { source: source.to_owned() });
        let silent = self.partition.is_silent(self.sources.iter().map(String::as_str));
        self.silent.fill(silent);
        self.review_those(now, &|_| true, out);
    }

    /// From now on these sources have to prove, by watermarks, that they delivered all.
    pub fn await_watermarks(&mut self, sources: Vec<String>) {
        self.proving = sources;
        self.freshen();
    }

    /// A source of consents has proved itself: where the feed is fresh again, what waited for that is told.
    pub fn watermark(&mut self, watermark: Watermark, now: Instant, out: &mut Vec<Happening>) {
        self.now = self.now.max(now);
        let was_stale = self.now >= self.fresh_until;
        self.partition.watermark(watermark);
        self.freshen();
        if was_stale && self.now < self.fresh_until {
            self.review_those(now, &waits, out);
        }
    }

    fn freshen(&mut self) {
        let stale_after = self.definitions.policy.feed.stale_after;
        self.fresh_until = self.partition.fresh_until(self.proving.iter().map(String::as_str), stale_after);
    }

    /// The partition is behind, or no longer: at the end of the backlog what waited for it is told.
    pub fn hold(&mut self, hold: bool, now: Instant, out: &mut Vec<Happening>) {
        if std::mem::replace(&mut self.hold, hold) && !hold {
            self.review_those(now, &waits, out);
        }
    }

    fn review_those(&mut self, now: Instant, which: &dyn Fn(&Member) -> bool, out: &mut Vec<Happening>) {
        let those = self.members.iter().filter(|(_, (member, _))| which(member));
        let mut persons: Vec<Person> = those.map(|(person, _)| *person).collect();
        persons.sort_unstable();
        for person in persons {
            self.put(person, now, Input::Review, out);
        }
    }

    /// The cut-over to new definitions: `fresh` has worked off the same feed under them.
    pub fn adopt(&mut self, fresh: Room<'a>, now: Instant, out: &mut Vec<Happening>) {
        let former = Former::all(self.definitions, self.member_keys);
        (self.definitions, self.member_keys) = (fresh.definitions, fresh.member_keys);
        (self.broadcast, self.referring, self.owners) = (fresh.broadcast, fresh.referring, fresh.owners);
        self.holding = fresh.holding;
        let silent = self.partition.is_silent(self.sources.iter().map(String::as_str));
        self.silent = vec![silent; self.definitions.catalogue.audiences.len()];
        self.freshen();
        let mut made: BTreeMap<Person, (Member, Versions)> = fresh.members.into_iter().collect();
        // One of whom nothing is read any more is adopted, too: empty.
        self.members.keys().for_each(|person| _ = made.entry(*person).or_default());
        for (person, (member, versions)) in made {
            let adopt = Adopt { member, versions, former: former.clone() };
            self.put(person, now, Input::Adopt(Box::new(adopt)), out);
        }
    }

    /// Lets time run up to, not including, `until`: each timer fires at its own instant.
    pub fn run(&mut self, until: Instant, out: &mut Vec<Happening>) {
        loop {
            let timer = self.timers.first().copied().filter(|(at, _)| *at < until);
            if self.fresh_until < until && self.goes_stale(timer.map_or(until, |(at, _)| at)) {
                self.stale_since = Some(self.fresh_until);
                self.review_those(self.fresh_until, &is_told, out);
                continue;
            }
            let Some((at, person)) = timer else { return };
            self.put(person, at, Input::Tick, out);
            // A step that leaves its own timer due would never end.
            if self.timers.contains(&(at, person)) {
                self.set_timer(person, at.max(self.now).tick());
            }
        }
    }

    /// Whether members have to leave because the feed goes stale no later than `next`. One instant for all: a timer of
    /// each member's own would have to move with every watermark.
    fn goes_stale(&self, next: Instant) -> bool {
        let exits = self.definitions.policy.feed.on_stale == OnStale::ExitNow;
        exits && self.fresh_until <= next && self.stale_since != Some(self.fresh_until)
    }
}

fn waits(member: &Member) -> bool {
    member.emitted.iter().any(|(_, emitted)| emitted.waiting.is_some())
}

fn is_told(member: &Member) -> bool {
    member.emitted.iter().any(|(_, emitted)| emitted.shown.is_some())
}

impl Fact {
    pub const fn name(self) -> &'static str {
        match self {
            Fact::Stale => "stale versions",
            Fact::StaleRestriction => "gates closed by a stale consent",
            Fact::Denied => "transitions refused by the gate",
            Fact::NoIdentity => "entries that lack the identifier their recipient asks for",
            Fact::MergeCycle => "merges that lead in a circle",
            Fact::HandedOver => "hand-overs",
        }
    }
}
