//! Whose reading decides what a source lets through to landing: the definitions in force, and those that are being prepared.
//!
//! In: definitions as they come and go. Out: which of them read a type. Never here: what they decide about a person.

use footbridge_core::audience::Definitions;
use std::sync::{Arc, PoisonError, RwLock};

/// Shared by all sources of a process.
#[derive(Clone)]
pub struct ReadBy {
    definitions: Arc<RwLock<Arc<[Arc<Definitions>]>>>,
    pub keep: Keep,
}

/// What becomes of types that no definitions read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// They are dropped at the source.
    #[default]
    Read,
    /// Landing has them: definitions that come later may read them.
    All,
}

impl ReadBy {
    pub fn new(definitions: Arc<Definitions>, keep: Keep) -> ReadBy {
        ReadBy { definitions: Arc::new(RwLock::new([definitions].into())), keep }
    }

    /// From now on these, the ones in force first.
    pub fn set(&self, definitions: Vec<Arc<Definitions>>) {
        *self.definitions.write().unwrap_or_else(PoisonError::into_inner) = definitions.into();
    }

    pub fn all(&self) -> Arc<[Arc<Definitions>]> {
        Arc::clone(&self.definitions.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether landing takes records of this type.
    pub fn takes(&self, kind: &str) -> bool {
        self.keep == Keep::All || self.reads(kind)
    }

    pub fn reads(&self, kind: &str) -> bool {
        self.all().iter().any(|definitions| definitions.reads(kind))
    }
}
