//! What a story expected beside what happened, in words.
//!
//! In: the lines of `then`, and the events that left. Out: nothing where they agree, else a text of two columns.
//! Never here: running a story, colours, the width of a terminal.

use super::{Status, Then};
use crate::time::{Instant, Span};

/// An event, as stories speak of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    pub at: Instant,
    pub person: String,
    pub status: Status,
    pub reason: String,
    /// Why, in full: it helps whoever reads a failure.
    pub cause: Option<String>,
}

/// `None`: all is as told. Renewals must be left out by the caller unless the story has them.
pub fn compare(expected: &[Then], happened: &[Happened]) -> Option<String> {
    let rows = rows(expected, happened);
    let wrong = rows.iter().filter(|row| row.mark != ' ').count();
    if wrong == 0 {
        return None;
    }
    let left: Vec<String> = rows.iter().map(|row| row.expected.map_or("-".to_owned(), told)).collect();
    let right: Vec<String> = rows.iter().map(|row| row.happened.map_or("-".to_owned(), seen)).collect();
    let width = |column: &[String], title: &str| column.iter().map(|c| c.chars().count()).max().unwrap_or(0).max(title.len());
    let (wide_left, wide_right) = (width(&left, "the story says"), width(&right, "what happened"));
    let mut out = format!("  {:wide_left$}   {}\n", "the story says", "what happened");
    for ((row, left), right) in rows.iter().zip(&left).zip(&right) {
        let line = format!("{} {left:wide_left$}   {right:wide_right$}   {}", row.mark, row.words);
        out += line.trim_end();
        out.push('\n');
    }
    Some(out)
}

struct Row<'a> {
    /// Blank where both agree, `!` where not.
    mark: char,
    expected: Option<&'a Then>,
    happened: Option<&'a Happened>,
    words: String,
}

fn rows<'a>(expected: &'a [Then], happened: &'a [Happened]) -> Vec<Row<'a>> {
    let mut left = vec![true; happened.len()];
    let mut take = |fits: &dyn Fn(&Happened) -> bool| {
        let found = (0..happened.len()).find(|index| left[*index] && fits(&happened[*index]))?;
        left[found] = false;
        Some(&happened[found])
    };
    // What agrees is paired first, then what is of the same person and kind, then whatever the same person did at that instant.
    let mut paired: Vec<Option<&Happened>> = expected.iter().map(|then| take(&|h| agrees(then, h))).collect();
    for (then, found) in expected.iter().zip(&mut paired).filter(|(_, found)| found.is_none()) {
        *found = take(&|h| h.person == then.person && h.at == then.at);
    }
    for (then, found) in expected.iter().zip(&mut paired).filter(|(_, found)| found.is_none()) {
        *found = take(&|h| h.person == then.person && h.status == then.status);
    }
    let mut rows: Vec<Row> = expected.iter().zip(paired).map(|(then, found)| row(then, found)).collect();
    let extra = happened.iter().zip(&left).filter(|(_, left)| **left).map(|(h, _)| h);
    rows.extend(extra.map(|h| Row { mark: '!', expected: None, happened: Some(h), words: because("the story does not tell of it", h) }));
    rows.sort_by_key(|row| row.expected.map(|then| then.at).or(row.happened.map(|h| h.at)));
    rows
}

fn agrees(then: &Then, happened: &Happened) -> bool {
    then.at == happened.at
        && then.person == happened.person
        && then.status == happened.status
        && then.reason.as_ref().is_none_or(|reason| *reason == happened.reason)
}

fn row<'a>(then: &'a Then, found: Option<&'a Happened>) -> Row<'a> {
    let Some(happened) = found else {
        return Row { mark: '!', expected: Some(then), happened: None, words: "it did not happen".to_owned() };
    };
    if agrees(then, happened) {
        return Row { mark: ' ', expected: found.and(Some(then)), happened: found, words: String::new() };
    }
    let mut words = Vec::new();
    if happened.at != then.at {
        words.push(apart(then.at, happened.at));
    }
    if happened.status != then.status {
        words.push(format!("{}, not {}", happened.status.name(), then.status.name()));
    } else if let Some(reason) = then.reason.as_ref().filter(|reason| **reason != happened.reason) {
        words.push(format!("the reason is {}, not {reason}", happened.reason));
    }
    Row { mark: '!', expected: Some(then), happened: found, words: because(&words.join("; "), happened) }
}

