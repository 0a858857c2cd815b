//! A session of the embedded log: one worker's share of the places.
//!
//! In: records from the tail, or from disk where the session is behind. Out: batches; commits with the compaction they allow.
//! Never here: a write; the writer does that.

use super::layout::{keyed, offset_at, record_key};
use super::queue::{Compaction, Job};
use super::tail::{Next, Tail};
use super::{Handle, error};
use crate::log::{Batch, Bytes, Commit, Log, LogError, Place, Record, Topic, Trouble};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub struct Session {
    handle: Arc<Handle>,
    /// Which sessions these are; the writer refuses the commits of earlier ones.
    number: u64,
    tail: Arc<Tail>,
    seats: Vec<Seat>,
    /// Where the next poll begins, so that no place starves another.
    turn: usize,
    standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The next batch names all places held.
    New,
    Working,
    /// A commit failed: nothing goes on before `abort`.
    Failed,
    /// Others hold the places, and the loop was told.
    Lost,
    /// The log ended while a commit was under way: only a new start can tell whether it was done.
    Over,
}

/// One place held.
pub struct Seat {
    place: Place,
    committed: u64,
    next: u64,
    /// The loop knows that it has seen the end.
    drained: bool,
    /// Given out and not committed: compaction needs their keys.
    pending: VecDeque<Record>,
}

impl Seat {
    pub fn new(place: Place, committed: u64) -> Seat {
        Seat { place, committed, next: committed, drained: false, pending: VecDeque::new() }
    }

    fn rewind(&mut self) {
        *self = Seat::new(self.place, self.committed);
    }
}

impl Session {
    /// `seats` in the order of their places.
    pub(super) fn new(handle: Arc<Handle>, number: u64, tail: Arc<Tail>, seats: Vec<Seat>) -> Session {
        Session { handle, number, tail, seats, turn: 0, standing: Standing::New }
    }

    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.seats.iter().map(|seat| seat.place)
    }

    /// Seats are in the order of their places.
    fn seat(&self, place: Place) -> Option<&Seat> {
        let found = self.seats.binary_search_by_key(&place, |seat| seat.place);
        found.ok().and_then(|index| self.seats.get(index))
    }

    fn at(&self) -> String {
        self.handle.shared.directory.display().to_string()
    }

    /// Records of all places in turn, up to the bounds of one poll.
    fn fill(&mut self, batch: &mut Batch) -> Result<(), LogError> {
        let settings = &self.handle.shared.settings;
        let mut budget = Budget { records: settings.poll_records_max, bytes: settings.poll_bytes_max };
        let count = self.seats.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let seat = &mut self.seats[index];
            let before = batch.records.len();
            let ended = loop {
                match from_tail(&self.tail, seat, batch, &mut budget) {
                    Found::End => break true,
                    Found::Enough => break false,
                    Found::OnDisk(until) => from_disk(&self.handle, seat, until, batch, &mut budget)?,
                }
            };
            if batch.records.len() > before {
                seat.drained = false;
            }
            if ended && !seat.drained {
                seat.drained = true;
                batch.drained.push(seat.place);
            }
            if budget.is_spent() {
                self.turn = (index + 1) % count;
                break;
            }
        }
        Ok(())
    }

    /// What the new positions and tombstones allow to be removed, and the index afterwards.
    fn compaction(&self, commit: &Commit) -> Result<Compaction, LogError> {
        // Each key's newest offset below the new position, where this commit changes it.
        let mut newest: BTreeMap<Vec<u8>, Option<u64>> = BTreeMap::new();
        let mut compaction = Compaction::default();
        for &(place, position) in &commit.positions {
            let Some(seat) = self.seat(place) else { continue };
            for record in seat.pending.iter().take_while(|record| record.offset < position) {
                if place.topic == Topic::Owners {
                    compaction.remove.push((place, record.offset));
                    continue;
                }
                let key = keyed(place, record.key());
                let older = match newest.get(&key) {
                    Some(older) => *older,
                    None => self.indexed(&key)?,
                };
                compaction.remove.extend(older.map(|offset| (place, offset)));
                newest.insert(key, Some(record.offset));
            }
        }
        for (place, key) in &commit.landing_tombstones {
            let key = keyed(*place, key);
            let loser = match newest.get(&key) {
                Some(loser) => *loser,
                None => self.indexed(&key)?,
            };
            if let Some(offset) = loser {
                compaction.remove.push((*place, offset));
                newest.insert(key, None);
            }
        }
        for (place, prefix, below) in &commit.landing_erased {
            let (prefix, mut gone) = (keyed(*place, prefix), Vec::new());
            let shared = &self.handle.shared;
            for guard in shared.spaces.index.prefix(&prefix) {
                let (key, offset) = guard.into_inner().map_err(|e| error(&shared.directory, &e))?;
                if !newest.contains_key(&key[..]) {
                    gone.push((key.to_vec(), offset_at(&offset, 0, "index")?));
                }
            }
            let changed = newest.iter().filter(|(key, _)| key.starts_with(&prefix));
            gone.extend(changed.filter_map(|(key, offset)| Some((key.clone(), (*offset)?))));
            for (key, offset) in gone.into_iter().filter(|(_, offset)| offset < below) {
                compaction.remove.push((*place, offset));
                newest.insert(key, None);
            }
        }
        compaction.index.extend(newest);
        Ok(compaction)
    }

    /// Only this session's commits change the index of its places.
    fn indexed(&self, key: &[u8]) -> Result<Option<u64>, LogError> {
        let shared = &self.handle.shared;
        let stored = shared.spaces.index.get(key).map_err(|e| error(&shared.directory, &e))?;
        stored.map(|bytes| offset_at(&bytes, 0, "index")).transpose()
    }

    fn check(&self, commit: &Commit) -> Result<(), LogError> {
        // Before the first poll, and after an abort, the loop was not told where it stands.
        commit.check(|place| self.standing == Standing::Working && self.seat(place).is_some())?;
        for (number, &(place, position)) in commit.positions.iter().enumerate() {
            let seat = self.seat(place);
            if seat.is_none_or(|seat| position < seat.committed || position > seat.next) {
                return Err(LogError::refused(place, format!("position {position} is not among what was read")));
            }
            if commit.positions[..number].iter().any(|&(other, _)| other == place) {
                return Err(LogError::refused(place, "one commit names two positions"));
            }
        }
        Ok(())
    }
}

