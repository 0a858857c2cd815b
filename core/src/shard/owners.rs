//! Owners: which persons a resource belongs to, so that a delete or a move reaches those who lost it.
//!
//! In: claims and deletes, partitioned by resource. Out: `Delete`s for persons. Never here: what the resource says.

use super::{Claim, Delete};
use crate::fhir::Version;
use crate::key::{Person, ResourceKey};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// What is known of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Sorted.
    pub persons: SmallVec<[Person; 1]>,
    pub version: Option<Version>,
    /// The newest delete, kept for a resource never seen, too.
    pub deleted: Option<Version>,
}

/// What an owner hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    Claim(Claim),
    Delete { resource: ResourceKey, version: Version },
}

impl Owner {
    /// The `Delete`s that follow, each for one person.
    pub fn hear(&mut self, message: Ownership) -> Vec<(Person, Delete)> {
        match message {
            Ownership::Delete { resource, version } => self.delete(resource, version),
            Ownership::Claim(claim) => self.claim(claim),
        }
    }

    fn delete(&mut self, key: ResourceKey, version: Version) -> Vec<(Person, Delete)> {
        self.deleted = self.deleted.max(Some(version));
        if self.version.is_some_and(|current| current > version) {
            return Vec::new();
        }
        let delete = Delete { key, version, more: false };
        std::mem::take(&mut self.persons).into_iter().map(|person| (person, delete)).collect()
    }

    fn claim(&mut self, claim: Claim) -> Vec<(Person, Delete)> {
        let delete = |person, version| (person, Delete { key: claim.resource, version, more: false });
        // A delete as new as the claim came first: it holds for the claimants.
        if let Some(deleted) = self.deleted.filter(|deleted| *deleted > claim.version) {
            return claim.persons.iter().map(|person| delete(*person, deleted)).collect();
        }
        match self.version {
            // An older claim: those who are no longer meant have lost it to the newer version.
            Some(current) if current > claim.version => {
                let lost = claim.persons.iter().filter(|person| !self.persons.contains(person));
                lost.map(|person| delete(*person, current)).collect()
            }
            _ => {
                self.version = Some(claim.version);
                let before = std::mem::replace(&mut self.persons, claim.persons.clone());
                let lost = before.into_iter().filter(|person| !claim.persons.contains(person));
                lost.map(|person| delete(person, claim.version)).collect()
            }
        }
    }
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
        Ownership::Claim(Claim { resource: ResourceKey::from_u64(7), version: Version(version), stamp: Instant::from_micros(0), persons })
    }

    fn delete(version: i64) -> Ownership {
        Ownership::Delete { resource: ResourceKey::from_u64(7), version: Version(version) }
    }

    /// Who was told to let go, and as of which version.
    fn told(owner: &mut Owner, message: Ownership) -> Vec<(Person, i64)> {
        owner.hear(message).into_iter().map(|(person, delete)| (person, delete.version.0)).collect()
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
}
