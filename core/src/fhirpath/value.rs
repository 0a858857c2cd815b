//! Items: what a collection holds while an expression is evaluated.

use super::Scalar;
use super::model::{Class, TypeId};
use crate::fhir::Unreadable;
use crate::time::{Moment, Precision};
use jiff::civil;
use rust_decimal::Decimal;
use smallvec::SmallVec;
use sonic_rs::Value;
use std::borrow::Cow;

/// Why an evaluation ends early.
pub enum Stop {
    Unreadable(Unreadable),
    /// FHIRPath's execution errors, and unknowns that a filter would turn into a yes or a no: the whole is unknown.
    Undecided,
}

impl From<Unreadable> for Stop {
    fn from(why: Unreadable) -> Self {
        Stop::Unreadable(why)
    }
}

pub type Collection<'a> = SmallVec<[Item<'a>; 2]>;

#[derive(Clone)]
pub struct Item<'a> {
    pub content: Content<'a>,
    pub kind: TypeId,
    /// What stands beside a primitive under `_key`: its id and extensions.
    pub side: Option<&'a Value>,
}

#[derive(Clone)]
pub enum Content<'a> {
    /// A primitive without a value, with extensions only.
    Missing,
    Boolean(bool),
    Text(Cow<'a, str>),
    Integer(i64),
    Decimal(Decimal),
    Moment(Moment),
    Time(civil::Time, Precision),
    Quantity(Decimal, Cow<'a, str>),
    Complex(&'a Value),
}

impl<'a> Item<'a> {
    pub fn new(content: Content<'a>, kind: TypeId) -> Self {
        Item { content, kind, side: None }
    }

    pub fn boolean(value: bool) -> Self {
        Item::new(Content::Boolean(value), TypeId::BOOLEAN)
    }

    pub fn integer(value: i64) -> Self {
        Item::new(Content::Integer(value), TypeId::INTEGER)
    }

    pub fn text(value: impl Into<Cow<'a, str>>) -> Self {
        Item::new(Content::Text(value.into()), TypeId::STRING)
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A constant of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Boolean(bool),
    Text(String),
    Integer(i64),
    Decimal(Decimal),
    Moment(Moment, TypeId),
    Time(civil::Time, Precision),
    Quantity(Decimal, String),
}

impl Literal {
    pub fn kind(&self) -> TypeId {
        match self {
            Literal::Boolean(_) => TypeId::BOOLEAN,
            Literal::Text(_) => TypeId::STRING,
            Literal::Integer(_) => TypeId::INTEGER,
            Literal::Decimal(_) => TypeId::DECIMAL,
            Literal::Moment(_, kind) => *kind,
            Literal::Time(..) => TypeId::TIME,
            Literal::Quantity(..) => TypeId::QUANTITY,
        }
    }

    pub fn item(&self) -> Item<'_> {
        let content = match self {
            Literal::Boolean(value) => Content::Boolean(*value),
            Literal::Text(text) => Content::Text(Cow::Borrowed(text)),
            Literal::Integer(value) => Content::Integer(*value),
            Literal::Decimal(value) => Content::Decimal(*value),
            Literal::Moment(moment, _) => Content::Moment(*moment),
            Literal::Time(time, precision) => Content::Time(*time, *precision),
            Literal::Quantity(value, unit) => Content::Quantity(*value, Cow::Borrowed(unit)),
        };
        Item::new(content, self.kind())
    }
}

/// A value to hand out. `None` for what is no single value: elements with parts, primitives without a value,
/// quantities whose unit or amount is not plain.
pub fn scalar(item: &Item) -> Result<Option<Scalar>, Unreadable> {
    Ok(Some(match &item.content {
        Content::Missing => return Ok(None),
        Content::Boolean(value) => Scalar::Boolean(*value),
        Content::Text(text) => Scalar::Text(text.as_ref().to_owned()),
        Content::Integer(value) => Scalar::Integer(*value),
        Content::Decimal(value) => Scalar::Decimal(*value),
        Content::Moment(moment) => Scalar::Moment(*moment),
        Content::Time(time, precision) => Scalar::Time(*time, *precision),
        Content::Quantity(value, unit) => Scalar::Quantity { value: *value, unit: unit.as_ref().to_owned() },
        Content::Complex(value) if item.kind.class() == Class::Quantity => match super::element::quantity(value)? {
            Some((value, unit)) => Scalar::Quantity { value, unit: unit.to_owned() },
            None => return Ok(None),
        },
        Content::Complex(_) => return Ok(None),
    }))
}
