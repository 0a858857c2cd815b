//! Values made from values: arithmetic, dates moved, texts.

use super::Eval;
use crate::fhirpath::compare::number;
use crate::fhirpath::element;
use crate::fhirpath::model::{Class, TypeId};
use crate::fhirpath::moments;
use crate::fhirpath::node::{Arithmetic, Node, TextFunction};
use crate::fhirpath::quantity::{Unit, aligned};
use crate::fhirpath::value::{Content, Item, Stop};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::borrow::Cow;

impl<'a> Eval<'a> {
    /// `None`: an operand is missing, or there is no result (a division by zero, an overflow).
    pub fn compute(&self, node: &'a Node, this: &Item<'a>) -> Result<Option<Item<'a>>, Stop> {
        match node {
            Node::Negate(inner) => {
                let Some(item) = self.single(inner, this)? else { return Ok(None) };
                Ok(match item.content {
                    Content::Integer(value) => value.checked_neg().map(Item::integer),
                    Content::Decimal(value) => Some(Item::new(Content::Decimal(-value), TypeId::DECIMAL)),
                    Content::Quantity(value, unit) => Some(Item::new(Content::Quantity(-value, unit), TypeId::QUANTITY)),
                    _ => return Err(Stop::Undecided),
                })
            }
            Node::Arithmetic(arithmetic, a, b) => {
                let (Some(a), Some(b)) = (self.single(a, this)?, self.single(b, this)?) else { return Ok(None) };
                calculate(*arithmetic, &a, &b)
            }
            Node::Concatenate(a, b) => {
                let mut text = String::new();
                for side in [a, b] {
                    if let Some(item) = self.single(side, this)? {
                        text += item.as_text().ok_or(Stop::Undecided)?;
                    }
                }
                Ok(Some(Item::text(text)))
            }
            Node::Text(function, input) => {
                let Some(item) = self.single(input, this)? else { return Ok(None) };
                let Content::Text(text) = item.content else { return Ok(None) };
                Ok(Some(match function {
                    TextFunction::Lower => Item::text(text.to_lowercase()),
                    TextFunction::Upper => Item::text(text.to_uppercase()),
                    TextFunction::Trim => Item::text(text.trim().to_owned()),
                    TextFunction::Length => Item::integer(i64::try_from(text.chars().count()).map_err(|_| Stop::Undecided)?),
                }))
            }
            Node::Substring(input, start, length) => {
                let (Some(item), Some(start)) = (self.single(input, this)?, self.single(start, this)?) else { return Ok(None) };
                let length = match length {
                    Some(length) => self.single(length, this)?,
                    None => None,
                };
                Ok(substring(&item, &start, length.as_ref()).map(Item::text))
            }
            // Only these compute.
            _ => Ok(None),
        }
    }
}

fn substring(item: &Item, start: &Item, length: Option<&Item>) -> Option<String> {
    let (text, Content::Integer(start)) = (item.as_text()?, &start.content) else { return None };
    let start = usize::try_from(*start).ok().filter(|start| *start < text.chars().count())?;
    let length = match length.map(|length| &length.content) {
        Some(Content::Integer(length)) => usize::try_from(*length).unwrap_or(0),
        Some(_) => return None,
        None => usize::MAX,
    };
    Some(text.chars().skip(start).take(length).collect())
}

fn calculate<'a>(arithmetic: Arithmetic, a: &Item<'a>, b: &Item<'a>) -> Result<Option<Item<'a>>, Stop> {
    if let (Content::Integer(x), Content::Integer(y)) = (&a.content, &b.content)
        && arithmetic != Arithmetic::Divide
    {
        return Ok(integers(arithmetic, *x, *y).map(Item::integer));
    }
    if let (Some(x), Some(y)) = (number(a), number(b)) {
        return Ok(decimals(arithmetic, x, y).map(|value| match arithmetic {
            Arithmetic::Div => value.to_i64().map_or(Item::new(Content::Decimal(value), TypeId::DECIMAL), Item::integer),
            _ => Item::new(Content::Decimal(value), TypeId::DECIMAL),
        }));
    }
    if let (Content::Text(x), Content::Text(y), Arithmetic::Add) = (&a.content, &b.content, arithmetic) {
        return Ok(Some(Item::text(format!("{x}{y}"))));
    }
    if matches!(a.content, Content::Missing) || matches!(b.content, Content::Missing) {
        return Ok(None);
    }
    let sign = match arithmetic {
        Arithmetic::Add => Decimal::ONE,
        Arithmetic::Subtract => Decimal::NEGATIVE_ONE,
        Arithmetic::Multiply | Arithmetic::Divide | Arithmetic::Div | Arithmetic::Mod => return Err(Stop::Undecided),
    };
    let Some((amount, unit)) = amount(b)? else { return Ok(None) };
    if let Content::Moment(moment) = &a.content {
        let whole = Some(amount * sign).filter(|amount| amount.fract().is_zero()).and_then(|amount| amount.to_i64());
        let (Some(field), Some(whole)) = (Unit::of_code(&unit).field(), whole) else { return Ok(None) };
        return Ok(moments::moved(moment, field, whole).map(|moved| Item::new(Content::Moment(moved), a.kind)));
    }
    let Some((own, own_unit)) = self::amount(a)? else { return Ok(None) };
    let sum = aligned(own, &own_unit, amount, &unit).filter(|_| own_unit == unit).and_then(|(x, y)| x.checked_add(y * sign));
    Ok(sum.map(|sum| Item::new(Content::Quantity(sum, own_unit), TypeId::QUANTITY)))
}

fn amount<'a>(item: &Item<'a>) -> Result<Option<(Decimal, Cow<'a, str>)>, Stop> {
    Ok(match &item.content {
        Content::Quantity(value, unit) => Some((*value, unit.clone())),
        Content::Complex(value) if item.kind.class() == Class::Quantity => {
            element::quantity(value)?.map(|(value, unit)| (value, Cow::Borrowed(unit)))
        }
        _ => return Err(Stop::Undecided),
    })
}

fn integers(arithmetic: Arithmetic, x: i64, y: i64) -> Option<i64> {
    match arithmetic {
        Arithmetic::Add => x.checked_add(y),
        Arithmetic::Subtract => x.checked_sub(y),
        Arithmetic::Multiply => x.checked_mul(y),
        Arithmetic::Div => x.checked_div(y),
        Arithmetic::Mod => x.checked_rem(y),
        Arithmetic::Divide => None,
    }
}

fn decimals(arithmetic: Arithmetic, x: Decimal, y: Decimal) -> Option<Decimal> {
    match arithmetic {
        Arithmetic::Add => x.checked_add(y),
        Arithmetic::Subtract => x.checked_sub(y),
        Arithmetic::Multiply => x.checked_mul(y),
        Arithmetic::Divide => x.checked_div(y),
        Arithmetic::Div => x.checked_div(y).map(|value| value.trunc()),
        Arithmetic::Mod => x.checked_rem(y),
    }
}
