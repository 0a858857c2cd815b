//! Everything the faulty log holds, and what is done to it.
//!
//! In: appends, commits, faults. Out: records, outputs, state, who holds what.
//! Never here: a fault that neither the simulator nor the seed asked for.

use super::{AppendFault, Chance, CommitFault, Odds, Then};
use crate::log::{Bytes, Clock, Commit, Entry, LogError, OutTopic, Output, Outputs, Place, Record, Retry, Stamped, Stored, Topic, Trouble};
use footbridge_core::time::Instant;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub struct World {
    clock: Clock,
    pub chance: Chance,
    pub odds: Odds,
    pub commit_faults: VecDeque<(CommitFault, Then)>,
    pub append_faults: VecDeque<AppendFault>,
    pub drained_late: u32,
    pub lanes: BTreeMap<Place, Lane>,
    pub state: BTreeMap<(Place, Vec<u8>), Bytes>,
    outputs: BTreeMap<OutTopic, Stream>,
    pub staged: Vec<Output>,
    sessions: BTreeMap<u64, Standing>,
}

/// One place's records.
#[derive(Default)]
pub struct Lane {
    pub records: BTreeMap<u64, Record>,
    pub end: u64,
    pub committed: u64,
    pub holder: Option<u64>,
    /// Keys of losers, and the position below which they lost.
    tombstones: Vec<(Vec<u8>, u64)>,
    /// How keys begin that are gone, and the offset below which.
    erased: Vec<(Vec<u8>, u64)>,
}

#[derive(Default)]
struct Stream {
    list: Vec<Stored>,
    end: u64,
}

/// What the log knows of a session.
#[derive(Default)]
struct Standing {
    crashed: bool,
    /// To be told at its next poll.
    assigned: BTreeSet<Place>,
    lost: BTreeSet<Place>,
}

impl World {
    pub fn new(partitions: u16, clock: Clock, seed: u64) -> World {
        let places = (0..partitions).flat_map(|partition| [Topic::Landing, Topic::Owners].map(|topic| Place { topic, partition }));
        World {
            clock,
            chance: Chance::new(seed),
            odds: Odds::default(),
            commit_faults: VecDeque::new(),
            append_faults: VecDeque::new(),
            drained_late: 0,
            lanes: places.map(|place| (place, Lane::default())).collect(),
            state: BTreeMap::new(),
            outputs: BTreeMap::new(),
            staged: Vec::new(),
            sessions: BTreeMap::new(),
        }
    }

    // Sessions

    pub fn share(&mut self, count: usize) -> Vec<u64> {
        let first = self.sessions.len() as u64;
        let made: Vec<u64> = (first..first + count as u64).collect();
        for &id in &made {
            self.sessions.insert(id, Standing::default());
        }
        let places: Vec<Place> = self.lanes.keys().copied().collect();
        if !made.is_empty() {
            for place in places {
                self.hand_over(place, made[usize::from(place.partition) % made.len()], true);
            }
        }
        made
    }

    pub fn hand_over(&mut self, place: Place, to: u64, told: bool) {
        let Some(lane) = self.lanes.get_mut(&place) else { return };
        let from = lane.holder.replace(to);
        if let Some(old) = from.and_then(|from| self.sessions.get_mut(&from)) {
            let was_news = old.assigned.remove(&place);
            if told && !was_news {
                old.lost.insert(place);
            }
        }
        if let Some(new) = self.sessions.get_mut(&to) {
            new.assigned.insert(place);
        }
    }

    pub fn crash(&mut self, session: u64) {
        if let Some(standing) = self.sessions.get_mut(&session) {
            standing.crashed = true;
        }
    }

    pub fn alive(&self, session: u64) -> Result<(), LogError> {
        match self.sessions.get(&session) {
            Some(standing) if !standing.crashed => Ok(()),
            _ => Err(LogError::stopped(format!("session {session}"))),
        }
    }

    /// Places lost, and places assigned with their positions, that the session was not told yet.
    pub fn news(&mut self, session: u64) -> (Vec<Place>, Vec<(Place, u64)>) {
        let Some(standing) = self.sessions.get_mut(&session) else { return Default::default() };
        let (lost, assigned) = (std::mem::take(&mut standing.lost), std::mem::take(&mut standing.assigned));
        let assigned = assigned.into_iter().filter_map(|place| Some((place, self.lanes.get(&place)?.committed)));
        (lost.into_iter().collect(), assigned.collect())
    }

    // Appends

    pub fn append(&mut self, entries: &[Entry]) -> Result<Stamped, LogError> {
        self.check(entries)?;
        let at = (self.clock)();
        let taken = match self.append_fault() {
            None => {
                self.store(entries, at);
                return Ok(Stamped { at });
            }
            Some(AppendFault::Refused) => 0,
            Some(AppendFault::Torn) => self.chance.below(entries.len()),
            Some(AppendFault::AnswerLost) => entries.len(),
        };
        self.store(&entries[..taken], at);
        Err(failure("landing", "the append failed", "append it again"))
    }

    fn append_fault(&mut self) -> Option<AppendFault> {
        if let Some(fault) = self.append_faults.pop_front() {
            return Some(fault);
        }
        match () {
            () if self.chance.happens(self.odds.torn) => Some(AppendFault::Torn),
            () if self.chance.happens(self.odds.append) => Some([AppendFault::Refused, AppendFault::AnswerLost][self.chance.below(2)]),
            () => None,
        }
    }

