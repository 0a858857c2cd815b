//! Who has which contact: so that an opt-out by number or address finds them.
//!
//! In: the buckets of a member's contacts before and after a step. Out: the members of a bucket.
//! Never here: a contact in the clear, or more of the index in memory than has changed since the last commit.

use super::change::Space;
use crate::log::{Log, LogError, Place, StateChange};
use footbridge_core::key::Person;
use std::collections::{BTreeMap, BTreeSet};

pub struct Holders {
    place: Place,
    space: Space,
    /// Not committed yet; `false`: no longer.
    changed: BTreeMap<(u64, Person), bool>,
}

pub const HOLDER: u8 = b'c';

impl Holders {
    pub fn new(place: Place, space: Space) -> Holders {
        Holders { place, space, changed: BTreeMap::new() }
    }

    /// Both sorted.
    pub fn moved(&mut self, person: Person, before: &[u64], after: &[u64]) {
        let only = |these: &[u64], those: &[u64]| -> Vec<u64> {
            these.iter().copied().filter(|bucket| those.binary_search(bucket).is_err()).collect()
        };
        self.changed.extend(only(before, after).into_iter().map(|bucket| ((bucket, person), false)));
        self.changed.extend(only(after, before).into_iter().map(|bucket| ((bucket, person), true)));
    }

    pub fn of(&self, log: &impl Log, buckets: &[u64]) -> Result<BTreeSet<Person>, LogError> {
        let mut persons = BTreeSet::new();
        let mut broken = false;
        for bucket in buckets {
            let prefix = [&[self.space.key(HOLDER)][..], &bucket.to_be_bytes()].concat();
            let mut in_it = BTreeSet::new();
            log.scan(self.place, &prefix, &mut |key, _| match key.get(9..).and_then(|bytes| bytes.try_into().ok()) {
                Some(bytes) => _ = in_it.insert(Person::from_bytes(bytes)),
                None => broken = true,
            })?;
            let (first, last) = (Person::from_bytes([0; 16]), Person::from_bytes([0xff; 16]));
            for ((_, person), holds) in self.changed.range((*bucket, first)..=(*bucket, last)) {
                match holds {
                    true => _ = in_it.insert(*person),
                    false => _ = in_it.remove(person),
                }
            }
            persons.append(&mut in_it);
        }
        if broken {
            return Err(LogError::damaged(self.place, "who has a contact cannot be read"));
        }
        Ok(persons)
    }

    /// All that changed, as state.
    pub fn stage(&self, state: &mut Vec<StateChange>) {
        for ((bucket, person), holds) in &self.changed {
            let key = [&[self.space.key(HOLDER)][..], &bucket.to_be_bytes(), person.as_bytes()].concat();
            state.push((self.place, key, holds.then(Vec::new)));
        }
    }

    pub fn committed(&mut self) {
        self.changed.clear();
    }
}
