//! What a partition keeps besides its members, and what it stages for the next commit.
//!
//! In: a partition's own state. Out: its record in the state, and the parts of a commit.
//! Never here: a member.

use crate::log::{Commit, Entry, LogError, Output, Place, StateChange, Trouble};
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
    /// Values of `now` whose timers are not all worked off.
    pub reached: Vec<Instant>,
    /// As of when members are being compared again for what they waited for, while not all have been.
    pub reviewed_at: Option<Instant>,
    /// The end of freshness that all members have heard of.
    pub stale_since: Option<Instant>,
    /// The first offset of the backlog that is being worked off.
    pub hold_from: Option<u64>,
    /// Numbers what this partition sends to others.
    pub sent: u64,
    /// Audiences that an order has stopped.
    pub stopped: BTreeSet<String>,
    /// All members are being compared again, as of `reviewed_at`.
    pub reviews_all: bool,
}

impl Default for Position {
    fn default() -> Position {
        Position {
            now: Instant::BEGIN,
            heard: Partition::default(),
            reached: Vec::new(),
            reviewed_at: None,
            stale_since: None,
            hold_from: None,
            sent: 0,
            stopped: BTreeSet::new(),
            reviews_all: false,
        }
    }
}

const FORMAT: u8 = 2;
/// Without stop orders.
const FORMAT_BEFORE: u8 = 1;
pub const KEY: &[u8] = b"p";

impl Position {
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("plain data")
    }

    pub fn decode(place: Place, bytes: &[u8]) -> Result<Position, LogError> {
        let read = match bytes.split_first() {
            Some((&FORMAT, rest)) => postcard::from_bytes(rest).ok(),
            // No audience is stopped, and no review of all is under way.
            Some((&FORMAT_BEFORE, rest)) => postcard::from_bytes(&[rest, &[0, 0]].concat()).ok(),
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
}

impl Stage {
    pub fn commit(self, positions: Vec<(Place, u64)>) -> Commit {
        let Stage { outputs, appends, state, landing_tombstones } = self;
        Commit { outputs, appends, state, landing_tombstones, positions }
    }
}
