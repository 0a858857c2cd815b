//! `Program`: a compiled expression, and what it gives over all time.
//!
//! In: an expression's text and the type it starts from; later parsed resources. Out: truth or values as Steps.
//! Never here: a second evaluator for time. What holds over time is evaluation again at each instant it names.

use super::Scalar;
use super::eval::Eval;
use super::lower::{Lower, Position, Scope, Types, names};
use super::model::{R4, TypeId};
use super::node::Node;
use super::parser::parse;
use super::remark::{Remark, Spot};
use super::required::required;
use super::value::{Stop, scalar};
use crate::fhir::Unreadable;
use crate::problem::did_you_mean;
use crate::time::{Instant, Zone};
use crate::timeline::{Steps, Truth};
use sonic_rs::Value;
use std::fmt;

/// What evaluation may ask for beyond the resource itself.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    pub zone: &'a Zone,
    /// Whether the value set of this number holds the code: `(number, system, code)`.
    pub valuesets: &'a dyn Fn(u16, Option<&str>, &str) -> bool,
    /// What [`Program::remotes`]`[number]` says of the resource that the reference's text names; `None`: the element has no such text.
    pub remote: &'a dyn Fn(usize, Option<&str>) -> Truth,
}

/// A part of a program that looks at another resource, free of time.
#[derive(Debug)]
pub struct Remote {
    /// The types that the reference may lead to; the program fits each of them. Of another type the answer is unknown.
    pub kinds: Vec<String>,
    pub program: Program,
}

/// Where the named element stands once at the top of a resource, has its form, each of its codings names a code, and none of
/// these is among `codes`, the program is surely `False`. Everywhere else the program must be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Required {
    /// The JSON key: `code`, `medicationCodeableConcept`.
    pub element: String,
    pub form: Form,
    pub codes: Codes,
}

/// What stands under the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A text.
    Code,
    Coding,
    /// A CodeableConcept: its codings are one level down.
    Concept,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codes {
    /// The value set of this number.
    Valueset(u16),
    /// System (`None`: any) and code.
    Listed(Vec<(Option<String>, String)>),
}

/// A compiled expression. Its `Debug` says what it reads and nothing else.
pub struct Program {
    node: Node,
    root: TypeId,
    gives: Types,
    remotes: Vec<Remote>,
    valuesets: Vec<u16>,
    elements: Vec<String>,
    required: Option<Required>,
    timed: bool,
}

/// A program is evaluated at so many instants at most; what it gives after the last is unknown.
pub const INSTANTS_MAX: usize = 512;

/// Compiles for a resource type. `valueset` gives the number of `%name`. Ok gives warnings too; Err gives all remarks.
/// The text may be anything: never panics, and recursion is bounded.
pub fn compile(text: &str, kind: &str, valueset: &dyn Fn(&str) -> Option<u16>) -> Result<(Program, Vec<Remark>), Vec<Remark>> {
    let start = Spot { line: 1, column: 1 };
    let Some(root) = R4.named(kind).filter(|root| root.is_resource()) else {
        let remark = Remark::error(start, format!("`{kind}` is not a resource type of R4"));
        let near = did_you_mean(kind, R4.type_names());
        return Err(vec![near.map_or(remark.clone(), |near| remark.hint(format!("did you mean `{near}`?")))]);
    };
    let tree = parse(text).map_err(|remark| vec![remark])?;
    let types = Types::from_slice(&[root]);
    let mut lower = Lower::new(valueset, types.clone());
    let typed = lower.expr(&tree, &Scope { types }, Position::Logical);
    if lower.failed() {
        return Err(lower.remarks);
    }
    let remarks = std::mem::take(&mut lower.remarks);
    Ok((Program::new(typed.node, typed.types, lower), remarks))
}

impl Program {
    pub(super) fn new(node: Node, gives: Types, lower: Lower) -> Program {
        // Several only in what follows `resolve()`: there no name depends on which it is.
        let root = lower.root[0];
        Program {
            required: required(&node),
            node,
            root,
            gives,
            remotes: lower.remotes,
            valuesets: lower.valuesets.into_iter().collect(),
            elements: lower.elements.into_iter().map(str::to_owned).collect(),
            timed: lower.timed,
        }
    }

    /// A criterion over all time: FHIRPath's Boolean evaluation. Empty, and FHIRPath's execution errors, are `Unknown`.
    pub fn truth(&self, resource: &Value, env: &Env) -> Result<Steps<Truth>, Unreadable> {
        self.truth_from(resource, env, Instant::BEGIN)
    }

    /// As [`Program::truth`], from an instant on; what was before is not worked out, and reads as what holds then.
    pub fn truth_from(&self, resource: &Value, env: &Env, from: Instant) -> Result<Steps<Truth>, Unreadable> {
        let eval = self.eval(resource, env);
        over_time(&eval, from, || self.judged(&eval), Truth::Unknown)
    }

