//! The compiled form (skeleton: the interface only).

use super::Scalar;
use crate::fhir::Unreadable;
use crate::problem::Severity;
use crate::time::{Instant, Zone};
use crate::timeline::{Steps, Truth};
use sonic_rs::Value;

/// Something to tell the author of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub severity: Severity,
    /// 1-based, within the expression's text; columns count characters.
    pub line: u32,
    pub column: u32,
    pub what: String,
    pub hint: Option<String>,
}

/// What evaluation may ask for beyond the resource itself.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    pub zone: &'a Zone,
    /// Whether the value set of this number holds the code: `(number, system, code)`.
    pub valuesets: &'a dyn Fn(u16, Option<&str>, &str) -> bool,
    /// What [`Program::remotes`]`[number]` says of the resource that the reference's text names; `None`: the element has no reference text.
    pub remote: &'a dyn Fn(usize, Option<&str>) -> Truth,
}

/// A part of a program that looks at another resource, free of time.
#[derive(Debug)]
pub struct Remote {
    /// The types that the reference may lead to; the program fits each of them.
    pub kinds: Vec<String>,
    pub program: Program,
}

/// Where the named top-level element is present and readable and holds none of these codes, the program is surely `False`.
/// Where it is absent the program must be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Required {
    /// The JSON key of a top-level element.
    pub element: String,
    pub codes: Codes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codes {
    /// The value set of this number.
    Valueset(u16),
    /// System (`None`: any) and code.
    Listed(Vec<(Option<String>, String)>),
}

#[derive(Debug)]
pub struct Program {}

/// Compiles for a resource type. `valueset` gives the number of `%name`. Ok gives warnings too; Err gives all remarks.
pub fn compile(_text: &str, _kind: &str, _valueset: &dyn Fn(&str) -> Option<u16>) -> Result<(Program, Vec<Remark>), Vec<Remark>> {
    Ok((Program {}, Vec::new()))
}

impl Program {
    /// A criterion over all time.
    pub fn truth(&self, _resource: &Value, _env: &Env) -> Result<Steps<Truth>, Unreadable> {
        Ok(Steps::always(Truth::Unknown))
    }

    /// The truth at an instant, and the first later instant at which it may differ ([`Instant::END`]: never).
    pub fn truth_at(&self, _resource: &Value, _env: &Env, _at: Instant) -> Result<(Truth, Instant), Unreadable> {
        Ok((Truth::Unknown, Instant::END))
    }

    /// The values of a path over all time.
    pub fn values(&self, _resource: &Value, _env: &Env) -> Result<Steps<Vec<Scalar>>, Unreadable> {
        Ok(Steps::always(Vec::new()))
    }

    /// Whether neither `now()` nor `today()` stands in it.
    pub fn is_time_free(&self) -> bool {
        true
    }

    pub fn required_codes(&self) -> Option<Required> {
        None
    }

    pub fn remotes(&self) -> &[Remote] {
        &[]
    }

    /// The numbers of the value sets that it names.
    pub fn valuesets(&self) -> &[u16] {
        &[]
    }

    /// The top-level JSON keys that it may read, sorted.
    pub fn elements(&self) -> &[String] {
        &[]
    }
}
