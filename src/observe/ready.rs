//! Whether the bridge tells what is true, and why not.
//!
//! In: reasons, as pipeline and sources meet and settle them. Out: the list of them.
//! Never here: a decision; whoever has a reason says so.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A reason stands until it is settled by its name: `baseline push`, `worker 0`.
#[derive(Debug, Default)]
pub struct Ready(Mutex<BTreeMap<String, Standing>>);

#[derive(Debug, Clone)]
struct Standing {
    blocks: bool,
    why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    pub name: String,
    pub why: String,
}

impl Ready {
    /// Not ready, until `settle`.
    pub fn block(&self, name: &str, why: impl Into<String>) {
        self.standing().insert(name.to_owned(), Standing { blocks: true, why: why.into() });
    }

    /// Ready all the same; said beside it: what is assumed and not known.
    pub fn assume(&self, name: &str, why: impl Into<String>) {
        self.standing().insert(name.to_owned(), Standing { blocks: false, why: why.into() });
    }

    pub fn settle(&self, name: &str) {
        self.standing().remove(name);
    }

    /// Why it is not ready; empty where it is.
    pub fn reasons(&self) -> Vec<Reason> {
        self.listed(true)
    }

    pub fn assumed(&self) -> Vec<Reason> {
        self.listed(false)
    }

    fn listed(&self, blocks: bool) -> Vec<Reason> {
        let standing = self.standing();
        let those = standing.iter().filter(|(_, one)| one.blocks == blocks);
        those.map(|(name, one)| Reason { name: name.clone(), why: one.why.clone() }).collect()
    }

    fn standing(&self) -> MutexGuard<'_, BTreeMap<String, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_assumed_does_not_block_and_what_is_settled_is_gone() {
        let ready = Ready::default();
        ready.assume("freshness", "no source proves it");
        assert_eq!(ready.reasons(), []);
        ready.block("baseline push", "not marked");
        ready.block("baseline push", "still not marked");
        assert_eq!(ready.reasons(), [Reason { name: "baseline push".into(), why: "still not marked".into() }]);
        ready.settle("baseline push");
        assert_eq!(ready.reasons(), []);
        assert_eq!(ready.assumed().len(), 1);
    }
}
