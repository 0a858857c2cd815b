//! `Problem`: what is wrong with something that a person wrote, where, and what to do.
//!
//! In: mappings, value sets, policy, stories. Out: problems that a command renders, all at once.
//! Never here: a file being read, or any patient data.

use std::fmt;

/// A spot in a text: 1-based line and column, both counted in characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// Relative to the mappings folder.
    pub file: String,
    pub line: u32,
    pub column: u32,
}

impl Place {
    pub fn new(file: impl Into<String>, line: u32, column: u32) -> Self {
        Place { file: file.into(), line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            _ => write!(f, "{}:{}:{}", self.file, self.line, self.column),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is built while one of these stands.
    Error,
    /// `check` shows it; the mapping loads.
    Warning,
}

/// `what` and `hint` are lower case, without a full stop, and hold no patient data.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    pub severity: Severity,
    pub place: Place,
    pub what: String,
    pub hint: Option<String>,
}

impl Problem {
    pub fn error(place: Place, what: impl Into<String>) -> Self {
        Problem { severity: Severity::Error, place, what: what.into(), hint: None }
    }

    pub fn warning(place: Place, what: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, place, what: what.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.is_error() { "" } else { "warning: " };
        write!(f, "{}  {mark}{}", self.place, self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The candidate that differs from `given` by the fewest edits, if it is close enough to be what was meant.
pub fn did_you_mean<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (edits(given, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count().min(given.chars().count()) / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, upper and lower case alike.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_offered_and_a_far_one_is_not() {
        let known = ["address", "audience", "channels"];
        assert_eq!(did_you_mean("adress", known), Some("address"));
        assert_eq!(did_you_mean("Channel", known), Some("channels"));
        assert_eq!(did_you_mean("telephone", known), None);
    }

    #[test]
    fn a_problem_says_where_what_and_what_next() {
        let problem = Problem::error(Place::new("audiences/a.yaml", 14, 3), "unknown key `adress`").hint("did you mean `address`?");
        assert_eq!(problem.to_string(), "audiences/a.yaml:14:3  unknown key `adress`\n  hint: did you mean `address`?");
    }
}