    /// The truth at an instant, and the first later instant at which it may differ ([`Instant::END`]: never).
    pub fn truth_at(&self, resource: &Value, env: &Env, at: Instant) -> Result<(Truth, Instant), Unreadable> {
        let eval = self.eval(resource, env);
        eval.go_to(at);
        let truth = self.judged(&eval)?;
        Ok((truth, eval.until.get()))
    }

    fn judged<'a>(&'a self, eval: &Eval<'a>) -> Result<Truth, Unreadable> {
        match eval.truth(&self.node, &eval.root) {
            Ok(Some(value)) => Ok(Truth::known(value)),
            Ok(None) | Err(Stop::Undecided) => Ok(Truth::Unknown),
            Err(Stop::Unreadable(why)) => Err(why),
        }
    }

    /// The values of a path over all time. Elements with parts (a Period, a CodeableConcept) are no values and are left out; see
    /// [`Program::gives`]. Where FHIRPath has an execution error there are none.
    pub fn values(&self, resource: &Value, env: &Env) -> Result<Steps<Vec<Scalar>>, Unreadable> {
        self.values_from(resource, env, Instant::BEGIN)
    }

    /// As [`Program::values`], from an instant on.
    pub fn values_from(&self, resource: &Value, env: &Env, from: Instant) -> Result<Steps<Vec<Scalar>>, Unreadable> {
        let eval = self.eval(resource, env);
        let at = || match self.gathered(&eval) {
            Ok(values) => Ok(values),
            Err(Stop::Undecided) => Ok(Vec::new()),
            Err(Stop::Unreadable(why)) => Err(why),
        };
        over_time(&eval, from, at, Vec::new())
    }

    /// Whether the path leads to anything at all, be it no value. Where FHIRPath has an execution error it may.
    pub fn finds(&self, resource: &Value, env: &Env) -> Result<bool, Unreadable> {
        let eval = self.eval(resource, env);
        match eval.items(&self.node, &eval.root) {
            Ok(items) => Ok(!items.is_empty()),
            Err(Stop::Undecided) => Ok(true),
            Err(Stop::Unreadable(why)) => Err(why),
        }
    }

    fn gathered<'a>(&'a self, eval: &Eval<'a>) -> Result<Vec<Scalar>, Stop> {
        let mut values = Vec::new();
        for item in &eval.items(&self.node, &eval.root)? {
            values.extend(scalar(item)?);
        }
        Ok(values)
    }

    /// The values at an instant; an execution error is told apart from no values.
    #[cfg(all(test, feature = "corpus"))]
    pub(super) fn values_at(&self, resource: &Value, env: &Env, at: Instant) -> Result<Vec<Scalar>, Stop> {
        let eval = self.eval(resource, env);
        eval.go_to(at);
        self.gathered(&eval)
    }

    fn eval<'a>(&'a self, resource: &'a Value, env: &'a Env) -> Eval<'a> {
        Eval::new(resource, self.root, env, &self.remotes)
    }

    /// Whether neither `now()` nor `today()` stands in it.
    pub fn is_time_free(&self) -> bool {
        !self.timed
    }

    pub fn required_codes(&self) -> Option<Required> {
        self.required.clone()
    }

    pub fn remotes(&self) -> &[Remote] {
        &self.remotes
    }

    /// The numbers of the value sets that it names, those of its remotes too.
    pub fn valuesets(&self) -> &[u16] {
        &self.valuesets
    }

    /// The JSON keys that it may read, at the top or below, sorted: whatever else a resource holds changes nothing.
    pub fn elements(&self) -> &[String] {
        &self.elements
    }

    /// The names of the types that its items may have (`date`, `code`, `System.Boolean`, `Period` …); empty: not certain.
    pub fn gives(&self) -> Vec<&'static str> {
        self.gives.iter().map(|kind| kind.name()).collect()
    }
}

/// Evaluates at `from`, then again at each instant at which something may change.
fn over_time<T: PartialEq>(
    eval: &Eval,
    from: Instant,
    evaluate: impl Fn() -> Result<T, Unreadable>,
    unknown: T,
) -> Result<Steps<T>, Unreadable> {
    eval.go_to(from);
    let mut steps = Steps::always(evaluate()?);
    for _ in 1..INSTANTS_MAX {
        let at = eval.until.get();
        if at == Instant::END {
            return Ok(steps);
        }
        eval.go_to(at);
        steps.push(at, evaluate()?);
    }
    steps.push(eval.until.get(), unknown);
    Ok(steps)
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({} -> {}, reads {})", self.root.name(), names(&self.gives), self.elements.join(" "))
    }
}
