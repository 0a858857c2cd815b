//! Reads the stories of an audience (design: Stories; docs/stories.md).
//!
//! In: a document of `audiences/NAME.test.yaml`. Out: stories; every problem at once, with its place.
//! Never here: running them.

use super::resource::{patient, resource};
use super::{Given, Happening, Person, Status, Story, Then};
use crate::audience::Channel;
use crate::document::{Document, Key};
use crate::problem::{Place, Problem, did_you_mean};
use crate::time::Instant;
use jiff::civil;

/// What stories may name.
pub struct Known<'a> {
    pub valuesets: &'a [&'a str],
    /// System and code of the first code of a value set.
    pub first_code: &'a dyn Fn(&str) -> Option<FirstCode>,
}

/// System, if the set names one, and code.
pub type FirstCode = (Option<String>, String);

/// Codes of PurposeOfUse (v3-ActReason) that a person may consent to or deny.
const PURPOSES: [&str; 30] = [
    "TREAT", "HOPERAT", "HMARKT", "HPAYMT", "HRESCH", "PATRQT", "PUBHLTH", "COC", "POPHLTH", "CLINTRL", "TREATDS", "ETREAT", "BTG",
    "ERTREAT", "CAREMGT", "PATADMIN", "PATSFTY", "HDIRECT", "HQUALIMP", "SYSDEV", "FAMRQT", "PWATRNY", "SUPNWK", "DONAT", "FRAUD", "GOV",
    "HACCRED", "HCOMPL", "HDECD", "LEGAL",
];
/// The keys of one story; `schemas/` is made from them.
pub const KEYS: [&str; 6] = ["story", "people", "given", "then", "renewals", "until"];
const VERBS: [&str; 5] = ["consents", "denies", "revokes", "opts", "dies"];
const ENTER_REASONS: [&str; 4] = ["qualified", "changed", "renewed", "resumed"];
const EXIT_REASONS: [&str; 6] = ["ended", "stop", "paused", "erased", "deceased", "merged"];

pub fn read(document: &Document, known: &Known, problems: &mut Vec<Problem>) -> Vec<Story> {
    let items = document.list("a list of stories, each beginning with `- story:`", problems);
    if document.as_list().is_some() && items.is_empty() {
        problems.push(Problem::warning(document.place.clone(), "no story is told here"));
    }
    let stories: Vec<Story> = items.iter().filter_map(|item| story(item, known, problems)).collect();
    for (index, story) in stories.iter().enumerate() {
        if stories[..index].iter().any(|earlier| earlier.name == story.name) {
            problems.push(Problem::error(story.place.clone(), format!("a story named `{}` is already told", story.name)));
        }
    }
    stories
}

fn story(node: &Document, known: &Known, problems: &mut Vec<Problem>) -> Option<Story> {
    node.map("a story with `story`, `people`, `given` and `then`", problems);
    node.only_keys(&KEYS, problems);
    for key in ["story", "people", "then"] {
        if node.as_map().is_some() && node.get(key).is_none() {
            problems.push(node.error(format!("the story needs the key `{key}`")).hint(format!("add `{key}: …` (docs/stories.md)")));
        }
    }
    let name = node.get("story")?;
    let place = name.place.clone();
    let name = name.text("the story's name", problems)?.to_owned();
    let people = node.get("people").map(|people| self::people(people, problems)).unwrap_or_default();
    let names: Vec<&str> = people.iter().map(|person| person.name.as_str()).collect();
    let mut given = Vec::new();
    if let Some(lines) = node.get("given") {
        for (index, line) in lines.list("a list of what happens", problems).iter().enumerate() {
            given.extend(self::given(line, index + 1, &names, known, problems));
        }
    }
    let mut then = Vec::new();
    if let Some(lines) = node.get("then") {
        for line in lines.list("a list of what must leave; `[]` for nothing", problems) {
            then.extend(self::then(line, &names, problems));
        }
    }
    let renewals = node.get("renewals").and_then(|node| node.one_of(&[("true", true), ("false", false)], problems)).unwrap_or(false);
    let until = node.get("until").and_then(|until| {
        let text = until.text("an instant", problems)?;
        instant(text, &until.place, problems)
    });
    let lines = |key: &str| node.get(key).and_then(Document::as_list).map_or(0, <[_]>::len);
    if node.as_map().is_some() && lines("given") + lines("then") == 0 && node.get("until").is_none() {
        problems.push(node.error("nothing gives this story a time").hint("add a line under `given` or `then`, or `until`"));
    }
    given.sort_by_key(|(given, _): &(Given, Place)| given.at);
    then.sort_by_key(|then: &Then| then.at);
    check_revokes(&given, problems);
    let given = given.into_iter().map(|(given, _)| given).collect();
    Some(Story { name, place, people, given, then, renewals, until })
}

