//! A shard: the members of one landing partition, and the order in which things happen to them.
//!
//! In: landing records, the end of the log, slices of time to work in. Out: what is staged for the next commit.
//! Never here: a clock of its own; `now` moves with the stamps of records only.

use super::holders::Holders;
use super::members::{Members, One, head_of};
use super::position::{self, Position};
use super::timers::Timers;
use super::{Bridge, Stage, outputs};
use crate::log::{Kind, Log, LogError, Place, Record, StateChange};
use crate::observe::Standing;
use crate::source::landing::{self, Note, Told};
use footbridge_core::audience::Evidence;
use footbridge_core::consent::OnStale;
use footbridge_core::fhir::{self, BundleLinks, Unreadable};
use footbridge_core::key::{Person, ResourceKey, Spread};
use footbridge_core::shard::{
    Baseline, Broadcast, Input, Moment, OptOut, OptOuts, Origin, Ownership, Reading, Setting, Shared, Watermark, step,
};
use footbridge_core::time::Instant;
use std::collections::{BTreeSet, HashMap};

pub struct Shard {
    place: Place,
    position: Position,
    /// The next offset to be read.
    next: u64,
    members: Members,
    /// Members with any state.
    known: u64,
    timers: Timers,
    /// Members with an open group: the next tick ends it.
    open: BTreeSet<Person>,
    /// Members for whom something is true that may not be told yet.
    waiting: BTreeSet<Person>,
    /// Members who are in some audience, where all have to leave once the feed is stale; else empty.
    told: BTreeSet<Person>,
    /// Members to be compared again, for what they waited for has come, as of `position.reviewed_at`.
    reviews: BTreeSet<Person>,
    broadcast: Broadcast,
    /// Who refers to a broadcast resource.
    referring: HashMap<ResourceKey, BTreeSet<Person>, Spread>,
    holders: Holders,
    state: Vec<StateChange>,
    /// By audience.
    silent: Vec<bool>,
    fresh_until: Instant,
    /// All records have been read.
    drained: bool,
    /// A tick is on its way.
    tick_sent: bool,
    moved: bool,
}

const BROADCAST: u8 = b'b';
const REFERRING: u8 = b'r';
const HOLD: u8 = b'h';
/// Timers of a partition that are counted after each commit: beyond that there are "many".
const DUE_COUNTED_MAX: usize = 1000;
const OPT_OUTS: u8 = b'o';

fn exits_when_stale(bridge: &Bridge) -> bool {
    bridge.definitions.policy.feed.on_stale == OnStale::ExitNow
}

impl Shard {
    /// As the log kept it.
    pub fn restore(bridge: &Bridge, log: &impl Log, place: Place, next: u64) -> Result<Shard, LogError> {
        let position = match log.get(place, position::KEY)? {
            Some(bytes) => Position::decode(place, &bytes)?,
            None => Position::default(),
        };
        let mut shard = Shard {
            place,
            next,
            members: Members::new(place, bridge.settings.members_max),
            known: 0,
            timers: Timers::default(),
            open: BTreeSet::new(),
            waiting: BTreeSet::new(),
            told: BTreeSet::new(),
            reviews: BTreeSet::new(),
            broadcast: Broadcast::default(),
            referring: HashMap::default(),
            holders: Holders::new(place),
            state: Vec::new(),
            silent: Vec::new(),
            fresh_until: Instant::END,
            drained: false,
            tick_sent: false,
            moved: false,
            position,
        };
        Members::heads(log, place, &mut |person, head| {
            shard.known += 1;
            shard.timers.set(person, head.due);
            if head.open {
                shard.open.insert(person);
            }
            if head.waits {
                shard.waiting.insert(person);
            }
            if head.told && exits_when_stale(bridge) {
                shard.told.insert(person);
            }
        })?;
        shard.timers.restore(shard.position.reached.clone());
        let mut broken = false;
        log.scan(place, &[BROADCAST], &mut |key, value| {
            let key = key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
            match (key, postcard::from_bytes::<Shared>(value)) {
                (Some(key), Ok(shared)) => shard.broadcast.restore(ResourceKey::from_u64(key), shared),
                _ => broken = true,
            }
        })?;
        log.scan(place, &[OPT_OUTS], &mut |key, value| {
            let bucket = key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
            match (bucket, postcard::from_bytes::<Vec<OptOut>>(value)) {
                (Some(bucket), Ok(list)) => shard.broadcast.opt_outs.restore(bucket, list),
                _ => broken = true,
            }
        })?;
        log.scan(place, &[REFERRING], &mut |key, _| {
            let resource = key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
            let person = key.get(9..25).and_then(|bytes| bytes.try_into().ok()).map(Person::from_bytes);
            match (resource, person) {
                (Some(resource), Some(person)) => _ = shard.referring.entry(ResourceKey::from_u64(resource)).or_default().insert(person),
                _ => broken = true,
            }
        })?;
        if broken {
            return Err(LogError::damaged(place, "what the partition shares cannot be read"));
        }
        shard.listen(bridge);
        // Of a review that was not finished nobody knows how far it came; looking twice tells nothing twice.
        if let Some(at) = shard.position.reviewed_at {
            shard.reviews = shard.waiting.clone();
            if shard.position.stale_since == Some(shard.fresh_until) && at >= shard.fresh_until {
                shard.reviews.extend(&shard.told);
            }
        }
        Ok(shard)
    }

