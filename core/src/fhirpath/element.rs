//! Elements of a resource, off its JSON: one pass over an object's keys, types checked where a value is read.
//!
//! In: a JSON object and a step. Out: items, or the reason why they cannot be read.
//! Never here: content in a reason; a key that stands twice read as if it stood once.

use super::model::{Class, TypeId};
use super::value::{Collection, Content, Item};
use crate::fhir::Unreadable;
use crate::fhir::json::get;
use crate::time::{Moment, Precision};
use rust_decimal::Decimal;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::borrow::Cow;

/// What one step may find: one key for an element of one type, one a type for a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub keys: Vec<Key>,
    /// R5's keys for the same that cannot be read: who has one of them may have the element.
    pub others: Vec<&'static str>,
    /// Whether R4 lets it repeat.
    pub many: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub name: &'static str,
    pub kind: TypeId,
    /// That of the type.
    pub class: Class,
}

/// Appends the items of a step from one object.
pub fn step<'a>(value: &'a Value, step: &Step, out: &mut Collection<'a>) -> Result<(), Unreadable> {
    let Some(object) = value.as_object() else { return Ok(()) };
    let mut found: Option<(&Key, &Value)> = None;
    let mut side: Option<(&Key, &Value)> = None;
    for (name, member) in object.iter() {
        let (beside, bare) = match name.as_bytes().first() {
            Some(b'_') => (true, &name[1..]),
            _ => (false, name),
        };
        let Some(key) = step.keys.iter().find(|key| key.name == bare) else {
            match step.others.iter().find(|other| **other == bare) {
                Some(other) => return Err(Unreadable::Element { path: other, why: "is of R5, and is not read in that form" }),
                None => continue,
            }
        };
        let slot = if beside { &mut side } else { &mut found };
        if let Some((earlier, _)) = slot.replace((key, member)) {
            return Err(match earlier.name == key.name {
                true => Unreadable::Duplicate { key: key.name },
                false => Unreadable::Element { path: key.name, why: "stands beside the same element in another type" },
            });
        }
    }
    match (found, side) {
        (None, None) => Ok(()),
        (Some((key, value)), None) => each(value, None, key, step.many, out),
        (Some((key, _)), Some((other, _))) if key.name != other.name => {
            Err(Unreadable::Element { path: key.name, why: "stands beside the same element in another type" })
        }
        (Some((key, value)), Some((_, side))) => each(value, Some(side), key, step.many, out),
        (None, Some((key, side))) => match side.as_array() {
            Some(_) if !step.many => Err(not_a(key.name, LIST)),
            Some(sides) => sides.iter().try_for_each(|side| one(None, Some(side), key, out)),
            None => one(None, Some(side), key, out),
        },
    }
}

const LIST: &str = "is a list where FHIR R4 has one value";

/// One value, or a list where R4 has one. One value in place of a list is a list of one: nothing is lost.
fn each<'a>(value: &'a Value, side: Option<&'a Value>, key: &Key, many: bool, out: &mut Collection<'a>) -> Result<(), Unreadable> {
    let Some(list) = value.as_array() else { return one(Some(value), side, key, out) };
    if !many {
        return Err(not_a(key.name, LIST));
    }
    let sides = side.and_then(|side| side.as_array());
    if let Some(sides) = sides
        && sides.len() != list.len()
    {
        return Err(Unreadable::Element { path: key.name, why: "and what stands beside it under `_` differ in length" });
    }
    for (number, value) in list.iter().enumerate() {
        one(Some(value), sides.and_then(|sides| sides.get(number)), key, out)?;
    }
    Ok(())
}

fn one<'a>(value: Option<&'a Value>, side: Option<&'a Value>, key: &Key, out: &mut Collection<'a>) -> Result<(), Unreadable> {
    let written = value.is_some();
    let value = value.filter(|value| !value.is_null());
    let side = side.filter(|side| !side.is_null());
    let content = match value {
        Some(value) => content(value, key)?,
        None if side.is_some() => Content::Missing,
        // A null only ever holds the place beside a value or an extension.
        None if written => return Err(Unreadable::Element { path: key.name, why: "is null" }),
        None => return Ok(()),
    };
    out.push(Item { content, kind: key.kind, side });
    Ok(())
}

