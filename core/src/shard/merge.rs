//! Merges: an old person's records count for the survivor, each under where it came from.
//!
//! The old person keeps what is its own and sends the survivor a copy, whole, whenever it changes; the newest copy
//! replaces the one before. An unmerge is an empty copy: the survivor gives everything back by forgetting it.

use super::{Member, Suppression};
use crate::audience::{Kept, Marks, PATIENT};
use crate::consent::Consent;
use crate::fhir::patient::Held;
use crate::key::{Person, ResourceKey};
use crate::timeline::Timeline;
use serde::{Deserialize, Serialize};

/// From one member to another, by way of the other's partition.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    HandOver(Box<HandOver>),
    /// The survivor's Patient says that it replaces this person, or no longer does.
    Replaced {
        by: Person,
        holds: bool,
    },
}

/// Applied once: a number not above the last one from the same person is a repetition.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct HandOver {
    pub from: Person,
    pub number: u64,
    /// `None`: the merge was taken back.
    pub parts: Option<Parts>,
}

/// What an old person's records amount to. Its Patient resource is no evidence about the survivor.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Parts {
    pub evidence: Vec<(ResourceKey, Kept)>,
    pub consents: Vec<(ResourceKey, Consent)>,
    pub marks: Vec<(ResourceKey, Marks)>,
    /// All resources on file, so that a link to one of them counts as resolved.
    pub known: Vec<ResourceKey>,
    pub suppressions: Vec<Suppression>,
    /// An opt-out by a contact of the old person is one of the survivor.
    pub held: Vec<Held>,
    /// A death recorded with the old person is a death of the survivor.
    pub alive: Option<Timeline>,
    pub stale_restriction: bool,
    /// Of a chain: an older person has not handed over yet, so that these parts are not all there is.
    pub awaits: bool,
    /// The persons that these parts came through, oldest first: a chain that meets itself is a cycle.
    pub through: Vec<Person>,
}

/// More persons than this in one chain count as a cycle.
pub const CHAIN_MAX: usize = 32;

impl Parts {
    pub(super) fn is_cycle(&self, me: Person) -> bool {
        self.through.contains(&me) || self.through.len() > CHAIN_MAX
    }
}

impl Member {
    /// What this member hands over: its own and all that it received.
    pub(super) fn parts(&self, me: Person, known: impl Iterator<Item = ResourceKey>) -> Parts {
        let own = self.evidence.iter().filter(|(_, evidence)| evidence.facet.kind != PATIENT);
        let mut parts = Parts {
            evidence: own.cloned().collect(),
            consents: self.consents.clone(),
            marks: self.marks.clone(),
            known: known.collect(),
            suppressions: self.suppressions.clone(),
            held: self.held().cloned().collect(),
            alive: self.patient.as_ref().map(|patient| patient.alive.clone()),
            stale_restriction: !self.stale_restrictions.is_empty(),
            // What came round in a circle was not taken in.
            awaits: self.awaits() || self.goes_round(me),
            through: vec![me],
        };
        for (_, _, received) in &self.merge.received {
            parts.evidence.extend(received.evidence.iter().cloned());
            parts.consents.extend(received.consents.iter().cloned());
            parts.marks.extend(received.marks.iter().cloned());
            parts.known.extend(received.known.iter().copied());
            parts.suppressions.extend(received.suppressions.iter().cloned());
            parts.alive = match (parts.alive.take(), &received.alive) {
                (Some(mine), Some(theirs)) => Some(mine.and(theirs)),
                (mine, theirs) => mine.or_else(|| theirs.clone()),
            };
            parts.stale_restriction |= received.stale_restriction;
            parts.through.extend(received.through.iter().copied());
        }
        parts
    }

    /// What it was handed over came through the person itself.
    pub(super) fn goes_round(&self, me: Person) -> bool {
        self.merge.received.iter().any(|(_, _, parts)| parts.is_cycle(me))
    }

    /// Whose records count for this person. One whose copy was taken back is another again.
    pub(super) fn merged_into_it(&self) -> Vec<Person> {
        let received = self.merge.received.iter().filter(|(_, _, parts)| !parts.through.is_empty()).map(|(from, ..)| *from);
        let mut merged: Vec<Person> = received.chain(self.merge.replaces.iter().copied()).collect();
        merged.sort_unstable();
        merged.dedup();
        merged
    }

    /// Takes in a hand-over. `false`: it was a repetition.
    pub(super) fn receive(&mut self, me: Person, hand_over: HandOver) -> bool {
        let known = self.merge.received.iter().position(|(from, ..)| *from == hand_over.from);
        if known.is_some_and(|place| self.merge.received[place].1 >= hand_over.number) {
            return false;
        }
        let parts = hand_over.parts.unwrap_or_default();
        // A cycle's parts are not taken in: they would grow with every round.
        let parts = if parts.is_cycle(me) { Parts { through: parts.through, ..Parts::default() } } else { parts };
        match known {
            Some(place) => self.merge.received[place] = (hand_over.from, hand_over.number, parts),
            None => self.merge.received.push((hand_over.from, hand_over.number, parts)),
        }
        true
    }
}
