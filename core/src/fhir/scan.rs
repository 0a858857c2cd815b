//! `Scan`: walks over JSON without building a tree, and says where each value begins and ends.
//!
//! In: the bytes of one JSON value. Out: keys, strings and slices of the same bytes.
//! Never here: a claim that a skipped value is valid JSON. Strings, brackets, depth and the end are checked; [`super::json::parse`] checks the rest.

use super::json::{DEPTH_MAX, Unreadable};
use super::marks::{Strings, marks_at};
use std::borrow::Cow;

/// A place in a JSON text. The caller asks for what it expects there; anything else is an error with line and column.
pub struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    /// Nothing of the innermost container was read yet: no comma is due.
    fresh: bool,
}

impl<'a> Scan<'a> {
    pub fn new(bytes: &'a [u8]) -> Scan<'a> {
        Scan::from(bytes, 0)
    }

    /// Begins at `at`; errors still count lines from the start of `bytes`.
    pub fn from(bytes: &'a [u8], at: usize) -> Scan<'a> {
        Scan { bytes, at, depth: 0, fresh: false }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub(super) fn syntax(&self) -> Unreadable {
        let before = &self.bytes[..self.at.min(self.bytes.len())];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|b| **b != b'\n').count();
        Unreadable::Syntax { line, column }
    }

    /// The first byte of what comes next, which is not consumed.
    pub fn ahead(&mut self) -> Result<u8, Unreadable> {
        while let Some(b) = self.bytes.get(self.at) {
            if !matches!(b, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(*b);
            }
            self.at += 1;
        }
        Err(self.syntax())
    }

    /// Goes into an object (`{`) or an array (`[`).
    pub fn enter(&mut self, bracket: u8) -> Result<(), Unreadable> {
        if self.ahead()? != bracket {
            return Err(self.syntax());
        }
        if self.depth == DEPTH_MAX {
            return Err(Unreadable::TooDeep);
        }
        self.at += 1;
        self.depth += 1;
        self.fresh = true;
        Ok(())
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
        self.fresh = false;
    }

    fn comma(&mut self) -> Result<(), Unreadable> {
        if self.fresh {
            self.fresh = false;
            return Ok(());
        }
        if self.ahead()? != b',' {
            return Err(self.syntax());
        }
        self.at += 1;
        Ok(())
    }

    /// The next key of the object entered last, with its colon consumed; `None` (and outside again) at its end.
    /// FHIR's keys need no escapes: a key with one could hide a name that is looked for, and is refused.
    pub fn key(&mut self) -> Result<Option<&'a [u8]>, Unreadable> {
        if self.ahead()? == b'}' {
            self.leave();
            return Ok(None);
        }
        self.comma()?;
        self.ahead()?;
        let (key, escaped) = self.string()?;
        if escaped {
            return Err(Unreadable::Element { path: "(a key)", why: "is written with escapes; write it plainly" });
        }
        if self.ahead()? != b':' {
            return Err(self.syntax());
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether the array entered last has another item, which is then next; `false` (and outside again) at its end.
    pub fn item(&mut self) -> Result<bool, Unreadable> {
        if self.ahead()? == b']' {
            self.leave();
            return Ok(false);
        }
        self.comma()?;
        Ok(true)
    }

    /// Nothing but white space may be left.
    pub fn finish(&mut self) -> Result<(), Unreadable> {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.syntax()) }
    }

    /// A string's value; `None` (nothing consumed) where something else is next.
    pub fn text(&mut self) -> Result<Option<Cow<'a, str>>, Unreadable> {
        if self.ahead()? != b'"' {
            return Ok(None);
        }
        let start = self.at;
        let (raw, escaped) = self.string()?;
        if escaped {
            let quoted = &self.bytes[start..self.at];
            let text = sonic_rs::from_slice::<String>(quoted).map_err(|_| Scan::from(self.bytes, start).syntax())?;
            return Ok(Some(Cow::Owned(text)));
        }
        let text = std::str::from_utf8(raw).map_err(|e| Unreadable::NotUtf8 { offset: start + 1 + e.valid_up_to() })?;
        Ok(Some(Cow::Borrowed(text)))
    }

