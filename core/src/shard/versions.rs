//! Which version of each resource a member has seen: 16 bytes a resource, kept apart from the member's state.

use crate::fhir::Version;
use crate::key::ResourceKey;
use serde::{Deserialize, Serialize};

/// Sorted by key. A deleted or moved resource keeps its entry, so that a late older version stays refused.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Versions {
    seen: Vec<(ResourceKey, Version)>,
    /// Those of them that were deleted or moved away. What they would carry is not known any more.
    gone: Vec<ResourceKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    First,
    /// As new as what is on file, or newer; of equal versions the later record wins.
    Newer,
    Stale,
}

impl Versions {
    pub fn accept(&mut self, key: ResourceKey, version: Version) -> Accepted {
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

    /// Whether the resource is on file; one that is gone is not.
    pub fn knows(&self, key: ResourceKey) -> bool {
        self.seen.binary_search_by_key(&key, |(key, _)| *key).is_ok() && self.gone.binary_search(&key).is_err()
    }

    /// The resource was deleted or moved away.
    pub fn leave(&mut self, key: ResourceKey) {
        if let Err(place) = self.gone.binary_search(&key) {
            self.gone.insert(place, key);
        }
    }

    /// The resource is there. Tells whether it had been gone.
    pub fn come_back(&mut self, key: ResourceKey) -> bool {
        let place = self.gone.binary_search(&key);
        place.map(|place| self.gone.remove(place)).is_ok()
    }

    pub fn len(&self) -> usize {
        self.seen.len()
    }

    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Of the resources on file.
    pub fn keys(&self) -> impl Iterator<Item = ResourceKey> {
        self.seen.iter().map(|(key, _)| *key).filter(|key| self.gone.binary_search(key).is_err())
    }
}
