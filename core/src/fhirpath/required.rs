//! The codes that a program needs: what lets a caller reject most resources by a peek at one element.
//!
//! In: a compiled tree. Out: an element and codes, one of which must stand there.
//! Never here: a form of which the absence of the codes would not surely make the program false.

use super::element::{Key, Step};
use super::model::TypeId;
use super::node::Node;
use super::program::{Codes, Form, Required};
use super::value::Literal;

/// The most telling requirement among what the program joins with `and`.
pub fn required(node: &Node) -> Option<Required> {
    let mut all = Vec::new();
    conjuncts(node, &mut all);
    all.into_iter().filter_map(one).max_by_key(|required| match &required.codes {
        Codes::Valueset(_) => 3,
        Codes::Listed(codes) if codes.iter().all(|(system, _)| system.is_some()) => 3,
        Codes::Listed(_) if required.element != "status" => 2,
        Codes::Listed(_) => 1,
    })
}

fn conjuncts<'n>(node: &'n Node, out: &mut Vec<&'n Node>) {
    match node {
        Node::And(a, b) => {
            conjuncts(a, out);
            conjuncts(b, out);
        }
        other => out.push(other),
    }
}

fn one(node: &Node) -> Option<Required> {
    match node {
        Node::MemberOf(input, set, _) => {
            let path = path(input)?;
            let coded = path.tail == Tail::Itself && matches!(path.kind, "CodeableConcept" | "Coding" | "code");
            // More than one item is an error of FHIRPath, which is unknown and not false.
            if coded && !path.many { path.requires(Codes::Valueset(*set)) } else { None }
        }
        Node::Or(a, b) => {
            let (a, b) = (one(a)?, one(b)?);
            let (Codes::Listed(mut codes), Codes::Listed(others)) = (a.codes, b.codes) else { return None };
            codes.extend(others);
            (a.element == b.element).then_some(Required { element: a.element, form: a.form, codes: Codes::Listed(codes) })
        }
        Node::Equal(input, value, false) => listed(path(input).filter(Path::gives_code)?, vec![text(value)?]),
        Node::In(input, values) => {
            let path = path(input).filter(|path| path.gives_code() && path.tail == Tail::Itself && !path.many)?;
            let mut codes = Vec::new();
            texts(values, &mut codes)?;
            listed(path, codes)
        }
        Node::Exists(input, Some(criteria)) => among(input, criteria),
        Node::Exists(input, None) => match &**input {
            Node::Where(input, criteria) => among(input, criteria),
            _ => None,
        },
        _ => None,
    }
}

/// `PATH.coding.exists(system = 's' and code = 'c')`, `PATH.exists(memberOf(%x))`
fn among(input: &Node, criteria: &Node) -> Option<Required> {
    let path = path(input)?;
    let codings = path.tail == Tail::Coding || (path.tail == Tail::Itself && path.kind == "Coding");
    let coded = codings || (path.tail == Tail::Itself && matches!(path.kind, "CodeableConcept" | "code"));
    let mut all = Vec::new();
    conjuncts(criteria, &mut all);
    let (mut system, mut code) = (None, None);
    for part in all {
        match part {
            Node::MemberOf(item, set, _) if coded && matches!(**item, Node::This) => {
                return path.requires(Codes::Valueset(*set));
            }
            Node::Equal(item, value, false) => match own_key(item) {
                Some("system") => system = text(value),
                Some("code") => code = text(value),
                _ => {}
            },
            _ => {}
        }
    }
    let code = code.filter(|_| codings)?;
    path.requires(Codes::Listed(vec![(system, code)]))
}

fn listed(path: Path, codes: Vec<String>) -> Option<Required> {
    let codes = codes.into_iter().map(|code| (None, code)).collect();
    path.requires(Codes::Listed(codes))
}

/// A path below one top-level element.
struct Path {
    element: &'static str,
    kind: &'static str,
    many: bool,
    tail: Tail,
}

#[derive(PartialEq, Eq)]
enum Tail {
    Itself,
    /// `.coding` of a CodeableConcept.
    Coding,
    /// `.code` of a Coding.
    Code,
}

impl Path {
    fn requires(&self, codes: Codes) -> Option<Required> {
        let form = match self.kind {
            "code" => Form::Code,
            "Coding" => Form::Coding,
            "CodeableConcept" => Form::Concept,
            _ => return None,
        };
        Some(Required { element: self.element.to_owned(), form, codes })
    }

    fn gives_code(&self) -> bool {
        self.tail == Tail::Code || (self.tail == Tail::Itself && self.kind == "code")
    }
}

fn path(node: &Node) -> Option<Path> {
    let top = |key: &Key, step: &Step| Path { element: key.name, kind: key.kind.name(), many: step.many, tail: Tail::Itself };
    match node {
        Node::Element(input, step) if matches!(**input, Node::This | Node::Resource) => only(step).map(|key| top(key, step)),
        Node::Narrow(input, kind) => match &**input {
            Node::Element(inner, step) if matches!(**inner, Node::This | Node::Resource) => only_of(step, *kind).map(|key| top(key, step)),
            _ => None,
        },
        Node::Element(input, step) => {
            let path = path(input)?;
            match (only(step)?.name, path.kind, &path.tail) {
                ("coding", "CodeableConcept", Tail::Itself) => Some(Path { tail: Tail::Coding, ..path }),
                ("code", _, Tail::Coding) | ("code", "Coding", Tail::Itself) => Some(Path { tail: Tail::Code, ..path }),
                _ => None,
            }
        }
        _ => None,
    }
}

fn only_of(step: &Step, kind: TypeId) -> Option<&Key> {
    let mut keys = step.keys.iter().filter(|key| key.kind == kind);
    keys.next().filter(|_| keys.next().is_none())
}

fn only(step: &Step) -> Option<&Key> {
    match step.keys.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn own_key(node: &Node) -> Option<&'static str> {
    match node {
        Node::Element(input, step) if matches!(**input, Node::This) => only(step).map(|key| key.name),
        _ => None,
    }
}

fn text(node: &Node) -> Option<String> {
    match node {
        Node::Literal(Literal::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

/// The texts of `'a' | 'b' | 'c'`.
fn texts(node: &Node, out: &mut Vec<String>) -> Option<()> {
    match node {
        Node::Union(a, b) => {
            texts(a, out)?;
            texts(b, out)
        }
        other => {
            out.push(text(other)?);
            Some(())
        }
    }
}
