//! A shard: the members of one landing partition, and the order in which things happen to them.
//!
//! In: landing records, the end of the log, slices of time to work in. Out: what is staged for the next commit.
//! Never here: a clock of its own; `now` moves with the stamps of records only.

use super::change::{self, Change, Phase};
use super::members::{One, head_of};
use super::position::{self, Position};
use super::side::Side;
use super::timers::Timers;
use super::{Bridge, Stage, outputs};
use crate::log::{Kind, Log, LogError, Place, Record, StateChange};
use crate::observe::Standing;
use crate::source::landing::{self, Note};
use footbridge_core::audience::Definitions;
use footbridge_core::consent::OnStale;
use footbridge_core::fhir::{BundleLinks, Unreadable, Version};
use footbridge_core::key::{Person, ResourceKey};
use footbridge_core::shard::{Baseline, Former, Input, Moment, OptOuts, Origin, Reading, Watermark, step};
use footbridge_core::time::Instant;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

pub struct Shard {
    pub(super) place: Place,
    pub(super) position: Position,
    pub(super) change: Change,
    /// The next offset to be read, and the one of the last commit.
    pub(super) next: u64,
    pub(super) committed: u64,
    /// What decides here.
    pub(super) running: Side,
    /// What is being prepared, or what an adoption that is being carried out has left.
    pub(super) other: Option<Side>,
    /// Audiences that were left, and whom of the present bucket an adoption has not reached yet.
    pub(super) former: Arc<[Former]>,
    pub(super) left: Option<VecDeque<Person>>,
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
    pub(super) state: Vec<StateChange>,
    /// By audience.
    pub(super) silent: Vec<bool>,
    pub(super) fresh_until: Instant,
    /// All records have been read.
    drained: bool,
    /// A tick is on its way.
    tick_sent: bool,
    pub(super) moved: bool,
}

const HOLD: u8 = b'h';
/// Timers of a partition that are counted after each commit: beyond that there are "many".
const DUE_COUNTED_MAX: usize = 1000;

fn exits_when_stale(definitions: &Definitions) -> bool {
    definitions.policy.feed.on_stale == OnStale::ExitNow
}

impl Shard {
    /// As the log kept it.
    pub fn restore(bridge: &Bridge, log: &impl Log, place: Place, next: u64) -> Result<Shard, LogError> {
        let position = match log.get(place, position::KEY)? {
            Some(bytes) => Position::decode(place, &bytes)?,
            None => Position::default(),
        };
        let change = match log.get(place, change::KEY)? {
            Some(bytes) => Change::decode(place, &bytes)?,
            None => Change::default(),
        };
        let side = |space, generation, preparing| Side::restore(bridge, log, place, space, generation, preparing);
        let running = side(change.space, change.running, false)?;
        let other = match &change.phase {
            Phase::Steady | Phase::Clearing { .. } => None,
            Phase::Preparing(preparing) => Some(side(change.space.other(), preparing.generation, true)?),
            Phase::Adopting { from, .. } => Some(side(change.space.other(), *from, false)?),
        };
        let mut shard = Shard {
            place,
            next,
            committed: next,
            running,
            other,
            former: Arc::default(),
            left: None,
            known: 0,
            timers: Timers::default(),
            open: BTreeSet::new(),
            waiting: BTreeSet::new(),
            told: BTreeSet::new(),
            reviews: BTreeSet::new(),
            state: Vec::new(),
            silent: Vec::new(),
            fresh_until: Instant::END,
            drained: false,
            tick_sent: false,
            moved: false,
            position,
            change,
        };
        shard.look_at_all(log)?;
        shard.timers.restore(shard.position.reached.clone());
        shard.listen(bridge);
        // Of a review that was not finished nobody knows how far it came; looking twice tells nothing twice.
        if let Some(at) = shard.position.reviewed_at {
            shard.reviews = if shard.position.reviews_all { shard.running.members.all(log)? } else { shard.waiting.clone() };
            if shard.position.stale_since == Some(shard.fresh_until) && at >= shard.fresh_until {
                shard.reviews.extend(&shard.told);
            }
        }
        bridge.board.tell(place.partition, &shard.change, &shard.position.stopped, next);
        Ok(shard)
    }

