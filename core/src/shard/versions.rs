//! Which version of each resource a member has seen: 16 bytes a resource, kept apart from the member's state.

use super::member::{BadState, FORMAT};
use crate::fhir::Version;
use crate::key::ResourceKey;

/// Sorted by key. A deleted or moved resource keeps its entry, so that a late older version stays refused.
#[derive(Clone, Default, PartialEq)]
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

    /// 16 bytes an entry, after one byte of format and the few that are gone, counted.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(5 + 8 * self.gone.len() + 16 * self.seen.len());
        out.push(FORMAT);
        let gone = u32::try_from(self.gone.len()).expect("a member's resources fit into memory, and 32 bits count them");
        out.extend(gone.to_le_bytes());
        for key in &self.gone {
            out.extend(key.as_u64().to_le_bytes());
        }
        for (key, version) in &self.seen {
            out.extend(key.as_u64().to_le_bytes());
            out.extend(version.0.to_le_bytes());
        }
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Versions, BadState> {
        let rest = match bytes.split_first() {
            None => return Err(BadState::Empty),
            Some((&FORMAT, rest)) => rest,
            Some((other, _)) => return Err(BadState::Format(*other)),
        };
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let (count, rest) = rest.split_first_chunk::<4>().ok_or(BadState::Damaged)?;
        let length = usize::try_from(u32::from_le_bytes(*count)).ok().and_then(|count| count.checked_mul(8)).ok_or(BadState::Damaged)?;
        let (gone, seen) = rest.split_at_checked(length).ok_or(BadState::Damaged)?;
        let gone: Vec<_> = gone.chunks_exact(8).map(|key| ResourceKey::from_u64(word(key))).collect();
        let entry = |entry: &[u8]| (ResourceKey::from_u64(word(&entry[..8])), Version(word(&entry[8..]).cast_signed()));
        let entries: Vec<_> = seen.chunks_exact(16).map(entry).collect();
        let whole = seen.len() % 16 == 0 && entries.is_sorted_by(|a, b| a.0 < b.0) && gone.is_sorted_by(|a, b| a < b);
        if whole { Ok(Versions { seen: entries, gone }) } else { Err(BadState::Damaged) }
    }

    /// Those that are on file now.
    pub fn keys(&self) -> impl Iterator<Item = ResourceKey> {
        self.seen.iter().map(|(key, _)| *key).filter(|key| self.gone.binary_search(key).is_err())
    }
}
