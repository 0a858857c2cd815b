//! Whose reading decides what a source lets through to landing: the definitions in force, and those that are being prepared.
//!
//! In: definitions as they come and go. Out: which of them read a type. Never here: what they decide about a person.

use footbridge_core::audience::Definitions;
use std::sync::{Arc, PoisonError, RwLock};

/// Shared by all sources of a process.
#[derive(Clone)]
pub struct ReadBy(Arc<RwLock<Arc<[Arc<Definitions>]>>>);

impl ReadBy {
    pub fn new(definitions: Arc<Definitions>) -> ReadBy {
        ReadBy(Arc::new(RwLock::new([definitions].into())))
    }

    /// From now on these, the ones in force first.
    pub fn set(&self, definitions: Vec<Arc<Definitions>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = definitions.into();
    }

    pub fn all(&self) -> Arc<[Arc<Definitions>]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn reads(&self, kind: &str) -> bool {
        self.all().iter().any(|definitions| definitions.reads(kind))
    }
}
