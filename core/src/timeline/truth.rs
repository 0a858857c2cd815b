//! `Truth`: what evidence says, where it may say nothing.

use super::{Steps, Timeline};

/// Kleene's three values. A pair of timelines, *sure* ⊆ *possible*, is one `Steps<Truth>`:
/// sure is where it is `True`, possible is where it is not `False`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Truth {
    False,
    /// It may keep a person out and never puts one in.
    Unknown,
    True,
}

impl Truth {
    pub const fn known(value: bool) -> Truth {
        if value { Truth::True } else { Truth::False }
    }

    pub fn and(self, other: Truth) -> Truth {
        self.min(other)
    }

    pub fn or(self, other: Truth) -> Truth {
        self.max(other)
    }

    pub const fn negated(self) -> Truth {
        match self {
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
            Truth::True => Truth::False,
        }
    }

    /// What is left when the reason may not be told: possible, never sure.
    pub const fn withheld(self) -> Truth {
        match self {
            Truth::False => Truth::False,
            Truth::Unknown | Truth::True => Truth::Unknown,
        }
    }

    pub fn is_sure(self) -> bool {
        self == Truth::True
    }

    pub fn is_possible(self) -> bool {
        self != Truth::False
    }
}

impl Steps<Truth> {
    pub fn sure(&self) -> Timeline {
        self.map(|truth| truth.is_sure())
    }

    pub fn possible(&self) -> Timeline {
        self.map(|truth| truth.is_possible())
    }
}
