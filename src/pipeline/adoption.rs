//! How a partition comes from one generation of definitions to the next: prepared from a replay of landing, counted, adopted.
//!
//! In: orders that stand in landing, slices of time to work in. Out: what is staged for the next commit.
//! Never here: the order of adoption among partitions, or whether it may be (the steward's).

use super::change::{BUCKETS, Change, Count, Moves, Phase, Preparing};
use super::members::KINDS;
use super::shard::{Shard, loser};
use super::side::Side;
use super::{Bridge, Generation, Stage, outputs};
use crate::log::{Kind, Log, LogError, Record};
use crate::source::landing::{self, Note, Order, Told};
use footbridge_core::key::Person;
use footbridge_core::shard::{Adopt, Former, Input, Moment, Move, Ownership, Reading, Setting, moves, step};
use footbridge_core::time::Instant;
use std::sync::Arc;

impl Shard {
    /// What was ordered of definitions. Each order may come more than once.
    pub(super) fn order(&mut self, bridge: &Bridge, log: &impl Log, order: Order, stage: &mut Stage) -> Result<(), LogError> {
        match (order, &mut self.change.phase) {
            (Order::Prepare { generation }, _) if generation > self.change.seen => {
                if matches!(self.change.phase, Phase::Adopting { .. }) {
                    self.finish(bridge, log, stage)?;
                }
                self.change.seen = generation;
                self.leave(Some(generation));
            }
            (Order::Count { generation }, Phase::Preparing(preparing)) if preparing.generation == generation => {
                preparing.count.get_or_insert_with(Count::default);
            }
            (Order::Drop { generation }, Phase::Preparing(Preparing { generation: at, .. })) if *at == generation => self.leave(None),
            (Order::Drop { generation }, Phase::Clearing { then, .. }) if *then == Some(generation) => *then = None,
            (Order::Adopt { generation }, _) if generation > self.change.running => return self.adopt(bridge, log, generation, stage),
            // It was heard already, or is of a preparation that was dropped.
            (Order::Prepare { .. } | Order::Count { .. } | Order::Drop { .. } | Order::Adopt { .. }, _) => {}
        }
        Ok(())
    }

    /// What is in the other space is of no use any more.
    fn leave(&mut self, then: Option<Generation>) {
        self.other = None;
        self.change.phase = Phase::Clearing { bucket: 0, then };
    }

    /// Whether [`Shard::go_on`] has something to do.
    pub fn is_changing(&self) -> bool {
        match &self.change.phase {
            Phase::Steady | Phase::Adopting { .. } => false,
            Phase::Clearing { .. } => true,
            Phase::Preparing(Preparing { cursor, count, .. }) => {
                *cursor < self.committed || count.as_ref().is_some_and(|count| count.bucket < BUCKETS)
            }
        }
    }

    /// One slice of a preparation; whether there is more to do at once.
    pub fn go_on(&mut self, bridge: &Bridge, log: &impl Log, stage: &mut Stage) -> Result<bool, LogError> {
        match &self.change.phase {
            Phase::Steady | Phase::Adopting { .. } => Ok(false),
            Phase::Clearing { bucket, then } => self.clear(bridge, log, *bucket, *then).map(|()| true),
            Phase::Preparing(preparing) if preparing.cursor < self.committed => {
                let cursor = preparing.cursor;
                self.replay(bridge, log, cursor, stage).map(|()| true)
            }
            Phase::Preparing(Preparing { count: Some(count), .. }) if count.bucket < BUCKETS => {
                let mut bucket = count.bucket;
                let mut persons = 0;
                while bucket < BUCKETS && persons < bridge.settings.slice {
                    persons += self.count(bridge, log, bucket)?;
                    bucket += 1;
                }
                Ok(true)
            }
            Phase::Preparing(_) => Ok(false),
        }
    }

    fn clear(&mut self, bridge: &Bridge, log: &impl Log, from: u16, then: Option<Generation>) -> Result<(), LogError> {
        self.moved = true;
        let (place, space) = (self.place, self.change.space.other());
        let (mut bucket, before) = (from, self.state.len());
        while bucket < BUCKETS && self.state.len() - before < bridge.settings.slice {
            for kind in KINDS {
                let state = &mut self.state;
                log.scan(place, &[space.key(kind), bucket as u8], &mut |key, _| state.push((place, key.to_vec(), None)))?;
            }
            bucket += 1;
        }
        self.change.phase = match then {
            then if bucket < BUCKETS => Phase::Clearing { bucket, then },
            None => Phase::Steady,
            Some(generation) => {
                self.other = Some(Side::empty(bridge, place, space, generation, true)?);
                Phase::Preparing(Preparing { generation, cursor: 0, now: Instant::BEGIN, sent: 0, received: 0, count: None })
            }
        };
        Ok(())
    }

