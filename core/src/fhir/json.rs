//! JSON as FHIR needs it: bounded depth, decimals as written, duplicate keys noticed.
//!
//! In: bytes. Out: a tree, or a reason that names no content.
//! Never here: the parser's own error text, which prints its input.

use sonic_rs::{Deserializer, JsonContainerTrait, Value};
use std::fmt;

/// Deeper nesting is refused: the parser recurses, and FHIR needs far less.
pub const DEPTH_MAX: usize = 64;

/// Why bytes, or an element of them, could not be read. Holds names from FHIR's own vocabulary only, never content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// 1-based line and column in bytes.
    Syntax {
        line: usize,
        column: usize,
    },
    NotUtf8 {
        offset: usize,
    },
    TooDeep,
    TooLong {
        bytes: usize,
        most: usize,
    },
    Empty,
    /// The key stands twice in one object that is read.
    Duplicate {
        key: &'static str,
    },
    /// An element does not have the form that its FHIR type requires.
    Element {
        path: &'static str,
        why: &'static str,
    },
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Syntax { line, column } => write!(f, "not JSON at line {line}, column {column}"),
            Unreadable::NotUtf8 { offset } => write!(f, "not UTF-8 at byte {offset}"),
            Unreadable::TooDeep => write!(f, "nested deeper than {DEPTH_MAX}"),
            Unreadable::TooLong { bytes, most } => write!(f, "{bytes} bytes, more than the {most} that one record may have"),
            Unreadable::Empty => write!(f, "empty"),
            Unreadable::Duplicate { key } => write!(f, "the key `{key}` stands twice in one object"),
            Unreadable::Element { path, why } => write!(f, "`{path}` {why}"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// Parses one whole JSON value. Numbers keep their raw text (`as_raw_number`), so `1.10` stays `1.10`.
pub fn parse(bytes: &[u8]) -> Result<Value, Unreadable> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Unreadable::Empty);
    }
    check_depth(bytes)?;
    let text = std::str::from_utf8(bytes).map_err(|e| Unreadable::NotUtf8 { offset: e.valid_up_to() })?;
    let mut reader = Deserializer::from_str(text).use_rawnumber();
    let value: Value = reader.deserialize().map_err(|e| Unreadable::Syntax { line: e.line(), column: e.column() })?;
    reader.end().map_err(|e| Unreadable::Syntax { line: e.line(), column: e.column() })?;
    Ok(value)
}

/// Refuses what would be nested deeper than [`DEPTH_MAX`], without parsing.
pub fn check_depth(bytes: &[u8]) -> Result<(), Unreadable> {
    // So few opening brackets cannot nest too deep: one vectorised pass settles most records.
    // `{` and `[` differ in one bit. Counting in bytes, a part at a time, is what makes it fast.
    let openers_of = |part: &[u8]| part.iter().map(|b| u8::from(b | 0x20 == b'{')).sum::<u8>();
    let openers: usize = bytes.chunks(255).map(|part| usize::from(openers_of(part))).sum();
    if openers <= DEPTH_MAX { Ok(()) } else { scan_depth(bytes) }
}

fn scan_depth(bytes: &[u8]) -> Result<(), Unreadable> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for b in bytes {
        if in_string {
            match (escaped, b) {
                (true, _) => escaped = false,
                (false, b'\\') => escaped = true,
                (false, b'"') => in_string = false,
                (false, _) => {}
            }
            continue;
        }
        match b {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(Unreadable::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// The value of `key` in an object; `None` where it is absent or `value` is no object.
/// A key that stands twice is unreadable: which one was meant cannot be told.
pub fn get<'a>(value: &'a Value, key: &'static str) -> Result<Option<&'a Value>, Unreadable> {
    let Some(object) = value.as_object() else { return Ok(None) };
    let mut found = None;
    for (name, member) in object.iter() {
        if name == key && found.replace(member).is_some() {
            return Err(Unreadable::Duplicate { key });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sonic_rs::JsonValueTrait;

    #[test]
    fn trap_nesting_of_10_000_would_abort_the_process() {
        for open in ["[", "{\"a\":"] {
            assert_eq!(parse(open.repeat(10_000).as_bytes()).err(), Some(Unreadable::TooDeep));
        }
        let brackets_in_a_string = format!("[\"{}\"]", "[".repeat(1000));
        assert!(parse(brackets_in_a_string.as_bytes()).is_ok());
        let wide = format!("[{}1]", "[],".repeat(1000));
        assert!(parse(wide.as_bytes()).is_ok());
    }

    #[test]
    fn trap_truncated_json_is_refused_at_every_cut() {
        let whole = br#"{"resourceType":"Patient","id":"1","name":[{"family":"Ng"}],"active":true}"#;
        for cut in 0..whole.len() {
            assert!(parse(&whole[..cut]).is_err() && crate::fhir::peek(&whole[..cut]).is_err(), "{cut}");
        }
        assert!(parse(whole).is_ok() && crate::fhir::peek(whole).is_ok());
    }

    #[test]
    fn trap_bad_utf8_is_refused_wherever_it_stands() {
        for bad in [
            &b"{\"resourceType\":\"Patient\",\"x\":\"\xff\"}"[..],
            b"{\"resourceType\":\"Patient\",\"x\":{\"y\":\"\xc3\"}}",
            b"{\"\xe9\":1}",
        ] {
            assert!(matches!(parse(bad), Err(Unreadable::NotUtf8 { .. })));
            assert!(matches!(crate::fhir::peek(bad).err(), Some(Unreadable::NotUtf8 { .. })));
        }
    }

    #[test]
    fn trap_of_duplicate_keys_neither_is_taken() {
        let value = parse(br#"{"status":"active","status":"inactive","id":"1"}"#).expect("json");
        assert_eq!(get(&value, "status").err(), Some(Unreadable::Duplicate { key: "status" }));
        assert_eq!(get(&value, "id").expect("once").and_then(|v| v.as_str()), Some("1"));
        assert!(get(&value, "absent").expect("none").is_none());
    }

    #[test]
    fn trap_decimals_keep_their_digits() {
        for digits in ["1.10", "1.0", "100000000000000000000.5", "1e3", "-0.0"] {
            let value = parse(format!("{{\"value\":{digits}}}").as_bytes()).expect("json");
            let raw = get(&value, "value").expect("once").and_then(sonic_rs::JsonValueTrait::as_raw_number).expect("a number");
            assert_eq!(raw.as_str(), digits);
        }
    }

    #[test]
    fn trap_an_error_never_prints_its_input() {
        for bad in
            [&br#"{"name":"Secretname" oops}"#[..], br#"{"resourceType":"Secretname!"}"#, b"Secretname", b"{\"a\":\"Secretname\xff\"}"]
        {
            let errors = [parse(bad).err(), crate::fhir::peek(bad).err(), crate::fhir::bundle::read(bad).err()];
            for e in errors.into_iter().flatten() {
                assert!(!format!("{e} {e:?}").contains("Secret"), "{e}");
            }
        }
        let error = parse(b"{\"a\":1,\n\"b\" 2}").expect_err("no colon");
        assert!(matches!(error, Unreadable::Syntax { line: 2, .. }), "{error}");
    }

    #[test]
    fn nothing_is_empty_and_not_a_syntax_error() {
        for empty in [&b""[..], b" \r\n"] {
            assert_eq!(parse(empty).err(), Some(Unreadable::Empty));
        }
    }
}
