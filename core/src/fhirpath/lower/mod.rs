//! From syntax to the compiled tree: every name checked against R4, every type error that is certain found.
//!
//! In: a syntax tree, the type it starts from, the value sets there are. Out: a compiled tree and remarks.
//! Never here: a resource. What is not supported is refused here, never at evaluation.

mod advice;
mod function;
mod newer;
mod operator;
mod path;
mod reference;

use super::model::{Class, R4, TypeId};
use super::node::{Node, Slice};
use super::program::Remote;
use super::remark::{Remark, Spot};
use super::syntax::{Expr, Kind, TypeName};
use super::value::Literal;
use crate::problem::{Severity, did_you_mean};
use smallvec::SmallVec;
use std::collections::BTreeSet;

/// The types that items may have. Empty: of no certain type, because of `{}` or of an error already told.
pub type Types = SmallVec<[TypeId; 4]>;

pub struct Typed {
    pub node: Node,
    pub types: Types,
    /// Whether there may be more than one item.
    pub many: bool,
}

/// What `$this` is.
#[derive(Clone)]
pub struct Scope {
    pub types: Types,
}

/// Whether an unknown answer stays unknown up to the top (`and`, `or`, `not`), or goes through a filter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Position {
    Logical,
    Filtered,
}

pub struct Lower<'t> {
    pub valueset: &'t dyn Fn(&str) -> Option<u16>,
    pub root: Types,
    /// In what follows `resolve()`.
    pub remote: bool,
    pub remarks: Vec<Remark>,
    pub remotes: Vec<Remote>,
    pub valuesets: BTreeSet<u16>,
    pub elements: BTreeSet<&'static str>,
    pub timed: bool,
}

impl Typed {
    fn new(node: Node, types: &[TypeId], many: bool) -> Typed {
        Typed { node, types: Types::from_slice(types), many }
    }

    fn boolean(node: Node) -> Typed {
        Typed::new(node, &[TypeId::BOOLEAN], false)
    }

    fn unknown() -> Typed {
        Typed::new(Node::Empty, &[], false)
    }

    fn part(self) -> Box<Node> {
        Box::new(self.node)
    }

    fn any_class(&self, wanted: impl Fn(Class) -> bool) -> bool {
        self.types.is_empty() || self.types.iter().any(|kind| wanted(kind.class()))
    }
}

impl<'t> Lower<'t> {
    pub fn new(valueset: &'t dyn Fn(&str) -> Option<u16>, root: Types) -> Self {
        Lower {
            valueset,
            root,
            remote: false,
            remarks: Vec::new(),
            remotes: Vec::new(),
            valuesets: BTreeSet::new(),
            elements: BTreeSet::new(),
            timed: false,
        }
    }

    pub fn failed(&self) -> bool {
        self.remarks.iter().any(|remark| remark.severity == Severity::Error)
    }

    fn refuse(&mut self, remark: Remark) -> Typed {
        self.remarks.push(remark);
        Typed::unknown()
    }

    pub fn expr(&mut self, expr: &Expr, scope: &Scope, position: Position) -> Typed {
        if let Some(answer) = self.resolved(expr, scope, position) {
            return answer;
        }
        let literal = |literal: Literal| {
            let kind = literal.kind();
            Typed::new(Node::Literal(literal), &[kind], false)
        };
        match &expr.kind {
            Kind::Empty => Typed::unknown(),
            Kind::Boolean(value) => literal(Literal::Boolean(*value)),
            Kind::Text(text) => literal(Literal::Text(text.clone())),
            Kind::Integer(value) => literal(Literal::Integer(*value)),
            Kind::Decimal(value) => literal(Literal::Decimal(*value)),
            Kind::Moment(moment, timed) => {
                let kind = if *timed { TypeId::DATE_TIME } else { TypeId::DATE };
                literal(Literal::Moment(*moment, kind))
            }
            Kind::Time(time, precision) => literal(Literal::Time(*time, *precision)),
            Kind::Quantity(value, unit) => literal(Literal::Quantity(*value, unit.written().to_owned())),
            Kind::This => Typed::new(Node::This, &scope.types, false),
            Kind::External(name) => self.external(name, expr.at),
            Kind::Member(None, name) => self.start(name, expr.at, scope),
            Kind::Member(Some(input), name) => {
                let input = self.expr(input, scope, Position::Filtered);
                self.element(input, name, expr.at)
            }
            Kind::Call(input, name, arguments) => self.call(input.as_deref(), name, arguments, expr.at, scope, position),
            Kind::Index(input, index) => self.index(input, index, scope),
            Kind::Negate(inner) => self.negate(inner, scope),
            Kind::Binary(op, left, right) => self.binary(*op, left, right, expr.at, scope, position),
            Kind::Typed(input, is, name) => {
                let input = self.expr(input, scope, Position::Filtered);
                self.typed(input, *is, name)
            }
        }
    }

