//! What a session is given in one poll, and what it gives back in one commit.
//!
//! In: the loop's outputs, state and positions. Out: the shapes that every log takes and stores.
//! Never here: how they are stored.

use super::record::{Entry, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use super::{LogError, Place, Record};
use footbridge_core::time::Instant;
use std::fmt;

/// Where an output goes. An audience's name is 1 to 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutTopic {
    Audience(Box<str>),
    Disclosures,
    Quarantine,
}

impl fmt::Display for OutTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutTopic::Audience(name) => write!(f, "audience.{name}"),
            OutTopic::Disclosures => f.write_str("disclosures"),
            OutTopic::Quarantine => f.write_str("quarantine"),
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    pub topic: OutTopic,
    pub key: Vec<u8>,
    pub headers: Vec<(&'static str, String)>,
    /// `None`: a tombstone. In quarantine it removes what stands under the key.
    pub value: Option<Vec<u8>>,
}

impl Output {
    /// That it fits the form of an output.
    pub fn check(&self) -> Result<(), LogError> {
        let wrong = match &self.topic {
            OutTopic::Audience(name) if name.is_empty() || name.len() > 255 => "the name of an audience must have 1 to 255 bytes",
            _ if self.key.len() > KEY_BYTES_MAX => "the key of an output is too long",
            _ if self.value.as_ref().is_some_and(|value| value.len() > VALUE_BYTES_MAX) => "the value of an output is too long",
            _ if self.headers.len() > 255 => "an output has too many headers",
            _ if self.headers.iter().any(|(name, text)| name.len() > 255 || text.len() > VALUE_BYTES_MAX) => "a header is too long",
            _ => return Ok(()),
        };
        Err(LogError::refused(&self.topic, wrong))
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.value.as_ref().map_or_else(|| "a tombstone".into(), |value| format!("{} bytes", value.len()));
        write!(f, "output to {}, {size}", self.topic)
    }
}

/// An output as a reader gets it. In quarantine `offset` counts all that ever came.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    pub offset: u64,
    /// When it was committed, by the log's clock.
    pub stamp: Instant,
    pub key: Vec<u8>,
    pub headers: Vec<(String, String)>,
    pub value: Option<Vec<u8>>,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.value.as_ref().map_or_else(|| "a tombstone".into(), |value| format!("{} bytes", value.len()));
        write!(f, "@{} {}, {size}", self.offset, self.stamp)
    }
}

/// Outputs from one topic, in order, and the offset to go on from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outputs {
    pub list: Vec<Stored>,
    pub next: u64,
}

/// A place, a key, and its new value; `None` removes.
pub type StateChange = (Place, Vec<u8>, Option<Vec<u8>>);

#[derive(Default, Clone)]
pub struct Commit {
    pub outputs: Vec<Output>,
    /// Ticks, hand-overs, claims, gone: to any partition, not only those held.
    pub appends: Vec<Entry>,
    pub state: Vec<StateChange>,
    /// Keys of records below the new position that lost to a newer version: those records go. One that stands under the
    /// same key past the position stays, and is judged when it is read.
    pub landing_tombstones: Vec<(Place, Vec<u8>)>,
    /// Of a place, the beginning of a key, and an offset: every record below it whose key begins so goes, and no copy is kept.
    pub landing_erased: Vec<(Place, Vec<u8>, u64)>,
    /// The next offset to be read.
    pub positions: Vec<(Place, u64)>,
}

impl Commit {
    pub fn is_empty(&self) -> bool {
        let Commit { outputs, appends, state, landing_tombstones, landing_erased, positions } = self;
        outputs.is_empty()
            && appends.is_empty()
            && state.is_empty()
            && landing_tombstones.is_empty()
            && landing_erased.is_empty()
            && positions.is_empty()
    }

    /// That everything fits its form and touches only places that `held` knows.
    pub fn check(&self, held: impl Fn(Place) -> bool) -> Result<(), LogError> {
        self.outputs.iter().try_for_each(Output::check)?;
        self.appends.iter().try_for_each(Entry::check)?;
        for (place, key, value) in &self.state {
            if key.len() > KEY_BYTES_MAX || value.as_ref().is_some_and(|value| value.len() > VALUE_BYTES_MAX) {
                return Err(LogError::refused(place, "a key or value of state is too long"));
            }
        }
        let state = self.state.iter().map(|&(place, ..)| place);
        let tombstones = self.landing_tombstones.iter().map(|&(place, _)| place);
        let erased = self.landing_erased.iter().map(|&(place, ..)| place);
        let positions = self.positions.iter().map(|&(place, _)| place);
        match state.chain(tombstones).chain(erased).chain(positions).find(|&place| !held(place)) {
            Some(place) => Err(LogError::lost(place)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Commit { outputs, appends, state, landing_tombstones, landing_erased, positions } = self;
        let (outputs, appends, state, tombstones) = (outputs.len(), appends.len(), state.len(), landing_tombstones.len());
        let erased = landing_erased.len();
        write!(f, "{outputs} outputs, {appends} appends, {state} states, {tombstones} tombstones, {erased} erased, positions {positions:?}")
    }
}

/// What one poll brought. The order to read it in: lost, assigned, records, drained.
#[derive(Debug, Default)]
pub struct Batch {
    /// Places now held, with the committed position that their records come from. After an abort all are named again.
    pub assigned: Vec<(Place, u64)>,
    /// Places no longer held: what was staged for them is gone.
    pub lost: Vec<Place>,
    pub records: Vec<Record>,
    /// Places whose end was seen after these records. Said once each time the end is reached; it holds until the next record.
    pub drained: Vec<Place>,
}

impl Batch {
    pub fn clear(&mut self) {
        self.assigned.clear();
        self.lost.clear();
        self.records.clear();
        self.drained.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.assigned.is_empty() && self.lost.is_empty() && self.records.is_empty() && self.drained.is_empty()
    }
}
