//! How a partition comes from one generation of definitions to the next: prepared from a replay of landing, counted, adopted.
//!
//! In: orders that stand in landing, slices of time to work in. Out: what is staged for the next commit.
//! Never here: the order of adoption among partitions, or whether it may be (the steward's).

use super::change::{BUCKETS, Change, Count, Moves, Phase, Preparing};
use super::holds::Item;
use super::members::KINDS;
use super::shard::{Shard, loser};
use super::side::Side;
use super::{Bridge, Generation, Stage, outputs};
use crate::log::{Kind, Log, LogError, Record};
use crate::source::landing::{self, Note, Order, Told};
use footbridge_core::key::{Person, ResourceKey};
use footbridge_core::shard::{Adopt, Former, Input, Moment, Move, Ownership, Reading, Setting, moves, step};
use footbridge_core::time::Instant;
use std::collections::VecDeque;
use std::sync::Arc;

impl Shard {
    /// What was ordered of definitions. Each order may come more than once.
    pub(super) fn order(&mut self, bridge: &Bridge, order: Order) -> Result<(), LogError> {
        match (order, &mut self.change.phase) {
            (Order::Prepare { generation }, _) if generation > self.change.seen => {
                self.change.seen = generation;
                self.leave(Some(generation));
            }
            (Order::Count { generation }, Phase::Preparing(preparing)) if preparing.generation == generation => {
                preparing.count.get_or_insert_with(Count::default);
            }
            (Order::Drop { generation }, Phase::Preparing(Preparing { generation: at, .. })) if *at == generation => self.leave(None),
            (Order::Drop { generation }, Phase::Clearing { then, .. }) if *then == Some(generation) => *then = None,
            (Order::Adopt { generation }, Phase::Preparing(preparing))
                if preparing.generation == generation && (self.other.is_none() || preparing.ordered) =>
            {
                preparing.ordered = true;
            }
            (Order::Adopt { generation }, _) if generation > self.change.running => return self.adopt(bridge, generation),
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

    /// Those that are to be prepared here are not in the library.
    pub(super) fn lacks_content(&self) -> bool {
        matches!(self.change.phase, Phase::Preparing(_)) && self.other.is_none()
    }

    /// What was decided by the definitions before is all that it can tell: those that are to decide are not here, or not ready yet.
    pub(super) fn tells_exits_only(&self) -> bool {
        matches!(self.change.phase, Phase::Preparing(Preparing { ordered: true, .. }))
    }

    /// Whether [`Shard::go_on`] has something to do.
    pub fn is_changing(&self) -> bool {
        match &self.change.phase {
            Phase::Steady | Phase::Adopting { .. } => false,
            Phase::Clearing { .. } => true,
            Phase::Preparing(_) if self.other.is_none() => false,
            Phase::Preparing(Preparing { cursor, count, ordered, .. }) => {
                *cursor < self.committed || *ordered || count.as_ref().is_some_and(|count| count.bucket < BUCKETS)
            }
        }
    }

    /// One slice of a preparation; whether there is more to do at once.
    pub fn go_on(&mut self, bridge: &Bridge, log: &impl Log, stage: &mut Stage) -> Result<bool, LogError> {
        if let Phase::Preparing(Preparing { generation, .. }) = self.change.phase
            && self.other.is_none()
        {
            self.other = Side::restore_prepared(bridge, log, self.place, self.change.space.other(), generation)?;
            self.moved |= self.other.is_some();
            if self.other.is_none() {
                return Ok(false);
            }
        }
        match &self.change.phase {
            Phase::Steady | Phase::Adopting { .. } => Ok(false),
            Phase::Clearing { bucket, then } => self.clear(bridge, log, *bucket, *then).map(|()| true),
            Phase::Preparing(preparing) if preparing.cursor < self.committed => {
                let cursor = preparing.cursor;
                self.replay(bridge, log, cursor, stage).map(|()| true)
            }
            Phase::Preparing(Preparing { ordered: true, generation, .. }) => {
                let generation = *generation;
                // What earlier records asked for is decided first, by slices as ever.
                if self.next_item(log)? == Item::Nothing {
                    self.adopt(bridge, generation)?;
                    self.moved = true;
                }
                Ok(true)
            }
            Phase::Preparing(Preparing { count: Some(count), .. }) if count.bucket < BUCKETS => {
                let mut bucket = count.bucket;
                let mut persons = 0;
                let content = &self.running.content;
                let former = Former::all(&content.definitions, &content.member_keys);
                while bucket < BUCKETS && persons < bridge.settings.slice {
                    persons += self.count(bridge, log, bucket, &former)?;
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
                self.other = Side::restore_prepared(bridge, log, place, space, generation)?;
                Phase::Preparing(Preparing {
                    generation,
                    cursor: 0,
                    now: Instant::BEGIN,
                    sent: 0,
                    received: 0,
                    count: None,
                    ordered: false,
                })
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
        if preparing.cursor < self.committed || self.other.is_none() {
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
                // Those in force ask the owners; who waits for them goes on waiting once these are in force.
                if !told.is_for(record, generation) || matches!(told, Told::Awaits(_)) {
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
        let (Phase::Preparing(preparing), Some(side)) = (&mut self.change.phase, &mut self.other) else { return Ok(()) };
        let now = preparing.now;
        let before = side.refer(log, person, &input)?;
        let mut came = None;
        if let Input::Put(put) = &input {
            came = Some((put.key, before, put.version, put.content.consent.is_some()));
            if put.content.consent.is_some() {
                let known = &self.running.members.look(log, person)?.member;
                side.members.change(log, person)?.member.learn_order(known, put);
            }
        }
        // Of what the definitions in force read the owners have heard, and who has to wait for them waits there.
        let unheard = record.kind == Kind::Put && !self.running.content.definitions.reads(record.resource_type());
        let moment = Moment { now, hold: true, silent: &self.history.now.silent, fresh_until: Instant::END };
        let (one, setting, holders) = side.open(bridge, &self.position.stopped, log, person)?;
        let contacts = input.may_move_contacts().then(|| one.member.buckets());
        let asked = one.member.unconfirmed.len();
        // Held, it tells nothing.
        let referred_to = one.member.referred_to_by_received();
        let done = step(&setting, person, &mut one.member, &mut one.versions, &moment, input);
        let dropped: Vec<ResourceKey> = referred_to.into_iter().filter(|key| !one.member.refers_to(*key)).collect();
        if let Some(before) = contacts {
            holders.moved(person, &before, &one.member.buckets());
        }
        if !unheard {
            one.member.unconfirmed.truncate(asked);
        }
        let asks = one.member.unconfirmed.len();
        preparing.sent += asks.saturating_sub(asked) as u64;
        preparing.received += asked.saturating_sub(asks) as u64;
        side.let_go(person, &dropped);
        if done.erased.is_some() {
            side.forget(person);
        }
        let generation = side.generation;
        for (to, message) in done.messages {
            let (place, number) = (bridge.partitions.of(&to), self.number());
            stage.appends.push(landing::message(place, to, message, generation, number));
            if let Phase::Preparing(preparing) = &mut self.change.phase {
                preparing.sent += 1;
            }
        }
        for claim in done.claims {
            let held_here_only = match &claim {
                Ownership::Held { resource, .. } => self.running.members.look(log, person)?.versions.of(*resource).is_none(),
                Ownership::Claim(_) | Ownership::Unclear(_) | Ownership::Delete { .. } | Ownership::Asked { .. } => false,
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
    fn count(&mut self, bridge: &Bridge, log: &impl Log, bucket: u16, former: &Arc<[Former]>) -> Result<usize, LogError> {
        self.moved = true;
        let Some(definitions) = self.other.as_ref().map(|side| Arc::clone(&side.content.definitions)) else { return Ok(0) };
        let terms = self.position.terms_under(bridge, &definitions);
        let moment = Moment { now: self.position.now, hold: false, silent: &terms.silent, fresh_until: terms.fresh_until };
        let Shard { running, other: Some(side), position, .. } = self else { return Ok(0) };
        let mut persons = running.members.bucket(log, bucket as u8)?;
        persons.extend(side.members.bucket(log, bucket as u8)?);
        let mut counted: Vec<(String, Moves)> = Vec::new();
        let many = persons.len();
        for person in persons {
            let one = running.members.look(log, person)?;
            for (name, _) in one.member.emitted.iter().filter(|(_, emitted)| emitted.shown.is_some()) {
                counted.push((name.to_string(), Moves { present: 1, ..Moves::default() }));
            }
            let fresh = side.members.look(log, person)?;
            let adopt = Adopt { member: fresh.member.clone(), versions: fresh.versions.clone(), former: Arc::clone(former) };
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
    fn adopt(&mut self, bridge: &Bridge, generation: Generation) -> Result<(), LogError> {
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
        // What earlier records had reached was worked off before this one came; what it reaches itself is netted with the adoption.
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
            phase: Phase::Adopting { at: self.at(), bucket: 0, from },
        };
        self.left = None;
        self.listen(bridge);
        Ok(())
    }

    /// The next member of an adoption.
    pub(super) fn next_to_adopt(&mut self, log: &impl Log) -> Result<Option<Person>, LogError> {
        let Phase::Adopting { mut bucket, at, from } = self.change.phase else { return Ok(None) };
        self.moved = true;
        loop {
            match self.left.as_mut().map(|left| left.front().copied()) {
                Some(Some(person)) if self.is_left_behind(log, person)? => break,
                Some(Some(_)) => _ = self.left.as_mut().and_then(VecDeque::pop_front),
                Some(None) => (bucket, self.left) = (bucket + 1, None),
                // A bucket that is begun is begun again after a start: those who were taken over are passed by.
                None if bucket < BUCKETS => {
                    let mut persons = self.running.members.bucket(log, bucket as u8)?;
                    if let Some(before) = &self.other {
                        persons.extend(before.members.bucket(log, bucket as u8)?);
                    }
                    self.left = Some(persons.into_iter().collect());
                }
                None => {
                    self.former = Arc::default();
                    self.leave(None);
                    return Ok(None);
                }
            }
        }
        self.change.phase = Phase::Adopting { bucket, at, from };
        Ok(self.left.as_ref().and_then(|left| left.front().copied()))
    }

    /// Whether an adoption has not reached this member yet.
    fn is_left_behind(&mut self, log: &impl Log, person: Person) -> Result<bool, LogError> {
        let (Phase::Adopting { .. }, Some(before)) = (&self.change.phase, &mut self.other) else { return Ok(false) };
        let known = before.members.look(log, person)?;
        Ok(!known.member.is_empty(&known.versions) || self.running.members.look(log, person)?.prepared)
    }

    /// Where an adoption has not reached a member yet, it does now, as of the instant that it has for all.
    pub(super) fn take_over(&mut self, bridge: &Bridge, log: &impl Log, person: Person, stage: &mut Stage) -> Result<(), LogError> {
        if !self.is_left_behind(log, person)? {
            return Ok(());
        }
        let (Phase::Adopting { at, .. }, Some(before)) = (&self.change.phase, &mut self.other) else { return Ok(()) };
        let at = *at;
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
