//! `resolve()`: as a look at another resource, as a test of its type, as a key.

use super::{Lower, Position, Scope, Typed, Types, names};
use crate::fhirpath::element::Step;
use crate::fhirpath::model::{Choice, R4, TypeId};
use crate::fhirpath::moments::Relation;
use crate::fhirpath::node::{Fold, Node};
use crate::fhirpath::program::{Program, Remote};
use crate::fhirpath::remark::{Remark, Spot};
use crate::fhirpath::syntax::{Expr, Kind, TypeName};

/// The types that every shard can look at.
pub const BROADCAST: [&str; 6] = ["HealthcareService", "Location", "Medication", "Organization", "Practitioner", "PractitionerRole"];

/// The reference and the place, if this is `x.resolve()`.
fn resolve_call(expr: &Expr) -> Option<(&Expr, Spot)> {
    match &expr.kind {
        Kind::Call(Some(input), name, arguments) if name == "resolve" && arguments.is_empty() => Some((input, expr.at)),
        _ => None,
    }
}

/// What a step of a path follows.
fn before(expr: &Expr) -> Option<&Expr> {
    match &expr.kind {
        Kind::Member(Some(input), _) | Kind::Call(Some(input), ..) | Kind::Index(input, _) | Kind::Typed(input, false, _) => Some(input),
        _ => None,
    }
}

/// The path with its `x.resolve()` replaced by `$this`, that `x`, and the type that it is narrowed to at once.
fn split(expr: &Expr) -> Option<(Expr, &Expr, Option<&str>)> {
    let inner = before(expr)?;
    // `x.resolve().is(TYPE)` looks at the reference only.
    if matches!(&expr.kind, Kind::Call(_, name, _) if name == "is") && resolve_call(inner).is_some() {
        return None;
    }
    let (replaced, reference, narrowed) = match resolve_call(inner) {
        Some((reference, at)) => {
            let narrowed = match &expr.kind {
                Kind::Typed(_, false, TypeName { name, .. }) => Some(name.as_str()),
                Kind::Call(_, name, arguments) if name == "ofType" || name == "as" => {
                    match arguments.first().map(|argument| &argument.kind) {
                        Some(Kind::Member(_, name)) => Some(name.as_str()),
                        _ => None,
                    }
                }
                _ => None,
            };
            (Expr { kind: Kind::This, at, depth: 1 }, reference, narrowed)
        }
        None => split(inner)?,
    };
    let mut rest = expr.clone();
    match &mut rest.kind {
        Kind::Member(Some(input), _) | Kind::Call(Some(input), ..) | Kind::Index(input, _) | Kind::Typed(input, false, _) => {
            **input = replaced;
        }
        // `before` found an input, so it is one of these.
        _ => return None,
    }
    Some((rest, reference, narrowed))
}

