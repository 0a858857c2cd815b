//! Owners: which persons a resource belongs to, so that a delete, a move, or a version of which nobody can tell whose it
//! is reaches those who have an older one.
//!
//! In: claims and deletes, partitioned by resource, in any order. Out: inputs for persons. Never here: what the resource says.

use super::{Claim, Delete, Input, Unclear};
use crate::fhir::Version;
use crate::key::{Person, ResourceKey};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// What is known of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Sorted. Empty where the newest version is a delete, or about nobody.
    pub persons: SmallVec<[Person; 1]>,
    /// The newest claim or delete, kept for a resource never seen, too.
    pub version: Option<Version>,
    /// When landing took that one.
    pub stamp: Option<Instant>,
    /// The newest delete that named no version: it beats every version stamped before it.
    pub deleted_at: Option<Instant>,
    /// A version of which nobody can tell whose it is, newer than `version`, and its type.
    pub unclear: Option<Box<(Version, Box<str>)>>,
}

/// What an owner hears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ownership {
    /// Without persons: the version is about nobody.
    Claim(Claim),
    /// A member refused to let go, for it has a newer version.
    Held {
        resource: ResourceKey,
        version: Version,
        person: Person,
    },
    Unclear(Unclear),
    /// `version`: `None` where versions are ordered by id and the delete carries none.
    Delete {
        resource: ResourceKey,
        version: Option<Version>,
        stamp: Instant,
    },
    /// A person waits until all that was said of the resource before this has come to those who have it.
    Asked {
        resource: ResourceKey,
        person: Person,
    },
}

impl Ownership {
    pub fn resource(&self) -> ResourceKey {
        match self {
            Ownership::Claim(claim) => claim.resource,
            Ownership::Unclear(unclear) => unclear.key,
            Ownership::Held { resource, .. } | Ownership::Delete { resource, .. } | Ownership::Asked { resource, .. } => *resource,
        }
    }
}

impl Owner {
    /// The inputs that follow, each for one person.
    pub fn hear(&mut self, message: Ownership) -> Vec<(Person, Input)> {
        match message {
            Ownership::Claim(claim) => {
                let mut told = self.claim(&claim);
                told.extend(claim.asks.map(|person| (person, Input::Confirmed(claim.resource))));
                told
            }
            Ownership::Held { resource, version, person } => self.held(resource, version, person),
            Ownership::Unclear(unclear) => self.unclear(unclear),
            Ownership::Delete { resource, version: Some(version), stamp } => {
                self.claim(&Claim { resource, version, stamp, persons: SmallVec::new(), asks: None })
            }
            Ownership::Delete { resource, version: None, stamp } => self.delete_at(resource, stamp),
            Ownership::Asked { resource, person } => vec![(person, Input::Confirmed(resource))],
        }
    }

    /// Whether a delete beats this version.
    pub fn is_deleted(&self, version: Version, stamp: Instant) -> bool {
        self.persons.is_empty() && self.version > Some(version) || self.deleted_at.is_some_and(|at| stamp < at)
    }

    /// The newest of all that was heard of the resource.
    fn newest(&self) -> Version {
        let unclear = self.unclear.as_ref().map(|unclear| unclear.0);
        self.version.max(unclear).unwrap_or(Version::UNORDERED)
    }

    fn claim(&mut self, claim: &Claim) -> Vec<(Person, Input)> {
        if self.version > Some(claim.version) {
            // An older claim: those who are no longer meant have lost it to the newer version.
            let lost = claim.persons.iter().filter(|person| !self.persons.contains(person));
            return lost.map(|person| gone(claim.resource, self.newest(), *person)).collect();
        }
        (self.version, self.stamp) = (Some(claim.version), Some(claim.stamp));
        let beaten = self.deleted_at.is_some_and(|at| claim.stamp < at);
        let owners = if beaten { SmallVec::new() } else { claim.persons.clone() };
        let mut lost = std::mem::replace(&mut self.persons, owners);
        lost.extend(claim.persons.iter().filter(|_| beaten).copied());
        lost.sort_unstable();
        lost.dedup();
        // Of equal versions the later record wins.
        self.unclear.take_if(|unclear| unclear.0 <= claim.version);
        let lost = lost.iter().filter(|person| !self.persons.contains(person));
        let mut told: Vec<_> = lost.map(|person| gone(claim.resource, self.newest(), *person)).collect();
        told.extend(self.told_unclear(claim.resource));
        told
    }

