//! `Salvage`: what the top level of a broken resource still says of itself: its type, its id, whose it is.
//!
//! In: bytes that may be cut off, nested too deep, no UTF-8, or followed by others. Out: what could be made out.
//! Never here: proof that any of it is right. It may close a gate, never open one.

use super::reference::{Target, is_id, target};
use crate::time::Instant;

/// What was found. Of what stands twice each is kept.
#[derive(Default)]
pub struct Salvage {
    kinds: Vec<String>,
    /// So many keys `id`, and the texts among their values.
    id_keys: usize,
    ids: Vec<String>,
    /// Texts of references within `patient` and `subject`.
    pub patients: Vec<String>,
    pub version_id: Option<String>,
    pub last_updated: Option<Instant>,
}

impl Salvage {
    /// It says that it is a Consent, whatever else it says.
    pub fn is_consent(&self) -> bool {
        self.kinds.iter().any(|kind| kind == "Consent")
    }

    pub fn has_id(&self) -> bool {
        self.id_keys > 0
    }

    /// The id, where it stands once and is one of FHIR.
    pub fn id(&self) -> Option<&str> {
        match self.ids.as_slice() {
            [id] if self.id_keys == 1 && is_id(id) => Some(id),
            _ => None,
        }
    }

    fn note(&mut self, depth: usize, top: &str, key: &str, text: String) {
        match (depth, top, key) {
            (1, "resourceType", _) => self.kinds.push(text),
            (1, "id", _) => self.ids.push(text),
            (2, "meta", "versionId") => self.version_id = Some(text),
            (2, "meta", "lastUpdated") => self.last_updated = Instant::parse(&text).ok(),
            (2.., "patient" | "subject", "reference") if leads_somewhere(&text) => self.patients.push(text),
            _ => {}
        }
    }
}

/// What only looks like a reference, or lost a byte, names nobody.
fn leads_somewhere(text: &str) -> bool {
    match target(text) {
        Target::Resource(to) => to.kind == "Patient" && !text.contains(char::REPLACEMENT_CHARACTER),
        Target::Uuid(_) | Target::Conditional { .. } => true,
        Target::Contained(_) | Target::Logical | Target::Unclear => false,
    }
}

/// Walks once over the bytes, without recursion, to the end of the first object or of the bytes.
pub fn salvage(bytes: &[u8]) -> Salvage {
    let mut out = Salvage::default();
    let text = String::from_utf8_lossy(bytes);
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0usize, 0usize);
    // The key of the top level that is open, and the key before the value that comes next.
    let (mut top, mut key) = (String::new(), String::new());
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break;
                }
            }
            b'"' => {
                let Some(end) = string_end(bytes, at) else { break };
                let said = unquoted(&text[at..end]);
                let rest = bytes[end..].iter().find(|byte| !byte.is_ascii_whitespace());
                if rest == Some(&b':') {
                    if depth == 1 {
                        top.clone_from(&said);
                        out.id_keys += usize::from(top == "id");
                    }
                    key = said;
                } else {
                    out.note(depth, &top, &key, said);
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    out
}

/// Past the closing quote of the string that begins at `start`; `None` where it stays open.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// A string's value. One whose escapes mean nothing is taken as it stands: it equals no name.
fn unquoted(quoted: &str) -> String {
    match sonic_rs::from_str::<String>(quoted) {
        Ok(text) => text,
        Err(_) => quoted.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_broken_says_what_it_is_and_whose() {
        let whole = r#"{"resourceType":"Consent","id":"c","meta":{"lastUpdated":"2026-01-01T00:00:00Z","versionId":"3"},"patient":{"reference":"Patient/ann"}"#;
        for end in ["}", "} x", "", r#","text":{"div":""#, &format!(r#","x":{}"#, "[".repeat(10_000))] {
            let found = salvage(format!("{whole}{end}").as_bytes());
            assert!(found.is_consent());
            assert_eq!((found.id(), found.patients.as_slice()), (Some("c"), &["Patient/ann".to_owned()][..]), "{end}");
            assert_eq!((found.version_id.as_deref(), found.last_updated.is_some()), (Some("3"), true));
        }
        for (id, usable) in
            [("", None), (r#""id":"a/b","#, None), (r#""id":7,"#, None), (r#""id":"c","id":"c","#, None), (r#""id":"c","#, Some("c"))]
        {
            assert_eq!(salvage(format!(r#"{{{id}"resourceType":"Consent"}}"#).as_bytes()).id(), usable, "{id}");
        }
    }

    #[test]
    fn whose_it_is_stands_in_the_two_elements_and_nowhere_else() {
        for (text, patients) in [
            (
                r#"{"subject":[{"reference":"Patient/a"},{"reference":"Group/g"}],"patient":{"reference":"Patient/b"}}"#,
                &["Patient/a", "Patient/b"][..],
            ),
            (r#"{"performer":[{"reference":"Patient/a"}],"contained":[{"patient":{"reference":"Patient/b"}}]}"#, &[]),
            (r#"{"patient":{"identifier":{"assigner":{"reference":"Organization/1"}},"display":"Patient/a"}}"#, &[]),
            (r#"{"patient":"Patient/a"}"#, &[]),
            (r#"{"pati\u0065nt":{"reference":"Patient/a"}}"#, &["Patient/a"]),
            (r#"["patient",{"reference":"Patient/a"}]"#, &[]),
        ] {
            assert_eq!(salvage(text.as_bytes()).patients, patients, "{text}");
        }
        assert_eq!(salvage(b"{\"patient\":{\"reference\":\"Patient/\xff\"},\"text\":\"\xff\"}").patients, [""; 0]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_over(bytes in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b'{'), Just(b'}'), Just(b':'), any::<u8>()], 0..200)) {
            salvage(&bytes);
        }
    }
}
