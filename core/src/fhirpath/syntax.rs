//! The syntax tree: an expression as it was written, before anything is known of its types.

use super::quantity::Unit;
use super::remark::Spot;
use crate::time::{Moment, Precision};
use jiff::civil;
use rust_decimal::Decimal;

#[derive(Debug, Clone)]
pub struct Expr {
    pub kind: Kind,
    pub at: Spot,
    /// How deep the tree below it is.
    pub depth: u16,
}

#[derive(Debug, Clone)]
pub enum Kind {
    /// `{}`
    Empty,
    Boolean(bool),
    Text(String),
    Integer(i64),
    Decimal(Decimal),
    /// The flag: a DateTime, whatever its precision.
    Moment(Moment, bool),
    Time(civil::Time, Precision),
    Quantity(Decimal, Unit),
    This,
    /// `%name`
    External(String),
    /// `name`, or `input.name`.
    Member(Option<Box<Expr>>, String),
    /// `name(…)`, or `input.name(…)`.
    Call(Option<Box<Expr>>, String, Vec<Expr>),
    Index(Box<Expr>, Box<Expr>),
    Negate(Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
    /// `is` (true) or `as`.
    Typed(Box<Expr>, bool, TypeName),
}

#[derive(Debug, Clone)]
pub struct TypeName {
    /// `FHIR` or `System`, where written.
    pub space: Option<String>,
    pub name: String,
    pub at: Spot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Implies,
    Or,
    Xor,
    And,
    In,
    Contains,
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Union,
    Add,
    Subtract,
    Concatenate,
    Multiply,
    Divide,
    Div,
    Mod,
}

impl Op {
    pub fn written(self) -> &'static str {
        match self {
            Op::Implies => "implies",
            Op::Or => "or",
            Op::Xor => "xor",
            Op::And => "and",
            Op::In => "in",
            Op::Contains => "contains",
            Op::Equal => "=",
            Op::NotEqual => "!=",
            Op::Equivalent => "~",
            Op::NotEquivalent => "!~",
            Op::Less => "<",
            Op::LessOrEqual => "<=",
            Op::Greater => ">",
            Op::GreaterOrEqual => ">=",
            Op::Union => "|",
            Op::Add => "+",
            Op::Subtract => "-",
            Op::Concatenate => "&",
            Op::Multiply => "*",
            Op::Divide => "/",
            Op::Div => "div",
            Op::Mod => "mod",
        }
    }
}
