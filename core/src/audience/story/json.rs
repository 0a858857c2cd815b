//! FHIR written as YAML, as the JSON text that it stands for.
//!
//! In: a document. Out: JSON text; a problem where YAML has something that JSON of FHIR has not.
//! Never here: FHIR's types: a date without quotes is a text because it is no number, not because it is a date.

use crate::document::{Content, Document};
use crate::problem::Problem;

/// A value: unquoted `true`, `false` and numbers become JSON's, every other scalar a string.
pub fn value(node: &Document, problems: &mut Vec<Problem>) -> String {
    match &node.content {
        Content::Map(entries) => {
            let members: Vec<String> =
                entries.iter().map(|(key, member)| format!("{}:{}", string(&key.name), value(member, problems))).collect();
            format!("{{{}}}", members.join(","))
        }
        Content::List(items) => {
            let items: Vec<String> = items.iter().map(|item| value(item, problems)).collect();
            format!("[{}]", items.join(","))
        }
        Content::Text { text, quoted: false } if matches!(text.as_str(), "true" | "false") || is_number(text) => text.clone(),
        Content::Text { text, .. } => string(text),
        Content::Null => {
            problems.push(node.error("nothing stands here").hint("write a value, or leave the key out"));
            "null".to_owned()
        }
    }
}

pub fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// An object of members that are JSON texts already.
pub fn object(members: &[(&str, &str)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{}:{value}", string(name))).collect();
    format!("{{{}}}", members.join(","))
}

/// JSON's grammar of numbers (RFC 8259, section 6), so that `007`, `+1` and `1.` stay texts.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, fraction)| (whole, Some(fraction)));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_json() {
        for text in ["0", "-1", "6", "3.9", "1.10", "1e3", "-0.5E-2"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["", "-", "007", "+1", "1.", ".5", "1e", "0x1f", "0o17", "2026-01-01", "08:00", "1_000", "NaN", ".inf", "1 ", "１"] {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(string("a \"b\" \\ \n\u{7f} é"), "\"a \\\"b\\\" \\\\ \\u000a\\u007f é\"");
    }
}
