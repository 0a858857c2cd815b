//! `Document`: a YAML or JSON text as a tree in which every part knows its place.
//!
//! In: the tree that the configuration reader built. Out: typed parts, and a `Problem` for each that is wrong.
//! Never here: a file, a parser, a default; each room reads its own documents with these helpers.

use crate::problem::{Place, Problem, did_you_mean};

#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub place: Place,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Keys in the order of the file; the reader has refused duplicates.
    Map(Vec<(Key, Document)>),
    List(Vec<Document>),
    /// The scalar as it was written, without its quotes.
    Text {
        text: String,
        quoted: bool,
    },
    Null,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub place: Place,
    pub name: String,
}

impl Document {
    pub fn describe(&self) -> &'static str {
        match self.content {
            Content::Map(_) => "a map",
            Content::List(_) => "a list",
            Content::Text { .. } => "a text",
            Content::Null => "nothing",
        }
    }

    pub fn error(&self, what: impl Into<String>) -> Problem {
        Problem::error(self.place.clone(), what)
    }

    pub fn as_map(&self) -> Option<&[(Key, Document)]> {
        match &self.content {
            Content::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Document]> {
        match &self.content {
            Content::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    pub fn get(&self, key: &str) -> Option<&Document> {
        self.as_map()?.iter().find(|(name, _)| name.name == key).map(|(_, value)| value)
    }

    /// Says itself what to write.
    fn unlike(&self, expected: &str) -> Problem {
        self.error(format!("expected {expected}, found {}", self.describe()))
    }

    /// A map's entries; anything else is a problem that names what was expected.
    pub fn map(&self, expected: &str, problems: &mut Vec<Problem>) -> &[(Key, Document)] {
        self.as_map().unwrap_or_else(|| {
            problems.push(self.unlike(expected));
            &[]
        })
    }

    /// A list's items; anything else is a problem.
    pub fn list(&self, expected: &str, problems: &mut Vec<Problem>) -> &[Document] {
        self.as_list().unwrap_or_else(|| {
            problems.push(self.unlike(expected));
            &[]
        })
    }

    /// A scalar; anything else is a problem.
    pub fn text(&self, expected: &str, problems: &mut Vec<Problem>) -> Option<&str> {
        let text = self.as_text();
        if text.is_none() {
            problems.push(self.unlike(expected));
        }
        text
    }

    /// One of `choices`, by name.
    pub fn one_of<T: Copy>(&self, choices: &[(&str, T)], problems: &mut Vec<Problem>) -> Option<T> {
        let names = || choices.iter().map(|(name, _)| *name);
        let listed = names().collect::<Vec<_>>().join(", ");
        let text = self.text(&format!("one of {listed}"), problems)?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let hint = match did_you_mean(text, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write one of {listed}"),
            };
            problems.push(self.error(format!("unknown value `{text}`")).hint(hint));
        }
        found
    }

    /// A problem for every key that is not in `known`.
    pub fn only_keys(&self, known: &[&str], problems: &mut Vec<Problem>) {
        for (key, _) in self.as_map().unwrap_or(&[]) {
            if !known.contains(&key.name.as_str()) {
                let hint = match did_you_mean(&key.name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known keys here: {}", known.join(", ")),
                };
                problems.push(Problem::error(key.place.clone(), format!("unknown key `{}`", key.name)).hint(hint));
            }
        }
    }
}