impl Lower<'_> {
    /// `Some` where the path goes through `resolve()`.
    pub fn resolved(&mut self, expr: &Expr, scope: &Scope, position: Position) -> Option<Typed> {
        if resolve_call(expr).is_some() {
            let hint = "write resolve().PATH.memberOf(%…), resolve().where(…).exists(), resolve() is TYPE, or a.resolve() = b.resolve()";
            return Some(self.refuse(Remark::error(expr.at, "resolve() must lead to a yes or a no").hint(hint)));
        }
        let tested = match &expr.kind {
            Kind::Typed(input, true, name) => resolve_call(input).map(|(reference, at)| (reference, at, name.clone())),
            Kind::Call(Some(input), name, arguments) if name == "is" && arguments.len() == 1 => {
                resolve_call(input).and_then(|(reference, at)| Some((reference, at, super::function::as_type(&arguments[0])?)))
            }
            _ => None,
        };
        if let Some((reference, at, name)) = tested {
            return Some(self.leads_to(reference, at, &name, scope));
        }
        let (rest, reference, narrowed) = split(expr)?;
        Some(self.look(&rest, reference, narrowed, expr, scope, position))
    }

    fn references(&mut self, reference: &Expr, at: Spot, scope: &Scope) -> Option<Typed> {
        let input = self.expr(reference, scope, Position::Filtered);
        if !input.types.is_empty() && !input.types.iter().any(|kind| kind.is_reference()) {
            let what = format!("resolve() needs a Reference, not {}", names(&input.types));
            self.refuse(Remark::error(at, what));
            return None;
        }
        match input.types.len() {
            0 => None,
            1 => Some(input),
            // A choice such as `medication`: what is no reference leads nowhere.
            _ => {
                let kind = R4.named("Reference")?;
                Some(self.narrow(input, kind, at))
            }
        }
    }

    fn leads_to(&mut self, reference: &Expr, at: Spot, name: &TypeName, scope: &Scope) -> Typed {
        let Some(input) = self.references(reference, at, scope) else { return Typed::unknown() };
        let Some(kind) = self.type_named(name) else { return Typed::unknown() };
        if !kind.is_resource() {
            return self
                .refuse(Remark::error(name.at, format!("a reference never leads to a {}", kind.name())).hint("write a type of resource"));
        }
        self.elements.insert("contained");
        Typed::boolean(Node::LeadsTo(input.part(), kind.name()))
    }

    pub fn reference_keys(&mut self, relation: Relation, left: &Expr, right: &Expr, scope: &Scope) -> Option<Typed> {
        let ((a, a_at), (b, b_at)) = (resolve_call(left)?, resolve_call(right)?);
        if !matches!(relation, Relation::Equal | Relation::NotEqual) {
            return Some(self.refuse(Remark::error(a_at, "resources have no order").hint("write `=` or `!=`")));
        }
        let (a, b) = (self.references(a, a_at, scope), self.references(b, b_at, scope));
        let (Some(a), Some(b)) = (a, b) else { return Some(Typed::unknown()) };
        let (a, b) = (Box::new(Node::ReferenceKey(a.part())), Box::new(Node::ReferenceKey(b.part())));
        Some(Typed::boolean(Node::Equal(a, b, relation == Relation::NotEqual)))
    }

    fn look(&mut self, rest: &Expr, reference: &Expr, narrowed: Option<&str>, whole: &Expr, scope: &Scope, position: Position) -> Typed {
        if self.remote {
            let hint = "one resource can be looked at, not a chain of them";
            return self.refuse(Remark::error(whole.at, "resolve() within what follows resolve()").hint(hint));
        }
        let Some(input) = self.references(reference, whole.at, scope) else { return Typed::unknown() };
        let targets = targets(&input.node, self, scope);
        let kinds: Vec<&'static str> = BROADCAST
            .into_iter()
            .filter(|kind| targets.is_empty() || targets.contains(kind))
            .filter(|kind| narrowed.is_none_or(|narrowed| narrowed == *kind))
            .collect();
        if kinds.is_empty() {
            let what = match narrowed {
                Some(narrowed) => format!("resolve() cannot look at a {narrowed} here"),
                None => format!("resolve() cannot look at a {}", targets.join(" or ")),
            };
            let hint = format!("it leads to {} only; write a criterion of its own for another type", BROADCAST.join(", "));
            return self.refuse(Remark::error(whole.at, what).hint(hint));
        }
        let root: Types = kinds.iter().filter_map(|kind| R4.named(kind)).collect();
        let mut lower = Lower::new(self.valueset, root.clone());
        lower.remote = true;
        let remainder = lower.expr(rest, &Scope { types: root }, Position::Logical);
        let boolean = remainder.types.iter().all(|kind| kind.class() == crate::fhirpath::model::Class::Boolean);
        let failed = lower.failed();
        self.remarks.append(&mut lower.remarks);
        if failed {
            return Typed::unknown();
        }
        if !boolean {
            let hint = "end it in memberOf(%…) or where(…).exists()";
            return self.refuse(Remark::error(whole.at, "what follows resolve() must be a yes or a no").hint(hint));
        }
        self.elements.insert("contained");
        self.valuesets.extend(lower.valuesets.iter().copied());
        let fold = match &rest.kind {
            Kind::Call(_, name, _) if name == "exists" || name == "anyTrue" => Fold::Any,
            Kind::Call(_, name, _) if name == "empty" || name == "all" || name == "allTrue" => Fold::All,
            _ => Fold::One,
        };
        self.remotes.push(Remote {
            kinds: kinds.into_iter().map(str::to_owned).collect(),
            program: Program::new(remainder.node, remainder.types, lower),
        });
        Typed::boolean(Node::Remote(input.part(), self.remotes.len() - 1, fold, position == Position::Filtered))
    }
}

/// The types that a reference may lead to; empty: any.
fn targets(node: &Node, lower: &Lower, scope: &Scope) -> Vec<&'static str> {
    match node {
        Node::Element(input, step) => {
            let holders = types_of(input, lower, scope);
            let mut found: Vec<&'static str> = Vec::new();
            for holder in holders {
                for Choice { key, kind, targets } in holder.element_by_key(step) {
                    if kind.is_reference() && step.keys.iter().any(|own| own.name == *key) {
                        if targets.is_empty() {
                            return Vec::new();
                        }
                        found.extend(targets.iter().copied());
                    }
                }
            }
            found
        }
        Node::Narrow(input, _) | Node::Where(input, _) | Node::Slice(input, _) | Node::Distinct(input) => targets(input, lower, scope),
        _ => Vec::new(),
    }
}

/// The types of what stands before the last step, as far as they can be told without the whole typing again.
fn types_of(node: &Node, lower: &Lower, scope: &Scope) -> Types {
    match node {
        Node::This => scope.types.clone(),
        Node::Resource => lower.root.clone(),
        Node::Element(_, step) => step.keys.iter().map(|key| key.kind).collect(),
        Node::Narrow(_, kind) => Types::from_slice(&[*kind]),
        Node::Where(input, _) | Node::Slice(input, _) | Node::Distinct(input) => types_of(input, lower, scope),
        _ => Types::new(),
    }
}

impl TypeId {
    /// The options of this type's elements that have one of the step's keys.
    fn element_by_key(self, step: &Step) -> Vec<&'static Choice> {
        let elements = self.element_names().into_iter().filter_map(|name| self.element(name));
        elements.flat_map(|element| &element.options).filter(|option| step.keys.iter().any(|key| key.name == option.key)).collect()
    }
}