    /// Works out anew what baselines and watermarks allow.
    fn listen(&mut self, bridge: &Bridge) {
        let marked = bridge.feeds.iter().filter(|feed| feed.marked).map(|feed| feed.source.name.as_str());
        let silent = self.position.heard.is_silent(marked);
        self.silent = vec![silent; bridge.definitions.catalogue.audiences.len()];
        let proves = bridge.feeds.iter().filter(|feed| feed.proves).map(|feed| feed.source.name.as_str());
        self.fresh_until = self.position.heard.fresh_until(proves, bridge.definitions.policy.feed.stale_after);
    }

    pub fn standing(&self) -> Standing {
        Standing {
            members: self.known,
            in_memory: self.members.in_memory() as u64,
            due: (self.timers.due(DUE_COUNTED_MAX) + self.reviews.len()) as u64,
            looks: self.members.looks,
            loads: self.members.loads,
        }
    }

    pub fn holds(&self) -> bool {
        self.position.hold_from.is_some()
    }

    /// When time alone may change something next; [`Instant::BEGIN`] where a tick is wanted at once.
    pub fn due(&self) -> Instant {
        if self.open.is_empty() { self.timers.next().min(self.goes_stale_at()) } else { Instant::BEGIN }
    }

    /// When members have to leave because the feed is stale: one instant for all, since a timer of each member's own would
    /// have to move with every watermark.
    fn goes_stale_at(&self) -> Instant {
        let heard = self.told.is_empty() || self.position.stale_since == Some(self.fresh_until);
        if heard { Instant::END } else { self.fresh_until }
    }

    /// Those for whom something waits are compared again, as of now.
    fn review_waiting(&mut self) {
        self.reviews.extend(&self.waiting);
        self.position.reviewed_at = Some(self.position.now);
    }

    fn reviewed_at(&self) -> Instant {
        self.position.reviewed_at.unwrap_or(self.position.now)
    }

    /// One record. `clock`: the instance's, only to tell a backlog from the present.
    pub fn apply(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, clock: Instant, stage: &mut Stage) -> Result<(), LogError> {
        self.next = record.offset + 1;
        self.drained = false;
        self.moved = true;
        if self.position.hold_from.is_none() && clock.since(record.stamp) > bridge.settings.hold_after {
            self.position.hold_from = Some(record.offset);
        }
        self.position.now = self.position.now.max(record.stamp);
        self.timers.reach(self.position.now);
        if self.goes_stale_at() <= self.position.now {
            // One as-of instant for all that is under review; what was asked for earlier is done first.
            self.finish(bridge, log, stage)?;
            self.reviews.extend(&self.told);
            self.position.reviewed_at = Some(self.position.now);
            self.position.stale_since = Some(self.fresh_until);
        }
        match record.kind {
            Kind::Put => self.put(bridge, log, record, stage)?,
            Kind::Delete | Kind::Message | Kind::Preference | Kind::Erase => {
                let (Ok(told), Ok(person)) = (landing::told_of(record), landing::person(record)) else {
                    return Err(self.damaged(record));
                };
                self.tell(bridge, log, person, told.input(record.more), stage)?;
            }
            Kind::ContactPreference => self.contact(bridge, log, record, stage)?,
            Kind::Claim => self.shared_deleted(bridge, log, record, stage)?,
            Kind::Baseline => {
                self.position.heard.baseline(Baseline { source: record.source().to_owned() });
                self.heard(bridge, log, stage)?;
            }
            Kind::Watermark => {
                let Ok(complete_to) = landing::complete_to(record) else { return Err(self.damaged(record)) };
                self.position.heard.watermark(Watermark { source: record.source().to_owned(), complete_to });
                self.heard(bridge, log, stage)?;
            }
            Kind::Tick => {
                self.tick_sent = false;
                for person in std::mem::take(&mut self.open) {
                    self.tell(bridge, log, person, Input::Tick, stage)?;
                }
            }
            Kind::Retry => {
                outputs::retried(record, &mut stage.outputs);
                stage.landing_tombstones.push((self.place, record.key().to_vec()));
            }
            Kind::Prepare | Kind::Adopt => return Err(self.damaged(record)),
        }
        Ok(())
    }

