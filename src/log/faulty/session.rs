//! A session of the faulty log.
//!
//! In: the world, and what this session was told of it. Out: batches and commits, as any log gives them.
//! Never here: knowledge that a real session would not have: one that was not told goes on until a commit is refused.

use super::Faulty;
use super::world::World;
use crate::log::{Batch, Bytes, Commit, Log, LogError, Place, Record};
use std::collections::BTreeMap;
use std::time::Duration;

const POLL_RECORDS_MAX: usize = 100;
const REPLAY_RECORDS_MAX: usize = 100;

pub struct FaultySession {
    log: Faulty,
    id: u64,
    /// Places that it thinks it holds.
    seats: BTreeMap<Place, Seat>,
    failed: bool,
    /// The next batch names all places held.
    again: bool,
}

struct Seat {
    next: u64,
    drained: bool,
}

impl FaultySession {
    pub(super) fn new(log: Faulty, id: u64) -> FaultySession {
        FaultySession { log, id, seats: BTreeMap::new(), failed: false, again: false }
    }

    /// The number that the simulator calls it by.
    pub fn id(&self) -> u64 {
        self.id
    }

    fn check(&self) -> Result<(), LogError> {
        match self.failed {
            true => Err(LogError::refused(format!("session {}", self.id), "a commit failed and `abort` was not called")),
            false => Ok(()),
        }
    }

    /// As long as an abort was not answered by a poll, the session does not know where it stands.
    fn check_told(&self, commit: &Commit) -> Result<(), LogError> {
        commit.check(|place| !self.again && self.seats.contains_key(&place))
    }

    fn news(&mut self, world: &mut World, batch: &mut Batch) {
        if self.again {
            self.again = false;
            // One that was not told learns now what it no longer holds.
            let holds = |place: Place| world.lanes.get(&place).is_some_and(|lane| lane.holder == Some(self.id));
            batch.lost.extend(self.seats.extract_if(.., |&place, _| !holds(place)).map(|(place, _)| place));
            for (&place, seat) in &mut self.seats {
                let committed = world.lanes.get(&place).map_or(0, |lane| lane.committed);
                *seat = Seat { next: committed, drained: false };
                batch.assigned.push((place, committed));
            }
        }
        let (lost, assigned) = world.news(self.id);
        for place in lost {
            batch.assigned.retain(|&(assigned, _)| assigned != place);
            batch.lost.extend(self.seats.remove(&place).map(|_| place));
        }
        for (place, committed) in assigned {
            self.seats.insert(place, Seat { next: committed, drained: false });
            batch.assigned.retain(|&(assigned, _)| assigned != place);
            batch.assigned.push((place, committed));
        }
    }
}

impl Log for FaultySession {
    /// Never waits: time is virtual.
    fn poll(&mut self, _wait: Duration, batch: &mut Batch) -> Result<(), LogError> {
        batch.clear();
        self.check()?;
        let log = self.log.clone();
        let world = &mut *log.world();
        world.alive(self.id)?;
        self.news(world, batch);
        let mut budget = POLL_RECORDS_MAX;
        if world.chance.happens(world.odds.short_poll) {
            budget = 1 + world.chance.below(budget);
        }
        for (&place, seat) in &mut self.seats {
            let Some(lane) = world.lanes.get(&place) else { continue };
            for (&offset, record) in lane.records.range(seat.next..).take(budget) {
                seat.next = offset + 1;
                seat.drained = false;
                budget -= 1;
                batch.records.push(record.clone());
            }
            if lane.records.range(seat.next..).next().is_some() {
                continue;
            }
            seat.next = seat.next.max(lane.end);
            if seat.drained || world.chance.happens(world.odds.drained_late) {
                continue;
            }
            if world.drained_late > 0 {
                world.drained_late -= 1;
                continue;
            }
            seat.drained = true;
            batch.drained.push(place);
        }
        Ok(())
    }

    fn get(&self, place: Place, key: &[u8]) -> Result<Option<Bytes>, LogError> {
        let world = self.log.world();
        world.alive(self.id)?;
        Ok(world.state.get(&(place, key.to_vec())).cloned())
    }

    fn scan(&self, place: Place, prefix: &[u8], each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        let world = self.log.world();
        world.alive(self.id)?;
        let from = world.state.range((place, prefix.to_vec())..);
        for ((_, key), value) in from.take_while(|((at, key), _)| *at == place && key.starts_with(prefix)) {
            each(key, value);
        }
        Ok(())
    }

    fn replay(&self, place: Place, from: u64, records: &mut Vec<Record>) -> Result<Option<u64>, LogError> {
        let world = self.log.world();
        world.alive(self.id)?;
        let lane = world.lanes.get(&place).filter(|_| self.seats.contains_key(&place)).ok_or_else(|| LogError::lost(place))?;
        if from >= lane.committed {
            return Ok(None);
        }
        let found: Vec<Record> =
            lane.records.range(from..lane.committed).map(|(_, record)| record.clone()).take(REPLAY_RECORDS_MAX).collect();
        let next = found.last().filter(|_| found.len() == REPLAY_RECORDS_MAX).map(|record| record.offset + 1);
        records.extend(found);
        Ok(next.filter(|&next| next < lane.committed))
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        self.check()?;
        let seats = &self.seats;
        let done = self
            .check_told(&commit)
            .and_then(|()| self.log.world().commit(self.id, commit, |place| seats.get(&place).map_or(0, |seat| seat.next)));
        self.failed = done.is_err();
        done
    }

    fn abort(&mut self) -> Result<(), LogError> {
        self.log.world().alive(self.id)?;
        self.failed = false;
        self.again = true;
        Ok(())
    }
}