impl Log for Session {
    fn poll(&mut self, wait: Duration, batch: &mut Batch) -> Result<(), LogError> {
        batch.clear();
        let until = Instant::now() + wait;
        loop {
            match self.standing {
                Standing::Failed => return Err(LogError::refused(self.at(), "a commit failed and `abort` was not called")),
                Standing::Lost => return Err(LogError::lost(self.at())),
                Standing::Over => return Err(LogError::stopped(self.at())),
                Standing::New | Standing::Working => {}
            }
            let (seen, over) = {
                let tail = self.tail.lock();
                (tail.pushes(), tail.over().cloned())
            };
            match over {
                Some(error) if error.trouble == Trouble::Lost => {
                    self.standing = Standing::Lost;
                    batch.lost = self.places().collect();
                    return Ok(());
                }
                Some(error) => return Err(error),
                None => {}
            }
            if self.standing == Standing::New {
                batch.assigned = self.seats.iter().map(|seat| (seat.place, seat.committed)).collect();
                self.standing = Standing::Working;
            }
            if let Err(error) = self.fill(batch) {
                // What was taken from the tail for this batch is not lost: it comes again after `abort`.
                self.standing = Standing::Failed;
                batch.clear();
                return Err(error);
            }
            let left = until.saturating_duration_since(Instant::now());
            if !batch.is_empty() || left.is_zero() {
                return Ok(());
            }
            self.tail.wait(seen, left);
        }
    }

    fn get(&self, place: Place, key: &[u8]) -> Result<Option<Bytes>, LogError> {
        let shared = &self.handle.shared;
        shared.spaces.state.get(keyed(place, key)).map_err(|e| error(&shared.directory, &e))
    }

    fn scan(&self, place: Place, prefix: &[u8], each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        let shared = &self.handle.shared;
        for guard in shared.spaces.state.prefix(keyed(place, prefix)) {
            let (key, value) = guard.into_inner().map_err(|e| error(&shared.directory, &e))?;
            // A key begins with its place: three bytes.
            each(&key[3..], &value);
        }
        Ok(())
    }