    /// Reads what a start has to know of each member.
    fn look_at_all(&mut self, log: &impl Log) -> Result<(), LogError> {
        let exits_when_stale = exits_when_stale(&self.running.content.definitions);
        let Shard { running, other, known, timers, open, waiting, told, .. } = self;
        let mut look = |person, head: super::members::Head| {
            if head.prepared {
                return;
            }
            *known += 1;
            timers.set(person, head.due);
            if head.open {
                open.insert(person);
            }
            if head.waits {
                waiting.insert(person);
            }
            if head.told && exits_when_stale {
                told.insert(person);
            }
        };
        running.members.heads(log, &mut look)?;
        // Those whom an adoption has not reached yet are as the definitions before made them.
        match (&self.change.phase, other) {
            (Phase::Adopting { .. }, Some(before)) => {
                before.members.heads(log, &mut look)?;
                self.former = Former::all(&before.content.definitions, &before.content.member_keys);
                Ok(())
            }
            (Phase::Steady | Phase::Clearing { .. } | Phase::Preparing(_) | Phase::Adopting { .. }, _) => Ok(()),
        }
    }

    /// Works out anew what baselines and watermarks allow.
    pub(super) fn listen(&mut self, bridge: &Bridge) {
        let definitions = Arc::clone(&self.running.content.definitions);
        let (silent, fresh_until) = self.heard_under(bridge, &definitions);
        (self.silent, self.fresh_until) = (silent, fresh_until);
        if !exits_when_stale(&definitions) {
            self.told.clear();
        }
    }

    /// Which audiences of these definitions are silent, and until when the feed is fresh.
    pub(super) fn heard_under(&self, bridge: &Bridge, definitions: &Definitions) -> (Vec<bool>, Instant) {
        let marked = bridge.feeds.iter().filter(|feed| feed.marked).map(|feed| feed.source.name.as_str());
        let silent = self.position.heard.is_silent(marked);
        let proves = bridge.feeds.iter().filter(|feed| feed.proves).map(|feed| feed.source.name.as_str());
        let fresh_until = self.position.heard.fresh_until(proves, definitions.policy.feed.stale_after);
        (vec![silent; definitions.catalogue.audiences.len()], fresh_until)
    }

    pub fn standing(&self) -> Standing {
        Standing {
            members: self.known,
            in_memory: self.running.members.in_memory() as u64,
            due: (self.timers.due(DUE_COUNTED_MAX) + self.reviews.len()) as u64,
            looks: self.running.members.looks,
            loads: self.running.members.loads,
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
                if told.is_for(record, self.running.generation) {
                    self.tell(bridge, log, person, told.input(record.more), stage)?;
                }
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
            Kind::Prepare | Kind::Adopt => {
                let Ok(order) = landing::order_of(record) else { return Err(self.damaged(record)) };
                self.order(bridge, log, order, stage)?;
            }
            Kind::Stop => {
                let Ok((audience, stopped)) = landing::stop_of(record) else { return Err(self.damaged(record)) };
                self.stop(bridge, log, audience, stopped, stage)?;
            }
        }
        self.foresee(bridge, log, record, stage)
    }

    /// An order stops an audience, or lifts that: everybody is compared again.
    fn stop(&mut self, bridge: &Bridge, log: &impl Log, audience: &str, stopped: bool, stage: &mut Stage) -> Result<(), LogError> {
        if self.position.stopped.contains(audience) == stopped {
            return Ok(());
        }
        // What is due as of an earlier instant is decided by what was in force then.
        self.finish(bridge, log, stage)?;
        match stopped {
            true => _ = self.position.stopped.insert(audience.to_owned()),
            false => _ = self.position.stopped.remove(audience),
        }
        self.reviews = self.running.members.all(log)?;
        (self.position.reviewed_at, self.position.reviews_all) = (Some(self.position.now), true);
        Ok(())
    }