    fn check(&self, entries: &[Entry]) -> Result<(), LogError> {
        entries.iter().try_for_each(|entry| match self.lanes.contains_key(&entry.place) {
            true => entry.check(),
            false => Err(LogError::refused(entry.place, "there is no such partition")),
        })
    }

    fn store(&mut self, entries: &[Entry], at: Instant) {
        for entry in entries {
            let lane = self.lanes.entry(entry.place).or_default();
            lane.records.insert(lane.end, Record::new(entry, lane.end, at));
            lane.end += 1;
        }
    }

    // Commits

    /// `next`: how far the session has read a place.
    pub fn commit(&mut self, session: u64, commit: Commit, next: impl Fn(Place) -> u64) -> Result<(), LogError> {
        self.alive(session)?;
        let holder = |place: Place| self.lanes.get(&place).and_then(|lane| lane.holder);
        // A place that came back while the session did not look is not the one that it read.
        let told = |place: Place| self.sessions.get(&session).is_some_and(|standing| !standing.assigned.contains(&place));
        commit.check(|place| holder(place) == Some(session) && told(place))?;
        self.check(&commit.appends)?;
        for (number, &(place, position)) in commit.positions.iter().enumerate() {
            let committed = self.lanes.get(&place).map_or(0, |lane| lane.committed);
            if position < committed || position > next(place) {
                return Err(LogError::refused(place, format!("position {position} is not among what was read")));
            }
            if commit.positions[..number].iter().any(|&(other, _)| other == place) {
                return Err(LogError::refused(place, "one commit names two positions"));
            }
        }
        let fault = self.commit_fault();
        match fault {
            None | Some((CommitFault::Durable, _)) => self.apply(commit),
            Some((CommitFault::Staged, _)) => self.staged.extend(commit.outputs),
            Some((CommitFault::Before, _)) => {}
        }
        match fault {
            None => Ok(()),
            Some((_, Then::Error)) => Err(failure(&format!("session {session}"), "the commit failed", "abort and go on")),
            Some((_, Then::Crash)) => {
                self.crash(session);
                self.alive(session)
            }
        }
    }

    fn commit_fault(&mut self) -> Option<(CommitFault, Then)> {
        if let Some(fault) = self.commit_faults.pop_front() {
            return Some(fault);
        }
        self.chance.happens(self.odds.commit).then(|| {
            let fault = [CommitFault::Before, CommitFault::Staged, CommitFault::Durable][self.chance.below(3)];
            (fault, [Then::Crash, Then::Error][self.chance.below(2)])
        })
    }

    fn apply(&mut self, commit: Commit) {
        let at = (self.clock)();
        for (place, key, value) in commit.state {
            match value {
                Some(value) => drop(self.state.insert((place, key), value.into())),
                None => drop(self.state.remove(&(place, key))),
            }
        }
        for (place, position) in commit.positions {
            self.lanes.entry(place).or_default().committed = position;
        }
        for (place, key) in commit.landing_tombstones {
            let lane = self.lanes.entry(place).or_default();
            lane.tombstones.push((key, lane.committed));
        }
        for (place, prefix, below) in commit.landing_erased {
            self.lanes.entry(place).or_default().erased.push((prefix, below));
        }
        self.store(&commit.appends, at);
        for output in commit.outputs {
            let stream = self.outputs.entry(output.topic.clone()).or_default();
            if output.topic == OutTopic::Quarantine {
                stream.list.retain(|stored| stored.key != output.key);
                if output.value.is_none() {
                    continue;
                }
            }
            let headers = output.headers.into_iter().map(|(name, text)| (name.to_string(), text)).collect();
            stream.list.push(Stored { offset: stream.end, stamp: at, key: output.key, headers, value: output.value });
            stream.end += 1;
        }
    }

    // Reading and keeping

    pub fn outputs(&self, topic: &OutTopic, from: u64, max: usize) -> Outputs {
        let all = self.outputs.get(topic).map_or(&[][..], |stream| &stream.list);
        let list: Vec<Stored> = all.iter().filter(|stored| stored.offset >= from).take(max).cloned().collect();
        let next = list.last().map_or(from, |stored| stored.offset + 1);
        Outputs { list, next }
    }

    pub fn compact(&mut self) {
        for lane in self.lanes.values_mut() {
            let tombstones = std::mem::take(&mut lane.tombstones);
            let erased = std::mem::take(&mut lane.erased);
            lane.records
                .retain(|&offset, record| !erased.iter().any(|(prefix, below)| record.key().starts_with(prefix) && offset < *below));
            lane.records.retain(|&offset, record| !tombstones.iter().any(|(key, below)| record.key() == key && offset < *below));
            let below = lane.records.range(..lane.committed);
            let newest: BTreeMap<Vec<u8>, u64> = below.map(|(&offset, record)| (record.key().to_vec(), offset)).collect();
            let committed = lane.committed;
            lane.records.retain(|&offset, record| offset >= committed || newest.get(record.key()) == Some(&offset));
        }
    }
}

fn failure(at: &str, what: &str, hint: &'static str) -> LogError {
    LogError { trouble: Trouble::System, at: at.into(), what: what.into(), hint, retry: Retry::Later }
}
