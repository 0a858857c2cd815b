//! What a partition keeps of its definitions: which decide here, which are being prepared, how far that has come.
//!
//! In: the state's record. Out: the same, and its bytes. Never here: a member.

use super::Generation;
use super::terms::AsOf;
use crate::log::{LogError, Place};
use footbridge_core::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Committed with everything that was derived up to its position.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Change {
    /// The definitions that decide here.
    pub running: Generation,
    /// Which of the two spaces of state is theirs; the other one is for those that are prepared.
    pub space: Space,
    /// The newest that were to be prepared here.
    pub seen: Generation,
    pub phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Space {
    #[default]
    First,
    Second,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Phase {
    #[default]
    Steady,
    /// The other space is emptied, bucket by bucket; then these are prepared in it.
    Clearing {
        bucket: u16,
        then: Option<Generation>,
    },
    Preparing(Preparing),
    /// In force, and taken over member by member, as of one record; the other space has those of `from`.
    Adopting {
        at: AsOf,
        bucket: u16,
        from: Generation,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preparing {
    pub generation: Generation,
    /// The next offset of landing to be replayed. At the position: they hear each record as those in force do.
    pub cursor: u64,
    pub now: Instant,
    /// Messages between members, of these definitions, and what the owners were asked: sent from here, and heard here.
    pub sent: u64,
    pub received: u64,
    /// `None` before the count was asked for.
    pub count: Option<Count>,
    /// They are to decide, and this process does not have them: until it does only exits leave.
    pub ordered: bool,
}

/// Members counted so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Count {
    pub bucket: u16,
    pub audiences: BTreeMap<String, Moves>,
}

/// Members of one audience: who are in it, and whom an adoption would move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Moves {
    pub present: u64,
    pub entered: u64,
    pub updated: u64,
    /// By the definitions.
    pub left: u64,
    /// By consent, an opt-out, a death or a merge: these pass in any case.
    pub left_freely: u64,
}

impl Moves {
    pub fn add(&mut self, other: &Moves) {
        self.present += other.present;
        self.entered += other.entered;
        self.updated += other.updated;
        self.left += other.left;
        self.left_freely += other.left_freely;
    }
}

/// Persons are worked off by the first byte of their key.
pub const BUCKETS: u16 = 256;

const FORMAT: u8 = 3;
pub const KEY: &[u8] = b"d";

impl Space {
    pub const fn other(self) -> Space {
        match self {
            Space::First => Space::Second,
            Space::Second => Space::First,
        }
    }

    /// The first byte of a key of state in this space.
    pub const fn key(self, kind: u8) -> u8 {
        match self {
            Space::First => kind,
            Space::Second => kind.to_ascii_uppercase(),
        }
    }
}

impl Change {
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("plain data")
    }

    pub fn decode(place: Place, bytes: &[u8]) -> Result<Change, LogError> {
        let read = bytes.split_first().filter(|(format, _)| **format == FORMAT).and_then(|(_, rest)| postcard::from_bytes(rest).ok());
        read.ok_or_else(|| LogError::damaged(place, "what it keeps of its definitions cannot be read"))
    }
}
