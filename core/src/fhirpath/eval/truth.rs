//! What is true, false or unknown. Whoever asks for less reads less: `false and x` does not look at `x`.

use super::{Eval, as_boolean};
use crate::fhir::json::get;
use crate::fhirpath::compare::{self, Compared};
use crate::fhirpath::element;
use crate::fhirpath::model::{Class, TypeId};
use crate::fhirpath::node::{Node, TextTest};
use crate::fhirpath::value::{Content, Item, Stop};
use sonic_rs::{JsonContainerTrait, JsonValueTrait};

/// Truth, or no truth because of an execution error.
enum Kleene {
    False,
    True,
    Unknown,
    Undecided,
}

impl<'a> Eval<'a> {
    /// `None` is unknown: FHIRPath's empty collection.
    pub fn truth(&self, node: &'a Node, this: &Item<'a>) -> Result<Option<bool>, Stop> {
        match node {
            Node::And(a, b) => self.joined(a, b, this, Some(false)),
            Node::Or(a, b) => self.joined(a, b, this, Some(true)),
            Node::Implies(a, b) => match self.settled(a, this)? {
                Kleene::False => Ok(Some(true)),
                Kleene::True => self.truth(b, this),
                left => match (self.settled(b, this)?, left) {
                    (Kleene::True, _) => Ok(Some(true)),
                    (Kleene::Undecided, _) | (_, Kleene::Undecided) => Err(Stop::Undecided),
                    _ => Ok(None),
                },
            },
            Node::Xor(a, b) => Ok(match (self.truth(a, this)?, self.truth(b, this)?) {
                (Some(a), Some(b)) => Some(a != b),
                _ => None,
            }),
            Node::Not(inner) => Ok(self.truth(inner, this)?.map(|value| !value)),
            Node::Exists(input, None) => Ok(Some(!self.items(input, this)?.is_empty())),
            Node::Exists(input, Some(criteria)) => self.some(input, criteria, this, true),
            Node::IsEmpty(input) => Ok(Some(self.items(input, this)?.is_empty())),
            Node::All(input, criteria) => Ok(self.some(input, criteria, this, false)?.map(|found| !found)),
            Node::AllTrue(input) => self.booleans(input, this, false).map(|found| Some(!found)),
            Node::AnyTrue(input) => self.booleans(input, this, true).map(Some),
            Node::HasValue(input) => {
                let items = self.items(input, this)?;
                Ok(Some(matches!(items.as_slice(), [one] if !matches!(one.content, Content::Missing | Content::Complex(_)))))
            }
            Node::Equal(a, b, negated) => Ok(self.equal(a, b, this)?.map(|equal| equal != *negated)),
            Node::Equivalent(a, b, negated) => Ok(Some(self.equivalent(a, b, this)? != *negated)),
            Node::Order(relation, a, b, filtered) => {
                let (Some(a), Some(b)) = (self.single(a, this)?, self.single(b, this)?) else { return Ok(None) };
                match compare::order(&a, &b, self.env.zone)? {
                    Compared::Order(order) => Ok(relation.holds(order)),
                    Compared::Unknown => Ok(None),
                    Compared::Unlike if *filtered => Err(Stop::Undecided),
                    Compared::Unlike => Ok(None),
                }
            }
            Node::In(a, b) => {
                let Some(wanted) = self.single(a, this)? else { return Ok(None) };
                let mut answer = Some(false);
                for item in &self.items(b, this)? {
                    match compare::equal(&wanted, item, self.env.zone)? {
                        Some(true) => return Ok(Some(true)),
                        Some(false) => {}
                        None => answer = None,
                    }
                }
                Ok(answer)
            }
            Node::Is(input, kind) => match self.single(input, this)? {
                Some(item) => Ok(Some(is(&item, *kind)?)),
                None => Ok(None),
            },
            Node::MemberOf(input, set, filtered) => match self.single(input, this)? {
                Some(item) => match self.member_of(&item, *set)? {
                    None if *filtered => Err(Stop::Undecided),
                    truth => Ok(truth),
                },
                None => Ok(None),
            },
            Node::Match(test, input, argument) => {
                let (Some(input), Some(argument)) = (self.single(input, this)?, self.single(argument, this)?) else { return Ok(None) };
                Ok(match (input.as_text(), argument.as_text()) {
                    (Some(text), Some(part)) => Some(match test {
                        TextTest::StartsWith => text.starts_with(part),
                        TextTest::EndsWith => text.ends_with(part),
                        TextTest::Contains => text.contains(part),
                    }),
                    _ => None,
                })
            }
            Node::Matches(input, regex) => {
                let input = self.single(input, this)?;
                Ok(input.as_ref().and_then(|item| item.as_text()).map(|text| regex.is_match(text)))
            }
            Node::Clock(input, relation, clock, filtered) => {
                let Some(item) = self.single(input, this)? else { return Ok(None) };
                match item.content {
                    Content::Moment(moment) => {
                        let (truth, until) = self.timed(node, &moment, *relation, *clock);
                        self.lower_until(until);
                        Ok(truth)
                    }
                    Content::Missing => Ok(None),
                    _ if *filtered => Err(Stop::Undecided),
                    _ => Ok(None),
                }
            }
            Node::LeadsTo(input, kind) => self.leads_to(input, kind, this),
            Node::Remote(input, number, fold, filtered) => match self.remote(input, *number, *fold, this)? {
                None if *filtered => Err(Stop::Undecided),
                truth => Ok(truth),
            },
            Node::Empty => Ok(None),
            _ => as_boolean(&self.items(node, this)?),
        }
    }

