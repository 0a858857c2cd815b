//! A log that breaks the protocol: what the checks of the simulation must see.
//!
//! In: a session of the faulty log, the one fault asked for, how often. Out: the same session, and now and then a lie.
//! Never here: a fault that a real log may have; those are the faulty log's own.

use footbridge::log::faulty::{Chance, FaultySession};
use footbridge::log::{Batch, Bytes, Commit, Kind, Log, LogError, OutTopic, Output, Place, Record, Retry, Topic, Trouble};
use footbridge::pipeline::Position;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An event is not written, though all else of its commit is.
    OutputLost,
    /// The events of a commit are written twice.
    OutputsTwice,
    /// The events of a commit that fails are written all the same: it is no one act.
    OutputsOfAFailedCommit,
    /// What a session decides for a partition that another one holds is written all the same.
    OutputsOfAZombie,
    /// The state of a member is not written, though the position is.
    StateLost,
    /// A read of state gives what was there one commit before.
    StateOld,
    /// After a start the position is one record too far.
    RecordSkipped,
    /// After a start the record before the position comes once more, though its commit is done.
    RecordRepeated,
    /// Two neighbouring records of a partition come in the other order.
    RecordsSwapped,
    /// The position record forgets that a backlog is being worked off.
    HoldForgotten,
    /// The position record forgets the baseline.
    BaselineForgotten,
    /// A claim does not reach the owners.
    ClaimLost,
    /// What owners send does not arrive.
    GoneLost,
    /// A hand-over does not arrive.
    HandOverLost,
    /// A tick does not arrive.
    TickLost,
    /// What could not be read does not come to quarantine.
    QuarantineLost,
    /// What erasures reach stays in landing.
    ErasedStays,
    /// A tombstone does not come to its topic.
    TombstoneLost,
}

pub const FAULTS: [Fault; 18] = [
    Fault::OutputLost,
    Fault::OutputsTwice,
    Fault::OutputsOfAFailedCommit,
    Fault::OutputsOfAZombie,
    Fault::StateLost,
    Fault::StateOld,
    Fault::RecordSkipped,
    Fault::RecordRepeated,
    Fault::RecordsSwapped,
    Fault::HoldForgotten,
    Fault::BaselineForgotten,
    Fault::ClaimLost,
    Fault::GoneLost,
    Fault::HandOverLost,
    Fault::TickLost,
    Fault::QuarantineLost,
    Fault::ErasedStays,
    Fault::TombstoneLost,
];

/// One for all sessions of a run.
#[derive(Clone)]
pub struct Orders(Arc<Mutex<Standing>>);

struct Standing {
    fault: Option<Fault>,
    chance: Chance,
    /// What stood under a key before it was last written.
    before: BTreeMap<(Place, Vec<u8>), Option<Bytes>>,
}

impl Orders {
    pub fn new(fault: Option<Fault>, seed: u64) -> Orders {
        Orders(Arc::new(Mutex::new(Standing { fault, chance: Chance::new(!seed), before: BTreeMap::new() })))
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, fault: Fault) -> bool {
        self.standing().fault == Some(fault)
    }

    /// Whether this fault is to be done here, where it can be.
    fn does(&self, fault: Fault) -> bool {
        let mut standing = self.standing();
        standing.fault == Some(fault) && standing.chance.happens(200)
    }
}

pub struct Saboteur {
    session: FaultySession,
    orders: Orders,
}

impl Saboteur {
    pub fn new(session: FaultySession, orders: Orders) -> Saboteur {
        Saboteur { session, orders }
    }

    pub fn id(&self) -> u64 {
        self.session.id()
    }

    /// The record before a position that was just assigned.
    fn record_before(&self, place: Place, position: u64) -> Result<Option<Record>, LogError> {
        let (mut records, mut from) = (Vec::new(), Some(0));
        while let Some(next) = from {
            from = self.session.replay(place, next, &mut records)?;
        }
        Ok(records.into_iter().rfind(|record| record.offset < position))
    }

    fn spoil_batch(&mut self, batch: &mut Batch) -> Result<(), LogError> {
        let assigned: Vec<(Place, u64)> = batch.assigned.iter().copied().filter(|(place, _)| place.topic == Topic::Landing).collect();
        for (place, position) in assigned {
            let first = batch.records.iter().position(|record| record.place == place);
            if let Some(first) = first.filter(|_| self.orders.does(Fault::RecordSkipped)) {
                batch.records.remove(first);
            }
            if self.orders.is(Fault::RecordRepeated)
                && let Some(record) = self.record_before(place, position)?
                && self.orders.does(Fault::RecordRepeated)
            {
                batch.records.insert(0, record);
            }
        }
        for at in 1..batch.records.len() {
            if batch.records[at - 1].place == batch.records[at].place && self.orders.does(Fault::RecordsSwapped) {
                // The positions stay as they were: only what stands there is another record's.
                batch.records.swap(at - 1, at);
                let (one, other) = (batch.records[at - 1].offset, batch.records[at].offset);
                (batch.records[at - 1].offset, batch.records[at].offset) = (other, one);
            }
        }
        Ok(())
    }