    /// Claims tell of persons, not of every version: of two who both seem to have it, the one with the newer version does.
    fn held(&mut self, resource: ResourceKey, version: Version, person: Person) -> Vec<(Person, Input)> {
        if self.newest() > version {
            return vec![gone(resource, self.newest(), person)];
        }
        if self.version < Some(version) {
            self.version = Some(version);
            let lost = std::mem::take(&mut self.persons);
            // One who has this very version, too, will say so in turn.
            let before = Version(version.0.saturating_sub(1));
            self.persons.push(person);
            return lost.into_iter().filter(|other| *other != person).map(|other| gone(resource, before, other)).collect();
        }
        if let Err(place) = self.persons.binary_search(&person) {
            self.persons.insert(place, person);
        }
        Vec::new()
    }

    fn unclear(&mut self, unclear: Unclear) -> Vec<(Person, Input)> {
        if self.newest() > unclear.version {
            return Vec::new();
        }
        self.unclear = Some(Box::new((unclear.version, unclear.kind)));
        self.told_unclear(unclear.key)
    }

    fn told_unclear(&self, key: ResourceKey) -> Vec<(Person, Input)> {
        let Some((version, kind)) = self.unclear.as_deref() else { return Vec::new() };
        let one = || Input::Unclear(Unclear { key, version: *version, kind: kind.clone(), more: false });
        self.persons.iter().map(|person| (*person, one())).collect()
    }

    fn delete_at(&mut self, resource: ResourceKey, stamp: Instant) -> Vec<(Person, Input)> {
        self.deleted_at = self.deleted_at.max(Some(stamp));
        if self.stamp > Some(stamp) {
            return Vec::new();
        }
        let version = self.newest();
        std::mem::take(&mut self.persons).into_iter().map(|person| gone(resource, version, person)).collect()
    }
}

