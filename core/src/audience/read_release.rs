//! `release`: the values that leave with an event, and in which form.
//!
//! In: the node as a document. Out: the released keys with their values' numbers; a problem for every part that is wrong.
//! Never here: a resource; the form is applied where a value is read.

use super::expression::Expressions;
use super::read_rule::is_type;
use super::{Form, Pick, Released};
use crate::document::{Document, Key};
use crate::problem::Problem;

pub const FORMS: [(&str, Form); 5] =
    [("month", Form::Month), ("year", Form::Year), ("age-band", Form::AgeBand), ("zip3", Form::Zip3), ("hash", Form::Hash)];
pub const PICKS: [(&str, Pick); 2] = [("first", Pick::First), ("latest", Pick::Latest)];

pub fn read(node: &Document, expressions: &mut Expressions, problems: &mut Vec<Problem>) -> Vec<Released> {
    let entries = node.map("a map of the attributes that are released", problems);
    entries.iter().filter_map(|(key, value)| attribute(key, value, expressions, problems)).collect()
}

fn attribute(key: &Key, node: &Document, expressions: &mut Expressions, problems: &mut Vec<Problem>) -> Option<Released> {
    let is_name = key.name.starts_with(|c: char| c.is_ascii_lowercase())
        && key.name.len() <= 64
        && key.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !is_name {
        let problem = Problem::error(key.place.clone(), format!("`{}` is no name for an attribute", key.name));
        problems.push(problem.hint("use small letters, digits and `_`, beginning with a letter"));
    }
    let entries = node.map("a map with `Type: path`", problems);
    let kinds: Vec<_> = entries.iter().filter(|(key, _)| is_type(&key.name)).collect();
    let known: Vec<&str> = kinds.iter().map(|(key, _)| key.name.as_str()).chain(["pick", "as"]).collect();
    node.only_keys(&known, problems);
    let form = node.get("as").map_or(Some(Form::AsIs), |form| form.one_of(&FORMS, problems));
    let pick = node.get("pick").map_or(Some(Pick::First), |pick| pick.one_of(&PICKS, problems));
    match kinds.as_slice() {
        [(kind, path)] => {
            // A wrong form or pick is told already; the path's own problems are told with it.
            let value = expressions.value(kind, path, form.unwrap_or(Form::AsIs), pick.unwrap_or(Pick::First), problems);
            form.and(pick)?;
            Some(Released { name: key.name.clone(), value: value? }).filter(|_| is_name)
        }
        [] => {
            if node.as_map().is_some() {
                problems.push(
                    node.error(format!("`{}` names no type", key.name)).hint("write where the value comes from, as `Patient: birthDate`"),
                );
            }
            None
        }
        [_, (second, _), ..] => {
            let what = format!("`{}` comes from one type; `{}` is one too many", key.name, second.name);
            problems.push(Problem::error(second.place.clone(), what).hint("write one attribute for each type"));
            None
        }
    }
}
