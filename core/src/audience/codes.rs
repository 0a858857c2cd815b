//! The vocabulary: which value sets a resource's codes belong to, and which of those are sensitive.
//!
//! In: value sets, the policy's patterns for sensitive ones, a resource or a peek at it. Out: sets, yes or maybe.
//! Never here: what belonging to a set means for an audience.

use crate::fhir::coding::each_code;
use crate::fhir::valueset::ValueSets;
use crate::fhir::{Peek, Unreadable};
use crate::fhirpath::{Codes, Required};
use smallvec::SmallVec;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// Whether the codes of this element say what the resource is about.
fn is_coded(element: &[u8]) -> bool {
    matches!(
        element,
        b"code"
            | b"vaccineCode"
            | b"medicationCodeableConcept"
            | b"medication"
            | b"type"
            | b"class"
            | b"serviceType"
            | b"category"
            | b"reasonCode"
            | b"reason"
            // These hold such elements in turn: a plan's activities, the parts of an observation and what it found.
            | b"activity"
            | b"component"
            | b"valueCodeableConcept"
            | b"diagnosis"
            | b"protocolApplied"
    )
}

pub struct Vocabulary {
    sets: ValueSets,
    count: u16,
    sensitive: Vec<u16>,
}

impl Vocabulary {
    /// `patterns` name value sets; `*` stands for any run of characters.
    pub fn new(sets: ValueSets, patterns: &[String]) -> Vocabulary {
        let matches = |name: &str| patterns.iter().any(|pattern| matches_pattern(pattern, name));
        let count = sets.names().count() as u16;
        let sensitive = (0..count).filter(|set| matches(sets.name(*set))).collect();
        Vocabulary { sets, count, sensitive }
    }

    pub fn sets(&self) -> &ValueSets {
        &self.sets
    }

    pub fn contains(&self, set: u16, system: Option<&str>, code: &str) -> bool {
        self.sets.contains(set, system, code)
    }

    pub fn is_sensitive(&self, set: u16) -> bool {
        self.sensitive.contains(&set)
    }

    /// The value sets that some code of the resource belongs to, sorted.
    pub fn sets_of(&self, peek: &Peek) -> Result<SmallVec<[u16; 4]>, Unreadable> {
        let mut sets: SmallVec<[u16; 4]> = SmallVec::new();
        for (element, raw) in peek.elements() {
            if is_coded(element) {
                each_code(raw, &mut |system, code| {
                    if self.sets.may_mention(code) {
                        sets.extend((0..self.count).filter(|set| self.sets.contains(*set, system, code)));
                    }
                })?;
            }
        }
        sets.sort_unstable();
        sets.dedup();
        Ok(sets)
    }

    /// Whether some code anywhere in the resource is in a sensitive value set: to be told of a plan is to be told of
    /// its activities. Labels and narrative are no codes of what it is about.
    pub fn is_sensitive_within(&self, tree: &Value) -> bool {
        let Some(fields) = tree.as_object().filter(|_| !self.sensitive.is_empty()) else { return false };
        fields.iter().any(|(element, value)| !["meta", "text"].contains(&element) && self.has_sensitive(value))
    }

    fn has_sensitive(&self, value: &Value) -> bool {
        if let Some(items) = value.as_array() {
            return items.iter().any(|item| self.has_sensitive(item));
        }
        let Some(fields) = value.as_object() else { return false };
        let system = fields.iter().find(|(key, _)| *key == "system").and_then(|(_, system)| system.as_str());
        let listed = |code| self.sets.may_mention(code) && self.sensitive.iter().any(|set| self.sets.contains(*set, system, code));
        fields.iter().any(|(key, value)| (key == "code" && value.as_str().is_some_and(listed)) || self.has_sensitive(value))
    }

    /// `false` only where the element is there and surely has none of the codes.
    pub fn may_have(&self, peek: &Peek, required: &Required) -> Result<bool, Unreadable> {
        let Some(raw) = peek.element(&required.element)? else { return Ok(true) };
        let (mut has, mut any) = (false, false);
        each_code(raw, &mut |system, code| {
            any = true;
            has |= match &required.codes {
                Codes::Valueset(set) => self.sets.may_mention(code) && self.sets.contains(*set, system, code),
                Codes::Listed(list) => list.iter().any(|(wanted, text)| {
                    text == code && wanted.as_deref().is_none_or(|wanted| system.is_none_or(|system| system == wanted))
                }),
            };
        })?;
        Ok(has || !any)
    }
}

/// A glob of `*` only.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| match tail.is_empty() {
            true => true,
            false => (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches_pattern(tail, &rest[at..])),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::matches_pattern;

    #[test]
    fn a_pattern_stands_for_names() {
        for (pattern, name, expected) in [
            ("sensitive-*", "sensitive-hiv", true),
            ("sensitive-*", "mammography", false),
            ("*-hiv", "sensitive-hiv", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("hiv", "hiv", true),
            ("hiv", "hiv2", false),
        ] {
            assert_eq!(matches_pattern(pattern, name), expected, "{pattern} {name}");
        }
    }
}