    fn damaged(&self, record: &Record) -> LogError {
        LogError::damaged(self.place, format!("the record at offset {} cannot be read", record.offset))
    }

    fn heard(&mut self, bridge: &Bridge, log: &impl Log, stage: &mut Stage) -> Result<(), LogError> {
        let now = self.position.now;
        let before = (self.silent.clone(), self.fresh_until);
        self.listen(bridge);
        let heard = (self.silent.clone(), self.fresh_until);
        if heard.0 == before.0 && (heard.1 <= now) == (before.1 <= now) {
            return Ok(());
        }
        // What is due as of an earlier instant is decided by what was known then, however many slices it took.
        (self.silent, self.fresh_until) = before;
        self.finish(bridge, log, stage)?;
        (self.silent, self.fresh_until) = heard;
        self.review_waiting();
        Ok(())
    }

    fn put(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, stage: &mut Stage) -> Result<(), LogError> {
        let Ok(envelope) = landing::envelope(record) else { return Err(self.damaged(record)) };
        let Some(feed) = bridge.feeds.iter().find(|feed| feed.source.name == record.source()) else {
            let why = Unreadable::Element { path: "source", why: "is not in the configuration any more" };
            outputs::quarantined(record, &why, &mut stage.outputs);
            return Ok(());
        };
        let (definitions, keys) = (&bridge.definitions, &bridge.keys);
        let origin = Origin { definitions, keys, namespace: &feed.source.namespace, versions: feed.source.versions };
        let links = (!envelope.links.is_empty()).then(|| BundleLinks::resolved(&envelope.links));
        let person = landing::person(record).map_err(|_| self.damaged(record))?;
        match origin.read(envelope.body, envelope.given_id, links.as_ref(), envelope.stamp(record)) {
            // Its source did not read this type then, or does not now; the owners have heard of a version about nobody.
            Ok(Reading::Unread | Reading::Nobody { .. }) => Ok(()),
            Ok(Reading::Unclear { unreadable, .. }) | Err(unreadable) => {
                outputs::quarantined(record, &unreadable, &mut stage.outputs);
                Ok(())
            }
            Ok(Reading::Shared { key, shared, unreadable, .. }) => {
                if let Some(why) = unreadable.filter(|_| self.place.partition == 0) {
                    outputs::quarantined(record, &why, &mut stage.outputs);
                }
                self.share(bridge, log, key, stage, |broadcast| broadcast.put(key, shared))
            }
            Ok(Reading::About { put, unreadable, .. }) => {
                if let Some(why) = unreadable {
                    outputs::quarantined(record, &why, &mut stage.outputs);
                }
                // Landing was keyed by a person that the resource is about.
                if person == landing::NOBODY {
                    return Ok(());
                }
                let put = Input::Put(put).with_more(record.more);
                self.tell(bridge, log, person, put, stage)
            }
        }
    }

    fn shared_deleted(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, stage: &mut Stage) -> Result<(), LogError> {
        let Ok(note) = landing::note_of(record) else { return Err(self.damaged(record)) };
        let Note::Deleted { resource, version, .. } = note else { return Err(self.damaged(record)) };
        let ordered = match note.stamped(record.stamp) {
            Ownership::Delete { version, .. } => version,
            _ => version,
        };
        self.share(bridge, log, resource, stage, |broadcast| {
            if broadcast.knows(resource) {
                return broadcast.delete(resource, ordered, record.stamp);
            }
            broadcast.bury(resource, ordered.unwrap_or(fhir::Version(record.stamp.micros())), record.stamp);
            true
        })
    }

