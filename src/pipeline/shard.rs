//! A shard: the members of one landing partition, and what a record does to them.
//!
//! In: landing records. Out: what is staged for the next commit.
//! Never here: a clock of its own; `now` moves with the stamps of records only.

use super::board::Holder;
use super::change::{self, Change, Phase};
use super::members::{Head, One, head_of};
use super::position::{self, Position};
use super::reviews::Reviews;
use super::side::Side;
use super::terms::{AsOf, History, Terms};
use super::timers::Timers;
use super::{Bridge, Progress, Stage, outputs};
use crate::log::{Kind, Log, LogError, Place, Record, StateChange};
use crate::observe::Standing;
use crate::source::landing::{self, Note};
use footbridge_core::audience::Definitions;
use footbridge_core::consent::OnStale;
use footbridge_core::fhir::Version;
use footbridge_core::key::{Person, ResourceKey};
use footbridge_core::shard::{Erased, Former, Input, Moment, step};
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
    pub(super) timers: Timers,
    pub(super) reviews: Reviews,
    /// Of a review of all: its number, a bucket of persons, and who is in that.
    pub(super) ahead: Option<(u64, u8, BTreeSet<Person>)>,
    /// Members with an open group: the next tick ends it.
    pub(super) open: BTreeSet<Person>,
    /// Members for whom something is true that may not be told yet.
    pub(super) waiting: BTreeSet<Person>,
    /// Members who are in some audience, where all have to leave once the feed is stale; else empty.
    pub(super) told: BTreeSet<Person>,
    pub(super) state: Vec<StateChange>,
    pub(super) history: History,
    /// All records have been read.
    pub(super) drained: bool,
    /// A tick is on its way.
    pub(super) tick_sent: bool,
    pub(super) moved: bool,
    holder: Holder,
}

/// Timers of a partition that are counted after each commit: beyond that there are "many".
const DUE_COUNTED_MAX: usize = 1000;

