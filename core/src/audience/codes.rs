//! The vocabulary: which value sets a resource's codes belong to, and which of those are sensitive.
//!
//! In: value sets, the policy's patterns for sensitive ones, a resource or a peek at it. Out: sets, yes or maybe.
//! Never here: what belonging to a set means for an audience.

use crate::fhir::valueset::ValueSets;
use crate::fhir::{Peek, Unreadable, json};
use crate::fhirpath::{Codes, Required};
use smallvec::SmallVec;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// The elements whose codes say what a resource is about.
const CODED: [&str; 10] =
    ["code", "vaccineCode", "medicationCodeableConcept", "medication", "type", "class", "serviceType", "category", "reasonCode", "reason"];

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
    pub fn sets_of(&self, tree: &Value) -> Result<SmallVec<[u16; 4]>, Unreadable> {
        let mut found = SmallVec::new();
        for element in CODED {
            let Some(value) = json::get(tree, element)? else { continue };
            codings(value, &mut |system, code| {
                found.extend((0..self.count).filter(|set| self.sets.contains(*set, system, code)));
            })?;
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Whether some code at the top of the resource is in a sensitive value set.
    pub fn peek_is_sensitive(&self, peek: &Peek) -> Result<bool, Unreadable> {
        if self.sensitive.is_empty() {
            return Ok(false);
        }
        let mut sensitive = false;
        for element in CODED {
            let Some(raw) = peek.element(element)? else { continue };
            let value = json::parse(raw)?;
            codings(&value, &mut |system, code| {
                sensitive |= self.sensitive.iter().any(|set| self.sets.contains(*set, system, code));
            })?;
        }
        Ok(sensitive)
    }

    /// `false` only where the element is there and surely has none of the codes.
    pub fn peek_may_have(&self, peek: &Peek, required: &Required) -> Result<bool, Unreadable> {
        let Some(raw) = peek.element(&required.element)? else { return Ok(true) };
        let value = json::parse(raw)?;
        let mut has = false;
        let mut any = false;
        codings(&value, &mut |system, code| {
            any = true;
            has |= match &required.codes {
                Codes::Valueset(set) => self.sets.contains(*set, system, code),
                Codes::Listed(list) => list.iter().any(|(wanted, text)| {
                    text == code && wanted.as_deref().is_none_or(|wanted| system.is_none_or(|system| system == wanted))
                }),
            };
        })?;
        Ok(has || !any)
    }
}

/// Each code in a code, Coding, CodeableConcept, CodeableReference, or a list of them.
fn codings(value: &Value, f: &mut dyn FnMut(Option<&str>, &str)) -> Result<(), Unreadable> {
    if let Some(code) = value.as_str() {
        f(None, code);
        return Ok(());
    }
    if let Some(items) = value.as_array() {
        return items.iter().try_for_each(|item| codings(item, f));
    }
    if let Some(code) = json::get(value, "code")?.and_then(|code| code.as_str()) {
        f(json::get(value, "system")?.and_then(|system| system.as_str()), code);
    }
    for inner in ["coding", "concept"] {
        if let Some(inner) = json::get(value, inner)? {
            codings(inner, f)?;
        }
    }
    Ok(())
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