    /// Passes over one value of any kind and returns its bytes.
    pub fn skip(&mut self) -> Result<&'a [u8], Unreadable> {
        let first = self.ahead()?;
        let start = self.at;
        match first {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => self.container()?,
            b't' | b'f' | b'n' | b'-' | b'0'..=b'9' => {
                let rest = &self.bytes[start..];
                let length = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.')).count();
                let word = &rest[..length];
                if first.is_ascii_lowercase() && !matches!(word, b"true" | b"false" | b"null") {
                    return Err(self.syntax());
                }
                self.at += length;
            }
            _ => return Err(self.syntax()),
        }
        Ok(&self.bytes[start..self.at])
    }

    /// Passes over a string; returns what stands between its quotes and whether that has escapes.
    fn string(&mut self) -> Result<(&'a [u8], bool), Unreadable> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(self.syntax());
        }
        let start = self.at + 1;
        let (mut at, mut escaped) = (start, false);
        loop {
            at += quote_or_backslash(&self.bytes[at..]);
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(_) if at + 1 < self.bytes.len() => {
                    escaped = true;
                    at += 2;
                }
                _ => {
                    self.at = self.bytes.len();
                    return Err(self.syntax());
                }
            }
        }
        self.at = at + 1;
        Ok((&self.bytes[start..at], escaped))
    }

    /// Passes over an object or array, 64 bytes at a time: marks what lies in strings, then counts the brackets outside.
    fn container(&mut self) -> Result<(), Unreadable> {
        // One bit a level, the innermost lowest: 1 for an object. DEPTH_MAX is what a u64 holds.
        let (mut kinds, mut depth) = (0u64, self.depth);
        let mut strings = Strings::default();
        let mut base = self.at;
        while base < self.bytes.len() {
            let marks = marks_at(self.bytes, base);
            let mut brackets = marks.brackets & !strings.inside(&marks);
            while brackets != 0 {
                let i = brackets.trailing_zeros() as usize;
                brackets &= brackets - 1;
                let b = self.bytes[base + i];
                match b {
                    b'{' | b'[' if depth == DEPTH_MAX => return Err(Unreadable::TooDeep),
                    b'{' | b'[' => {
                        kinds = kinds << 1 | u64::from(b == b'{');
                        depth += 1;
                    }
                    b'}' | b']' if (b == b'}') == (kinds & 1 == 1) => {
                        kinds >>= 1;
                        depth -= 1;
                        if depth == self.depth {
                            self.at = base + i + 1;
                            return Ok(());
                        }
                    }
                    _ => {
                        self.at = base + i;
                        return Err(self.syntax());
                    }
                }
            }
            base += 64;
        }
        self.at = self.bytes.len();
        Err(self.syntax())
    }
}

/// How many bytes come before the first quote or backslash; all of them where there is none.
pub(super) fn quote_or_backslash(bytes: &[u8]) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    // The lowest set bit marks the first zero byte; bits above it may be wrong and are not looked at.
    let zeros = |x: u64| x.wrapping_sub(LOW) & !x & (LOW << 7);
    let (words, rest) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (LOW * u64::from(b'"'))) | zeros(word ^ (LOW * u64::from(b'\\')));
        if found != 0 {
            return i * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let short = rest.iter().position(|b| matches!(b, b'"' | b'\\')).unwrap_or(rest.len());
    words.len() * 8 + short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json;
    use proptest::prelude::*;

    fn passes(text: &[u8]) -> Result<(), Unreadable> {
        let mut scan = Scan::new(text);
        scan.skip()?;
        scan.finish()
    }

    /// JSON of any shape, with strings that try to look like structure.
    fn value() -> impl Strategy<Value = String> {
        let string = r#"([a-z\[\]{},: é]|\\\\|\\"|\\n|\\u0041){0,70}"#.prop_map(|s| format!("\"{s}\""));
        let leaf = prop_oneof![string.clone(), Just("null".to_owned()), Just("-1.10e5".to_owned()), Just("true".to_owned())];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            let list = prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(" ,")));
            let object = prop::collection::vec((string.clone(), inner), 0..6).prop_map(|members| {
                format!("{{{}}}", members.iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join(","))
            });
            prop_oneof![list, object]
        })
    }

    proptest! {
        #[test]
        fn all_json_passes_and_ends_where_it_ends(text in value(), rest in "[,\\]} ]{0,3}") {
            prop_assert!(json::parse(text.as_bytes()).is_ok());
            prop_assert!(passes(text.as_bytes()).is_ok());
            let both = format!("{text}{rest}");
            prop_assert_eq!(Scan::new(both.as_bytes()).skip().expect("passes").len(), text.len());
        }

        #[test]
        fn json_cut_off_anywhere_does_not_pass(text in value(), part in 0.0..1.0f64) {
            let mut cut = (text.len() as f64 * part) as usize;
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            let cut = &text[..cut];
            prop_assume!(json::parse(cut.as_bytes()).is_err());
            // A cut number or a cut nothing aside, only what opened a bracket or a quote can tell.
            prop_assume!(text.starts_with(['{', '[', '"']));
            prop_assert!(passes(cut.as_bytes()).is_err());
        }

        #[test]
        fn bytes_of_any_kind_do_no_harm(bytes in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b'{'), Just(b'}'), Just(b'['), any::<u8>()], 0..300)) {
            let _ = passes(&bytes);
        }
    }

    #[test]
    fn what_is_cut_off_mismatched_or_trailing_is_refused_with_its_place() {
        for (text, line, column) in
            [("{\"a\":[1,2}", 1, 10), ("{\"a\":\n\"b", 2, 3), ("{} {}", 1, 4), ("[1]]", 1, 4), ("tru", 1, 1), ("{\"a\":{\"b\":\"\\", 1, 13)]
        {
            assert_eq!(passes(text.as_bytes()), Err(Unreadable::Syntax { line, column }), "{text}");
        }
    }

    #[test]
    fn a_depth_of_64_passes_and_65_does_not() {
        let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(passes(nested(DEPTH_MAX).as_bytes()), Ok(()));
        assert_eq!(passes(nested(DEPTH_MAX + 1).as_bytes()), Err(Unreadable::TooDeep));
        assert_eq!(passes("[{\"a\":".repeat(5000).as_bytes()), Err(Unreadable::TooDeep));
    }
}