    /// The next records of landing, as the definitions that are being prepared read them.
    fn replay(&mut self, bridge: &Bridge, log: &impl Log, cursor: u64, stage: &mut Stage) -> Result<(), LogError> {
        self.moved = true;
        let mut records = Vec::new();
        let next = log.replay(self.place, cursor, &mut records)?;
        for record in &records {
            self.hear(bridge, log, record, stage)?;
        }
        let reached = next.unwrap_or(self.committed);
        if let Phase::Preparing(preparing) = &mut self.change.phase {
            preparing.cursor = reached;
        }
        Ok(())
    }

    /// A record that has just come, where those definitions have caught up.
    pub(super) fn foresee(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, stage: &mut Stage) -> Result<(), LogError> {
        let Phase::Preparing(preparing) = &self.change.phase else { return Ok(()) };
        if preparing.cursor < self.committed {
            return Ok(());
        }
        self.hear(bridge, log, record, stage)?;
        if let Phase::Preparing(preparing) = &mut self.change.phase {
            preparing.cursor = record.offset + 1;
        }
        Ok(())
    }

    fn hear(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, stage: &mut Stage) -> Result<(), LogError> {
        let Phase::Preparing(preparing) = &mut self.change.phase else { return Ok(()) };
        preparing.now = preparing.now.max(record.stamp);
        let generation = preparing.generation;
        match record.kind {
            Kind::Put => {
                let Some(side) = &self.other else { return Ok(()) };
                let definitions = Arc::clone(&side.content.definitions);
                let Some(reading) = self.read(bridge, &definitions, record)? else { return Ok(()) };
                if let Some(why) = self.unreadable(&reading) {
                    // What the definitions in force cannot read either is in quarantine already.
                    let running = Arc::clone(&self.running.content.definitions);
                    let before = self.read(bridge, &running, record)?;
                    if before.is_some_and(|before| self.unreadable(&before).is_none()) {
                        outputs::quarantined(record, why, &mut stage.outputs);
                    }
                }
                match reading {
                    Ok(Reading::Unread | Reading::Nobody { .. } | Reading::Unclear { .. }) | Err(_) => Ok(()),
                    Ok(Reading::Shared { key, shared, .. }) => {
                        // Nothing was told yet under these definitions: nobody has to look again.
                        if let Some(side) = &mut self.other {
                            side.share(key, shared);
                        }
                        Ok(())
                    }
                    Ok(Reading::About { put, .. }) => {
                        let person = landing::person(record).map_err(|_| self.damaged(record))?;
                        if person == landing::NOBODY {
                            return Ok(());
                        }
                        self.step_prepared(bridge, log, record, person, Input::Put(put).with_more(record.more), stage)
                    }
                }
            }
            Kind::Delete | Kind::Message | Kind::Preference | Kind::Erase => {
                let (Ok(told), Ok(person)) = (landing::told_of(record), landing::person(record)) else {
                    return Err(self.damaged(record));
                };
                if !told.is_for(record, generation) {
                    return Ok(());
                }
                preparing.received += u64::from(matches!(told, Told::Message(_)));
                self.step_prepared(bridge, log, record, person, told.input(record.more), stage)
            }
            Kind::ContactPreference => {
                let Ok(report) = landing::contact_preference_of(record) else { return Err(self.damaged(record)) };
                let now = preparing.now;
                if let Some(side) = &mut self.other {
                    side.opt_out(&report, now);
                }
                Ok(())
            }
            Kind::Claim => {
                let Ok(note @ Note::Deleted { resource, .. }) = landing::note_of(record) else { return Err(self.damaged(record)) };
                if let Some(side) = &mut self.other {
                    side.unshare(resource, &note.stamped(record.stamp), record.stamp);
                }
                Ok(())
            }
            Kind::Baseline | Kind::Watermark | Kind::Tick | Kind::Retry | Kind::Prepare | Kind::Adopt | Kind::Stop => Ok(()),
        }
    }

