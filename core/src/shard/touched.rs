//! `Touched`: which audiences an input may have moved, so that the others cost nothing.

use crate::audience::{Definitions, Evidence};

/// A set of audiences, by position in the catalogue. The catalogue holds at most [`AUDIENCES_MAX`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Touched {
    audiences: [u64; AUDIENCES_MAX / 64],
    /// New definitions were adopted; the records are what they were.
    pub by_definitions: bool,
}

pub const AUDIENCES_MAX: usize = 256;

impl Touched {
    pub fn all(definitions: &Definitions) -> Touched {
        let mut all = Touched::default();
        (0..definitions.catalogue.audiences.len()).for_each(|audience| all.add(audience));
        all
    }

    pub fn add(&mut self, audience: usize) {
        self.audiences[audience / 64] |= 1 << (audience % 64);
    }

    pub fn has(&self, audience: usize) -> bool {
        self.audiences[audience / 64] & (1 << (audience % 64)) != 0
    }

    pub fn is_empty(&self) -> bool {
        self.audiences.iter().all(|word| *word == 0)
    }

    /// The audiences that read any part of `evidence`.
    pub fn by(&mut self, evidence: &Evidence, definitions: &Definitions) {
        for (audience, uses) in definitions.uses.iter().enumerate() {
            let reads = evidence.criteria.iter().any(|(id, _)| uses.criteria.contains(id))
                || evidence.latests.iter().any(|(id, _)| uses.latests.contains(id))
                || evidence.values.iter().any(|(id, _)| uses.values.contains(id));
            if reads {
                self.add(audience);
            }
        }
    }
}
