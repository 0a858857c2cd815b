//! Functions: which there are, what they take and give.

use super::advice::{FUNCTIONS, instead};
use super::{Lower, Position, Scope, Typed, Types, names};
use crate::fhirpath::model::{Class, R4, TypeId};
use crate::fhirpath::node::{Node, Slice, TextFunction, TextTest};
use crate::fhirpath::remark::{Remark, Spot};
use crate::fhirpath::syntax::{Expr, Kind, TypeName};
use crate::problem::did_you_mean;
use regex::RegexBuilder;

/// A type given as an argument: `ofType(dateTime)`, `is(FHIR.boolean)`.
pub fn as_type(argument: &Expr) -> Option<TypeName> {
    match &argument.kind {
        Kind::Member(None, name) => Some(TypeName { space: None, name: name.clone(), at: argument.at }),
        Kind::Member(Some(space), name) => match &space.kind {
            Kind::Member(None, space) => Some(TypeName { space: Some(space.clone()), name: name.clone(), at: argument.at }),
            _ => None,
        },
        _ => None,
    }
}

impl Lower<'_> {
    pub fn call(&mut self, input: Option<&Expr>, name: &str, arguments: &[Expr], at: Spot, scope: &Scope, position: Position) -> Typed {
        if name == "now" || name == "today" {
            let hint = "write it as `PATH > now() - 12 months` or `PATH <= today()`";
            return self
                .refuse(Remark::error(at, format!("`{name}()` can only be compared, with an amount added or taken away")).hint(hint));
        }
        let Some((least, most)) = arity(name) else { return self.unknown_function(name, at) };
        if arguments.len() < least || arguments.len() > most {
            let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
            return self.refuse(Remark::error(at, format!("`{name}()` takes {wanted} arguments, not {}", arguments.len())));
        }
        // Only what passes an unknown on keeps the position.
        let inner = if name == "not" { position } else { Position::Filtered };
        let input = match input {
            Some(input) => self.expr(input, scope, inner),
            None => Typed { node: Node::This, types: scope.types.clone(), many: false },
        };
        self.apply(input, name, arguments, at, scope, position)
    }

    fn apply(&mut self, input: Typed, name: &str, arguments: &[Expr], at: Spot, scope: &Scope, position: Position) -> Typed {
        let each = Scope { types: input.types.clone() };
        let same = |types: Types, many: bool, node: Node| Typed { types, many, node };
        let (types, many) = (input.types.clone(), input.many);
        match name {
            "where" => {
                let criteria = self.criteria(&arguments[0], &each);
                same(types, many, Node::Where(input.part(), criteria))
            }
            "select" => {
                let projection = self.expr(&arguments[0], &each, Position::Filtered);
                same(projection.types.clone(), many || projection.many, Node::Select(input.part(), projection.part()))
            }
            "exists" => {
                let criteria = arguments.first().map(|criteria| self.criteria(criteria, &each));
                Typed::boolean(Node::Exists(input.part(), criteria))
            }
            "all" => {
                let criteria = self.criteria(&arguments[0], &each);
                Typed::boolean(Node::All(input.part(), criteria))
            }
            "empty" => Typed::boolean(Node::IsEmpty(input.part())),
            "not" => Typed::boolean(Node::Not(input.part())),
            "allTrue" | "anyTrue" => {
                if !input.any_class(|class| class == Class::Boolean) {
                    return self.refuse(Remark::error(at, format!("`{name}()` needs Booleans, not {}", names(&types))));
                }
                Typed::boolean(if name == "allTrue" { Node::AllTrue(input.part()) } else { Node::AnyTrue(input.part()) })
            }
            "hasValue" => Typed::boolean(Node::HasValue(input.part())),
            "count" => Typed::new(Node::Count(input.part()), &[TypeId::INTEGER], false),
            "distinct" => same(types, many, Node::Distinct(input.part())),
            "first" => same(types, false, Node::Slice(input.part(), Slice::First)),
            "last" => same(types, false, Node::Slice(input.part(), Slice::Last)),
            "single" => same(types, false, Node::Slice(input.part(), Slice::Single)),
            "tail" => same(types, many, Node::Slice(input.part(), Slice::Tail)),
            "skip" | "take" => match arguments[0].kind {
                Kind::Integer(number) if number >= 0 => {
                    let number = usize::try_from(number).unwrap_or(usize::MAX);
                    let slice = if name == "skip" { Slice::Skip(number) } else { Slice::Take(number) };
                    same(types, many, Node::Slice(input.part(), slice))
                }
                _ => self.refuse(Remark::error(arguments[0].at, format!("`{name}()` needs a number, written out"))),
            },
            "ofType" | "as" | "is" => match as_type(&arguments[0]) {
                Some(kind) if name == "ofType" => match self.type_named(&kind) {
                    Some(kind) => self.narrow(input, kind, at),
                    None => Typed::unknown(),
                },
                Some(kind) => self.typed(input, name == "is", &kind),
                None => self.refuse(Remark::error(arguments[0].at, format!("`{name}()` needs the name of a type"))),
            },
            "combine" => {
                let other = self.expr(&arguments[0], scope, Position::Filtered);
                let mut types = types;
                types.extend(other.types.iter().copied().filter(|kind| !input.types.contains(kind)));
                same(types, true, Node::Combine(input.part(), other.part()))
            }
            "iif" => self.iif(input, arguments, scope),
            "extension" => self.extension(input, &arguments[0], at),
            "memberOf" => self.member_of(input, &arguments[0], at, position == Position::Filtered),
            "lower" | "upper" | "trim" | "length" | "substring" | "startsWith" | "endsWith" | "contains" | "matches" => {
                self.text(input, name, arguments, at, scope)
            }
            // The table of arities names no other function.
            _ => self.unknown_function(name, at),
        }
    }

    fn criteria(&mut self, criteria: &Expr, each: &Scope) -> Box<Node> {
        self.expr(criteria, each, Position::Filtered).part()
    }

    fn iif(&mut self, input: Typed, arguments: &[Expr], scope: &Scope) -> Typed {
        // `iif()` on an item sees that item as `$this`.
        let inner = match input.node {
            Node::This => scope.clone(),
            _ => {
                let hint = "write iif(CONDITION, THEN, ELSE) on its own";
                return self.refuse(Remark::error(arguments[0].at, "iif() after a path is not supported").hint(hint));
            }
        };
        let condition = self.expr(&arguments[0], &inner, Position::Filtered);
        if !condition.any_class(|class| class == Class::Boolean) {
            return self.refuse(Remark::error(arguments[0].at, format!("the condition must be Boolean, not {}", names(&condition.types))));
        }
        let then = self.expr(&arguments[1], &inner, Position::Filtered);
        let other = match arguments.get(2) {
            Some(other) => self.expr(other, &inner, Position::Filtered),
            None => Typed::unknown(),
        };
        let mut types = then.types.clone();
        types.extend(other.types.iter().copied().filter(|kind| !then.types.contains(kind)));
        Typed { types, many: then.many || other.many, node: Node::Iif(condition.part(), then.part(), other.part()) }
    }

    fn extension(&mut self, input: Typed, url: &Expr, at: Spot) -> Typed {
        let (Kind::Text(url), Some(kind)) = (&url.kind, R4.named("Extension")) else {
            return self.refuse(Remark::error(at, "extension() needs an address in quotes").hint("write extension('http://…')"));
        };
        self.elements.insert("extension");
        Typed { types: Types::from_slice(&[kind]), many: true, node: Node::Extension(input.part(), url.clone(), kind) }
    }

    fn member_of(&mut self, input: Typed, set: &Expr, at: Spot, filtered: bool) -> Typed {
        let coded = |kind: &TypeId| matches!(kind.name(), "Coding" | "CodeableConcept") || kind.class() == Class::Text;
        if !input.types.is_empty() && !input.types.iter().any(coded) {
            let what = format!("memberOf() needs a code, Coding or CodeableConcept, not {}", names(&input.types));
            return self.refuse(Remark::error(at, what));
        }
        let Kind::External(name) = &set.kind else {
            let hint = "write memberOf(%NAME), where mappings/valuesets/NAME.json holds it";
            return self.refuse(Remark::error(set.at, "memberOf() needs a value set by its name").hint(hint));
        };
        match (self.valueset)(name) {
            Some(number) => {
                self.valuesets.insert(number);
                Typed::boolean(Node::MemberOf(input.part(), number, filtered))
            }
            None => {
                let hint = format!("add mappings/valuesets/{name}.json, or correct the name");
                self.refuse(Remark::error(set.at, format!("there is no value set `%{name}`")).hint(hint))
            }
        }
    }

    fn text(&mut self, input: Typed, name: &str, arguments: &[Expr], at: Spot, scope: &Scope) -> Typed {
        if !input.any_class(|class| class == Class::Text) {
            let what = format!("`{name}()` needs a text, not {}", names(&input.types));
            let hint = if name == "contains" {
                "for a collection write `COLLECTION contains VALUE`"
            } else {
                "go on to an element that is a text"
            };
            return self.refuse(Remark::error(at, what).hint(hint));
        }
        let function = match name {
            "lower" => Some(TextFunction::Lower),
            "upper" => Some(TextFunction::Upper),
            "trim" => Some(TextFunction::Trim),
            "length" => Some(TextFunction::Length),
            _ => None,
        };
        if let Some(function) = function {
            let kind = if function == TextFunction::Length { TypeId::INTEGER } else { TypeId::STRING };
            return Typed::new(Node::Text(function, input.part()), &[kind], false);
        }
        if name == "substring" {
            let mut numbers = Vec::new();
            for argument in arguments {
                let number = self.expr(argument, scope, Position::Filtered);
                if !number.any_class(|class| class == Class::Integer) {
                    return self.refuse(Remark::error(argument.at, "substring() needs integers"));
                }
                numbers.push(number.part());
            }
            let length = numbers.get(1).is_some().then(|| numbers.remove(1));
            let start = numbers.remove(0);
            return Typed::new(Node::Substring(input.part(), start, length), &[TypeId::STRING], false);
        }
        if name == "matches" {
            return self.matches(input, &arguments[0]);
        }
        let argument = self.expr(&arguments[0], scope, Position::Filtered);
        if !argument.any_class(|class| class == Class::Text) {
            return self.refuse(Remark::error(arguments[0].at, format!("`{name}()` looks for a text, not {}", names(&argument.types))));
        }
        let test = match name {
            "startsWith" => TextTest::StartsWith,
            "endsWith" => TextTest::EndsWith,
            _ => TextTest::Contains,
        };
        Typed::boolean(Node::Match(test, input.part(), argument.part()))
    }

    fn matches(&mut self, input: Typed, pattern: &Expr) -> Typed {
        let text = match &pattern.kind {
            Kind::Text(text) => text,
            // An empty pattern gives an empty answer.
            Kind::Empty => return Typed::boolean(Node::Empty),
            _ => return self.refuse(Remark::error(pattern.at, "matches() needs a pattern in quotes")),
        };
        match RegexBuilder::new(text).dot_matches_new_line(true).size_limit(1 << 20).build() {
            Ok(regex) => Typed::boolean(Node::Matches(input.part(), regex)),
            Err(_) => {
                let hint = "look-around and back references are not supported";
                self.refuse(Remark::error(pattern.at, "not a regular expression, or too large a one").hint(hint))
            }
        }
    }

    fn unknown_function(&mut self, name: &str, at: Spot) -> Typed {
        if let Some(hint) = instead(name) {
            return self.refuse(Remark::error(at, format!("`{name}()` is not supported")).hint(hint));
        }
        let remark = Remark::error(at, format!("there is no function `{name}()`"));
        let remark = match did_you_mean(name, FUNCTIONS) {
            Some(near) => remark.hint(format!("did you mean `{near}()`?")),
            None => remark,
        };
        self.refuse(remark)
    }
}

/// The least and the most arguments of a function that there is.
fn arity(name: &str) -> Option<(usize, usize)> {
    Some(match name {
        "empty" | "not" | "allTrue" | "anyTrue" | "hasValue" | "count" | "distinct" | "first" | "last" | "single" | "tail" | "lower"
        | "upper" | "trim" | "length" => (0, 0),
        "exists" => (0, 1),
        "where" | "select" | "all" | "skip" | "take" | "ofType" | "as" | "is" | "combine" | "extension" | "memberOf" | "startsWith"
        | "endsWith" | "contains" | "matches" => (1, 1),
        "substring" => (1, 2),
        "iif" => (2, 3),
        _ => return None,
    })
}
