//! Which version of each resource a member has seen: 16 bytes a resource, kept apart from the member's state.

use super::member::{BadState, FORMAT};
use crate::fhir::Version;
use crate::key::ResourceKey;

/// Sorted by key. A deleted or moved resource keeps its entry, so that a late older version stays refused.
#[derive(Clone, Default, PartialEq)]
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

    /// 16 bytes an entry, after one byte of format.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + 16 * self.seen.len());
        out.push(FORMAT);
        for (key, version) in &self.seen {
            out.extend(key.as_u64().to_le_bytes());
            out.extend(version.0.to_le_bytes());
        }
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Versions, BadState> {
        match bytes.split_first() {
            None => Err(BadState::Empty),
            Some((&FORMAT, rest)) if rest.len() % 16 == 0 => {
                let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
                let entry = |entry: &[u8]| (ResourceKey::from_u64(word(&entry[..8])), Version(word(&entry[8..]).cast_signed()));
                let seen: Vec<_> = rest.chunks_exact(16).map(entry).collect();
                if seen.is_sorted_by(|a, b| a.0 < b.0) { Ok(Versions { seen }) } else { Err(BadState::Damaged) }
            }
            Some((&FORMAT, _)) => Err(BadState::Damaged),
            Some((other, _)) => Err(BadState::Format(*other)),
        }
    }

    pub fn keys(&self) -> impl Iterator<Item = ResourceKey> {
        self.seen.iter().map(|(key, _)| *key)
    }
}
