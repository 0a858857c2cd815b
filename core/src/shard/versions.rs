//! Which version of each resource a member has seen: 16 bytes a resource, kept apart from the member's state.

use crate::fhir::Version;
use crate::key::ResourceKey;
use serde::{Deserialize, Serialize};

/// Sorted by key. A deleted or moved resource keeps its entry, so that a late older version stays refused.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Versions {
    seen: Vec<(ResourceKey, Version)>,
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

    pub fn knows(&self, key: ResourceKey) -> bool {
        self.seen.binary_search_by_key(&key, |(key, _)| *key).is_ok()
    }

    pub fn len(&self) -> usize {
        self.seen.len()
    }

    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    pub fn keys(&self) -> impl Iterator<Item = ResourceKey> {
        self.seen.iter().map(|(key, _)| *key)
    }
}
