//! The vocabulary: which value sets a resource's codes belong to, and which of those are sensitive.
//!
//! In: value sets, the policy's patterns for sensitive ones, a resource or a peek at it. Out: sets, yes or maybe.
//! Never here: what belonging to a set means for an audience.

use crate::consent::INLINE;
use crate::fhir::coding::each_code;
use crate::fhir::valueset::{Fast, ValueSets};
use crate::fhir::{Peek, Unreadable};
use crate::fhirpath::{Codes, Form, Required};
use memchr::memmem;
use smallvec::SmallVec;
use std::collections::HashSet;

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
    /// What the sensitive sets list; `None`: one of them may hold any code.
    sensitive_codes: Option<HashSet<String, Fast>>,
    /// Finds `"code"`.
    key: memmem::Finder<'static>,
    /// Parts of the systems whose codes say why there is no code.
    absent: [memmem::Finder<'static>; 2],
    /// Finds the extension that labels an element.
    inline: memmem::Finder<'static>,
}

/// How far a resource's codes may matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mention {
    /// Surely none is in a value set.
    None,
    Listed,
    /// Some may be in a sensitive one.
    Sensitive,
}

impl Vocabulary {
    /// `patterns` name value sets; `*` stands for any run of characters.
    pub fn new(sets: ValueSets, patterns: &[String]) -> Vocabulary {
        let matches = |name: &str| patterns.iter().any(|pattern| matches_pattern(pattern, name));
        let count = sets.names().count() as u16;
        let sensitive: Vec<u16> = (0..count).filter(|set| matches(sets.name(*set))).collect();
        let codes = |set: &u16| Some(sets.listed_by(*set)?.map(str::to_owned).collect::<Vec<_>>());
        let sensitive_codes = sensitive.iter().map(codes).collect::<Option<Vec<_>>>().map(|codes| codes.into_iter().flatten().collect());
        let absent = [memmem::Finder::new(b"data-absent-reason"), memmem::Finder::new(b"v3-NullFlavor")];
        Vocabulary {
            sets,
            count,
            sensitive,
            sensitive_codes,
            key: memmem::Finder::new(b"\"code\""),
            absent,
            inline: memmem::Finder::new(INLINE),
        }
    }

    /// Whether some element of it may have a label of its own.
    pub fn may_label_elements(&self, peek: &Peek) -> bool {
        self.inline.find(peek.bytes()).is_some()
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

    /// Looks for codes without walking through the resource: wherever a text stands under the key `code`, and in coded
    /// elements that are texts themselves. Costs a fraction of a peek, and settles most of a feed.
    pub fn mention(&self, peek: &Peek) -> Mention {
        let bytes = peek.bytes();
        // An escape may hide a key or a code.
        if memchr::memchr(b'\\', bytes).is_some() {
            return Mention::Sensitive;
        }
        let under_keys = self.key.find_iter(bytes).filter_map(|at| text_after(&bytes[at + 6..]));
        let mut most = under_keys.map(|code| self.mention_of(code)).max().unwrap_or(Mention::None);
        for (element, raw) in peek.elements() {
            if is_coded(element) && (raw.starts_with(b"\"") || raw.starts_with(b"[") && !raw[1..].trim_ascii_start().starts_with(b"{")) {
                most = Mention::Sensitive;
            }
        }
        most
    }

    fn mention_of(&self, code: &[u8]) -> Mention {
        // What is no UTF-8 is no code; who reads the element refuses it.
        let Ok(code) = std::str::from_utf8(code) else { return Mention::Sensitive };
        match &self.sensitive_codes {
            None => Mention::Sensitive,
            Some(_) if !self.sets.may_mention(code) => Mention::None,
            Some(codes) if codes.contains(code) => Mention::Sensitive,
            Some(_) => Mention::Listed,
        }
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
    pub fn is_sensitive_within(&self, peek: &Peek) -> Result<bool, Unreadable> {
        let mut found = false;
        for (element, raw) in peek.elements().filter(|(element, _)| !matches!(*element, b"meta" | b"text")) {
            // A text of its own is a code only where the element is coded, and those are in `sets_of`.
            if is_coded(element) || matches!(raw.first(), Some(b'{' | b'[')) {
                each_code(raw, &mut |system, code| {
                    found = found || self.sets.may_mention(code) && self.sensitive.iter().any(|set| self.sets.contains(*set, system, code));
                })?;
            }
        }
        Ok(found)
    }

    /// `false` only where the element is there, has its form, and surely has none of the codes.
    pub fn may_have(&self, peek: &Peek, required: &Required, mention: Mention) -> Result<bool, Unreadable> {
        let Some(raw) = peek.element(&required.element)? else { return Ok(true) };
        // Another form: who evaluates it says what that means, or that it cannot be read.
        let objects = match (required.form, raw.first()) {
            (Form::Code, Some(b'"')) => 0,
            (Form::Coding | Form::Concept, Some(b'{')) => memchr::memchr_iter(b'{', raw).count(),
            (Form::Code | Form::Coding | Form::Concept, _) => return Ok(true),
        };
        // As many codes as there are codings, so that none is hidden. A code that says why there is none hides one, too.
        let wanted = match required.form {
            Form::Code => 1,
            Form::Coding => objects,
            Form::Concept => objects - 1,
        };
        if wanted == 0 || self.absent.iter().any(|system| system.find(raw).is_some()) {
            return Ok(true);
        }
        if mention == Mention::None && required.form != Form::Code && matches!(required.codes, Codes::Valueset(_)) {
            return Ok(self.key.find_iter(raw).filter(|at| text_after(&raw[at + 6..]).is_some()).count() != wanted);
        }
        let (mut has, mut count) = (false, 0);
        each_code(raw, &mut |system, code| {
            count += 1;
            has |= match &required.codes {
                Codes::Valueset(set) => self.sets.may_mention(code) && self.sets.contains(*set, system, code),
                Codes::Listed(list) => list.iter().any(|(wanted, text)| {
                    text == code && wanted.as_deref().is_none_or(|wanted| system.is_none_or(|system| system == wanted))
                }),
            };
        })?;
        Ok(has || count != wanted)
    }
}

/// The text after a key, where one stands there; it has no escapes.
fn text_after(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    rest.get(..memchr::memchr(b'"', rest)?)
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