fn gone(key: ResourceKey, version: Version, person: Person) -> (Person, Input) {
    (person, Input::Delete(Delete { key, version, more: false }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    fn person(n: u8) -> Person {
        Person::from_bytes([n; 16])
    }

    fn claim(version: i64, persons: &[u8]) -> Ownership {
        let persons = persons.iter().map(|n| person(*n)).collect();
        Ownership::Claim(Claim {
            resource: ResourceKey::from_u64(7),
            version: Version(version),
            stamp: Instant::from_micros(0),
            persons,
            asks: None,
        })
    }

    fn claim_at(version: i64, stamp: i64, persons: &[u8]) -> Ownership {
        let Ownership::Claim(claim) = claim(version, persons) else { unreachable!("made above") };
        Ownership::Claim(Claim { stamp: Instant::from_micros(stamp), ..claim })
    }

    fn delete(version: i64) -> Ownership {
        Ownership::Delete { resource: ResourceKey::from_u64(7), version: Some(Version(version)), stamp: Instant::from_micros(0) }
    }

    fn delete_at(stamp: i64) -> Ownership {
        Ownership::Delete { resource: ResourceKey::from_u64(7), version: None, stamp: Instant::from_micros(stamp) }
    }

    fn unclear(version: i64) -> Ownership {
        Ownership::Unclear(Unclear { key: ResourceKey::from_u64(7), version: Version(version), kind: "Consent".into(), more: false })
    }

    fn held(version: i64, n: u8) -> Ownership {
        Ownership::Held { resource: ResourceKey::from_u64(7), version: Version(version), person: person(n) }
    }

    /// Who was told to let go, and as of which version.
    fn told(owner: &mut Owner, message: Ownership) -> Vec<(Person, i64)> {
        let one = |(person, input)| match input {
            Input::Delete(delete) => (person, delete.version.0),
            Input::Unclear(unclear) => panic!("version {} is unclear", unclear.version.0),
            _ => panic!("owners send nothing else"),
        };
        owner.hear(message).into_iter().map(one).collect()
    }

    /// Who was told that whose it is cannot be told, and as of which version.
    fn told_unclear(owner: &mut Owner, message: Ownership) -> Vec<(Person, i64)> {
        let one = |(person, input)| match input {
            Input::Unclear(unclear) => Some((person, unclear.version.0)),
            _ => None,
        };
        owner.hear(message).into_iter().filter_map(one).collect()
    }

    #[test]
    fn a_resource_that_moves_is_taken_from_the_one_who_had_it() {
        let mut owner = Owner::default();
        assert_eq!(told(&mut owner, claim(1, &[1])), []);
        assert_eq!(told(&mut owner, claim(2, &[2])), [(person(1), 2)]);
        assert_eq!(told(&mut owner, claim(1, &[1])), [(person(1), 2)], "the old claim again, late");
    }

    #[test]
    fn the_order_of_claims_does_not_matter() {
        let mut owner = Owner::default();
        assert_eq!(told(&mut owner, claim(2, &[2])), []);
        assert_eq!(told(&mut owner, claim(1, &[1])), [(person(1), 2)]);
    }

    #[test]
    fn a_delete_reaches_all_who_have_it_and_those_who_come_late() {
        let mut owner = Owner::default();
        assert_eq!(told(&mut owner, claim(1, &[1, 2])), []);
        assert_eq!(told(&mut owner, delete(3)), [(person(1), 3), (person(2), 3)]);
        assert_eq!(told(&mut owner, claim(2, &[1])), [(person(1), 3)]);
        assert_eq!(told(&mut owner, claim(4, &[1])), [], "written again after the delete");
    }

    #[test]
    fn a_delete_of_a_resource_never_seen_is_remembered() {
        let mut owner = Owner::default();
        assert_eq!(told(&mut owner, delete(5)), []);
        assert_eq!(told(&mut owner, claim(4, &[1])), [(person(1), 5)]);
    }

    #[test]
    fn a_delete_older_than_the_current_version_is_stale() {
        let mut owner = Owner::default();
        told(&mut owner, claim(4, &[1]));
        assert_eq!(told(&mut owner, delete(3)), []);
    }

    #[test]
    fn a_version_about_nobody_is_taken_from_the_one_who_had_it() {
        let mut owner = Owner::default();
        told(&mut owner, claim(1, &[1]));
        assert_eq!(told(&mut owner, claim(2, &[])), [(person(1), 2)]);
        assert_eq!(told(&mut owner, claim(1, &[1])), [(person(1), 2)], "late");
    }

    #[test]
    fn an_unclear_version_reaches_those_who_have_an_older_one_in_either_order() {
        let mut owner = Owner::default();
        told(&mut owner, claim(1, &[1, 2]));
        assert_eq!(told_unclear(&mut owner, unclear(3)), [(person(1), 3), (person(2), 3)]);
        let mut owner = Owner::default();
        assert_eq!(told_unclear(&mut owner, unclear(3)), []);
        assert_eq!(told_unclear(&mut owner, claim(1, &[1])), [(person(1), 3)]);
        // What the unclear one would have taken away moved before it, as is learned late: all of it moves.
        assert_eq!(told_unclear(&mut owner, claim(2, &[2])), [(person(2), 3)]);
        assert_eq!(told(&mut owner, claim(1, &[1])), [(person(1), 3)], "as of the newest");
        assert_eq!(told(&mut owner, claim(4, &[2])), []);
        assert_eq!(told(&mut owner, unclear(3)), [], "late");
    }

    #[test]
    fn an_unclear_version_of_what_was_deleted_reaches_nobody() {
        let mut owner = Owner::default();
        told(&mut owner, claim(1, &[1]));
        told(&mut owner, delete(2));
        assert_eq!(told(&mut owner, unclear(3)), []);
    }

    #[test]
    fn of_two_who_have_it_the_newer_version_stays() {
        let mut owner = Owner::default();
        told(&mut owner, claim(1, &[1]));
        assert_eq!(told(&mut owner, claim(2, &[2])), [(person(1), 2)], "which has version 3, and says so");
        assert_eq!(told(&mut owner, held(3, 1)), [(person(2), 2)]);
        assert_eq!(told(&mut owner, held(3, 3)), [], "about two");
        assert_eq!(told(&mut owner, delete(4)), [(person(1), 4), (person(3), 4)]);
        assert_eq!(told(&mut owner, held(3, 1)), [(person(1), 4)]);
    }

    #[test]
    fn a_delete_without_a_version_beats_what_was_stamped_before_it() {
        let mut owner = Owner::default();
        told(&mut owner, claim_at(7, 100, &[1]));
        assert_eq!(told(&mut owner, delete_at(200)), [(person(1), 7)]);
        assert_eq!(told(&mut owner, claim_at(8, 150, &[2])), [(person(2), 8)], "stamped before, heard after");
        assert_eq!(told(&mut owner, claim_at(9, 300, &[1])), []);
        assert_eq!(told(&mut owner, delete_at(200)), [], "the delete again, late");
        assert_eq!(told(&mut owner, claim_at(8, 150, &[2])), [(person(2), 9)]);
        assert_eq!(told(&mut owner, delete_at(300)), [(person(1), 9)], "of one instant, the later record");
    }
}