    fn spoil_commit(&mut self, commit: &mut Commit) {
        let orders = &self.orders;
        if let Some(event) =
            commit.outputs.iter().position(|output| matches!(output.topic, OutTopic::Audience(_)) && output.value.is_some())
            && orders.does(Fault::OutputLost)
        {
            commit.outputs.remove(event);
        }
        commit.outputs.retain(|output| output.topic != OutTopic::Quarantine || !orders.does(Fault::QuarantineLost));
        let is_tombstone = |output: &Output| matches!(output.topic, OutTopic::Audience(_)) && output.value.is_none();
        commit.outputs.retain(|output| !is_tombstone(output) || !orders.does(Fault::TombstoneLost));
        commit.landing_erased.retain(|_| !orders.does(Fault::ErasedStays));
        if !commit.outputs.is_empty() && orders.does(Fault::OutputsTwice) {
            commit.outputs.extend(commit.outputs.clone());
        }
        if let Some(member) = commit.state.iter().position(|(_, key, _)| key.first() == Some(&b'm'))
            && orders.does(Fault::StateLost)
        {
            commit.state.remove(member);
        }
        commit.appends.retain(|entry| match (entry.place.topic, entry.headers.kind) {
            (Topic::Owners, _) => !orders.does(Fault::ClaimLost),
            (_, Kind::Delete) => !orders.does(Fault::GoneLost),
            (_, Kind::Message) => !orders.does(Fault::HandOverLost),
            (_, Kind::Tick) => !orders.does(Fault::TickLost),
            _ => true,
        });
        for (place, key, value) in &mut commit.state {
            let Some(bytes) = value.as_mut().filter(|_| key == b"p") else { continue };
            let mut position = Position::decode(*place, bytes).expect("the pipeline wrote it");
            if position.hold.is_some() && orders.does(Fault::HoldForgotten) {
                position.hold = None;
            }
            if orders.does(Fault::BaselineForgotten) {
                position.heard = Default::default();
            }
            *bytes = position.encode();
        }
    }

    /// Writes outputs and nothing else.
    fn write(&mut self, outputs: Vec<Output>) {
        // Whatever the answer, the session is failed afterwards as it was before.
        drop(self.session.abort());
        drop(self.session.commit(Commit { outputs, ..Commit::default() }));
    }
}

impl Log for Saboteur {
    fn poll(&mut self, wait: Duration, batch: &mut Batch) -> Result<(), LogError> {
        self.session.poll(wait, batch)?;
        self.spoil_batch(batch)
    }

    fn get(&self, place: Place, key: &[u8]) -> Result<Option<Bytes>, LogError> {
        let found = self.session.get(place, key)?;
        if self.orders.is(Fault::StateOld) && key.first() == Some(&b'm') {
            let before = self.orders.standing().before.get(&(place, key.to_vec())).cloned();
            if let Some(before) = before
                && self.orders.does(Fault::StateOld)
            {
                return Ok(before);
            }
        }
        Ok(found)
    }

    fn scan(&self, place: Place, prefix: &[u8], each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        self.session.scan(place, prefix, each)
    }

    fn replay(&self, place: Place, from: u64, records: &mut Vec<Record>) -> Result<Option<u64>, LogError> {
        self.session.replay(place, from, records)
    }

    fn commit(&mut self, mut commit: Commit) -> Result<(), LogError> {
        self.spoil_commit(&mut commit);
        if self.orders.is(Fault::StateOld) {
            for (place, key, _) in &commit.state {
                let before = self.session.get(*place, key)?;
                self.orders.standing().before.insert((*place, key.clone()), before);
            }
        }
        let outputs = commit.outputs.clone();
        if !outputs.is_empty() && self.orders.does(Fault::OutputsOfAFailedCommit) {
            self.write(outputs);
            let hint = "abort and go on";
            return Err(LogError { trouble: Trouble::System, at: "sabotage".into(), what: "failed".into(), hint, retry: Retry::Later });
        }
        let done = self.session.commit(commit);
        if let Err(error) = &done
            && error.trouble == Trouble::Lost
            && !outputs.is_empty()
            && self.orders.does(Fault::OutputsOfAZombie)
        {
            self.write(outputs);
        }
        done
    }

    fn abort(&mut self) -> Result<(), LogError> {
        self.session.abort()
    }
}
