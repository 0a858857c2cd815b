//! The definitions that partitions decide by, under their generation.
//!
//! In: mappings as they were read. Out: what a partition needs to decide. Never here: which of them are in force in a partition.

use super::Generation;
use crate::config::mappings::Mappings;
use crate::source::{Keep, ReadBy};
use footbridge_core::audience::Definitions;
use footbridge_core::gate::MemberKey;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Definitions with what goes with them.
pub struct Content {
    /// Names them: `sha256:` and hex digits.
    pub hash: String,
    pub definitions: Arc<Definitions>,
    /// One for each of the policy's recipients, in their order.
    pub member_keys: Vec<MemberKey>,
}

impl Content {
    /// `members`: the secret that members' names come from.
    pub fn new(mappings: Mappings, members: &[u8]) -> Content {
        let Mappings { catalogue, policy, valuesets, digest, .. } = mappings;
        let member_keys = MemberKey::of_all(&policy.recipients, members);
        Content { hash: digest, definitions: Arc::new(Definitions::new(catalogue, policy, valuesets)), member_keys }
    }
}

/// All that are in force or being prepared somewhere in this process.
pub struct Library {
    shelf: RwLock<Shelf>,
    /// What sources let through follows it.
    pub read_by: ReadBy,
}

struct Shelf {
    in_force: Generation,
    contents: BTreeMap<Generation, Arc<Content>>,
}

impl Library {
    pub fn new(generation: Generation, content: Content, keep: Keep) -> Library {
        let read_by = ReadBy::new(Arc::clone(&content.definitions), keep);
        Library { shelf: RwLock::new(Shelf { in_force: generation, contents: BTreeMap::from([(generation, Arc::new(content))]) }), read_by }
    }

    pub fn get(&self, generation: Generation) -> Option<Arc<Content>> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).contents.get(&generation).cloned()
    }

    /// Those that all partitions decide by, or the ones before while an adoption is under way.
    pub fn in_force(&self) -> Arc<Content> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&shelf.contents[&shelf.in_force])
    }

    /// All who know members by now, with their keys: while an adoption is under way those of before and those after it.
    pub fn recipients(&self) -> Vec<(String, MemberKey)> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(String, MemberKey)> = Vec::new();
        for content in shelf.contents.values() {
            let names = content.definitions.policy.recipients.iter().map(|recipient| recipient.key.clone());
            for (name, key) in names.zip(content.member_keys.iter().cloned()) {
                if all.iter().all(|(known, _)| *known != name) {
                    all.push((name, key));
                }
            }
        }
        all
    }

    /// Beside those in force. From here on sources let through what they read, too.
    pub fn add(&self, generation: Generation, content: Content) {
        self.change(|shelf| _ = shelf.contents.insert(generation, Arc::new(content)));
    }

    /// They have come to nothing.
    pub fn remove(&self, generation: Generation) {
        self.change(|shelf| {
            if shelf.in_force != generation {
                shelf.contents.remove(&generation);
            }
        });
    }

    /// All partitions decide by these, and none by another; `next` may be on their way.
    pub fn adopted(&self, generation: Generation, next: Option<Generation>) {
        self.change(|shelf| {
            if shelf.contents.contains_key(&generation) {
                shelf.in_force = generation;
                shelf.contents.retain(|other, _| *other == generation || Some(*other) == next);
            }
        });
    }

    fn change(&self, how: impl FnOnce(&mut Shelf)) {
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        how(&mut shelf);
        let first = shelf.contents.get(&shelf.in_force).into_iter();
        let others = shelf.contents.iter().filter(|(generation, _)| **generation != shelf.in_force).map(|(_, content)| content);
        self.read_by.set(first.chain(others).map(|content| Arc::clone(&content.definitions)).collect());
    }
}