    fn replay(&self, place: Place, from: u64, records: &mut Vec<Record>) -> Result<Option<u64>, LogError> {
        let told = self.standing == Standing::Working;
        let seat = self.seat(place).filter(|_| told).ok_or_else(|| LogError::lost(place))?;
        let settings = &self.handle.shared.settings;
        let mut budget = Budget { records: settings.poll_records_max, bytes: settings.poll_bytes_max };
        let mut next = from;
        read(&self.handle, place, &mut next, seat.committed, &mut budget, |record| records.push(record))?;
        Ok((next < seat.committed).then_some(next))
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        match self.standing {
            Standing::Failed => return Err(LogError::refused(self.at(), "a commit failed and `abort` was not called")),
            Standing::Lost => return Err(LogError::lost(self.at())),
            Standing::Over => return Err(LogError::stopped(self.at())),
            Standing::New | Standing::Working => {}
        }
        if commit.is_empty() {
            return Ok(());
        }
        let positions = commit.positions.clone();
        let done = self.check(&commit).and_then(|()| self.compaction(&commit)).and_then(|compaction| {
            let (session, commit) = (Some(self.number), Box::new(commit));
            self.handle.shared.queue.ask(&self.at(), |reply| Job::Commit { session, commit, compaction, reply })
        });
        if let Err(error) = done {
            self.standing = match error.trouble {
                Trouble::Refused | Trouble::Lost => Standing::Failed,
                _ => Standing::Over,
            };
            return Err(error);
        }
        for (place, position) in positions {
            for seat in self.seats.iter_mut().filter(|seat| seat.place == place) {
                seat.committed = position;
                while seat.pending.front().is_some_and(|record| record.offset < position) {
                    seat.pending.pop_front();
                }
            }
        }
        Ok(())
    }

    fn abort(&mut self) -> Result<(), LogError> {
        match self.standing {
            Standing::Lost => return Err(LogError::lost(self.at())),
            Standing::Over => return Err(LogError::stopped(self.at())),
            Standing::New | Standing::Working | Standing::Failed => {}
        }
        // A commit that was refused did nothing: what this session knows as committed is.
        self.seats.iter_mut().for_each(Seat::rewind);
        self.standing = Standing::New;
        Ok(())
    }
}

struct Budget {
    records: usize,
    bytes: usize,
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }

    fn pay(&mut self, record: &Record) {
        self.records -= 1;
        self.bytes = self.bytes.saturating_sub(record.whole().len());
    }
}

enum Found {
    End,
    Enough,
    OnDisk(u64),
}

fn from_tail(tail: &Tail, seat: &mut Seat, batch: &mut Batch, budget: &mut Budget) -> Found {
    let mut tail = tail.lock();
    loop {
        if budget.is_spent() {
            return if seat.next == tail.end(seat.place) { Found::End } else { Found::Enough };
        }
        match tail.next(seat.place, seat.next) {
            Next::Record(record) => {
                budget.pay(&record);
                give(seat, record, batch);
            }
            Next::OnDisk(until) => return Found::OnDisk(until),
            Next::End => return Found::End,
        }
    }
}

fn from_disk(handle: &Handle, seat: &mut Seat, until: u64, batch: &mut Batch, budget: &mut Budget) -> Result<(), LogError> {
    let mut next = seat.next;
    read(handle, seat.place, &mut next, until, budget, |record| give(seat, record, batch))?;
    seat.next = next;
    Ok(())
}

/// Records of a place from `next` to before `until`, within the budget; moves `next` to where to go on.
fn read(
    handle: &Handle,
    place: Place,
    next: &mut u64,
    until: u64,
    budget: &mut Budget,
    mut each: impl FnMut(Record),
) -> Result<(), LogError> {
    if *next >= until {
        return Ok(());
    }
    let shared = &handle.shared;
    let range = record_key(place.partition, *next)..record_key(place.partition, until);
    for guard in shared.spaces.records(place.topic).range(range) {
        if budget.is_spent() {
            return Ok(());
        }
        let (key, whole) = guard.into_inner().map_err(|e| error(&shared.directory, &e))?;
        let record = Record::decode(place, offset_at(&key, 2, "landing")?, whole)?;
        *next = record.offset + 1;
        budget.pay(&record);
        each(record);
    }
    *next = until;
    Ok(())
}

fn give(seat: &mut Seat, record: Record, batch: &mut Batch) {
    seat.next = record.offset + 1;
    seat.pending.push_back(record.clone());
    batch.records.push(record);
}