fn content<'a>(value: &'a Value, key: &Key) -> Result<Content<'a>, Unreadable> {
    let bad = |why| Unreadable::Element { path: key.name, why };
    let text = || value.as_str().ok_or(bad("is not a text"));
    let moment = || Moment::parse(text()?).map_err(|_| bad("is not a date of FHIR"));
    Ok(match key.class {
        Class::Text => Content::Text(Cow::Borrowed(text()?)),
        Class::Boolean => Content::Boolean(value.as_bool().ok_or(bad("is not true or false"))?),
        Class::Integer => Content::Integer(integer(value).ok_or(bad("is not an integer"))?),
        Class::Decimal => Content::Decimal(decimal(value).ok_or(bad("is not a decimal number"))?),
        Class::Date => match moment()? {
            moment if moment.has_time() => return Err(bad("is a date with a time where FHIR has a date")),
            moment => Content::Moment(moment),
        },
        Class::DateTime => match moment()? {
            moment if moment.precision == Precision::Minute => return Err(bad("has a time without seconds")),
            moment => Content::Moment(moment),
        },
        Class::Instant => match moment()? {
            moment if moment.precision == Precision::Second && moment.offset.is_some() => Content::Moment(moment),
            _ => return Err(bad("is not an instant of FHIR")),
        },
        Class::Time => match super::lexer::time(text()?) {
            Some((time, Precision::Second)) => Content::Time(time, Precision::Second),
            _ => return Err(bad("is not a time of FHIR")),
        },
        Class::Quantity | Class::Coding | Class::Concept | Class::Complex => {
            let Some(object) = value.as_object() else { return Err(bad("is not an object")) };
            match object.iter().find_map(|(name, _)| of_another(name, key)) {
                None => Content::Complex(value),
                Some(why) => return Err(bad(why)),
            }
        }
    })
}

/// Why an object with this member is of another type than R4 has there: its parts would only seem to be absent.
fn of_another(member: &str, key: &Key) -> Option<&'static str> {
    match (key.class, member) {
        (Class::Coding, "coding") => Some("is a CodeableConcept where FHIR R4 has a Coding"),
        (Class::Concept, "code") => Some("is a Coding where FHIR R4 has a CodeableConcept"),
        (Class::Concept, "concept" | "reference") => Some("is a CodeableReference where FHIR R4 has a CodeableConcept"),
        (Class::Complex, "concept") if key.kind.is_reference() => Some("is a CodeableReference where FHIR R4 has a Reference"),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    let raw = value.as_raw_number()?;
    raw.as_str().parse::<i32>().ok().map(i64::from)
}

fn decimal(value: &Value) -> Option<Decimal> {
    let raw = value.as_raw_number()?;
    let text = raw.as_str();
    Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()
}

/// Amount and unit of a FHIR Quantity. `None` where it has a comparator (`<5`), no value, or no coded unit.
pub fn quantity(value: &Value) -> Result<Option<(Decimal, &str)>, Unreadable> {
    let bad = |path, why| Unreadable::Element { path, why };
    if get(value, "comparator")?.is_some() {
        return Ok(None);
    }
    let amount = match get(value, "value")? {
        Some(amount) => decimal(amount).ok_or(bad("value", "is not a decimal number"))?,
        None => return Ok(None),
    };
    let text = |key: &'static str| match get(value, key)? {
        Some(text) => text.as_str().map(Some).ok_or(bad(key, "is not a text")),
        None => Ok(None),
    };
    match (text("system")?, text("code")?) {
        (Some("http://unitsofmeasure.org"), Some(code)) => Ok(Some((amount, code))),
        _ => Ok(None),
    }
}

/// Their codes say why there is no code.
const ABSENT: [&str; 2] =
    ["http://terminology.hl7.org/CodeSystem/data-absent-reason", "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"];

/// System and code of a Coding; `None` without a code that names something.
pub fn coding(value: &Value) -> Result<Option<(Option<&str>, &str)>, Unreadable> {
    let text = |key: &'static str| match get(value, key)? {
        Some(text) => text.as_str().map(Some).ok_or(Unreadable::Element { path: key, why: "is not a text" }),
        None => Ok(None),
    };
    Ok(match text("code")? {
        Some(code) => Some((text("system")?, code)).filter(|(system, _)| !system.is_some_and(|system| ABSENT.contains(&system))),
        None => None,
    })
}

/// The extensions with this address, of an element or of what stands beside a primitive.
pub fn extensions<'a>(holder: &'a Value, url: &str, kind: TypeId, out: &mut Collection<'a>) -> Result<(), Unreadable> {
    let Some(list) = get(holder, "extension")? else { return Ok(()) };
    let Some(list) = list.as_array() else { return Err(Unreadable::Element { path: "extension", why: "is not a list" }) };
    for extension in list.iter() {
        let Some(own) = get(extension, "url")? else { continue };
        match own.as_str() {
            Some(own) if own == url => out.push(Item::new(Content::Complex(extension), kind)),
            Some(_) => {}
            None => return Err(Unreadable::Element { path: "url", why: "is not a text" }),
        }
    }
    Ok(())
}

pub fn not_a(path: &'static str, why: &'static str) -> Unreadable {
    Unreadable::Element { path, why }
}
