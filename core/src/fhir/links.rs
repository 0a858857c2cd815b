//! `BundleLinks`: what the references inside one Bundle point to.
//!
//! In: the Bundle's entries. Out: type and id for `urn:uuid:…`, a fullUrl, or a condition that names one entry.
//! Never here: a look outside the Bundle. A condition that two entries meet names neither.

use super::bundle::{Bundle, Change};
use super::json::{self, Unreadable};
use super::reference::{Reference, Target, target};
use super::{Peek, peek};
use smallvec::SmallVec;
use sonic_rs::{JsonContainerTrait, JsonValueTrait};
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

pub struct BundleLinks<'b> {
    by_url: HashMap<&'b str, Found<'b>>,
    /// By `Type?query`, the query as [`plain`] writes it.
    by_condition: HashMap<String, Found<'b>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Found<'b> {
    One(Reference<'b>),
    /// Two entries answer to it.
    Ambiguous,
}

impl<'b> BundleLinks<'b> {
    /// Identifiers are read only where `bytes`, the Bundle's own, has a conditional reference at all.
    pub fn new(bundle: &'b Bundle<'_>, bytes: &[u8]) -> BundleLinks<'b> {
        let mut links = BundleLinks { by_url: HashMap::with_capacity(bundle.entries.len()), by_condition: HashMap::new() };
        let conditional = memchr::memmem::find(bytes, b"?identifier=").is_some();
        for entry in &bundle.entries {
            let Change::Put { kind, id: Some(id), bytes } = &entry.change else { continue };
            let to = Reference { kind, id };
            if let Some(url) = &entry.full_url {
                insert(&mut links.by_url, url.as_ref(), to);
            }
            if let Some(condition) = &entry.if_none_exist {
                insert(&mut links.by_condition, format!("{kind}?{}", plain(condition)), to);
            }
            if conditional {
                // A resource that cannot be read is quarantined by its own reader; here it only answers to no condition.
                for identifier in identifiers(bytes).unwrap_or_default() {
                    insert(&mut links.by_condition, format!("{kind}?identifier={identifier}"), to);
                }
            }
        }
        links
    }

    /// From what was resolved before, with its Bundle at hand: text, type and id of each reference.
    pub fn resolved(list: &'b [(&'b str, &'b str, &'b str)]) -> BundleLinks<'b> {
        let one = |(text, kind, id): &(&'b str, &'b str, &'b str)| (*text, Found::One(Reference { kind, id }));
        BundleLinks { by_url: list.iter().map(one).collect(), by_condition: HashMap::new() }
    }

    /// The references of one resource that only this Bundle can resolve, as text, type and id.
    pub fn needed_by<'t>(&'t self, bytes: &'t [u8]) -> Vec<(&'t str, &'t str, &'t str)> {
        let mut needed: Vec<(&str, &str, &str)> = Vec::new();
        for at in memchr::memmem::find_iter(bytes, b"\"reference\"") {
            let rest = bytes[at + 11..].trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
            let Some(rest) = rest.and_then(|rest| rest.strip_prefix(b"\"")) else { continue };
            // A text with escapes is not found in the Bundle either.
            let Some(Ok(text)) = memchr::memchr(b'"', rest).map(|end| std::str::from_utf8(&rest[..end])) else { continue };
            let literal = matches!(target(text), Target::Resource(_)) && !self.by_url.contains_key(text);
            if literal || needed.iter().any(|(known, ..)| *known == text) {
                continue;
            }
            needed.extend(self.resolve(text).map(|to| (text, to.kind, to.id)));
        }
        needed
    }

    /// Type and id of what `text` points to. A literal reference needs no Bundle. `None`: it points outside, to two, or nowhere.
    pub fn resolve<'t>(&'t self, text: &'t str) -> Option<Reference<'t>> {
        if let Some(found) = self.by_url.get(text) {
            return found.one();
        }
        match target(text) {
            Target::Resource(to) => Some(to),
            Target::Conditional { kind, query } => self.by_condition.get(&format!("{kind}?{}", plain(query)))?.one(),
            Target::Uuid(_) | Target::Contained(_) | Target::Logical | Target::Unclear => None,
        }
    }

    /// The ids of the patients that a resource of this Bundle is about, and whether one of them could not be told.
    pub fn patients<'t>(&'t self, peek: &'t Peek<'_>) -> (SmallVec<[&'t str; 1]>, bool) {
        let (mut ids, mut unclear) = (SmallVec::new(), peek.patients_unclear);
        for text in &peek.patients {
            match self.resolve(text) {
                Some(to) if to.kind == "Patient" && !ids.contains(&to.id) => ids.push(to.id),
                Some(_) => {}
                None => unclear = true,
            }
        }
        (ids, unclear)
    }
}

impl<'b> Found<'b> {
    fn one(self) -> Option<Reference<'b>> {
        match self {
            Found::One(to) => Some(to),
            Found::Ambiguous => None,
        }
    }
}

fn insert<'b, K: std::hash::Hash + Eq>(map: &mut HashMap<K, Found<'b>>, key: K, to: Reference<'b>) {
    match map.entry(key) {
        Slot::Vacant(slot) => {
            slot.insert(Found::One(to));
        }
        // The same resource may stand twice, as two versions in a history.
        Slot::Occupied(mut slot) if *slot.get() != Found::One(to) => {
            slot.insert(Found::Ambiguous);
        }
        Slot::Occupied(_) => {}
    }
}

/// A search text with its percent escapes undone.
fn plain(query: &str) -> Cow<'_, str> {
    if !query.contains('%') {
        return Cow::Borrowed(query);
    }
    let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    let (bytes, mut out, mut at) = (query.as_bytes(), Vec::with_capacity(query.len()), 0);
    while at < bytes.len() {
        match (bytes[at], hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (b, ..) => {
                out.push(b);
                at += 1;
            }
        }
    }
    match String::from_utf8(out) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(query),
    }
}

/// `system|value` and, for a search without a system, `value` of each identifier.
fn identifiers(resource: &[u8]) -> Result<Vec<String>, Unreadable> {
    let Some(element) = peek(resource)?.element("identifier")? else { return Ok(Vec::new()) };
    let parsed = json::parse(element)?;
    let mut out = Vec::new();
    for identifier in parsed.as_array().map(sonic_rs::Array::as_slice).unwrap_or(std::slice::from_ref(&parsed)) {
        let text = |key| Ok::<_, Unreadable>(json::get(identifier, key)?.and_then(|v| v.as_str()));
        let (system, value) = (text("system")?, text("value")?);
        if let Some(value) = value {
            out.push(format!("{}|{value}", system.unwrap_or("")));
            out.push(value.to_owned());
        }
    }
    Ok(out)
}