    /// Keeps what `change` makes of a broadcast resource; those who refer to it look again, if it says so.
    fn share(
        &mut self,
        bridge: &Bridge,
        log: &impl Log,
        key: ResourceKey,
        stage: &mut Stage,
        change: impl FnOnce(&mut Broadcast) -> bool,
    ) -> Result<(), LogError> {
        let referring: Vec<Person> = self.referring.get(&key).into_iter().flatten().copied().collect();
        // What is due as of an earlier instant is decided by what was known then.
        referring.iter().try_for_each(|person| self.catch_up(bridge, log, *person, stage))?;
        if !change(&mut self.broadcast) {
            return Ok(());
        }
        let value = self.broadcast.get(key).map(|shared| postcard::to_stdvec(shared).expect("plain data"));
        self.state.push((self.place, [&[BROADCAST][..], &key.as_u64().to_be_bytes()].concat(), value));
        referring.into_iter().try_for_each(|person| self.tell(bridge, log, person, Input::Review, stage))
    }

    /// A report of a number or an address; those who have it look again.
    fn contact(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, stage: &mut Stage) -> Result<(), LogError> {
        let Ok(report) = landing::contact_preference_of(record) else { return Err(self.damaged(record)) };
        let persons = self.holders.of(log, &OptOuts::buckets_of(&report.contact))?;
        // What is due as of an earlier instant is decided by what was known then.
        persons.iter().try_for_each(|person| self.catch_up(bridge, log, *person, stage))?;
        if !self.broadcast.opt_outs.hear(&report, self.position.now) {
            return Ok(());
        }
        let bucket = report.contact.bucket();
        let list = self.broadcast.opt_outs.bucket(bucket);
        let value = (!list.is_empty()).then(|| postcard::to_stdvec(list).expect("plain data"));
        self.state.push((self.place, [&[OPT_OUTS][..], &bucket.to_be_bytes()].concat(), value));
        persons.into_iter().try_for_each(|person| self.tell(bridge, log, person, Input::Review, stage))
    }

    /// One input to one member, now; what time has done before comes first.
    fn tell(&mut self, bridge: &Bridge, log: &impl Log, person: Person, input: Input, stage: &mut Stage) -> Result<(), LogError> {
        self.catch_up(bridge, log, person, stage)?;
        self.step(bridge, log, person, self.position.now, input, stage)
    }

    /// What is due to one member as of an instant before now.
    fn catch_up(&mut self, bridge: &Bridge, log: &impl Log, person: Person, stage: &mut Stage) -> Result<(), LogError> {
        let now = self.position.now;
        let missed = self.timers.missed(person, now);
        let review = self.reviews.remove(&person).then(|| self.reviewed_at());
        if let Some(at) = review.filter(|at| missed.is_some_and(|missed| *at < missed)) {
            self.step(bridge, log, person, at, Input::Review, stage)?;
        }
        if let Some(missed) = self.timers.missed(person, now) {
            self.step(bridge, log, person, missed, Input::Tick, stage)?;
        }
        if let Some(at) = review.filter(|at| missed.is_none_or(|missed| *at >= missed)) {
            self.step(bridge, log, person, at, Input::Review, stage)?;
        }
        Ok(())
    }

    fn step(
        &mut self,
        bridge: &Bridge,
        log: &impl Log,
        person: Person,
        now: Instant,
        input: Input,
        stage: &mut Stage,
    ) -> Result<(), LogError> {
        self.moved = true;
        let one = self.members.change(log, person)?;
        // The short question first: most are known.
        let is_known = |one: &One| !one.versions.is_empty() || !one.member.is_empty(&one.versions);
        let was_known = is_known(one);
        let mut came = None;
        if let Input::Put(put) = &input {
            came = Some((put.key, one.versions.of(put.key), put.version, put.content.consent.is_some()));
            // What is among the member's own resources is no broadcast resource.
            for key in put.content.evidence.iter().flat_map(Evidence::refers_to).filter(|key| !one.versions.knows(*key)) {
                if self.referring.entry(key).or_default().insert(person) {
                    let state_key = [&[REFERRING][..], &key.as_u64().to_be_bytes(), person.as_bytes()].concat();
                    self.state.push((self.place, state_key, Some(Vec::new())));
                }
            }
        }
        let moment = Moment { now, hold: self.position.hold_from.is_some(), silent: &self.silent, fresh_until: self.fresh_until };
        let setting =
            Setting { definitions: &bridge.definitions, keys: &bridge.keys, member_keys: &bridge.member_keys, broadcast: &self.broadcast };
        let before = input.may_move_contacts().then(|| one.member.buckets());
        let done = step(&setting, person, &mut one.member, &mut one.versions, &moment, input);
        self.known = self.known + u64::from(is_known(one)) - u64::from(was_known);
        if let Some(before) = before {
            self.holders.moved(person, &before, &one.member.buckets());
        }
        // What lost to a newer version leaves landing; a late Consent stays, for it may have closed the gate.
        let loser = match came {
            Some((key, Some(before), version, _)) if before < version => Some((key, before)),
            Some((key, Some(before), version, false)) if before > version => Some((key, version)),
            _ => None,
        };
        if let Some((key, version)) = loser {
            stage.landing_tombstones.push((self.place, landing::resource_key(person, key, Some(version))));
        }
        let head = head_of(&one.member);
        // A step that left its own timer due would never end.
        self.timers.set(person, if head.due <= now { now.tick() } else { head.due });
        match head.open {
            true => _ = self.open.insert(person),
            false => _ = self.open.remove(&person),
        }
        match head.waits {
            true => _ = self.waiting.insert(person),
            false => _ = self.waiting.remove(&person),
        }
        if exits_when_stale(bridge) {
            match head.told {
                true => _ = self.told.insert(person),
                false => _ = self.told.remove(&person),
            }
        }
        for told in &done.told {
            outputs::told(bridge, person, told, &mut stage.outputs);
        }
        for (to, message) in done.messages {
            let (place, number) = (bridge.partitions.of(&to), self.number());
            stage.appends.push(landing::told(place, to, &Told::Message(Box::new(message)), number, "shard"));
        }
        for claim in done.claims {
            let (resource, number) = (claim.resource(), self.number());
            stage.appends.push(landing::note(bridge.partitions.owners_of(resource), resource, &Note::Shard(claim), number, "shard"));
        }
        Ok(())
    }

