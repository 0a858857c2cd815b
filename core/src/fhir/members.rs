//! Members: the top level of a JSON object in one pass over its bytes.
//!
//! In: the bytes of one object. Out: each key with the range of its value.
//! Never here: a claim that a value is valid JSON. Strings, brackets, depth and the end are checked.

use super::json::{DEPTH_MAX, Unreadable};
use super::marks::{Strings, marks_at};
use super::scan::{Scan, quote_or_backslash};
use smallvec::SmallVec;

/// A top-level element: its key and the byte range of its value, without white space around it.
pub struct Member<'a> {
    pub key: &'a [u8],
    pub start: u32,
    pub end: u32,
}

pub type Members<'a> = SmallVec<[Member<'a>; 20]>;

/// # Errors
/// Where the bytes are not one object, brackets do not match, or a string stays open; a key written with escapes.
pub fn members(bytes: &[u8]) -> Result<Members<'_>, Unreadable> {
    let mut found = Found { bytes, members: Members::new(), segment: 0, colon: None };
    // One bit a level, the innermost lowest: 1 for an object. DEPTH_MAX is what a u64 holds.
    let (mut kinds, mut depth) = (0u64, 0usize);
    let mut strings = Strings::default();
    let mut base = 0;
    while base < bytes.len() {
        let marks = marks_at(bytes, base);
        let outside = !strings.inside(&marks);
        let mut brackets = marks.brackets & outside;
        let between = marks.between & outside;
        // Bits that have been passed.
        let mut passed = 0u64;
        loop {
            let next = brackets & brackets.wrapping_neg();
            if depth == 1 {
                let mut here = between & !passed & next.wrapping_sub(1);
                while here != 0 {
                    found.between(base + here.trailing_zeros() as usize)?;
                    here &= here - 1;
                }
            }
            if next == 0 {
                break;
            }
            passed = next | next.wrapping_sub(1);
            brackets &= brackets - 1;
            let at = base + next.trailing_zeros() as usize;
            let b = bytes[at];
            match b {
                b'{' | b'[' if depth == DEPTH_MAX => return Err(Unreadable::TooDeep),
                b'{' if depth == 0 => {
                    found.begin(at)?;
                    (kinds, depth) = (1, 1);
                }
                b'{' | b'[' if depth > 0 => {
                    kinds = kinds << 1 | u64::from(b == b'{');
                    depth += 1;
                }
                b'}' | b']' if depth > 0 && (b == b'}') == (kinds & 1 == 1) => {
                    kinds >>= 1;
                    depth -= 1;
                    if depth == 0 {
                        found.end(at)?;
                        return Ok(found.members);
                    }
                }
                _ => return Err(Scan::from(bytes, at).syntax()),
            }
        }
        base += 64;
    }
    Err(Scan::from(bytes, bytes.len()).syntax())
}

struct Found<'a> {
    bytes: &'a [u8],
    members: Members<'a>,
    /// Where the member that is being read begins, and its colon.
    segment: usize,
    colon: Option<usize>,
}

