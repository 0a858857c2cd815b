//! Labels: what Riverside's policy (`withhold: all`) and a consent's redactions keep from the recipient.
//!
//! In: `meta.security`, the shipped value sets called sensitive. Out: withheld or not. Never here: who refers to whom.

use super::json::{each_coding, list, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

pub const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
pub const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// The codes of the shipped value sets, by name.
pub struct Vocabulary {
    sets: BTreeMap<String, BTreeSet<(String, String)>>,
    sensitive: BTreeSet<(String, String)>,
}

impl Vocabulary {
    pub fn read(folder: &Path) -> Vocabulary {
        let mut sets = BTreeMap::new();
        for entry in fs::read_dir(folder).expect("the folder of value sets") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
            let set: Value = serde_json::from_str(&fs::read_to_string(&path).expect("a text")).expect("JSON");
            let mut codes = BTreeSet::new();
            for include in list(&set, "compose.include") {
                let system = text(include, "system").expect("the shipped sets name systems");
                let concepts = list(include, "concept");
                assert!(!concepts.is_empty(), "the shipped set {name} does not list its codes");
                codes.extend(concepts.iter().map(|concept| (system.to_owned(), text(concept, "code").expect("a code").to_owned())));
            }
            sets.insert(name, codes);
        }
        let sensitive = sets.iter().filter(|(name, _)| name.starts_with("sensitive-")).flat_map(|(_, codes)| codes.clone()).collect();
        Vocabulary { sets, sensitive }
    }

    pub fn has(&self, set: &str, system: &str, code: &str) -> bool {
        self.sets[set].contains(&(system.to_owned(), code.to_owned()))
    }

    pub fn is_sensitive(&self, system: &str, code: &str) -> bool {
        self.sensitive.contains(&(system.to_owned(), code.to_owned()))
    }
}

/// What the consents that apply remove: levels, from the lowest one on, and everything labelled with a code.
#[derive(Default, Clone, PartialEq, Debug)]
pub struct Redact {
    /// A rank of [`LEVELS`]: it and all above.
    pub from_level: Option<usize>,
    pub codes: BTreeSet<String>,
}

pub const LEVELS: [&str; 6] = ["U", "L", "M", "N", "R", "V"];

/// Codes of v3-ActCode that the overlay uses and the policy withholds. Any other code is unknown, and withheld for that.
pub fn withholds(body: &Value, sensitive: bool, redact: &Redact, is_evidence: bool) -> bool {
    if sensitive {
        return true;
    }
    let mut level = None;
    let mut hidden = false;
    each_coding(&body["meta"]["security"], &mut |system, code| match (system, LEVELS.iter().position(|known| *known == code)) {
        (CONFIDENTIALITY, Some(rank)) => {
            level = level.max(Some(rank));
            hidden |= rank >= 4;
        }
        // Sensitive, or not known: neither is told.
        _ => hidden = true,
    });
    if hidden {
        return true;
    }
    // Without a confidentiality a resource is N; one that only lends its labels lends what it has.
    let level = if is_evidence { Some(level.unwrap_or(3)) } else { level };
    matches!((redact.from_level, level), (Some(from), Some(level)) if level >= from)
}
