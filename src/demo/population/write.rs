//! A FHIR resource as text, written member by member.
//!
//! In: keys and values that this program invented. Out: one JSON object.
//! Never here: a resource that was read; nothing is parsed and nothing is checked.

use footbridge_core::time::Instant;
use std::fmt::Write;

pub const SNOMED: &str = "http://snomed.info/sct";
pub const LOINC: &str = "http://loinc.org";
pub const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
pub const CVX: &str = "http://hl7.org/fhir/sid/cvx";
pub const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

pub struct Resource {
    pub kind: &'static str,
    pub id: String,
    /// Codes of `meta.security` in v3-ActCode.
    labels: Vec<&'static str>,
    members: String,
}

impl Resource {
    pub fn new(kind: &'static str, id: &str) -> Resource {
        Resource { kind, id: id.to_owned(), labels: Vec::new(), members: String::new() }
    }

    pub fn text(self, key: &str, value: &str) -> Resource {
        self.raw(key, quote(value))
    }

    /// `value` is JSON already.
    pub fn raw(mut self, key: &str, value: impl AsRef<str>) -> Resource {
        // Writing to a String does not fail.
        let _ = write!(self.members, ",{}:{}", quote(key), value.as_ref());
        self
    }

    pub fn reference(self, key: &str, to: &str) -> Resource {
        self.raw(key, reference(to))
    }

    pub fn label(mut self, code: &'static str) -> Resource {
        self.labels.push(code);
        self
    }

    pub fn finish(&self, version: u32, updated: Instant) -> String {
        let labels: Vec<String> = self.labels.iter().map(|code| coding(ACT_CODE, code)).collect();
        let security = if labels.is_empty() { String::new() } else { format!(",\"security\":{}", list(&labels)) };
        format!(
            "{{\"resourceType\":\"{}\",\"id\":\"{}\",\"meta\":{{\"versionId\":\"{version}\",\"lastUpdated\":\"{updated}\"{security}}}{}}}",
            self.kind, self.id, self.members
        )
    }
}

pub fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// An object of members whose values are JSON already.
pub fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(key, value)| format!("{}:{value}", quote(key))).collect();
    format!("{{{}}}", members.join(","))
}

pub fn list(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

pub fn reference(to: &str) -> String {
    object(&[("reference", quote(to))])
}

pub fn coding(system: &str, code: &str) -> String {
    object(&[("system", quote(system)), ("code", quote(code))])
}

pub fn concept(system: &str, code: &str) -> String {
    object(&[("coding", list(&[coding(system, code)]))])
}

/// Both ends are dates or instants as FHIR writes them.
pub fn period(start: &str, end: &str) -> String {
    object(&[("start", quote(start)), ("end", quote(end))])
}