impl Found<'_> {
    fn syntax(&self, at: usize) -> Unreadable {
        Scan::from(self.bytes, at).syntax()
    }

    fn begin(&mut self, at: usize) -> Result<(), Unreadable> {
        self.segment = at + 1;
        if self.bytes[..at].iter().all(u8::is_ascii_whitespace) { Ok(()) } else { Err(self.syntax(0)) }
    }

    #[inline(always)]
    fn between(&mut self, at: usize) -> Result<(), Unreadable> {
        if self.bytes[at] == b',' {
            return self.member(at);
        }
        match self.colon.replace(at) {
            None => Ok(()),
            Some(_) => Err(self.syntax(at)),
        }
    }

    /// Ends a member before `at`.
    #[inline(always)]
    fn member(&mut self, at: usize) -> Result<(), Unreadable> {
        let Some(colon) = self.colon.take() else { return Err(self.syntax(at)) };
        let key = self.bytes[self.segment..colon].trim_ascii();
        let [b'"', key @ .., b'"'] = key else { return Err(self.syntax(self.segment)) };
        match key.get(quote_or_backslash(key)) {
            None => {}
            // FHIR's keys need no escapes: a key with one could hide a name that is looked for.
            Some(b'\\') => return Err(Unreadable::Element { path: "(a key)", why: "is written with escapes; write it plainly" }),
            Some(_) => return Err(self.syntax(self.segment)),
        }
        let (mut start, mut end) = (colon + 1, at);
        while start < end && self.bytes[start].is_ascii_whitespace() {
            start += 1;
        }
        while start < end && self.bytes[end - 1].is_ascii_whitespace() {
            end -= 1;
        }
        let value = &self.bytes[start..end];
        let whole = match value {
            [b'"', .., b'"'] => value.len() > 1,
            [b'{', .., b'}'] | [b'[', .., b']'] => true,
            [b'-' | b'0'..=b'9', ..] => value.iter().all(|b| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')),
            b"true" | b"false" | b"null" => true,
            _ => false,
        };
        if !whole {
            return Err(self.syntax(start));
        }
        self.members.push(Member { key, start: start as u32, end: end as u32 });
        self.segment = at + 1;
        Ok(())
    }

    /// At the closing bracket: the last member, if there is one, and nothing after it.
    fn end(&mut self, at: usize) -> Result<(), Unreadable> {
        let empty = self.members.is_empty() && self.colon.is_none() && self.bytes[self.segment..at].trim_ascii().is_empty();
        if !empty {
            self.member(at)?;
        }
        let rest = &self.bytes[at + 1..];
        match rest.iter().position(|b| !b.is_ascii_whitespace()) {
            None => Ok(()),
            Some(more) => Err(self.syntax(at + 1 + more)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json;
    use proptest::prelude::*;

    /// Key and value of each member, or that there is none.
    fn found(text: &str) -> Option<Vec<(String, String)>> {
        let members = members(text.as_bytes()).ok()?;
        let range = |m: &Member| text[m.start as usize..m.end as usize].to_owned();
        Some(members.iter().map(|m| (String::from_utf8_lossy(m.key).into_owned(), range(m))).collect())
    }

    #[test]
    fn each_member_has_its_key_and_its_value() {
        let long = "x".repeat(200);
        for (text, expected) in [
            ("{}", vec![]),
            (" {\n} ", vec![]),
            (r#"{"a":1}"#, vec![("a", "1")]),
            (r#"{ "a" : -1.5e+3 , "b" : null }"#, vec![("a", "-1.5e+3"), ("b", "null")]),
            (r#"{"a":{"b":[1,{"c":","}]},"d":"x:{,\"}"}"#, vec![("a", r#"{"b":[1,{"c":","}]}"#), ("d", r#""x:{,\"}""#)]),
            (&format!(r#"{{"{long}":"{long}","b":[]}}"#), vec![(long.as_str(), &format!("\"{long}\"")), ("b", "[]")]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            assert_eq!(found(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "",
            "1",
            "[]",
            "\"a\"",
            "{",
            "}",
            "{}}",
            "{} x",
            "x {}",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":1:2}"#,
            r#"{a:1}"#,
            r#"{"a":tru}"#,
            r#"{"a":1]"#,
            r#"{"a":[}]}"#,
            r#"{"a":"x}"#,
            r#"{"a":"x\"}"#,
            r#"{"\u0061":1}"#,
            r#"{"a"b":1}"#,
            r#"{"a":_}"#,
            r#"{"a":1}{"#,
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    fn value() -> impl Strategy<Value = String> {
        let string = r#"([a-z\[\]{},: é]|\\\\|\\"|\\n){0,70}"#.prop_map(|s| format!("\"{s}\""));
        let leaf = prop_oneof![string.clone(), Just("null".to_owned()), Just("-1.10e5".to_owned()), Just("true".to_owned())];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let list = prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(" ,")));
            let object = prop::collection::vec(("\"[a-z:,{]{0,20}\"", inner), 0..6).prop_map(|members| {
                format!("{{{}}}", members.iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join(","))
            });
            prop_oneof![list, object]
        })
    }

    proptest! {
        #[test]
        fn an_object_comes_apart_where_it_was_put_together(parts in prop::collection::vec(("[a-z:,{]{0,20}", value()), 0..8), space in "[ \n]{0,3}") {
            let text = format!("{{{}}}", parts.iter().map(|(k, v)| format!("{space}\"{k}\"{space}:{space}{v}{space}")).collect::<Vec<_>>().join(","));
            prop_assert!(json::parse(text.as_bytes()).is_ok());
            prop_assert_eq!(found(&text), Some(parts));
        }

        #[test]
        fn an_object_cut_off_anywhere_is_none(parts in prop::collection::vec(("[a-z]{1,5}", value()), 1..8), part in 0.0..1.0f64) {
            let text = format!("{{{}}}", parts.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect::<Vec<_>>().join(","));
            let mut cut = (text.len() as f64 * part) as usize;
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            prop_assert_eq!(found(&text[..cut]), None);
        }

        #[test]
        fn bytes_of_any_kind_do_no_harm(bytes in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b'{'), Just(b'}'), Just(b':'), Just(b','), any::<u8>()], 0..300)) {
            let _ = members(&bytes);
        }
    }
}