pub(super) fn exits_when_stale(definitions: &Definitions) -> bool {
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
            Phase::Preparing(preparing) => Side::restore_prepared(bridge, log, place, change.space.other(), preparing.generation)?,
            Phase::Adopting { from, .. } => Some(side(change.space.other(), *from, false)?),
        };
        let terms = position.terms_under(bridge, &running.content.definitions);
        let mut timers = Timers::default();
        timers.restore(position.reached.clone());
        let mut shard = Shard {
            place,
            next,
            committed: next,
            running,
            other,
            former: Arc::default(),
            left: None,
            known: 0,
            timers,
            reviews: Reviews::restore(log, place, position.reviews.clone(), position.reviewed)?,
            ahead: None,
            open: BTreeSet::new(),
            waiting: BTreeSet::new(),
            told: BTreeSet::new(),
            state: Vec::new(),
            history: History::restore(terms, position.past.clone()),
            drained: false,
            tick_sent: false,
            moved: false,
            holder: bridge.board.hold(place.partition),
            position,
            change,
        };
        shard.look_at_all(log)?;
        shard.report(bridge);
        Ok(shard)
    }

    /// Reads what a start has to know of each member.
    fn look_at_all(&mut self, log: &impl Log) -> Result<(), LogError> {
        let exits_when_stale = exits_when_stale(&self.running.content.definitions);
        let Shard { running, other, known, timers, open, waiting, told, .. } = self;
        let mut look = |person, head: Head| {
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

    pub fn standing(&self) -> Standing {
        let reviewed = if self.reviews.is_empty() { 0 } else { self.waiting.len() };
        Standing {
            members: self.known,
            in_memory: self.running.members.in_memory() as u64,
            due: (self.timers.due(DUE_COUNTED_MAX) + reviewed) as u64,
            looks: self.running.members.looks,
            loads: self.running.members.loads,
        }
    }

    /// The record that is being applied.
    pub(super) fn at(&self) -> AsOf {
        AsOf { now: self.position.now, offset: self.next.saturating_sub(1) }
    }

    /// One record. `clock`: the instance's, only to tell a backlog from the present.
    pub fn apply(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, clock: Instant, stage: &mut Stage) -> Result<(), LogError> {
        self.look_behind(bridge, log, record, clock, stage)?;
        self.next = record.offset + 1;
        self.drained = false;
        self.moved = true;
        self.position.now = self.position.now.max(record.stamp);
        let expecting = self.is_reviewing();
        self.timers.reach(self.at(), expecting);
        self.look_at_feed();
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
            Kind::Baseline => self.baseline(bridge, record),
            Kind::Watermark => self.watermark(bridge, record)?,
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
                self.order(bridge, order)?;
            }
            Kind::Stop => {
                let Ok((audience, stopped)) = landing::stop_of(record) else { return Err(self.damaged(record)) };
                self.stop(bridge, audience, stopped);
            }
        }
        self.foresee(bridge, log, record, stage)
    }

    pub(super) fn damaged(&self, record: &Record) -> LogError {
        LogError::damaged(self.place, format!("the record at offset {} cannot be read", record.offset))
    }

    /// One input to one member, now; what time has done before comes first.
    pub(super) fn tell(
        &mut self,
        bridge: &Bridge,
        log: &impl Log,
        person: Person,
        input: Input,
        stage: &mut Stage,
    ) -> Result<(), LogError> {
        self.catch_up(bridge, log, person, stage)?;
        self.step(bridge, log, person, self.at(), input, stage)
    }

    pub(super) fn step(
        &mut self,
        bridge: &Bridge,
        log: &impl Log,
        person: Person,
        at: AsOf,
        input: Input,
        stage: &mut Stage,
    ) -> Result<(), LogError> {
        self.moved = true;
        let before = self.running.refer(log, person, &input)?;
        let mut came = None;
        if let Input::Put(put) = &input {
            came = Some((put.key, before, put.version, put.content.consent.is_some()));
        }
        let Terms { silent, fresh_until, stopped } = self.history.at(at.offset);
        let exits_only = self.tells_exits_only();
        // Leases are not renewed then: members leave as theirs end.
        let fresh_until = if exits_only { Instant::BEGIN } else { *fresh_until };
        let moment = Moment { now: at.now, hold: exits_only || self.position.hold.is_some(), silent, fresh_until };
        let (one, setting, holders) = self.running.open(bridge, stopped, log, person)?;
        // The short question first: most are known.
        let is_known = |one: &One| !one.versions.is_empty() || !one.member.is_empty(&one.versions);
        let was_known = is_known(one);
        let contacts = input.may_move_contacts().then(|| one.member.buckets());
        let referred_to = one.member.referred_to_by_received();
        let done = step(&setting, person, &mut one.member, &mut one.versions, &moment, input);
        let dropped: Vec<ResourceKey> = referred_to.into_iter().filter(|key| !one.member.refers_to(*key)).collect();
        self.known = self.known + u64::from(is_known(one)) - u64::from(was_known);
        if let Some(before) = contacts {
            holders.moved(person, &before, &one.member.buckets());
        }
        if let Some(version) = came.and_then(loser) {
            stage.landing_tombstones.push((self.place, landing::resource_key(person, version.0, Some(version.1))));
        }
        let head = head_of(&one.member);
        self.running.let_go(person, &dropped);
        // A step that left its own timer due would never end.
        self.timers.set(person, if head.due <= at.now { at.now.tick() } else { head.due });
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
        if let Some(erased) = done.erased {
            self.running.forget(person);
            self.forget(bridge, person, *erased, stage);
        }
        Ok(())
    }

    /// What lies elsewhere of a person who was erased goes with this commit. The record that asked for it stays, for definitions that
    /// are being prepared: they may have heard of the person already.
    fn forget(&self, bridge: &Bridge, person: Person, erased: Erased, stage: &mut Stage) {
        let Erased { names, merged } = erased;
        stage.outputs.extend(names.into_iter().map(|(audience, member)| outputs::forgotten(audience, member)));
        stage.landing_erased.push((self.place, person.as_bytes().to_vec(), self.at().offset));
        stage.appends.extend(merged.iter().map(|other| landing::erase(bridge.partitions, *other, "shard")));
    }

    /// A number of its own for each thing that is sent.
    pub(super) fn number(&mut self) -> u64 {
        self.position.sent += 1;
        u64::from(self.place.partition) << 47 | self.position.sent
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
        self.reviews.stage(self.place, &mut stage.state);
        let oldest = self.oldest();
        self.history.forget(oldest);
        (self.position.reached, self.position.past) = (self.timers.reached(), self.history.past());
        (self.position.reviews, self.position.reviewed) = (self.reviews.queue(), self.reviews.last);
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
        self.report(bridge);
    }

    fn report(&self, bridge: &Bridge) {
        bridge.board.tell(self.place.partition, self.holder, Some(self.progress()));
    }

    /// Its partition is held by another from here on, or read again.
    pub fn give_up(self, bridge: &Bridge) {
        bridge.board.tell(self.place.partition, self.holder, None);
    }

    fn progress(&self) -> Progress {
        Progress {
            lacks_content: self.lacks_content(),
            tells_exits_only: self.tells_exits_only(),
            ..Progress::of(&self.change, &self.position.stopped, self.next)
        }
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
