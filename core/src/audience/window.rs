//! How long a criterion can hold, as far as its text says so plainly.
//!
//! In: a FHIRPath expression. Out: the longest time that comparisons of one path with `now()` or `today()` leave.
//! Never here: `or`, nested expressions, two different paths: then nothing is said, and nothing is claimed.

use crate::time::Span;
use regex::Regex;
use std::sync::LazyLock;

static COMPARISON: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"^([A-Za-z][A-Za-z0-9_.]*)\s*(<=|>=|<|>)\s*(?:now|today)\(\)\s*(?:([+-])\s*([0-9]+)\s+(year|month|week|day|hour|minute|second)s?)?$";
    Regex::new(pattern).expect("the pattern is right: a test uses it")
});

/// `path > now() - P` holds until `P` after the path's instant, `path <= now() - Q` from `Q` after it: together for `P − Q`.
/// Without a lower edge: for `P` after the instant, the most that one who arrives with it has.
/// `None`: the text does not say.
pub fn longest(expression: &str) -> Option<Span> {
    let mut least: Option<Span> = None;
    let parts = conjuncts(expression)?;
    let edges: Vec<_> = parts.iter().filter_map(|part| edge(part)).collect();
    for (path, until) in edges.iter().filter_map(|e| e.until.map(|until| (&e.path, until))) {
        let from = edges.iter().filter(|e| &e.path == path).filter_map(|e| e.from).max_by_key(|span| span.0).unwrap_or(Span::ZERO);
        let length = Span(until.0.saturating_sub(from.0));
        least = Some(least.map_or(length, |known| Span(known.0.min(length.0))));
    }
    least
}

struct Edge {
    path: String,
    /// After the path's instant.
    from: Option<Span>,
    until: Option<Span>,
}

fn edge(part: &str) -> Option<Edge> {
    let found = COMPARISON.captures(part.trim())?;
    let unit = match found.get(5).map_or("", |unit| unit.as_str()) {
        // The longest that each can be, so that no window is called shorter than it is.
        "year" => Span::days(366),
        "month" => Span::days(31),
        "week" => Span::days(7),
        "day" => Span::days(1),
        "hour" => Span::hours(1),
        "minute" => Span::minutes(1),
        _ => Span::seconds(1),
    };
    let count: i64 = found.get(4).map_or(Some(0), |count| count.as_str().parse().ok())?;
    let length = unit.0.checked_mul(count)?;
    let after = Span(if found.get(3).is_some_and(|sign| sign.as_str() == "+") { -length } else { length });
    let path = found[1].to_owned();
    match &found[2] {
        ">" | ">=" => Some(Edge { path, from: None, until: Some(after) }),
        _ => Some(Edge { path, from: Some(after), until: None }),
    }
}

/// The parts that `and` joins at the top; `None` where anything weaker joins them.
fn conjuncts(expression: &str) -> Option<Vec<String>> {
    let (mut parts, mut depth, mut quoted) = (vec![String::new()], 0usize, false);
    for word in words(expression) {
        match word {
            "'" => quoted = !quoted,
            "(" if !quoted => depth += 1,
            ")" if !quoted => depth = depth.checked_sub(1)?,
            "or" | "xor" | "implies" if !quoted && depth == 0 => return None,
            "and" if !quoted && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut()?.push_str(word);
    }
    Some(parts)
}

/// Names and numbers whole, everything else a character at a time.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_name(first) { rest.find(|c| !is_name(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (word, after) = rest.split_at(length);
        words.push(word);
        rest = after;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_told_where_the_text_says_so() {
        for (text, expected) in [
            ("start > now() - 2 days", Some(Span::days(2))),
            ("status = 'noshow' and start >= today() - 5 days", Some(Span::days(5))),
            ("period.end <= now() - 90 days and period.end > now() - 93 days", Some(Span::days(3))),
            ("birthDate <= today() - 50 years and birthDate > today() - 75 years", Some(Span::days(25 * 366))),
            ("start < now() + 3 days and start > now()", Some(Span::days(3))),
            ("a > now() - 10 days and b > now() - 4 days", Some(Span::days(4))),
            ("status = 'a and b' and start > now() - 4 days", Some(Span::days(4))),
            // Nothing bounds these from above.
            ("start <= now() - 3 days", None),
            ("start > now() - 2 days or status = 'x'", None),
            ("exists(start > now() - 2 days)", None),
            ("status = 'x'", None),
            ("", None),
            (")))", None),
        ] {
            assert_eq!(longest(text), expected, "{text}");
        }
    }
}
