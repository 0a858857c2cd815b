//! `Member`: all that is kept of one person. No clinical record: Steps, small facets, what was last told.

use super::Versions;
use super::merge::Parts;
use crate::audience::{Channel, Kept, Marks};
use crate::consent::Consent;
use crate::fhir::Version;
use crate::fhir::patient::{Held, PatientFacts};
use crate::key::{Person, ResourceKey};
use crate::time::Instant;
use serde::{Deserialize, Serialize};

/// The state of one person. How it lies in a store: `pieces`.
#[derive(Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Member {
    pub patient: Option<Box<PatientFacts>>,
    pub patient_key: Option<ResourceKey>,
    /// Sorted by key, as the lists below. Each is a piece of its own in a store.
    #[serde(skip)]
    pub evidence: Vec<(ResourceKey, Kept)>,
    pub consents: Vec<(ResourceKey, Consent)>,
    /// Versions of consents that were current once: one of them delivered again says nothing new.
    pub superseded: Vec<(ResourceKey, Version)>,
    pub marks: Vec<(ResourceKey, Marks)>,
    /// A digest of the set of persons, for resources that are about several.
    pub shared: Vec<(ResourceKey, u64)>,
    pub suppressions: Vec<Suppression>,
    /// What was last told, by audience name.
    pub emitted: Vec<(Box<str>, Emitted)>,
    pub merge: Merge,
    /// Consents of which a version came late that would have restricted more than the one on file, with that one's
    /// version: closed until a newer one of the same consent comes.
    pub stale_restrictions: Vec<(ResourceKey, Version)>,
    /// Resources that came late and that the owners have not spoken about yet: nothing enters or updates until they have.
    pub unconfirmed: Vec<ResourceKey>,
    /// A group is open: its end, or the next tick, compares.
    pub open_group: bool,
    /// Only within the step that erases.
    #[serde(skip)]
    pub(super) erased: bool,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Merge {
    /// This person's own Patient says who replaces it.
    pub replaced_by: Option<Person>,
    /// Survivors that say they replace this person.
    pub claimed_by: Vec<Person>,
    /// Persons that this one's Patient replaces.
    pub replaces: Vec<Person>,
    /// What old persons handed over, each under the person it came from, with the hand-over's number.
    pub received: Vec<(Person, u64, Parts)>,
    /// Hand-overs sent so far; numbers them.
    pub sent: u64,
}

/// The person does not want this channel. It holds for telecom that arrives later, too.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    pub recipient: Option<Box<str>>,
    pub channel: Channel,
    /// When it was last said.
    pub since: Instant,
}

/// What one audience was last told of the person, and when to look again.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Emitted {
    pub seq: u64,
    pub episode: u64,
    pub since: Instant,
    pub effective: Instant,
    /// Digest of what was shown; `None` after an exit.
    pub shown: Option<u64>,
    /// The last exit was a pause: coming back resumes the episode.
    pub paused: bool,
    /// The end of the lease or the next edge that was told.
    pub until: Instant,
    /// When to renew; [`Instant::END`] where the next edge comes first.
    pub renew: Instant,
    /// When time alone may change something next.
    pub due: Instant,
    pub waiting: Option<Waiting>,
}

/// An entry or update that is true and may not be told yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    Baseline,
    Hold,
    Feed,
}

/// So many superseded versions of consents are remembered.
pub const SUPERSEDED_MAX: usize = 64;

/// The first byte of each piece of a member in a store.
pub const FORMAT: u8 = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadState {
    Empty,
    /// Written by a newer version of this program.
    Format(u8),
    Damaged,
}

impl Member {
    /// When time alone may change something next; [`Instant::END`] if never.
    pub fn due(&self) -> Instant {
        self.emitted.iter().map(|(_, emitted)| emitted.due).min().unwrap_or(Instant::END)
    }

    pub fn emitted(&self, audience: &str) -> Option<&Emitted> {
        self.emitted.iter().find(|(name, _)| name.as_ref() == audience).map(|(_, emitted)| emitted)
    }

