//! Compiles the expressions of definitions, each distinct one once, into the tables of the catalogue.
//!
//! In: a scalar of an audience file and the type that it is about. Out: its number; problems at the very character.
//! Never here: what an expression means: `fhirpath` says it.

use super::source::place_within;
use super::{Catalogue, Criterion, CriterionId, Form, Latest, LatestId, Pick, Value, ValueId};
use crate::document::{Document, Key};
use crate::fhir::compartment;
use crate::fhirpath::{self, Program, Remark};
use crate::problem::{Problem, Severity};
use std::collections::{BTreeSet, HashMap};

/// The tables under construction, and what is already in them.
#[derive(Default)]
pub struct Tables {
    pub catalogue: Catalogue,
    criteria: HashMap<(String, String), CriterionId>,
    latests: HashMap<(String, [String; 3]), LatestId>,
    values: HashMap<(String, String, Form, Pick), ValueId>,
    /// Warnings are told wherever an expression stands, though it is compiled once.
    remarks: HashMap<(String, String), Vec<Remark>>,
}

/// One file's view of the tables.
pub struct Expressions<'a> {
    pub tables: &'a mut Tables,
    pub source: &'a str,
    pub valueset: &'a dyn Fn(&str) -> Option<u16>,
    /// The value sets that this file names.
    pub named: BTreeSet<u16>,
}

impl Expressions<'_> {
    /// `{Type: expression}`.
    pub fn criterion(&mut self, kind: &Key, expression: &Document, problems: &mut Vec<Problem>) -> Option<CriterionId> {
        let text = expression_text(kind, expression, problems)?;
        let key = (kind.name.clone(), text.to_owned());
        if let Some(known) = self.tables.criteria.get(&key).copied() {
            let (kind, text) = &key;
            self.repeat(kind, text, expression, problems);
            self.named.extend(self.tables.catalogue.criteria[usize::from(known)].program.valuesets());
            return Some(known);
        }
        let program = self.compile(kind, text, expression, problems)?;
        let id = number(self.tables.catalogue.criteria.len(), expression, problems)?;
        self.tables.catalogue.criteria.push(Criterion { kind: kind.name.clone(), text: text.to_owned(), program });
        self.tables.criteria.insert(key, id);
        Some(id)
    }

    /// `latest: {Type: which, by: path, where: expression}`.
    pub fn latest(&mut self, kind: &Key, parts: [&Document; 3], problems: &mut Vec<Problem>) -> Option<LatestId> {
        let mut texts: [String; 3] = Default::default();
        for (text, part) in texts.iter_mut().zip(parts) {
            *text = expression_text(kind, part, problems)?.to_owned();
        }
        let key = (kind.name.clone(), texts);
        if let Some(known) = self.tables.latests.get(&key).copied() {
            for (text, part) in key.1.iter().zip(parts) {
                self.repeat(&kind.name, text, part, problems);
            }
            let latest = &self.tables.catalogue.latests[usize::from(known)];
            for program in [&latest.which, &latest.by, &latest.holds] {
                self.named.extend(program.valuesets());
            }
            return Some(known);
        }
        // All three, so that all problems are told at once.
        let [which, by, holds] = [0, 1, 2].map(|part| self.compile(kind, &key.1[part], parts[part], problems));
        let (which, by, holds) = (which?, by?, holds?);
        let mut timed = false;
        for (program, part, what) in [(&which, parts[0], "which resources are candidates"), (&by, parts[1], "the order of candidates")] {
            if !program.is_time_free() {
                timed = true;
                let hint = "move the comparison with `now()` or `today()` into `where`";
                problems.push(part.error(format!("{what} may not depend on the time of asking")).hint(hint));
            }
        }
        if timed {
            return None;
        }
        let id = number(self.tables.catalogue.latests.len(), parts[0], problems)?;
        self.tables.catalogue.latests.push(Latest { kind: kind.name.clone(), which, by, holds });
        self.tables.latests.insert(key, id);
        Some(id)
    }

    /// A path whose values are released.
    pub fn value(&mut self, kind: &Key, path: &Document, form: Form, pick: Pick, problems: &mut Vec<Problem>) -> Option<ValueId> {
        let text = expression_text(kind, path, problems)?;
        let key = (kind.name.clone(), text.to_owned(), form, pick);
        if let Some(known) = self.tables.values.get(&key).copied() {
            self.repeat(&key.0, &key.1, path, problems);
            self.named.extend(self.tables.catalogue.values[usize::from(known)].program.valuesets());
            return Some(known);
        }
        let program = self.compile(kind, text, path, problems)?;
        let id = number(self.tables.catalogue.values.len(), path, problems)?;
        self.tables.catalogue.values.push(Value { kind: kind.name.clone(), text: text.to_owned(), program, form, pick });
        self.tables.values.insert(key, id);
        Some(id)
    }

    fn compile(&mut self, kind: &Key, text: &str, at: &Document, problems: &mut Vec<Problem>) -> Option<Program> {
        match fhirpath::compile(text, &kind.name, self.valueset) {
            Ok((program, remarks)) => {
                self.tell(&remarks, at, problems);
                self.tables.remarks.insert((kind.name.clone(), text.to_owned()), remarks);
                self.named.extend(program.valuesets());
                Some(program)
            }
            Err(remarks) => {
                self.tell(&remarks, at, problems);
                None
            }
        }
    }

    fn repeat(&self, kind: &str, text: &str, at: &Document, problems: &mut Vec<Problem>) {
        if let Some(remarks) = self.tables.remarks.get(&(kind.to_owned(), text.to_owned())) {
            self.tell(remarks, at, problems);
        }
    }

    fn tell(&self, remarks: &[Remark], at: &Document, problems: &mut Vec<Problem>) {
        for remark in remarks {
            let place = place_within(self.source, at, remark.line, remark.column);
            let problem = match remark.severity {
                Severity::Error => Problem::error(place, remark.what.clone()),
                Severity::Warning => Problem::warning(place, remark.what.clone()),
            };
            let hint = remark.hint.clone().unwrap_or_else(|| "docs/fhirpath.md has what can be written".to_owned());
            problems.push(problem.hint(hint));
        }
    }
}

/// The text after `Type:`, if the type can say something about a person.
fn expression_text<'d>(kind: &Key, expression: &'d Document, problems: &mut Vec<Problem>) -> Option<&'d str> {
    // Shared by all people: membership would be everybody's.
    if kind.name != "Patient" && compartment::elements(&kind.name).is_empty() {
        let what = format!("a {} belongs to no patient, so nobody can be a member by it", kind.name);
        let hint = "begin at the resource that refers to it and use `resolve()`";
        problems.push(Problem::error(kind.place.clone(), what).hint(hint));
        return None;
    }
    let text = expression.text("a FHIRPath expression", problems)?;
    if text.trim().is_empty() {
        problems.push(expression.error("an empty expression never holds").hint("write a FHIRPath expression, as status = 'completed'"));
        return None;
    }
    Some(text)
}

/// Numbers are 16 bits wide in the state of every member.
fn number(used: usize, at: &Document, problems: &mut Vec<Problem>) -> Option<u16> {
    let number = u16::try_from(used).ok();
    if number.is_none() {
        problems.push(
            at.error("more than 65536 different expressions in all audiences together")
                .hint("write what several say alike in the same words"),
        );
    }
    number
}