    pub(super) fn damaged(&self, record: &Record) -> LogError {
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
        let definitions = Arc::clone(&self.running.content.definitions);
        let Some(reading) = self.read(bridge, &definitions, record)? else {
            let why = Unreadable::Element { path: "source", why: "is not in the configuration any more" };
            outputs::quarantined(record, &why, &mut stage.outputs);
            return Ok(());
        };
        if let Some(why) = self.unreadable(&reading) {
            outputs::quarantined(record, why, &mut stage.outputs);
        }
        match reading {
            // Its source did not read this type then, or does not now; the owners have heard of a version about nobody.
            Ok(Reading::Unread | Reading::Nobody { .. } | Reading::Unclear { .. }) | Err(_) => Ok(()),
            Ok(Reading::Shared { key, shared, .. }) => self.share(bridge, log, key, stage, |side| side.share(key, shared)),
            Ok(Reading::About { put, .. }) => {
                let person = landing::person(record).map_err(|_| self.damaged(record))?;
                // Landing was keyed by a person that the resource is about.
                if person == landing::NOBODY {
                    return Ok(());
                }
                let put = Input::Put(put).with_more(record.more);
                self.tell(bridge, log, person, put, stage)
            }
        }
    }

    /// What these definitions read of a record; `None`: its source is not known any more.
    pub(super) fn read(
        &self,
        bridge: &Bridge,
        definitions: &Definitions,
        record: &Record,
    ) -> Result<Option<Result<Reading, Unreadable>>, LogError> {
        let Ok(envelope) = landing::envelope(record) else { return Err(self.damaged(record)) };
        let Some(feed) = bridge.feeds.iter().find(|feed| feed.source.name == record.source()) else { return Ok(None) };
        let origin = Origin { definitions, keys: &bridge.keys, namespace: &feed.source.namespace, versions: feed.source.versions };
        let links = (!envelope.links.is_empty()).then(|| BundleLinks::resolved(&envelope.links));
        Ok(Some(origin.read(envelope.body, envelope.given_id, links.as_ref(), envelope.stamp(record))))
    }

