//! Holds: a partition that is behind tells no entries, and remembers from where to where, and what it had left to do when it began.
//!
//! In: what was next to be worked off, positions. Out: a record of its own in the state for each hold. Never here: a clock.

use crate::log::{LogError, Place};
use footbridge_core::key::Person;
use footbridge_core::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A hold that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The first record of the backlog.
    pub from: u64,
    /// What was next to be worked off when that record came: it and all behind it was decided within the hold, all before it was not.
    pub next: Item,
}

/// What slices of time work off, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    Nothing,
    /// A member who is to be taken over by an adoption.
    Adoption(Person),
    /// A timer that is reached, and when it was due.
    Timer(Instant, Person),
    /// A review by its number.
    Review(u64, Person),
}

/// A hold that is over. When it ended all that had been reached was decided, within it; then what waited was looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub next: Item,
    /// Behind its last record.
    pub until: u64,
}

/// Of each partition, by the first offset.
pub type Holds = BTreeMap<(Place, u64), Held>;

pub const HELD: u8 = b'h';

impl Held {
    pub fn key(from: u64) -> Vec<u8> {
        [&[HELD][..], &from.to_be_bytes()].concat()
    }

    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("plain data")
    }

    /// Where it began, and what it was.
    pub fn decode(place: Place, key: &[u8], value: &[u8]) -> Result<(u64, Held), LogError> {
        let from = key.get(1..).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        from.zip(postcard::from_bytes(value).ok()).ok_or_else(|| LogError::damaged(place, "the record of a hold cannot be read"))
    }
}

/// How a partition knows that it is behind.
#[derive(Debug, Clone, Default)]
pub enum Holding {
    /// Its next record is older than the policy's `hold_after`.
    #[default]
    ByAge,
    /// The log is played again, with the holds that were recorded.
    Recorded(Holds),
}

impl Holding {
    /// Whether slices have to wait: how far they had come before the next hold is on record.
    pub fn has_one_after(&self, place: Place, next: u64) -> bool {
        match self {
            Holding::ByAge => false,
            Holding::Recorded(holds) => holds.range((place, next)..=(place, u64::MAX)).next().is_some(),
        }
    }
}
