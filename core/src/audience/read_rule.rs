//! `members`: all, any, none, at_least, latest and `{Type: expression}`.
//!
//! In: the node as a document. Out: a `Rule`; a problem for every part that is wrong.
//! Never here: evaluation.

use super::expression::Expressions;
use super::{Rule, Times, window};
use crate::document::{Document, Key};
use crate::problem::{Problem, did_you_mean};

const WORDS: [&str; 5] = ["all", "any", "none", "at_least", "latest"];

/// `times` is what the audience asks for: a spread longer than a criterion holds swallows the membership.
pub fn read(node: &Document, times: Times, expressions: &mut Expressions, problems: &mut Vec<Problem>) -> Option<Rule> {
    RuleReader { times, negated: false, expressions, problems }.rule(node)
}

/// Whether a key can be a FHIR type.
pub fn is_type(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_uppercase()) && key.bytes().all(|b| b.is_ascii_alphanumeric())
}

struct RuleReader<'a, 'e, 'p> {
    times: Times,
    /// Within a `none`: what ends early there only makes the membership longer.
    negated: bool,
    expressions: &'a mut Expressions<'e>,
    problems: &'p mut Vec<Problem>,
}

impl RuleReader<'_, '_, '_> {
    fn rule(&mut self, node: &Document) -> Option<Rule> {
        let (key, value) = self.only_entry(node)?;
        match key.name.as_str() {
            "all" => self.list(value, "all").map(Rule::All),
            "any" => self.list(value, "any").map(Rule::Any),
            "none" => {
                let outer = self.negated;
                self.negated = !outer;
                let rules = match value.as_map() {
                    Some(_) => self.rule(value).map(|one| vec![one]),
                    None => self.list(value, "none"),
                };
                self.negated = outer;
                rules.map(Rule::None)
            }
            "at_least" => self.at_least(value),
            "latest" => self.latest(value),
            name if is_type(name) => {
                self.check_window(value);
                self.expressions.criterion(key, value, self.problems).map(Rule::Criterion)
            }
            name => {
                let hint = match did_you_mean(name, WORDS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write {} or a FHIR type, as Patient", WORDS.join(", ")),
                };
                self.problems.push(Problem::error(key.place.clone(), format!("unknown key `{name}`")).hint(hint));
                None
            }
        }
    }

    fn only_entry<'d>(&mut self, node: &'d Document) -> Option<(&'d Key, &'d Document)> {
        match node.map("a rule, as `Patient: gender = 'female'`", self.problems) {
            [(key, value)] => Some((key, value)),
            [] => {
                if node.as_map().is_some() {
                    self.problems.push(node.error("an empty rule").hint("write a rule, as `Patient: gender = 'female'`"));
                }
                None
            }
            [_, (second, _), ..] => {
                let what = format!("a rule has exactly one key; `{}` is one too many", second.name);
                let hint = "put the rules as a list under `all` or `any`";
                self.problems.push(Problem::error(second.place.clone(), what).hint(hint));
                None
            }
        }
    }

    fn list(&mut self, node: &Document, word: &str) -> Option<Vec<Rule>> {
        let items = node.as_list().or_else(|| {
            let expected = if word == "none" { "a list of rules or one rule" } else { "a list of rules" };
            self.problems.push(
                node.error(format!("expected {expected}, found {}", node.describe()))
                    .hint(format!("begin each rule under `{word}` with `- `")),
            );
            None
        })?;
        if items.is_empty() {
            // `all` of nothing holds for everybody.
            self.problems.push(node.error(format!("`{word}` of no rules")).hint("list at least one rule"));
            return None;
        }
        let rules: Vec<Option<Rule>> = items.iter().map(|item| self.rule(item)).collect();
        rules.into_iter().collect()
    }

    fn at_least(&mut self, node: &Document) -> Option<Rule> {
        node.map("a map with `count` and `of`", self.problems);
        node.only_keys(&["count", "of"], self.problems);
        let count = self.part(node, "count", "at_least").and_then(|count| self.count(count));
        let of = self.part(node, "of", "at_least")?;
        let Some(items) = of.as_list() else {
            let (key, value) = self.only_entry(of)?;
            if !is_type(&key.name) {
                let hint = "give `of` a list of rules, or one `Type: expression` whose resources are counted";
                self.problems.push(Problem::error(key.place.clone(), format!("`{}` cannot be counted", key.name)).hint(hint));
                return None;
            }
            self.check_window(value);
            let criterion = self.expressions.criterion(key, value, self.problems);
            return Some(Rule::AtLeastResources(count?, criterion?));
        };
        let listed = items.len();
        let rules = self.list(of, "of");
        let count = count?;
        if count > listed {
            self.problems.push(node.error(format!("{count} of {listed} rules can never hold")).hint("lower `count` or list more rules"));
            return None;
        }
        Some(Rule::AtLeast(count, rules?))
    }

    fn count(&mut self, node: &Document) -> Option<usize> {
        let text = node.text("a whole number", self.problems)?;
        match text.parse::<u16>() {
            Ok(count) if count > 0 => Some(usize::from(count)),
            _ => {
                self.problems.push(node.error(format!("`{text}` is no count")).hint("write a whole number from 1 to 65535"));
                None
            }
        }
    }

    fn latest(&mut self, node: &Document) -> Option<Rule> {
        let entries = node.map("a map with `Type: which`, `by` and `where`", self.problems);
        let kinds: Vec<_> = entries.iter().filter(|(key, _)| is_type(&key.name)).collect();
        let known: Vec<&str> = kinds.iter().map(|(key, _)| key.name.as_str()).chain(["by", "where"]).collect();
        node.only_keys(&known, self.problems);
        let by = self.part(node, "by", "latest");
        let holds = self.part(node, "where", "latest");
        match kinds.as_slice() {
            [(kind, which)] => {
                let parts = [which, by?, holds?];
                self.check_window(parts[2]);
                self.expressions.latest(kind, parts, self.problems).map(Rule::Latest)
            }
            [] => {
                if node.as_map().is_some() {
                    self.problems.push(
                        node.error("`latest` names no type")
                            .hint("add which resources are candidates, as `Appointment: status = 'booked'`"),
                    );
                }
                None
            }
            [_, (second, _), ..] => {
                let what = format!("`latest` has one type; `{}` is one too many", second.name);
                self.problems.push(Problem::error(second.place.clone(), what).hint("write one `latest` for each type"));
                None
            }
        }
    }

    fn part<'d>(&mut self, node: &'d Document, key: &str, of: &str) -> Option<&'d Document> {
        let found = node.get(key);
        if found.is_none() && node.as_map().is_some() {
            self.problems.push(
                node.error(format!("`{of}` needs the key `{key}`")).hint(format!("add `{key}: …` beside the others (docs/audiences.md)")),
            );
        }
        found
    }

    fn check_window(&mut self, expression: &Document) {
        let (Times::Spread(spread), false, Some(text)) = (self.times, self.negated, expression.as_text()) else { return };
        let Some(longest) = window::longest(text) else { return };
        if longest.0 < 2 * spread.0 {
            let what = "this can hold for less than twice the spread of times, so that some members may never be told of";
            let hint = "widen the window, narrow `times: { spread: … }`, or say `times: exact`";
            self.problems.push(Problem::warning(expression.place.clone(), what).hint(hint));
        }
    }
}
