//! What a partition keeps besides its members, and what it stages for the next commit.
//!
//! In: a partition's own state. Out: its record in the state, and the parts of a commit.
//! Never here: a member.

use super::holds::Hold;
use super::reviews::Review;
use super::terms::{AsOf, Terms};
use crate::log::{Commit, Entry, LogError, Output, Place, StateChange, Trouble};
use crate::source::landing;
use footbridge_core::shard::Partition;
use footbridge_core::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A partition's own record: committed with everything that was derived up to its position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    pub now: Instant,
    /// Baselines and watermarks heard.
    pub heard: Partition,
    /// Records whose timers are not all worked off.
    pub reached: Vec<AsOf>,
    /// Reviews that are not done, and the number of the newest there was.
    pub reviews: Vec<Review>,
    pub reviewed: u64,
    /// What was in force before the record at this offset, where something is to be decided as of then.
    pub past: Vec<(u64, Terms)>,
    /// The end of freshness that all members have heard of.
    pub stale_since: Option<Instant>,
    /// The backlog that is being worked off.
    pub hold: Option<Hold>,
    /// Numbers what this partition sends to others.
    pub sent: u64,
    /// Audiences that an order has stopped.
    pub stopped: BTreeSet<String>,
}

impl Default for Position {
    fn default() -> Position {
        Position {
            now: Instant::BEGIN,
            heard: Partition::default(),
            reached: Vec::new(),
            reviews: Vec::new(),
            reviewed: 0,
            past: Vec::new(),
            stale_since: None,
            hold: None,
            sent: 0,
            stopped: BTreeSet::new(),
        }
    }
}

const FORMAT: u8 = 3;
pub const KEY: &[u8] = b"p";

impl Position {
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("plain data")
    }

    pub fn decode(place: Place, bytes: &[u8]) -> Result<Position, LogError> {
        let read = match bytes.split_first() {
            Some((&FORMAT, rest)) => postcard::from_bytes(rest).ok(),
            Some(_) | None => None,
        };
        read.ok_or_else(|| LogError {
            trouble: Trouble::Format,
            at: place.to_string(),
            what: "the position record cannot be read".to_owned(),
            hint: "use the version of the program that wrote it, or restore the directory from a backup",
            retry: crate::log::Retry::Never,
        })
    }
}

/// What the partitions of one worker have ready to be committed.
#[derive(Default)]
pub struct Stage {
    pub outputs: Vec<Output>,
    pub appends: Vec<Entry>,
    pub state: Vec<StateChange>,
    pub landing_tombstones: Vec<(Place, Vec<u8>)>,
    pub landing_erased: Vec<(Place, Vec<u8>, u64)>,
}

impl Stage {
    pub fn commit(self, positions: Vec<(Place, u64)>) -> Commit {
        let Stage { outputs, appends, state, landing_tombstones, landing_erased } = self;
        Commit { outputs, appends: landing::joined(appends), state, landing_tombstones, landing_erased, positions }
    }
}
