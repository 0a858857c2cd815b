//! From a document to typed values, by the table of keys.
//!
//! In: a document, the table, the environment. Out: a value for each key that is there or has a default; every problem at once.
//! Never here: what a value is for, or the content of an environment variable in a problem.

use super::keys::{Key, Shape};
use footbridge_core::document::{Content, Document};
use footbridge_core::problem::{Place, Problem, did_you_mean};
use footbridge_core::time::{Span, parse_span};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A map of the file, with the defaults of what is absent.
#[derive(Default)]
pub struct Node {
    found: BTreeMap<&'static str, Found>,
}

pub struct Found {
    pub place: Place,
    pub value: Value,
}

pub enum Value {
    /// Also a path and a choice.
    Text(String),
    Texts(Vec<String>),
    Count(u64),
    Span(Span),
    Address(SocketAddr),
    Map(Node),
    /// The word `none` where a map may stand.
    None,
    /// In the order of the file.
    Named(Vec<(String, Place, Node)>),
}

pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// `at`: the place of a map that is absent, for problems of what it should have.
pub fn read(document: Option<&Document>, keys: &'static [Key], at: &Place, env: Environment, problems: &mut Vec<Problem>) -> Node {
    let entries = match document.filter(|document| document.content != Content::Null) {
        Some(document) => {
            let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
            document.only_keys(&names, problems);
            document.map("a map", problems)
        }
        None => &[],
    };
    let mut node = Node::default();
    for key in keys {
        let written = entries.iter().find(|(name, _)| name.name == key.name);
        let place = written.map_or(at, |(_, value)| &value.place).clone();
        let value = match (written, &key.shape) {
            (written, Shape::Map(inner)) => Some(Value::Map(read(written.map(|(_, value)| value), inner, &place, env, problems))),
            (Some((_, value)), Shape::NoneOr(inner)) => match value.as_text() {
                Some("none") => Some(Value::None),
                Some(_) => {
                    problems.push(value.error("expected `none` or a map"));
                    None
                }
                None => Some(Value::Map(read(Some(value), inner, &place, env, problems))),
            },
            (Some((_, value)), Shape::Named(inner)) => Some(Value::Named(named(value, inner, env, problems))),
            (Some((_, value)), Shape::Paths | Shape::Texts) => {
                let what = if matches!(key.shape, Shape::Paths) { "a list of files" } else { "a list of texts" };
                let items = value.list(what, problems);
                Some(Value::Texts(items.iter().filter_map(|item| expanded(item, env, problems)).collect()))
            }
            (Some((_, value)), shape) => expanded(value, env, problems).and_then(|text| match parse(&text, shape) {
                Ok(parsed) => Some(parsed),
                Err((what, hint)) => {
                    problems.push(Problem { hint, ..value.error(what) });
                    None
                }
            }),
            (None, _) if key.default.is_empty() => None,
            // A test reads every default.
            (None, shape) => parse(key.default, shape).ok(),
        };
        node.found.extend(value.map(|value| (key.name, Found { place, value })));
    }
    node
}

fn named(document: &Document, keys: &'static [Key], env: Environment, problems: &mut Vec<Problem>) -> Vec<(String, Place, Node)> {
    let entries = document.map("a map from names", problems);
    entries
        .iter()
        .map(|(name, value)| (name.name.clone(), name.place.clone(), read(Some(value), keys, &value.place, env, problems)))
        .collect()
}

/// The scalar with its `${NAME}`s replaced.
fn expanded(document: &Document, env: Environment, problems: &mut Vec<Problem>) -> Option<String> {
    let text = document.text("a text or number", problems)?;
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        out += before;
        let Some((name, after)) = after.split_once('}') else {
            problems.push(document.error("`${` without its `}`").hint("write a variable of the environment as ${NAME}"));
            return None;
        };
        match env(name) {
            Some(value) => out += &value,
            None => {
                let unset = document.error(format!("the environment has no variable `{name}`"));
                problems.push(unset.hint("set it for the process, or write the value here; it must be UTF-8"));
                return None;
            }
        }
        rest = after;
    }
    Some(out + rest)
}

/// What is wrong never repeats the text: it may come from the environment.
fn parse(text: &str, shape: &Shape) -> Result<Value, (String, Option<String>)> {
    let expected = |what: String| (format!("expected {what}"), None);
    match shape {
        Shape::Text | Shape::Path if text.is_empty() => Err(expected("a text that is not empty".into())),
        Shape::Text | Shape::Path => Ok(Value::Text(text.to_owned())),
        Shape::Address => {
            text.parse().map(Value::Address).map_err(|_| expected("an address and a port, as 127.0.0.1:8686 or [::1]:8686".into()))
        }
        Shape::Count { least, most } => match text.parse() {
            Ok(count) if (*least..=*most).contains(&count) => Ok(Value::Count(count)),
            _ => Err(expected(format!("a whole number from {least} to {most}"))),
        },
        Shape::Span => match parse_span(text) {
            Some(span) if span >= Span::seconds(1) && span <= Span::days(36_525) => Ok(Value::Span(span)),
            _ => Err(expected("a length of time of a second or more, as 10s, 15m, 12h, 3d or 2w".into())),
        },
        Shape::Bytes => {
            bytes(text).map(Value::Count).ok_or_else(|| expected("a size of a byte or more, as 512B, 64KiB, 16MiB or 2GiB".into()))
        }
        Shape::OneOf(names) if names.contains(&text) => Ok(Value::Text(text.to_owned())),
        Shape::OneOf(names) => {
            let near = did_you_mean(text, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            Err((format!("expected one of {}", names.join(", ")), near))
        }
        Shape::Paths | Shape::Texts | Shape::Map(_) | Shape::NoneOr(_) | Shape::Named(_) => Err(expected("a map or a list".into())),
    }
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let count: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim_start() {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    count.checked_mul(1 << unit).filter(|bytes| (1..1 << 60).contains(bytes))
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Found> {
        self.found.get(key)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn texts(&self, key: &str) -> &[String] {
        match self.get(key).map(|found| &found.value) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }

    pub fn count(&self, key: &str) -> Option<u64> {
        match self.get(key)?.value {
            Value::Count(count) => Some(count),
            _ => None,
        }
    }

    pub fn span(&self, key: &str) -> Option<Span> {
        match self.get(key)?.value {
            Value::Span(span) => Some(span),
            _ => None,
        }
    }

    pub fn address(&self, key: &str) -> Option<SocketAddr> {
        match self.get(key)?.value {
            Value::Address(address) => Some(address),
            _ => None,
        }
    }

    pub fn map(&self, key: &str) -> Option<&Node> {
        match &self.get(key)?.value {
            Value::Map(node) => Some(node),
            _ => None,
        }
    }
}