fn people(node: &Document, problems: &mut Vec<Problem>) -> Vec<Person> {
    let entries = node.map("a map of names and what is known of each", problems);
    if node.as_map().is_some_and(<[_]>::is_empty) {
        problems.push(node.error("a story needs at least one person").hint("write people: { ann: { gender: female } }"));
    }
    let mut people = Vec::new();
    for (key, value) in entries {
        // The name is the Patient's id.
        let is_name = (1..=64).contains(&key.name.len()) && key.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_name {
            let problem = Problem::error(key.place.clone(), format!("`{}` is no name for a person of a story", key.name));
            problems.push(problem.hint("use letters, digits and `-`"));
            continue;
        }
        people.push(Person { name: key.name.clone(), patient: patient(&key.name, value, problems) });
    }
    people
}

fn given(line: &Document, number: usize, names: &[&str], known: &Known, problems: &mut Vec<Problem>) -> Option<(Given, Place)> {
    if let Some([(key, value)]) = line.as_map() {
        let (at, person, rest) = head(&key.name, &key.place, names, problems)?;
        if !rest.is_empty() {
            let hint = "write INSTANT NAME: { resourceType: … }, without a colon after what is said in words";
            problems.push(Problem::error(key.place.clone(), "only a name stands before a resource").hint(hint));
            return None;
        }
        let (kind, id, fields) = resource(person, number, value, known, problems)?;
        let given = Given { at, person: person.to_owned(), what: Happening::Resource { kind, id, fields } };
        return Some((given, key.place.clone()));
    }
    if let Some([(Key { place, .. }, _), ..]) = line.as_map() {
        problems.push(Problem::error(place.clone(), "a line tells of one happening").hint("begin each with `- `"));
        return None;
    }
    let text = line.text("a line, as `2026-06-01T10:00Z ann denies TREAT`", problems)?;
    let (at, person, words) = head(text, &line.place, names, problems)?;
    let what = happening(&words, line, problems)?;
    Some((Given { at, person: person.to_owned(), what }, line.place.clone()))
}

/// Instant, name and the words after them.
fn head<'t>(text: &'t str, place: &Place, names: &[&str], problems: &mut Vec<Problem>) -> Option<(Instant, &'t str, Vec<&'t str>)> {
    let mut words = text.split_whitespace();
    let (Some(first), Some(name)) = (words.next(), words.next()) else {
        let problem = Problem::error(place.clone(), "a line begins with an instant and a name");
        problems.push(problem.hint("write it as `2026-06-01T10:00Z ann denies TREAT`"));
        return None;
    };
    let at = instant(first, place, problems)?;
    if !names.contains(&name) {
        let hint = match did_you_mean(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "add the name under `people`".to_owned(),
        };
        problems.push(Problem::error(place.clone(), format!("nobody here is named `{name}`")).hint(hint));
        return None;
    }
    Some((at, name, words.collect()))
}

fn instant(text: &str, place: &Place, problems: &mut Vec<Problem>) -> Option<Instant> {
    match Instant::parse(text) {
        Ok(at) => Some(at),
        Err(_) => {
            let problem = Problem::error(place.clone(), format!("`{text}` is not an instant"));
            problems.push(problem.hint("write it with its zone, as 2026-06-01T10:00Z or 2026-06-01T05:00-05:00"));
            None
        }
    }
}

