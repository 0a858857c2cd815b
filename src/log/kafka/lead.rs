//! What only one instance may decide: the state of definitions that are on their way, and what a bridge is from its first start on.
//!
//! In: what the leader keeps. Out: the same, if no other has taken the lead meanwhile; else nothing of it.
//! Never here: what is decided, or who should lead beyond who holds the first partition of landing.

use super::writer::{Sent, Slot, Writer, is_lost};
use super::{Kafka, Shared};
use crate::log::{Bytes, LogError, Place, Retry, Trouble};
use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

impl Shared {
    pub fn send_definition(&self, writer: &Writer, hash: &[u8], content: Option<&[u8]>) -> Result<(), LogError> {
        let (topic, slot) = (self.topics.definitions.as_str(), self.slot_of_definitions());
        writer.send(Sent { topic, partition: Some(0), key: hash, value: content, headers: None, at: None, slot })
    }

    /// They are durable: `ends` says up to where.
    pub fn defined(&self, definitions: &[(Vec<u8>, Option<Vec<u8>>)], ends: &BTreeMap<Slot, u64>) {
        let Some(next) = ends.get(&self.slot_of_definitions()) else { return };
        definitions.iter().for_each(|(hash, content)| self.define(hash, content.as_deref(), *next));
    }

    fn leading(&self) -> MutexGuard<'_, Option<Writer>> {
        self.lead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kafka {
    /// Whether this instance is the one that should lead.
    pub fn leads(&self) -> bool {
        self.shared().held().serves(Place::landing(0))
    }

    /// Whoever led before can keep nothing from here on, and what it kept is known here.
    pub fn take_lead(&self) -> Result<(), LogError> {
        let shared = self.shared();
        let mut lead = shared.leading();
        *lead = None;
        *lead = Some(Writer::leader(&shared.settings)?);
        shared.read_definitions().map(drop)
    }

    /// Durable when it returns; an error where another has taken the lead.
    pub fn keep(&self, key: &[u8], content: Option<Vec<u8>>) -> Result<(), LogError> {
        let shared = self.shared();
        let mut lead = shared.leading();
        let Some(writer) = lead.as_mut() else { return Err(not_leading(&shared.settings.bootstrap)) };
        let kept = writer.begin().and_then(|()| shared.send_definition(writer, key, content.as_deref())).and_then(|()| writer.commit(&[]));
        match kept {
            Ok(ends) => {
                shared.defined(&[(key.to_vec(), content)], &ends);
                Ok(())
            }
            Err(error) => {
                *lead = None;
                Err(if is_lost(&error) { not_leading(&shared.settings.bootstrap) } else { error })
            }
        }
    }

    /// What is committed of a place that another instance holds; `None` where it is held here or nothing is known.
    pub fn elsewhere(&self, place: Place, key: &[u8]) -> Result<Option<Bytes>, LogError> {
        let shared = self.shared();
        if shared.held().has(place) {
            return Ok(None);
        }
        shared.cache.get(place, key)
    }

    /// The next offset that another instance reads of a place.
    pub fn position_elsewhere(&self, place: Place) -> Result<Option<u64>, LogError> {
        let shared = self.shared();
        if shared.held().has(place) {
            return Ok(None);
        }
        Ok(shared.cache.known(place)?.position)
    }
}

fn not_leading(at: &str) -> LogError {
    LogError {
        trouble: Trouble::System,
        at: at.to_owned(),
        what: "another instance gives the orders".to_owned(),
        hint: "ask the one whose `status` says that it leads",
        retry: Retry::Later,
    }
}
