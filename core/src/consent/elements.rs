//! The JSON elements of a Consent, by their FHIR types.
//!
//! In: a JSON object and a key. Out: the element, absent, or unreadable where it has another form than FHIR gives it.
//! Never here: a meaning. What a code stands for is decided by whoever asked.

use crate::fhir::Unreadable;
use crate::fhir::json::get;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// Longer texts are no code, reference or identifier.
const TEXT_BYTES_MAX: usize = 1024;

/// A primitive `code`.
pub(super) enum Coded<'a> {
    Absent,
    Text(&'a str),
    /// The value is missing but something stands in for it (`_key` with an extension).
    Unread,
}

pub(super) fn text<'a>(parent: &'a Value, key: &'static str) -> Result<Option<&'a str>, Unreadable> {
    let Some(value) = get(parent, key)? else { return Ok(None) };
    match value.as_str() {
        Some(text) if text.len() > TEXT_BYTES_MAX => Err(Unreadable::Element { path: key, why: "is longer than any code or reference" }),
        Some(text) => Ok(Some(text)),
        None => Err(Unreadable::Element { path: key, why: "is not a text" }),
    }
}

pub(super) fn code<'a>(parent: &'a Value, key: &'static str, hidden: &'static str) -> Result<Coded<'a>, Unreadable> {
    Ok(match (text(parent, key)?, get(parent, hidden)?) {
        (Some(text), _) => Coded::Text(text),
        (None, Some(_)) => Coded::Unread,
        (None, None) => Coded::Absent,
    })
}

pub(super) fn object<'a>(parent: &'a Value, key: &'static str) -> Result<Option<&'a Value>, Unreadable> {
    match get(parent, key)? {
        Some(value) if value.as_object().is_none() => Err(Unreadable::Element { path: key, why: "is not an object" }),
        found => Ok(found),
    }
}

/// The objects of a list; an absent one is empty.
pub(super) fn objects<'a>(parent: &'a Value, key: &'static str) -> Result<Vec<&'a Value>, Unreadable> {
    let Some(value) = get(parent, key)? else { return Ok(Vec::new()) };
    let list = value.as_array().ok_or(Unreadable::Element { path: key, why: "is not a list" })?;
    let items: Vec<&Value> = list.iter().collect();
    match items.iter().all(|item| item.as_object().is_some()) {
        true => Ok(items),
        false => Err(Unreadable::Element { path: key, why: "holds what is no object" }),
    }
}

/// One object or a list of them: elements whose cardinality differs between FHIR versions.
pub(super) fn one_or_more<'a>(parent: &'a Value, key: &'static str) -> Result<Vec<&'a Value>, Unreadable> {
    match get(parent, key)? {
        Some(value) if value.as_object().is_some() => Ok(vec![value]),
        _list_or_absent => objects(parent, key),
    }
}

/// System and code, each where it is written.
pub(super) type SystemAndCode<'a> = (Option<&'a str>, Option<&'a str>);

pub(super) fn coding(value: &Value) -> Result<SystemAndCode<'_>, Unreadable> {
    Ok((text(value, "system")?, text(value, "code")?))
}

/// The codings of a CodeableConcept.
pub(super) fn concept(value: &Value) -> Result<Vec<SystemAndCode<'_>>, Unreadable> {
    objects(value, "coding")?.into_iter().map(coding).collect()
}

/// Whether the object has a key that is none of `known`. Ids, extensions and the `_` siblings of primitives are always known.
pub(super) fn has_other_keys(value: &Value, known: &[&str]) -> bool {
    let common = ["id", "extension", "modifierExtension", "fhir_comments"];
    value.as_object().is_some_and(|object| {
        object
            .iter()
            .any(|(key, _)| !known.contains(&key) && !common.contains(&key) && !known.contains(&key.strip_prefix('_').unwrap_or(key)))
    })
}