    /// A number of its own for each thing that is sent.
    fn number(&mut self) -> u64 {
        self.position.sent += 1;
        u64::from(self.place.partition) << 47 | self.position.sent
    }

    /// The log's end was seen: time may go on by itself.
    pub fn drained(&mut self) {
        self.drained = true;
    }

    /// The backlog ends where the log does, once all that it reached is decided; whether there was one. What waited for it
    /// is looked at then.
    fn end_hold(&mut self) -> bool {
        let Some(from) = self.position.hold_from.take_if(|_| self.drained) else { return false };
        let key = [&[HOLD][..], &from.to_be_bytes()].concat();
        self.state.push((self.place, key, Some(self.next.to_be_bytes().to_vec())));
        self.review_waiting();
        self.moved = true;
        true
    }

    /// The tick that a timer or an open group waits for, once a wait.
    pub fn tick(&mut self, clock: Instant, stage: &mut Stage) {
        if self.drained && !self.tick_sent && self.due() <= clock {
            self.tick_sent = true;
            stage.appends.push(landing::control(self.place, Kind::Tick, "clock", Vec::new()));
        }
    }

    /// Works off up to `most` timers and reviews; whether there may be more.
    pub fn work(&mut self, bridge: &Bridge, log: &impl Log, most: usize, stage: &mut Stage) -> Result<bool, LogError> {
        for _ in 0..most {
            if !self.work_one(bridge, log, stage)? && !self.end_hold() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn finish(&mut self, bridge: &Bridge, log: &impl Log, stage: &mut Stage) -> Result<(), LogError> {
        while self.work_one(bridge, log, stage)? {}
        Ok(())
    }

    /// One timer or review, in the order of the instants as of which they are decided; whether there was one.
    fn work_one(&mut self, bridge: &Bridge, log: &impl Log, stage: &mut Stage) -> Result<bool, LogError> {
        let reviewed_at = self.reviewed_at();
        let timers_first = self.timers.front().is_some_and(|at| self.reviews.is_empty() || at <= reviewed_at);
        if let Some((person, at)) = timers_first.then(|| self.timers.pop()).flatten() {
            self.step(bridge, log, person, at, Input::Tick, stage)?;
        } else if let Some(person) = self.reviews.pop_first() {
            self.step(bridge, log, person, reviewed_at, Input::Review, stage)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// All that changed since the last commit, and the position, if anything did.
    pub fn stage(&mut self, stage: &mut Stage) -> Option<(Place, u64)> {
        if !std::mem::take(&mut self.moved) {
            return None;
        }
        self.members.stage(&mut stage.state);
        self.holders.stage(&mut stage.state);
        stage.state.append(&mut self.state);
        self.position.reached = self.timers.reached();
        if self.reviews.is_empty() {
            self.position.reviewed_at = None;
        }
        stage.state.push((self.place, position::KEY.to_vec(), Some(self.position.encode())));
        Some((self.place, self.next))
    }

    pub fn committed(&mut self) {
        self.members.committed();
        self.holders.committed();
    }
}