fn because(words: &str, happened: &Happened) -> String {
    match &happened.cause {
        Some(cause) => format!("{words} (cause: {cause})"),
        None => words.to_owned(),
    }
}

fn told(then: &Then) -> String {
    let reason = then.reason.as_deref().map(|reason| format!(" {reason}")).unwrap_or_default();
    format!("{} {} {}{reason}", short(then.at), then.person, then.status.name())
}

fn seen(happened: &Happened) -> String {
    format!("{} {} {} {}", short(happened.at), happened.person, happened.status.name(), happened.reason)
}

/// As stories write instants: without seconds where there are none.
fn short(at: Instant) -> String {
    let full = at.to_string();
    full.strip_suffix(":00Z").map(|minutes| format!("{minutes}Z")).unwrap_or(full)
}

/// The greatest units of the distance, and its direction.
fn apart(expected: Instant, happened: Instant) -> String {
    let (distance, direction) =
        if happened > expected { (happened.since(expected), "later") } else { (expected.since(happened), "earlier") };
    let mut left = distance.0 / Span::seconds(1).0;
    let mut parts = Vec::new();
    for (unit, seconds) in [("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)] {
        let count = left / seconds;
        left %= seconds;
        if count > 0 && parts.len() < 2 {
            parts.push(if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") });
        }
    }
    if parts.is_empty() {
        parts.push("less than a second".to_owned());
    }
    format!("{} {direction}", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Place;

    fn at(text: &str) -> Instant {
        Instant::parse(text).expect(text)
    }

    fn then(at_text: &str, person: &str, status: Status, reason: Option<&str>) -> Then {
        Then {
            at: at(at_text),
            person: person.to_owned(),
            status,
            reason: reason.map(str::to_owned),
            place: Place::new("a.test.yaml", 1, 1),
        }
    }

    fn happened(at_text: &str, person: &str, status: Status, reason: &str) -> Happened {
        Happened { at: at(at_text), person: person.to_owned(), status, reason: reason.to_owned(), cause: None }
    }

    #[test]
    fn what_agrees_says_nothing() {
        let expected =
            [then("2026-03-01T06:00Z", "ann", Status::Entered, None), then("2026-06-01T10:00Z", "ann", Status::Exited, Some("stop"))];
        let seen = [
            happened("2026-06-01T10:00Z", "ann", Status::Exited, "stop"),
            happened("2026-03-01T06:00Z", "ann", Status::Entered, "qualified"),
        ];
        assert_eq!(compare(&expected, &seen), None);
        assert_eq!(compare(&[], &[]), None);
    }

    #[test]
    fn differences_stand_side_by_side() {
        let expected = [
            then("2026-03-01T06:00Z", "ann", Status::Entered, None),
            then("2026-06-01T10:00Z", "ann", Status::Exited, Some("ended")),
            then("2026-06-01T10:00Z", "bea", Status::Updated, None),
            then("2026-07-01T10:00Z", "ann", Status::Entered, None),
        ];
        let mut extra = happened("2026-08-01T10:00:05Z", "bea", Status::Exited, "ended");
        extra.cause = Some("no-longer-qualified".to_owned());
        let seen = [
            happened("2026-03-01T06:00Z", "ann", Status::Entered, "qualified"),
            happened("2026-06-01T10:00Z", "ann", Status::Exited, "stop"),
            happened("2026-07-02T11:00Z", "ann", Status::Entered, "qualified"),
            extra,
        ];
        let expected_text = "
  the story says                       what happened
  2026-03-01T06:00Z ann entered        2026-03-01T06:00Z ann entered qualified
! 2026-06-01T10:00Z ann exited ended   2026-06-01T10:00Z ann exited stop         the reason is stop, not ended
! 2026-06-01T10:00Z bea updated        -                                         it did not happen
! 2026-07-01T10:00Z ann entered        2026-07-02T11:00Z ann entered qualified   1 day 1 hour later
! -                                    2026-08-01T10:00:05Z bea exited ended     the story does not tell of it (cause: no-longer-qualified)
";
        assert_eq!(format!("\n{}", compare(&expected, &seen).expect("a difference")), expected_text);
    }
}
