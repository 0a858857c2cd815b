//! Paths: elements by their R4 names, indexers.

use super::advice::renamed;
use super::newer::newer;
use super::{Lower, Scope, Typed, Types, names};
use crate::fhirpath::element::{Key, Step};
use crate::fhirpath::model::{Choice, R4, TypeId};
use crate::fhirpath::node::{Node, Slice};
use crate::fhirpath::remark::{Remark, Spot};
use crate::fhirpath::syntax::{Expr, Kind};
use crate::problem::did_you_mean;

impl Lower<'_> {
    /// A name at the start of a path: an element of `$this`, or its type.
    pub fn start(&mut self, name: &str, at: Spot, scope: &Scope) -> Typed {
        let this = Typed::new(Node::This, &scope.types, false);
        match R4.named(name) {
            Some(kind) if kind.is_resource() && !scope.types.is_empty() => {
                if scope.types.iter().any(|own| own.is_a(kind)) {
                    return this;
                }
                let from = names(&scope.types);
                self.refuse(Remark::error(at, format!("`{name}` is not what this path starts from")).hint(format!("it starts from {from}")))
            }
            _ => self.element(this, name, at),
        }
    }

    pub fn element(&mut self, input: Typed, name: &str, at: Spot) -> Typed {
        let mut keys: Vec<Key> = Vec::new();
        let (mut types, mut many) = (Types::new(), false);
        for found in input.types.iter().filter_map(|own| own.element(name)) {
            many |= found.many;
            for Choice { key, kind, .. } in &found.options {
                if let Some(other) = keys.iter().find(|other| other.name == *key) {
                    if other.kind != *kind {
                        let hint = format!("write ofType(…) before it; it follows {}", names(&input.types));
                        return self.refuse(Remark::error(at, format!("`{name}` has several types here")).hint(hint));
                    }
                    continue;
                }
                keys.push(Key { name: key, kind: *kind, class: kind.class() });
                if !types.contains(kind) {
                    types.push(*kind);
                }
            }
        }
        let mut others: Vec<&'static str> = Vec::new();
        for own in input.types.iter().filter(|own| own.element(name).is_some()) {
            let newer = newer(own.name(), name);
            for (key, kind) in newer.same().filter(|(_, kind)| types.contains(kind)) {
                if !keys.iter().any(|other| other.name == key) {
                    keys.push(Key { name: key, kind, class: kind.class() });
                }
            }
            others.extend(newer.other.iter().filter(|other| !keys.iter().any(|key| key.name == **other)));
        }
        if keys.is_empty() {
            return if input.types.is_empty() { input } else { self.unknown_element(&input.types, name, at) };
        }
        self.elements.extend(keys.iter().map(|key| key.name).chain(others.iter().copied()));
        Typed { types, many: many || input.many, node: Node::Element(input.part(), Step { keys, others, many }) }
    }

    fn unknown_element(&mut self, holders: &[TypeId], name: &str, at: Spot) -> Typed {
        let remark = Remark::error(at, format!("`{name}` is not an element of {}", names(holders)));
        let known: Vec<&str> = holders.iter().flat_map(|own| own.element_names()).collect();
        let chosen = known.iter().find_map(|base| {
            let rest = name.strip_prefix(base).filter(|rest| !rest.is_empty())?;
            let options = holders.iter().find_map(|own| own.element(base))?.options.iter();
            options.clone().find(|option| option.key == name && option.key != *base).map(|option| (base, option.kind.name(), rest))
        });
        let hint = if let Some((base, kind, _)) = chosen {
            Some(format!("write `{base}.ofType({kind})`"))
        } else if let Some(hint) = holders.iter().find_map(|own| renamed(own.name(), name)) {
            Some(hint.to_owned())
        } else if let Some(near) = did_you_mean(name, known) {
            Some(format!("did you mean `{near}`?"))
        } else if holders.iter().all(|own| own.name() == "Resource") {
            Some("write ofType(TYPE) first".to_owned())
        } else {
            None
        };
        self.refuse(Remark { hint, ..remark })
    }

    pub fn index(&mut self, input: &Expr, index: &Expr, scope: &Scope) -> Typed {
        let input = self.expr(input, scope, super::Position::Filtered);
        match &index.kind {
            Kind::Integer(number) => match usize::try_from(*number) {
                Ok(number) => Typed { many: false, types: input.types.clone(), node: Node::Slice(input.part(), Slice::At(number)) },
                Err(_) => self.refuse(Remark::error(index.at, "an index counts from 0")),
            },
            _ => self.refuse(Remark::error(index.at, "an index is a number").hint("write [0], first() or last()")),
        }
    }
}