    /// Why this record goes to quarantine, if it does. All partitions have a broadcast resource; one of them reports it.
    pub(super) fn unreadable<'a>(&self, reading: &'a Result<Reading, Unreadable>) -> Option<&'a Unreadable> {
        match reading {
            Ok(Reading::Unread | Reading::Nobody { .. }) => None,
            Ok(Reading::Unclear { unreadable, .. }) | Err(unreadable) => Some(unreadable),
            Ok(Reading::Shared { unreadable, .. }) => unreadable.as_ref().filter(|_| self.place.partition == 0),
            Ok(Reading::About { unreadable, .. }) => unreadable.as_ref(),
        }
    }

    fn shared_deleted(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, stage: &mut Stage) -> Result<(), LogError> {
        let Ok(note @ Note::Deleted { resource, .. }) = landing::note_of(record) else { return Err(self.damaged(record)) };
        let heard = note.stamped(record.stamp);
        self.share(bridge, log, resource, stage, |side| side.unshare(resource, &heard, record.stamp))
    }

    /// What `change` makes of a broadcast resource; those who refer to it look again, if it says so.
    fn share(
        &mut self,
        bridge: &Bridge,
        log: &impl Log,
        key: ResourceKey,
        stage: &mut Stage,
        change: impl FnOnce(&mut Side) -> bool,
    ) -> Result<(), LogError> {
        let referring: Vec<Person> = self.running.referring.get(&key).into_iter().flatten().copied().collect();
        // What is due as of an earlier instant is decided by what was known then.
        referring.iter().try_for_each(|person| self.catch_up(bridge, log, *person, stage))?;
        if !change(&mut self.running) {
            return Ok(());
        }
        referring.into_iter().try_for_each(|person| self.tell(bridge, log, person, Input::Review, stage))
    }

    /// A report of a number or an address; those who have it look again.
    fn contact(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, stage: &mut Stage) -> Result<(), LogError> {
        let Ok(report) = landing::contact_preference_of(record) else { return Err(self.damaged(record)) };
        let persons = self.running.holders.of(log, &OptOuts::buckets_of(&report.contact))?;
        // What is due as of an earlier instant is decided by what was known then.
        persons.iter().try_for_each(|person| self.catch_up(bridge, log, *person, stage))?;
        if !self.running.opt_out(&report, self.position.now) {
            return Ok(());
        }
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
        self.take_over(bridge, log, person, stage)?;
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

    pub(super) fn step(
        &mut self,
        bridge: &Bridge,
        log: &impl Log,
        person: Person,
        now: Instant,
        input: Input,
        stage: &mut Stage,
    ) -> Result<(), LogError> {
        self.moved = true;
        let mut came = None;
        if let Input::Put(put) = &input {
            let before = self.running.refer(log, person, put)?;
            came = Some((put.key, before, put.version, put.content.consent.is_some()));
        }
        let moment = Moment { now, hold: self.position.hold_from.is_some(), silent: &self.silent, fresh_until: self.fresh_until };
        let (one, setting, holders) = self.running.open(bridge, &self.position.stopped, log, person)?;
        // The short question first: most are known.
        let is_known = |one: &One| !one.versions.is_empty() || !one.member.is_empty(&one.versions);
        let was_known = is_known(one);
        let contacts = input.may_move_contacts().then(|| one.member.buckets());
        let done = step(&setting, person, &mut one.member, &mut one.versions, &moment, input);
        self.known = self.known + u64::from(is_known(one)) - u64::from(was_known);
        if let Some(before) = contacts {
            holders.moved(person, &before, &one.member.buckets());
        }
        if let Some(version) = came.and_then(loser) {
            stage.landing_tombstones.push((self.place, landing::resource_key(person, version.0, Some(version.1))));
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
        if exits_when_stale(&self.running.content.definitions) {
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
            stage.appends.push(landing::message(place, to, message, self.running.generation, number));
        }
        for claim in done.claims {
            let (resource, number) = (claim.resource(), self.number());
            stage.appends.push(landing::note(bridge.partitions.owners_of(resource), resource, &Note::Shard(claim), number, "shard"));
        }
        Ok(())
    }

    /// A number of its own for each thing that is sent.
    pub(super) fn number(&mut self) -> u64 {
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

    pub(super) fn finish(&mut self, bridge: &Bridge, log: &impl Log, stage: &mut Stage) -> Result<(), LogError> {
        while self.work_one(bridge, log, stage)? {}
        Ok(())
    }

    /// One timer or review, in the order of the instants as of which they are decided; whether there was one.
    fn work_one(&mut self, bridge: &Bridge, log: &impl Log, stage: &mut Stage) -> Result<bool, LogError> {
        if self.adopt_one(bridge, log, stage)? {
            return Ok(true);
        }
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
        if !self.moved {
            return None;
        }
        // What is cleared comes first: the space may be in use again.
        stage.state.append(&mut self.state);
        self.running.stage(&mut stage.state);
        if let Some(other) = &mut self.other {
            other.stage(&mut stage.state);
        }
        self.position.reached = self.timers.reached();
        if self.reviews.is_empty() {
            (self.position.reviewed_at, self.position.reviews_all) = (None, false);
        }
        stage.state.push((self.place, position::KEY.to_vec(), Some(self.position.encode())));
        if self.change != Change::default() {
            stage.state.push((self.place, change::KEY.to_vec(), Some(self.change.encode())));
        }
        Some((self.place, self.next))
    }

    /// What was staged, if anything was, is durable.
    pub fn committed(&mut self, bridge: &Bridge) {
        if !std::mem::take(&mut self.moved) {
            return;
        }
        self.committed = self.next;
        self.running.committed();
        if let Some(other) = &mut self.other {
            other.committed();
        }
        bridge.board.tell(self.place.partition, &self.change, &self.position.stopped, self.next);
    }
}

/// What lost to a newer version leaves landing; a late Consent stays, for it may have closed the gate.
pub(super) fn loser((key, before, version, consent): (ResourceKey, Option<Version>, Version, bool)) -> Option<(ResourceKey, Version)> {
    match before? {
        before if before < version => Some((key, before)),
        before if before > version && !consent => Some((key, version)),
        _ => None,
    }
}