    fn step_prepared(
        &mut self,
        bridge: &Bridge,
        log: &impl Log,
        record: &Record,
        person: Person,
        input: Input,
        stage: &mut Stage,
    ) -> Result<(), LogError> {
        let (Phase::Preparing(preparing), Some(side)) = (&self.change.phase, &mut self.other) else { return Ok(()) };
        let now = preparing.now;
        let mut came = None;
        if let Input::Put(put) = &input {
            let before = side.refer(log, person, put)?;
            came = Some((put.key, before, put.version, put.content.consent.is_some()));
            if put.content.consent.is_some() && before > Some(put.version) {
                // Compaction may have moved a version behind one that replaced it: once current, it says nothing new.
                let known = self.running.members.look(log, person)?.member.superseded.clone();
                let one = side.members.change(log, person)?;
                let seen = (put.key, put.version);
                if known.contains(&seen) && !one.member.superseded.contains(&seen) {
                    one.member.superseded.push(seen);
                }
            }
        }
        let moment = Moment { now, hold: true, silent: &[], fresh_until: Instant::END };
        let (one, setting, holders) = side.open(bridge, &self.position.stopped, log, person)?;
        let contacts = input.may_move_contacts().then(|| one.member.buckets());
        // Held, it tells nothing.
        let done = step(&setting, person, &mut one.member, &mut one.versions, &moment, input);
        if let Some(before) = contacts {
            holders.moved(person, &before, &one.member.buckets());
        }
        let generation = side.generation;
        for (to, message) in done.messages {
            let (place, number) = (bridge.partitions.of(&to), self.number());
            stage.appends.push(landing::message(place, to, message, generation, number));
            if let Phase::Preparing(preparing) = &mut self.change.phase {
                preparing.sent += 1;
            }
        }
        // Of what the definitions in force read the owners have heard.
        let unheard = record.kind == Kind::Put && !self.running.content.definitions.reads(record.resource_type());
        for claim in done.claims {
            let held_here_only = match &claim {
                Ownership::Held { resource, .. } => self.running.members.look(log, person)?.versions.of(*resource).is_none(),
                Ownership::Claim(_) | Ownership::Unclear(_) | Ownership::Delete { .. } => false,
            };
            if unheard || held_here_only {
                let (resource, number) = (claim.resource(), self.number());
                stage.appends.push(landing::note(bridge.partitions.owners_of(resource), resource, &Note::Shard(claim), number, "shard"));
            }
        }
        if let Some((key, version)) = came.and_then(loser).filter(|_| unheard) {
            stage.landing_tombstones.push((self.place, landing::resource_key(person, key, Some(version))));
        }
        Ok(())
    }

    /// What adopting would move of one bucket of persons, if it were done now; how many they are.
    fn count(&mut self, bridge: &Bridge, log: &impl Log, bucket: u16) -> Result<usize, LogError> {
        self.moved = true;
        let Some(definitions) = self.other.as_ref().map(|side| Arc::clone(&side.content.definitions)) else { return Ok(0) };
        let (silent, fresh_until) = self.heard_under(bridge, &definitions);
        let moment = Moment { now: self.position.now, hold: false, silent: &silent, fresh_until };
        let Shard { running, other: Some(side), position, .. } = self else { return Ok(0) };
        let mut persons = running.members.bucket(log, bucket as u8)?;
        persons.extend(side.members.bucket(log, bucket as u8)?);
        let former = Former::all(&running.content.definitions, &running.content.member_keys);
        let mut counted: Vec<(String, Moves)> = Vec::new();
        let many = persons.len();
        for person in persons {
            let one = running.members.look(log, person)?;
            for (name, _) in one.member.emitted.iter().filter(|(_, emitted)| emitted.shown.is_some()) {
                counted.push((name.to_string(), Moves { present: 1, ..Moves::default() }));
            }
            let fresh = side.members.look(log, person)?;
            let adopt = Adopt { member: fresh.member.clone(), versions: fresh.versions.clone(), former: Arc::clone(&former) };
            let setting = Setting {
                definitions: &definitions,
                keys: &bridge.keys,
                member_keys: &side.content.member_keys,
                broadcast: &side.broadcast,
                stopped: &position.stopped,
            };
            let moved = moves(&setting, person, &one.member, &one.versions, &moment, adopt);
            counted.extend(moved.into_iter().map(|(name, moved)| (name, one_move(moved))));
        }
        if let Phase::Preparing(Preparing { count: Some(count), .. }) = &mut self.change.phase {
            count.bucket = bucket + 1;
            counted.into_iter().for_each(|(name, moved)| count.audiences.entry(name).or_default().add(&moved));
        }
        Ok(many)
    }

