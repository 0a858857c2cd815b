//! What all members of a partition share: broadcast resources, baselines, watermarks.

use super::{Baseline, OptOuts, Watermark};
use crate::audience::{Marks, RemoteId};
use crate::consent::Labels;
use crate::fhir::Version;
use crate::key::ResourceKey;
use crate::time::{Instant, Span};
use crate::timeline::Truth;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Medications, locations, organizations and the like, reduced to what criteria ask of them. Every shard has all.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Broadcast {
    resources: HashMap<ResourceKey, Shared>,
    pub opt_outs: OptOuts,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Shared {
    pub version: Version,
    /// When landing took it.
    pub stamp: Instant,
    pub marks: Marks,
    pub answers: Vec<(RemoteId, Truth)>,
    pub deleted: bool,
}

impl Broadcast {
    /// Takes in a resource unless it is stale. `true`: members that refer to it must look again.
    pub fn put(&mut self, key: ResourceKey, shared: Shared) -> bool {
        match self.resources.get(&key) {
            Some(before) if before.version > shared.version => false,
            Some(before) if *before == shared => false,
            _ => {
                self.resources.insert(key, shared);
                true
            }
        }
    }

    /// Takes a resource out. `true`: members that refer to it must look again. One that never came is none of this
    /// table's. Without a version (see [`super::Ownership::Delete`]) it beats what was stamped until `stamp`.
    pub fn delete(&mut self, key: ResourceKey, version: Option<Version>, stamp: Instant) -> bool {
        let beaten = |shared: &&mut Shared| version.map_or(shared.stamp <= stamp, |version| shared.version <= version);
        let Some(shared) = self.resources.get_mut(&key).filter(beaten) else { return false };
        shared.version = version.unwrap_or(shared.version);
        !std::mem::replace(&mut shared.deleted, true)
    }

    /// Remembers the delete of a resource that never came: a late older version stays out, and what it carried is not known.
    pub fn bury(&mut self, key: ResourceKey, version: Version, stamp: Instant) {
        let marks = Marks { labels: Labels::unknown(), sensitive: false };
        self.resources.entry(key).or_insert(Shared { version, stamp, marks, answers: Vec::new(), deleted: true });
    }

    pub fn get(&self, key: ResourceKey) -> Option<&Shared> {
        self.resources.get(&key)
    }

    /// As it was kept.
    pub fn restore(&mut self, key: ResourceKey, shared: Shared) {
        self.resources.insert(key, shared);
    }

    /// What the resource answers; `Unknown` where it, or the reference, is not on file.
    pub fn answer(&self, remote: RemoteId, key: Option<ResourceKey>) -> Truth {
        let shared = key.and_then(|key| self.resources.get(&key)).filter(|shared| !shared.deleted);
        let answer = shared.and_then(|shared| shared.answers.iter().find(|(id, _)| *id == remote));
        answer.map_or(Truth::Unknown, |(_, truth)| *truth)
    }

    pub fn marks(&self, key: ResourceKey) -> Option<&Marks> {
        self.resources.get(&key).map(|shared| &shared.marks)
    }

    pub fn knows(&self, key: ResourceKey) -> bool {
        self.resources.contains_key(&key)
    }
}

/// Which sources have delivered what. Times are of the landing log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    baselines: BTreeSet<String>,
    watermarks: BTreeMap<String, Instant>,
}

impl Partition {
    pub fn baseline(&mut self, baseline: Baseline) {
        self.baselines.insert(baseline.source);
    }

    /// A watermark never goes back.
    pub fn watermark(&mut self, watermark: Watermark) {
        let proved = self.watermarks.entry(watermark.source).or_insert(Instant::BEGIN);
        *proved = (*proved).max(watermark.complete_to);
    }

    /// Whether an audience fed by `sources` must still be silent.
    pub fn is_silent<'a>(&self, sources: impl IntoIterator<Item = &'a str>) -> bool {
        sources.into_iter().any(|source| !self.baselines.contains(source))
    }

    /// Until when the consent sources count as fresh. Without a source that has to prove it: always.
    pub fn fresh_until<'a>(&self, sources: impl IntoIterator<Item = &'a str>, stale_after: Span) -> Instant {
        let proved = sources.into_iter().map(|source| self.watermarks.get(source).copied().unwrap_or(Instant::BEGIN));
        proved.min().map_or(Instant::END, |proved| proved.plus(stale_after))
    }
}
