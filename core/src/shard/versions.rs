//! Which version of each resource a member has seen: 16 bytes a resource, kept apart from the member's state, in buckets.

use crate::fhir::Version;
use crate::key::ResourceKey;
use crate::time::Instant;

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

    /// What was seen in one bucket, and what of it is gone. A version in microseconds is as small as an instant.
    pub(super) fn of_bucket(&self, bucket: u8) -> (Vec<(ResourceKey, Instant)>, &[ResourceKey]) {
        let seen = of_bucket(&self.seen, bucket, |(key, _)| *key);
        let seen = seen.iter().map(|(key, version)| (*key, Instant::from_micros(version.0))).collect();
        (seen, of_bucket(&self.gone, bucket, |key| *key))
    }

    /// Takes in a bucket. `false`: it is none that was written, or not in its turn.
    pub(super) fn restore(&mut self, bucket: u8, seen: Vec<(ResourceKey, Instant)>, gone: Vec<ResourceKey>) -> bool {
        let rises = seen.is_sorted_by(|a, b| a.0 < b.0) && gone.is_sorted_by(|a, b| a < b);
        let inside = seen.iter().map(|(key, _)| key).chain(&gone).all(|key| bucket_of(*key) == bucket);
        let follows = self.seen.last().is_none_or(|(last, _)| bucket_of(*last) < bucket);
        if seen.is_empty() || !rises || !inside || !follows {
            return false;
        }
        self.seen.extend(seen.into_iter().map(|(key, at)| (key, Version(at.micros()))));
        self.gone.extend(gone);
        true
    }

    /// A digest of each bucket, only ever compared within one process; 0: it has no versions.
    pub(super) fn digests(&self) -> Box<[u64]> {
        let mut digests = [0; BUCKETS as usize];
        let mut add = |key: ResourceKey, word: u64| {
            let digest = &mut digests[usize::from(bucket_of(key))];
            *digest = mix(*digest ^ key.as_u64() ^ 0x9e37_79b9_7f4a_7c15, word ^ 0xd1b5_4a32_d192_ed03).max(1);
        };
        self.seen.iter().for_each(|(key, version)| add(*key, version.0.cast_unsigned()));
        self.gone.iter().for_each(|key| add(*key, u64::MAX));
        Box::new(digests)
    }

    /// Those that are on file now.
    pub fn keys(&self) -> impl Iterator<Item = ResourceKey> {
        self.seen.iter().map(|(key, _)| *key).filter(|key| self.gone.binary_search(key).is_err())
    }
}

/// So many pieces hold a member's versions, by the first six bits of the resource's key: with hundreds of resources a change writes a
/// few of them, and with few resources a piece is one.
pub(super) const BUCKETS: u8 = 64;

fn bucket_of(key: ResourceKey) -> u8 {
    (key.as_u64() >> 58) as u8
}

/// Of a list sorted by key.
fn of_bucket<T>(list: &[T], bucket: u8, key: impl Fn(&T) -> ResourceKey) -> &[T] {
    let start = list.partition_point(|one| bucket_of(key(one)) < bucket);
    let count = list[start..].partition_point(|one| bucket_of(key(one)) == bucket);
    &list[start..start + count]
}

fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}