    fn external(&mut self, name: &str, at: Spot) -> Typed {
        let text = |text: &str| Typed::new(Node::Literal(Literal::Text(text.to_owned())), &[TypeId::STRING], false);
        match name {
            "resource" | "context" | "rootResource" if self.remote => {
                self.refuse(Remark::error(at, format!("`%{name}` cannot stand in what follows resolve()")).hint("compare outside of it"))
            }
            "resource" | "context" | "rootResource" => Typed::new(Node::Resource, &self.root.clone(), false),
            "ucum" => text("http://unitsofmeasure.org"),
            "sct" => text("http://snomed.info/sct"),
            "loinc" => text("http://loinc.org"),
            _ if (self.valueset)(name).is_some() => self.refuse(
                Remark::error(at, format!("the value set `%{name}` can stand in memberOf() only"))
                    .hint(format!("write PATH.memberOf(%{name})")),
            ),
            _ => self.refuse(
                Remark::error(at, format!("`%{name}` is not known"))
                    .hint("known are %resource, %context, %ucum, %sct, %loinc, and value sets in memberOf()"),
            ),
        }
    }

    /// `is` and `as`, as operators and as functions.
    pub fn typed(&mut self, input: Typed, is: bool, name: &TypeName) -> Typed {
        let Some(kind) = self.type_named(name) else { return Typed::unknown() };
        if is {
            return Typed::boolean(Node::Is(input.part(), kind));
        }
        let mut input = input;
        if input.many {
            // Unlike ofType(), `as` takes one item: of several it is an error of FHIRPath.
            input.node = Node::Slice(Box::new(input.node), Slice::Single);
            input.many = false;
        }
        self.narrow(input, kind, name.at)
    }

    pub fn narrow(&mut self, input: Typed, kind: TypeId, at: Spot) -> Typed {
        let mut types: Types = input.types.iter().copied().filter(|own| own.narrows_to(kind)).collect();
        if types.is_empty() && (input.types.is_empty() || input.types.iter().any(|own| own.is_resource() && kind.is_a(*own))) {
            types.push(kind);
        }
        if types.is_empty() {
            let has = names(&input.types);
            return self.refuse(Remark::error(at, format!("this is never a {}", kind.name())).hint(format!("it is {has}")));
        }
        Typed { many: input.many, types, node: Node::Narrow(input.part(), kind) }
    }

    pub fn type_named(&mut self, name: &TypeName) -> Option<TypeId> {
        let system = || R4.system(&name.name);
        let fhir = || R4.named(&name.name).filter(|_| !name.name.contains('.'));
        let found = match name.space.as_deref() {
            Some("System") => system(),
            Some("FHIR") => fhir(),
            Some(_) => None,
            None => fhir().or_else(system),
        };
        if found.is_none() {
            let mut remark = Remark::error(name.at, format!("`{}` is not a type of R4", name.name));
            if let Some(near) = did_you_mean(&name.name, R4.type_names()) {
                remark = remark.hint(format!("did you mean `{near}`?"));
            }
            self.remarks.push(remark);
        }
        found
    }
}

/// `dateTime, Period or Age`
pub fn names(types: &[TypeId]) -> String {
    match types {
        [] => "of unknown type".to_owned(),
        [one] => one.name().to_owned(),
        [init @ .., last] => {
            format!("{} or {}", init.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", "), last.name())
        }
    }
}
