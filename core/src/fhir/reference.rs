//! References: what the text of a `Reference.reference` points to.
//!
//! In: a reference's text, or the parsed Reference. Out: type and id, or why it has none.
//! Never here: a look at the target, or a guess.

use super::json::{self, Unreadable};
use sonic_rs::{JsonValueTrait, Value};

/// A resource within one namespace: `Patient` and `1` of `https://host/fhir/Patient/1/_history/2`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reference<'a> {
    pub kind: &'a str,
    pub id: &'a str,
}

/// Source: FHIR R4, References between Resources, 2.3.0.1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    Resource(Reference<'a>),
    /// The id of a contained resource; empty for the resource itself (`#`).
    Contained(&'a str),
    /// The whole text, `urn:uuid:…` or `urn:oid:…`: only its Bundle can tell.
    Uuid(&'a str),
    /// `Patient?identifier=system|value`: only its Bundle can tell.
    Conditional {
        kind: &'a str,
        query: &'a str,
    },
    /// By identifier or display only.
    Logical,
    /// None of these forms.
    Unclear,
}

/// Reads a reference's text. Of an absolute URL only type and id count: a namespace is one server.
pub fn target(text: &str) -> Target<'_> {
    // The common form first; no other form has a type's name and an id around its first slash.
    if let Some((kind, id)) = text.split_once('/')
        && is_type_name(kind)
        && is_id(id)
    {
        return Target::Resource(Reference { kind, id });
    }
    if let Some(id) = text.strip_prefix('#') {
        return Target::Contained(id);
    }
    if text.starts_with("urn:uuid:") || text.starts_with("urn:oid:") {
        return Target::Uuid(text);
    }
    if let Some((path, query)) = text.split_once('?') {
        let kind = path.rsplit('/').next().unwrap_or(path);
        return if is_type_name(kind) && !query.is_empty() { Target::Conditional { kind, query } } else { Target::Unclear };
    }
    let text = text.split_once('#').map_or(text, |(whole, _)| whole);
    let text = text.split_once("/_history").map_or(text, |(current, _)| current);
    let Some((before, id)) = text.rsplit_once('/') else { return Target::Unclear };
    let (base, kind) = before.rsplit_once('/').unwrap_or(("", before));
    let base_fits = base.is_empty() && before == kind || base.contains("://");
    if base_fits && is_type_name(kind) && is_id(id) { Target::Resource(Reference { kind, id }) } else { Target::Unclear }
}

/// Reads a parsed Reference, or an R5 CodeableReference's `reference`. A text wins over an identifier.
pub fn target_of(reference: &Value) -> Result<Target<'_>, Unreadable> {
    match json::get(reference, "reference")? {
        None => Ok(Target::Logical),
        Some(text) => Ok(text.as_str().map_or(Target::Unclear, target)),
    }
}

/// Whether a resource type could have this name.
pub fn is_type_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphabetic())
}

/// Whether this can be an id within a reference. FHIR allows `[A-Za-z0-9\-\.]{1,64}`; servers are laxer, and only what
/// would break a reference apart is refused.
pub fn is_id(id: &str) -> bool {
    (1..=255).contains(&id.len()) && id.bytes().all(|b| IN_IDS[usize::from(b)])
}

const IN_IDS: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = (b as u8).is_ascii_graphic() && !matches!(b as u8, b'/' | b'?' | b'#' | b'|' | b'"' | b'\\');
        b += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_reference() {
        let resource = |kind, id| Target::Resource(Reference { kind, id });
        for (text, expected) in [
            ("Patient/1", resource("Patient", "1")),
            ("Patient/1/_history/2", resource("Patient", "1")),
            ("https://host/fhir/Patient/a-b.c/_history/2", resource("Patient", "a-b.c")),
            ("http://host/Patient/1#part", resource("Patient", "1")),
            ("#p1", Target::Contained("p1")),
            ("#", Target::Contained("")),
            ("urn:uuid:018f428e-34f6-4707-8009-5ad742f901e7", Target::Uuid("urn:uuid:018f428e-34f6-4707-8009-5ad742f901e7")),
            ("urn:oid:1.2.3", Target::Uuid("urn:oid:1.2.3")),
            ("Patient?identifier=s|v", Target::Conditional { kind: "Patient", query: "identifier=s|v" }),
            ("https://host/Patient?identifier=s|v", Target::Conditional { kind: "Patient", query: "identifier=s|v" }),
            ("", Target::Unclear),
            ("Patient", Target::Unclear),
            ("Patient/", Target::Unclear),
            ("/Patient/1", Target::Unclear),
            ("fhir/Patient/1", Target::Unclear),
            ("patient/1", Target::Unclear),
            ("Patient?", Target::Unclear),
            ("Patient/a b", Target::Unclear),
            ("urn:something:else", Target::Unclear),
            ("https://host/é/1", Target::Unclear),
        ] {
            assert!(target(text) == expected, "{text}");
        }
    }

    #[test]
    fn a_reference_without_a_text_is_logical() {
        for (text, expected) in [
            (r#"{"identifier":{"value":"9"}}"#, Target::Logical),
            (r#"{"reference":"Patient/1","identifier":{"value":"9"}}"#, target("Patient/1")),
            (r#"{"reference":7}"#, Target::Unclear),
        ] {
            let value = json::parse(text.as_bytes()).expect("json");
            assert!(target_of(&value).expect("readable") == expected, "{text}");
        }
    }
}
