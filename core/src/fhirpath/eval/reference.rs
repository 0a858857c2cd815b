//! References: where they lead, by their text alone or through another resource.

use super::Eval;
use crate::fhir::json::get;
use crate::fhirpath::element::not_a;
use crate::fhirpath::node::{Fold, Node};
use crate::fhirpath::program::Remote;
use crate::fhirpath::value::{Collection, Content, Item, Stop};
use crate::timeline::Truth;
use smallvec::SmallVec;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// The text of each reference, with the Reference itself.
type Texts<'a> = SmallVec<[(Option<&'a str>, &'a Value); 2]>;

impl<'a> Eval<'a> {
    fn texts(&self, input: &'a Node, this: &Item<'a>) -> Result<Texts<'a>, Stop> {
        let mut out = Texts::new();
        for item in &self.items(input, this)? {
            if let Content::Complex(value) = item.content {
                out.push((text(value, "reference")?, value));
            }
        }
        Ok(out)
    }

    pub fn remote(&self, input: &'a Node, number: usize, fold: Fold, this: &Item<'a>) -> Result<Option<bool>, Stop> {
        let references = self.texts(input, this)?;
        if fold == Fold::One && references.len() > 1 {
            return Err(Stop::Undecided);
        }
        let mut sum = match fold {
            Fold::Any => Truth::False,
            Fold::All => Truth::True,
            Fold::One => Truth::Unknown,
        };
        for (reference, _) in references {
            let answer = self.answer(reference, number)?;
            sum = match fold {
                Fold::Any => sum.or(answer),
                Fold::All => sum.and(answer),
                Fold::One => answer,
            };
        }
        Ok(match sum {
            Truth::True => Some(true),
            Truth::False => Some(false),
            Truth::Unknown => None,
        })
    }

    fn answer(&self, reference: Option<&str>, number: usize) -> Result<Truth, Stop> {
        let Some(id) = reference.and_then(|reference| reference.strip_prefix('#')) else { return Ok((self.env.remote)(number, reference)) };
        let Some(Remote { kinds, program }) = self.remotes.get(number) else { return Ok(Truth::Unknown) };
        match self.contained(id)? {
            Some((kind, resource)) if kinds.iter().any(|known| known == kind) => {
                program.truth_at(resource, self.env, self.at.get()).map(|(truth, _)| truth).map_err(Stop::Unreadable)
            }
            // Not there, or of a type of which the program does not speak.
            _ => Ok(Truth::Unknown),
        }
    }

    /// The contained resource with this id, and its type.
    fn contained(&self, id: &str) -> Result<Option<(&'a str, &'a Value)>, Stop> {
        let Some(list) = get(self.resource, "contained")? else { return Ok(None) };
        let Some(list) = list.as_array() else { return Err(not_a("contained", "is not a list").into()) };
        for resource in list.iter() {
            if text(resource, "id")? == Some(id) {
                return Ok(text(resource, "resourceType")?.map(|kind| (kind, resource)));
            }
        }
        Ok(None)
    }

    pub fn leads_to(&self, input: &'a Node, kind: &str, this: &Item<'a>) -> Result<Option<bool>, Stop> {
        let references = self.texts(input, this)?;
        let (reference, value) = match references.as_slice() {
            [] => return Ok(None),
            [one] => *one,
            _ => return Err(Stop::Undecided),
        };
        let from_text = match reference {
            Some(reference) => match reference.strip_prefix('#') {
                Some(id) => self.contained(id)?.map(|(kind, _)| kind),
                None => type_and_id(reference).map(|(kind, _)| kind),
            },
            None => None,
        };
        let named = match from_text {
            Some(named) => Some(named),
            None => text(value, "type")?,
        };
        Ok(named.map(|named| named == kind))
    }

    pub fn reference_keys(&self, input: &'a Node, this: &Item<'a>, out: &mut Collection<'a>) -> Result<(), Stop> {
        for (reference, _) in self.texts(input, this)? {
            // Without a text it may be any resource.
            let reference = reference.ok_or(Stop::Undecided)?;
            out.push(match type_and_id(reference) {
                Some((kind, id)) => Item::text(format!("{kind}/{id}")),
                None => Item::text(reference),
            });
        }
        Ok(())
    }
}

fn text<'a>(value: &'a Value, key: &'static str) -> Result<Option<&'a str>, Stop> {
    match get(value, key)? {
        Some(text) => Ok(Some(text.as_str().ok_or(not_a(key, "is not a text"))?)),
        None => Ok(None),
    }
}

/// `Type/id` at the end of a literal reference, without its base and version.
fn type_and_id(reference: &str) -> Option<(&str, &str)> {
    let reference = reference.split_once("/_history/").map_or(reference, |(reference, _)| reference);
    let (rest, id) = reference.rsplit_once('/')?;
    let kind = rest.rsplit_once('/').map_or(rest, |(_, kind)| kind);
    (kind.starts_with(|c: char| c.is_ascii_uppercase()) && kind.chars().all(|c| c.is_ascii_alphanumeric()) && !id.is_empty())
        .then_some((kind, id))
}