    /// The cut-over: from this record on the new definitions decide, and each member is taken over as of now.
    fn adopt(&mut self, bridge: &Bridge, log: &impl Log, generation: Generation, stage: &mut Stage) -> Result<(), LogError> {
        let ready = match &self.change.phase {
            Phase::Preparing(preparing) => preparing.generation == generation && preparing.cursor >= self.committed,
            Phase::Steady | Phase::Clearing { .. } | Phase::Adopting { .. } => false,
        };
        if !ready {
            return Err(LogError::damaged(
                self.place,
                format!("definitions of generation {generation} are adopted before they are prepared"),
            ));
        }
        // What is due as of an earlier instant is decided by what was in force then.
        self.finish(bridge, log, stage)?;
        let Some(mut side) = self.other.take() else { return Ok(()) };
        side.members.preparing = false;
        let before = std::mem::replace(&mut self.running, side);
        self.former = Former::all(&before.content.definitions, &before.content.member_keys);
        let from = before.generation;
        self.other = Some(before);
        self.change = Change {
            running: generation,
            space: self.change.space.other(),
            seen: self.change.seen,
            phase: Phase::Adopting { at: self.position.now, bucket: 0, from },
        };
        self.left = None;
        self.listen(bridge);
        Ok(())
    }

    /// Takes over the next member of an adoption; whether there was one.
    pub(super) fn adopt_one(&mut self, bridge: &Bridge, log: &impl Log, stage: &mut Stage) -> Result<bool, LogError> {
        let Phase::Adopting { bucket, .. } = &mut self.change.phase else { return Ok(false) };
        self.moved = true;
        loop {
            match &mut self.left {
                Some(left) => match left.pop_front() {
                    Some(person) => return self.take_over(bridge, log, person, stage).map(|()| true),
                    None => (*bucket, self.left) = (*bucket + 1, None),
                },
                // A bucket that is begun is begun again after a start: those who were taken over are passed by.
                None if *bucket < BUCKETS => {
                    let now = *bucket as u8;
                    let mut persons = self.running.members.bucket(log, now)?;
                    if let Some(before) = &self.other {
                        persons.extend(before.members.bucket(log, now)?);
                    }
                    self.left = Some(persons.into_iter().collect());
                }
                None => {
                    self.former = Arc::default();
                    self.leave(None);
                    return Ok(false);
                }
            }
        }
    }

    /// Where an adoption has not reached a member yet, it does now, as of the instant that it has for all.
    pub(super) fn take_over(&mut self, bridge: &Bridge, log: &impl Log, person: Person, stage: &mut Stage) -> Result<(), LogError> {
        let (Phase::Adopting { at, .. }, Some(before)) = (&self.change.phase, &mut self.other) else { return Ok(()) };
        let at = *at;
        let known = before.members.look(log, person)?;
        if known.member.is_empty(&known.versions) && !self.running.members.look(log, person)?.prepared {
            return Ok(());
        }
        let before = before.members.change(log, person)?;
        let (member, versions) = (std::mem::take(&mut before.member), std::mem::take(&mut before.versions));
        let one = self.running.members.change(log, person)?;
        one.prepared = false;
        let adopt = Adopt {
            member: std::mem::replace(&mut one.member, member),
            versions: std::mem::replace(&mut one.versions, versions),
            former: Arc::clone(&self.former),
        };
        self.step(bridge, log, person, at, Input::Adopt(Box::new(adopt)), stage)
    }
}

fn one_move(moved: Move) -> Moves {
    match moved {
        Move::Entered => Moves { entered: 1, ..Moves::default() },
        Move::Updated => Moves { updated: 1, ..Moves::default() },
        Move::Exited { braked: true } => Moves { left: 1, ..Moves::default() },
        Move::Exited { braked: false } => Moves { left_freely: 1, ..Moves::default() },
    }
}
