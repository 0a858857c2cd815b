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
    // `{` and `[` differ in one bit.
    let openers = bytes.iter().filter(|b| **b | 0x20 == b'{').count();
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
