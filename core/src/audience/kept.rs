//! `Kept`: evidence that a member has taken in.
//!
//! In: evidence. Out: the same, shared by all who read it, and its bytes. Never here: a change of it; another takes its place.

use super::Evidence;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::Deref;
use std::sync::Arc;

/// Itself it never changes. That is how a change is found: the same one says the same.
#[derive(Clone)]
pub struct Kept(Arc<Evidence>);

impl Kept {
    pub fn new(evidence: Evidence) -> Kept {
        Kept(Arc::new(evidence))
    }

    /// The very same, not only an equal one.
    pub fn is(&self, other: &Kept) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Kept {
    type Target = Evidence;

    fn deref(&self) -> &Evidence {
        &self.0
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Kept) -> bool {
        self.is(other) || self.0 == other.0
    }
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Kept, D::Error> {
        Evidence::deserialize(deserializer).map(Kept::new)
    }
}
