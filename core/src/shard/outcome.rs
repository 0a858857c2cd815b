//! What one step brings about, besides the new state.

use super::Ownership;
use super::merge::Message;
use crate::fhir::Version;
use crate::gate::Event;
use crate::key::{Person, ResourceKey};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

#[derive(Default)]
pub struct Step {
    pub told: Vec<Told>,
    pub messages: Vec<(Person, Message)>,
    /// For the owners of resources.
    pub claims: Vec<Ownership>,
    pub facts: Vec<Fact>,
    /// The person was erased: what of it lies elsewhere has to go, too.
    pub erased: Option<Box<Erased>>,
}

/// What an erasure reaches beyond the member's own state.
#[derive(Debug, PartialEq, Eq)]
pub struct Erased {
    /// The audiences that were ever told of the person, and what their recipients call it: its newest event there goes.
    pub names: Vec<(Box<str>, String)>,
    /// Whoever was merged into this person is the same one, and is erased, too.
    pub merged: Vec<Person>,
}

/// An event with what the accounting of disclosures keeps beside it.
pub struct Told {
    pub event: Event,
    /// Whom it goes to: a key of the policy's `recipients`, of the one that was left where an exit comes of that.
    pub recipient: Box<str>,
    /// The keys of the consents that decided.
    pub consents: Vec<ResourceKey>,
}

/// A shard accepted a resource first, or saw its set of persons change; or, where versions are ordered by id, accepted one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub resource: ResourceKey,
    pub version: Version,
    pub stamp: Instant,
    /// Sorted.
    pub persons: SmallVec<[Person; 1]>,
    /// Who waits for word that nothing newer is known: the version came late, and was the first that this one saw.
    pub asks: Option<Person>,
}

/// What an operator would want to know. No person, no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    Stale,
    /// A consent judged stale would restrict more than the current one: the gate is closed.
    StaleRestriction,
    /// A transition had no grant for its effective instant and was not told.
    Denied,
    /// Somebody would be in an audience but for an identifier that its recipient is to be told.
    NoIdentity,
    MergeCycle,
    HandedOver,
}
