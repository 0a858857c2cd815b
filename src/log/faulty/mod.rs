//! The faulty log: in memory, on virtual time, the same for the same seed. It drives the simulator.
//!
//! In: a clock, a seed, the faults a simulator asks for. Out: sessions and a landing; with no fault simply a log in memory.
//! Never here: a thread, a wait, or chance that the seed does not decide.

mod chance;
mod faults;
mod session;
mod world;

pub use chance::Chance;
pub use faults::{AppendFault, CommitFault, Odds, Then, VirtualClock};
pub use session::FaultySession;

use crate::log::{Clock, Done, Entry, Full, Landing, OutTopic, Output, Outputs, Place, Record};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use world::World;

/// The log and the handle that controls it; clones are of the same log.
#[derive(Clone)]
pub struct Faulty(Arc<Mutex<World>>);

impl Faulty {
    pub fn new(partitions: u16, clock: Clock, seed: u64) -> Faulty {
        Faulty(Arc::new(Mutex::new(World::new(partitions, clock, seed))))
    }

    /// Splits all places over new sessions. Those made before are told that theirs are lost.
    pub fn sessions(&self, count: usize) -> Vec<FaultySession> {
        let ids = self.world().share(count);
        ids.into_iter().map(|id| FaultySession::new(self.clone(), id)).collect()
    }

    // What a simulator does to it

    /// What happens to the commits to come, one fault each.
    pub fn fail_commit(&self, fault: CommitFault, then: Then) {
        self.world().commit_faults.push_back((fault, then));
    }

    /// What happens to the appends to come, one fault each.
    pub fn fail_append(&self, fault: AppendFault) {
        self.world().append_faults.push_back(fault);
    }

    /// Faults by chance from now on.
    pub fn odds(&self, odds: Odds) {
        self.world().odds = odds;
    }

    /// The session's process is gone: all its calls fail.
    pub fn crash(&self, session: u64) {
        self.world().crash(session);
    }

    /// Gives a place to another session. The one that had it is told at its next poll.
    pub fn hand_over(&self, place: Place, to: u64) {
        self.world().hand_over(place, to, true);
    }

    /// Gives a place to another session, and the one that had it does not know: its commits for it are refused.
    pub fn steal(&self, place: Place, to: u64) {
        self.world().hand_over(place, to, false);
    }

    /// The next so many times that an end would be told, it is not: the session hears of it at a later poll.
    pub fn delay_drained(&self, times: u32) {
        self.world().drained_late = times;
    }

    /// Of records below the committed position only the newest of a key stays, and no loser.
    pub fn compact(&self) {
        self.world().compact();
    }

    // What readers see

    pub fn outputs(&self, topic: &OutTopic, from: u64, max: usize) -> Outputs {
        self.world().outputs(topic, from, max)
    }

    /// What a reader that does not wait for commits would see beside them: outputs of commits that failed when staged.
    pub fn uncommitted(&self) -> Vec<Output> {
        self.world().staged.clone()
    }

    pub fn records(&self, place: Place) -> Vec<Record> {
        self.world().lanes.get(&place).map_or_else(Vec::new, |lane| lane.records.values().cloned().collect())
    }

    pub fn position(&self, place: Place) -> u64 {
        self.world().lanes.get(&place).map_or(0, |lane| lane.committed)
    }

    /// A panic of a test's thread leaves nothing half done that another test would see.
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Landing for Faulty {
    fn append(&self, entries: Vec<Entry>, done: Done) -> Result<(), Full> {
        let answer = self.world().append(&entries);
        // Without the lock: a source may append again at once.
        done(answer);
        Ok(())
    }
}