fn happening(words: &[&str], line: &Document, problems: &mut Vec<Problem>) -> Option<Happening> {
    match *words {
        ["consents", code] => Some(Happening::Consents { purpose: purpose(code, line, problems)?, until: None }),
        ["consents", code, "until", day] => {
            let Ok(until) = day.parse::<civil::Date>() else {
                problems.push(line.error(format!("`{day}` is not a day")).hint("write it as 2026-12-31; the whole of it counts"));
                return None;
            };
            Some(Happening::Consents { purpose: purpose(code, line, problems)?, until: Some(until) })
        }
        ["denies", code] => Some(Happening::Denies { purpose: purpose(code, line, problems)? }),
        ["revokes"] => Some(Happening::Revokes),
        ["opts", "out", "email"] => Some(Happening::OptsOut(Channel::Email)),
        ["opts", "out", "sms"] => Some(Happening::OptsOut(Channel::Sms)),
        ["dies"] => Some(Happening::Dies),
        _ => {
            let hint = match words.first().and_then(|verb| did_you_mean(verb, VERBS)) {
                Some(near) if !words.contains(&near) => format!("did you mean `{near}`?"),
                _ => "write consents PURPOSE [until DAY], denies PURPOSE, revokes, opts out email, opts out sms, dies, or a resource after `NAME:`".to_owned(),
            };
            let what =
                if words.is_empty() { "nothing happens here".to_owned() } else { format!("`{}` is not understood", words.join(" ")) };
            problems.push(line.error(what).hint(hint));
            None
        }
    }
}

fn purpose(code: &str, line: &Document, problems: &mut Vec<Problem>) -> Option<String> {
    if PURPOSES.contains(&code) {
        return Some(code.to_owned());
    }
    let hint = match did_you_mean(code, PURPOSES) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write a code of PurposeOfUse, as TREAT, HOPERAT or HMARKT".to_owned(),
    };
    problems.push(line.error(format!("unknown purpose `{code}`")).hint(hint));
    None
}

fn then(line: &Document, names: &[&str], problems: &mut Vec<Problem>) -> Option<Then> {
    let text = line.text("a line, as `2026-03-01T06:00Z ann entered`", problems)?;
    let (at, person, words) = head(text, &line.place, names, problems)?;
    let (status, reason) = match *words {
        ["entered", ref reason @ ..] => (Status::Entered, reason),
        ["updated", ref reason @ ..] => (Status::Updated, reason),
        ["exited", ref reason @ ..] => (Status::Exited, reason),
        _ => {
            problems.push(
                line.error(format!("`{}` is not what can leave", words.join(" ")))
                    .hint("write entered, updated or exited, and a reason if it matters"),
            );
            return None;
        }
    };
    let reasons: &[&str] = if status == Status::Exited { &EXIT_REASONS } else { &ENTER_REASONS };
    let reason = match *reason {
        [] => None,
        [one] if reasons.contains(&one) => Some(one.to_owned()),
        _ => {
            let problem = line.error(format!("`{}` is no reason to have {}", reason.join(" "), status.name()));
            problems.push(problem.hint(format!("write one of {}", reasons.join(", "))));
            return None;
        }
    };
    Some(Then { at, person: person.to_owned(), status, reason, place: line.place.clone() })
}

/// A revocation needs something to revoke; else the story tests nothing.
fn check_revokes(given: &[(Given, Place)], problems: &mut Vec<Problem>) {
    for (index, (revoked, place)) in given.iter().enumerate() {
        let is_consent = |(earlier, _): &(Given, Place)| {
            earlier.person == revoked.person
                && match &earlier.what {
                    Happening::Consents { .. } | Happening::Denies { .. } => true,
                    Happening::Resource { kind, .. } => kind == "Consent",
                    Happening::Revokes | Happening::OptsOut(_) | Happening::Dies => false,
                }
        };
        if revoked.what == Happening::Revokes && !given[..index].iter().any(is_consent) {
            let problem = Problem::error(place.clone(), format!("{} has no Consent to revoke", revoked.person));
            problems.push(problem.hint("add an earlier line `consents` or `denies`"));
        }
    }
}