    pub(super) fn emitted_mut(&mut self, audience: &str) -> &mut Emitted {
        let place = match self.emitted.iter().position(|(name, _)| name.as_ref() == audience) {
            Some(place) => place,
            None => {
                self.emitted.push((audience.into(), Emitted::default()));
                self.emitted.len() - 1
            }
        };
        &mut self.emitted[place].1
    }

    /// Merged into another person: everything exits, what arrives is forwarded.
    pub fn survivor(&self) -> Option<Person> {
        self.merge.replaced_by.or(self.merge.claimed_by.first().copied())
    }

    /// Old persons that have not handed over yet: until then nothing new is told.
    pub fn awaits_hand_over(&self) -> bool {
        // A copy that was taken back came through nobody.
        let met = |old: &Person| self.merge.received.iter().any(|(from, _, parts)| from == old && !parts.through.is_empty());
        let incomplete = self.merge.received.iter().any(|(_, _, parts)| parts.awaits);
        incomplete || self.merge.replaces.iter().any(|old| !met(old))
    }

    /// The contacts that the person has, own and received from merged persons.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        let received = self.merge.received.iter().flat_map(|(_, _, parts)| &parts.held);
        self.patient.iter().flat_map(|patient| &patient.held).chain(received)
    }

    /// Under which an opt-out by contact finds the person; sorted, each once.
    pub fn buckets(&self) -> Vec<u64> {
        let mut buckets: Vec<u64> = self.held().map(|held| held.key.bucket()).collect();
        buckets.sort_unstable();
        buckets.dedup();
        buckets
    }

    /// What was reported of the person, own and received from merged persons.
    pub(super) fn suppressions(&self) -> impl Iterator<Item = &Suppression> {
        let received = self.merge.received.iter().flat_map(|(_, _, parts)| &parts.suppressions);
        self.suppressions.iter().chain(received)
    }

    /// Something is on its way that may yet close what seems open: only exits are told.
    pub fn awaits(&self) -> bool {
        self.awaits_hand_over() || !self.unconfirmed.is_empty()
    }

    /// Whether what is on file, own or received from merged persons, looks this resource up.
    pub fn refers_to(&self, key: ResourceKey) -> bool {
        let received = self.merge.received.iter().flat_map(|(_, _, parts)| &parts.evidence);
        self.evidence.iter().chain(received).any(|(_, evidence)| evidence.refers_to().any(|other| other == key))
    }

    /// What received records look up: the next hand-over may take it away.
    pub fn referred_to_by_received(&self) -> Vec<ResourceKey> {
        let received = self.merge.received.iter().flat_map(|(_, _, parts)| &parts.evidence);
        received.flat_map(|(_, evidence)| evidence.refers_to()).collect()
    }

    pub fn is_empty(&self, versions: &Versions) -> bool {
        *self == Member::default() && versions.is_empty()
    }
}

impl Default for Emitted {
    fn default() -> Self {
        Emitted {
            seq: 0,
            episode: 0,
            since: Instant::BEGIN,
            effective: Instant::BEGIN,
            shown: None,
            paused: false,
            until: Instant::BEGIN,
            renew: Instant::END,
            due: Instant::END,
            waiting: None,
        }
    }
}

/// Puts, replaces or takes out the entry of `key` in a list sorted by key. Returns what stood there.
pub(super) fn place<T>(list: &mut Vec<(ResourceKey, T)>, key: ResourceKey, value: Option<T>) -> Option<T> {
    match (list.binary_search_by_key(&key, |(key, _)| *key), value) {
        (Ok(at), Some(value)) => Some(std::mem::replace(&mut list[at].1, value)),
        (Ok(at), None) => Some(list.remove(at).1),
        (Err(at), Some(value)) => {
            list.insert(at, (key, value));
            None
        }
        (Err(_), None) => None,
    }
}

pub(super) fn find<T>(list: &[(ResourceKey, T)], key: ResourceKey) -> Option<&T> {
    list.binary_search_by_key(&key, |(key, _)| *key).ok().map(|at| &list[at].1)
}
