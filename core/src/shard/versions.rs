//! Which version of each resource a member has seen: 16 bytes a resource, kept apart from the member's state.

use crate::fhir::Version;
use crate::key::ResourceKey;
use serde::{Deserialize, Serialize};

/// Sorted by key. A deleted or moved resource keeps its entry, so that a late older version stays refused.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Versions {
    seen: Vec<(ResourceKey, Version)>,
    /// Of those, the deleted and the moved: a link to one leads nowhere.
    gone: Vec<ResourceKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// Never seen, or back after it was gone.
    First,
    /// As new as what is on file, or newer; of equal versions the later record wins.
    Newer,
    Stale,
}

impl Versions {
    pub fn accept(&mut self, key: ResourceKey, version: Version) -> Accepted {
        let accepted = self.compare(key, version);
        if accepted == Accepted::Newer
            && let Ok(place) = self.gone.binary_search(&key)
        {
            self.gone.remove(place);
            return Accepted::First;
        }
        accepted
    }

    /// A delete, or a move to somebody else.
    pub fn leave(&mut self, key: ResourceKey, version: Version) -> Accepted {
        let accepted = self.compare(key, version);
        if accepted != Accepted::Stale
            && let Err(place) = self.gone.binary_search(&key)
        {
            self.gone.insert(place, key);
        }
        accepted
    }

    /// The version on file, of a resource that is gone too.
    pub fn of(&self, key: ResourceKey) -> Option<Version> {
        self.seen.binary_search_by_key(&key, |(key, _)| *key).ok().map(|place| self.seen[place].1)
    }

    fn compare(&mut self, key: ResourceKey, version: Version) -> Accepted {
        // A load brings keys in no order, a feed mostly known ones.
        match self.seen.binary_search_by_key(&key, |(key, _)| *key) {
            Err(place) => {
                self.seen.insert(place, (key, version));
                Accepted::First
            }
            Ok(place) if self.seen[place].1 <= version => {
                self.seen[place].1 = version;
                Accepted::Newer
            }
            Ok(_) => Accepted::Stale,
        }
    }

    pub fn knows(&self, key: ResourceKey) -> bool {
        self.of(key).is_some() && self.gone.binary_search(&key).is_err()
    }

    /// How many were seen, and how many of them are gone.
    pub fn count(&self) -> (usize, usize) {
        (self.seen.len(), self.gone.len())
    }

    pub fn len(&self) -> usize {
        self.seen.len()
    }

    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Those that are on file now.
    pub fn keys(&self) -> impl Iterator<Item = ResourceKey> {
        self.seen.iter().map(|(key, _)| *key).filter(|key| self.gone.binary_search(key).is_err())
    }
}