    /// Whether some item passes the test (`passes`), or fails it. One that does decides, whatever an execution error hides of others.
    fn some(&self, input: &'a Node, criteria: &'a Node, this: &Item<'a>, passes: bool) -> Result<Option<bool>, Stop> {
        let mut undecided = false;
        for item in &self.items(input, this)? {
            match self.truth(criteria, item) {
                Ok(answer) if (answer == Some(true)) == passes => return Ok(Some(true)),
                Ok(_) => {}
                Err(Stop::Undecided) => undecided = true,
                Err(why @ Stop::Unreadable(_)) => return Err(why),
            }
        }
        if undecided { Err(Stop::Undecided) } else { Ok(Some(false)) }
    }

    fn settled(&self, node: &'a Node, this: &Item<'a>) -> Result<Kleene, Stop> {
        match self.truth(node, this) {
            Ok(Some(false)) => Ok(Kleene::False),
            Ok(Some(true)) => Ok(Kleene::True),
            Ok(None) => Ok(Kleene::Unknown),
            Err(Stop::Undecided) => Ok(Kleene::Undecided),
            Err(why @ Stop::Unreadable(_)) => Err(why),
        }
    }

    /// `and`, `or`: one side that is `strong` (false, true) decides, whatever the other is, an execution error too.
    fn joined(&self, a: &'a Node, b: &'a Node, this: &Item<'a>, strong: Option<bool>) -> Result<Option<bool>, Stop> {
        match self.part(a, this) {
            Ok(value) if value == strong => Ok(strong),
            Ok(Some(_)) => self.part(b, this),
            Ok(None) => Ok(self.part(b, this)?.filter(|value| Some(*value) == strong)),
            Err(Stop::Undecided) => match self.part(b, this)? {
                value if value == strong => Ok(strong),
                _ => Err(Stop::Undecided),
            },
            Err(why @ Stop::Unreadable(_)) => Err(why),
        }
    }

    /// Whether one of the Booleans is `wanted`.
    fn booleans(&self, input: &'a Node, this: &Item<'a>, wanted: bool) -> Result<bool, Stop> {
        let mut found = false;
        for item in &self.items(input, this)? {
            match item.content {
                Content::Boolean(value) => found |= value == wanted,
                _ => return Err(Stop::Undecided),
            }
        }
        Ok(found)
    }

    fn equal(&self, a: &'a Node, b: &'a Node, this: &Item<'a>) -> Result<Option<bool>, Stop> {
        let a = self.items(a, this)?;
        if a.is_empty() {
            return Ok(None);
        }
        let b = self.items(b, this)?;
        if b.is_empty() {
            return Ok(None);
        }
        if a.len() != b.len() {
            return Ok(Some(false));
        }
        let mut answer = Some(true);
        for (a, b) in a.iter().zip(&b) {
            match compare::equal(a, b, self.env.zone)? {
                Some(true) => {}
                Some(false) => return Ok(Some(false)),
                None => answer = None,
            }
        }
        Ok(answer)
    }

    fn equivalent(&self, a: &'a Node, b: &'a Node, this: &Item<'a>) -> Result<bool, Stop> {
        let (a, b) = (self.items(a, this)?, self.items(b, this)?);
        if a.len() != b.len() {
            return Ok(false);
        }
        let mut left: Vec<&Item> = b.iter().collect();
        for a in &a {
            let mut found = None;
            for (number, b) in left.iter().enumerate() {
                if compare::equivalent(a, b, self.env.zone)?.ok_or(Stop::Undecided)? {
                    found = Some(number);
                    break;
                }
            }
            match found {
                Some(number) => drop(left.swap_remove(number)),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Of a CodeableConcept one coding is enough. Where one names no code (masked), or there is none, it may be any.
    fn member_of(&self, item: &Item<'a>, set: u16) -> Result<Option<bool>, Stop> {
        let holds = |coding: Option<(Option<&str>, &str)>| coding.map(|(system, code)| (self.env.valuesets)(set, system, code));
        match (&item.content, item.kind.class()) {
            (Content::Text(code), _) => Ok(Some((self.env.valuesets)(set, None, code))),
            (Content::Complex(value), Class::Coding) => Ok(holds(element::coding(value)?)),
            (Content::Complex(value), Class::Concept) => {
                let Some(codings) = get(value, "coding")? else { return Ok(None) };
                let Some(codings) = codings.as_array() else { return Err(element::not_a("coding", "is not a list").into()) };
                let mut answer = codings.first().map(|_| false);
                for coding in codings.iter() {
                    if !coding.is_object() {
                        return Err(element::not_a("coding", "holds what is not an object").into());
                    }
                    match holds(element::coding(coding)?) {
                        Some(true) => return Ok(Some(true)),
                        Some(false) => {}
                        None => answer = None,
                    }
                }
                Ok(answer)
            }
            _ => Ok(None),
        }
    }
}

pub fn is(item: &Item, kind: TypeId) -> Result<bool, Stop> {
    if item.kind.is_a(kind) {
        return Ok(true);
    }
    // A contained resource says itself what it is.
    if let Content::Complex(value) = item.content
        && item.kind.class() == Class::Complex
        && item.kind.is_resource()
        && kind.is_a(item.kind)
    {
        return match get(value, "resourceType")?.map(|name| name.as_str()) {
            Some(Some(name)) => Ok(crate::fhirpath::model::R4.named(name).is_some_and(|own| own.is_a(kind))),
            _ => Err(element::not_a("resourceType", "is not a text").into()),
        };
    }
    Ok(false)
}
