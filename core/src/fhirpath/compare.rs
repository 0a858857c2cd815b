//! Two items: equal, equivalent, or in order.
//!
//! Source: FHIRPath 2.0, "Equality", "Equivalence", "Comparison".

use super::element;
use super::model::Class;
use super::moments;
use super::value::{Content, Item};
use crate::fhir::Unreadable;
use crate::time::{Precision, Zone};
use jiff::civil::Time;
use rust_decimal::{Decimal, RoundingStrategy};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::cmp::Ordering;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    Order(Ordering),
    /// Both are of one kind; precision, a unit or a value is lacking.
    Unknown,
    /// They are of kinds that have no common order.
    Unlike,
}

fn amount<'i>(item: &'i Item) -> Result<Option<(Decimal, &'i str)>, Unreadable> {
    match &item.content {
        Content::Quantity(value, unit) => Ok(Some((*value, unit))),
        Content::Complex(value) if item.kind.class() == Class::Quantity => element::quantity(value),
        _ => Ok(None),
    }
}

fn is_quantity(item: &Item) -> bool {
    matches!(item.content, Content::Quantity(..) | Content::Complex(_)) && item.kind.class() == Class::Quantity
}

pub fn order(a: &Item, b: &Item, zone: &Zone) -> Result<Compared, Unreadable> {
    let of = |order: Option<Ordering>| order.map_or(Compared::Unknown, Compared::Order);
    Ok(match (&a.content, &b.content) {
        (Content::Missing, _) | (_, Content::Missing) => Compared::Unknown,
        (Content::Integer(x), Content::Integer(y)) => Compared::Order(x.cmp(y)),
        (Content::Text(x), Content::Text(y)) => Compared::Order(x.cmp(y)),
        (Content::Moment(x), Content::Moment(y)) => of(moments::order(x, y, zone)),
        (Content::Time(x, p), Content::Time(y, q)) => of(times((*x, *p), (*y, *q))),
        _ if is_quantity(a) && is_quantity(b) => match (amount(a)?, amount(b)?) {
            (Some((x, x_unit)), Some((y, y_unit))) => of(super::quantity::aligned(x, x_unit, y, y_unit).map(|(x, y)| x.cmp(&y))),
            _ => Compared::Unknown,
        },
        _ => match (number(a), number(b)) {
            (Some(x), Some(y)) => Compared::Order(x.cmp(&y)),
            _ => Compared::Unlike,
        },
    })
}

fn times((x, p): (Time, Precision), (y, q): (Time, Precision)) -> Option<Ordering> {
    if p == q {
        return Some(x.cmp(&y));
    }
    let minutes = |time: Time| (time.hour(), time.minute());
    Some(minutes(x).cmp(&minutes(y))).filter(|order| order.is_ne())
}

pub fn number(item: &Item) -> Option<Decimal> {
    match item.content {
        Content::Integer(value) => Some(Decimal::from(value)),
        Content::Decimal(value) => Some(value),
        _ => None,
    }
}

/// `None`: unknown, because precision, a unit or a value is lacking.
pub fn equal(a: &Item, b: &Item, zone: &Zone) -> Result<Option<bool>, Unreadable> {
    Ok(match (&a.content, &b.content) {
        (Content::Boolean(x), Content::Boolean(y)) => Some(x == y),
        // A quantity without a plain amount equals itself all the same.
        (Content::Complex(x), Content::Complex(y)) if same(x, y)? => Some(true),
        (Content::Complex(x), Content::Complex(y)) if !(is_quantity(a) && is_quantity(b)) => Some(same(x, y)?),
        _ => match order(a, b, zone)? {
            Compared::Order(order) => Some(order.is_eq()),
            Compared::Unknown => None,
            Compared::Unlike => Some(false),
        },
    })
}

/// Whether two JSON values hold the same; numbers by value, keys in any order.
fn same(a: &Value, b: &Value) -> Result<bool, Unreadable> {
    if let (Some(x), Some(y)) = (a.as_object(), b.as_object()) {
        if x.len() != y.len() {
            return Ok(false);
        }
        for (key, value) in x.iter() {
            let mut others = y.iter().filter(|(name, _)| *name == key);
            match (others.next(), others.next()) {
                (Some((_, other)), None) => {
                    if !same(value, other)? {
                        return Ok(false);
                    }
                }
                (None, _) => return Ok(false),
                (Some(_), Some(_)) => return Err(Unreadable::Element { path: "an element", why: "holds a key that stands twice" }),
            }
        }
        return Ok(true);
    }
    if let (Some(x), Some(y)) = (a.as_array(), b.as_array()) {
        if x.len() != y.len() {
            return Ok(false);
        }
        for (x, y) in x.iter().zip(y.iter()) {
            if !same(x, y)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    Ok(match (a.as_raw_number(), b.as_raw_number()) {
        (Some(x), Some(y)) => match (Decimal::from_str_exact(x.as_str()), Decimal::from_str_exact(y.as_str())) {
            (Ok(x), Ok(y)) => x == y,
            _ => x.as_str() == y.as_str(),
        },
        (None, None) => a.as_str() == b.as_str() && a.as_bool() == b.as_bool() && a.is_null() == b.is_null() && a.is_str() == b.is_str(),
        _ => false,
    })
}

/// `None`: units that no rule joins.
pub fn equivalent(a: &Item, b: &Item, zone: &Zone) -> Result<Option<bool>, Unreadable> {
    if is_quantity(a) && is_quantity(b) {
        return equal(a, b, zone);
    }
    Ok(Some(match (&a.content, &b.content) {
        (Content::Text(x), Content::Text(y)) => words(x).eq(words(y)),
        (Content::Integer(_) | Content::Decimal(_), Content::Integer(_) | Content::Decimal(_)) => match (number(a), number(b)) {
            (Some(x), Some(y)) => {
                let scale = x.normalize().scale().min(y.normalize().scale());
                let rounded = |value: Decimal| value.round_dp_with_strategy(scale, RoundingStrategy::MidpointAwayFromZero);
                rounded(x) == rounded(y)
            }
            _ => false,
        },
        (Content::Missing, Content::Missing) => true,
        _ => equal(a, b, zone)? == Some(true),
    }))
}

/// Upper and lower case alike, any run of space as one.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace().map(str::to_lowercase)
}
