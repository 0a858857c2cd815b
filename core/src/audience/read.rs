//! Reads `audiences/*.yaml` into the catalogue. The keys are described in docs/audiences.md.
//!
//! In: documents with places, their texts, what the policy and the value sets say. Out: the catalogue; every problem at once.
//! Never here: a file, or a definition that is half right: one that has an error is left out.

use super::expression::{Expressions, Tables};
use super::units::{self, Edge};
use super::{Audience, Catalogue, Channel, Communication, Holdout, Remuneration, Times, digest, read_release, read_rule};
use crate::document::Document;
use crate::problem::{Problem, did_you_mean};
use crate::time::{Instant, Zone};
use std::collections::{BTreeSet, HashMap};

/// What stands around the definitions and decides with them.
pub struct Around<'a> {
    pub zone: &'a Zone,
    /// The keys of the policy's `recipients`.
    pub recipients: &'a [&'a str],
    /// The policy's `times`, where an audience has none.
    pub times: Times,
    /// The policy as it was written: it is part of every definition.
    pub policy: &'a str,
    /// Names and texts; the position is the number that programs use.
    pub valuesets: &'a [(&'a str, &'a str)],
    /// Numbers of the value sets that decide for every audience (the policy's sensitive ones).
    pub sensitive: &'a [u16],
}

/// One file under `audiences/`.
pub struct Written<'a> {
    /// The file's name without `.yaml`.
    pub stem: &'a str,
    pub text: &'a str,
    pub document: &'a Document,
}

/// The keys of an audience file; `schemas/` is made from them.
pub const KEYS: [&str; 16] = [
    "audience",
    "title",
    "summary",
    "owner",
    "communication",
    "remuneration",
    "recipient",
    "channels",
    "action",
    "starts",
    "ends",
    "times",
    "outcome",
    "holdout",
    "members",
    "release",
];

/// Reads all definitions. Those without an error are in the catalogue, in the order given; whether to use it while
/// `problems` holds an error is for the caller to say (it should not).
pub fn read(files: &[Written], around: &Around, problems: &mut Vec<Problem>) -> Catalogue {
    let mut tables = Tables::default();
    let mut names: HashMap<String, String> = HashMap::new();
    for file in files {
        let before = problems.len();
        let audience = one(file, around, &mut tables, problems);
        if let Some(name) = file.document.get("audience")
            && let Some(text) = name.as_text()
        {
            match names.get(text) {
                Some(first) => problems
                    .push(name.error(format!("an audience named `{text}` is already defined")).hint(format!("the first is in {first}"))),
                None => {
                    names.insert(text.to_owned(), name.place.file.clone());
                }
            }
        }
        if problems[before..].iter().any(Problem::is_error) {
            continue;
        }
        tables.catalogue.audiences.extend(audience);
    }
    tables.catalogue
}

fn one(file: &Written, around: &Around, tables: &mut Tables, problems: &mut Vec<Problem>) -> Option<Audience> {
    let node = file.document;
    if node.as_map().is_none() {
        problems.push(node.error(format!("expected an audience, found {}", node.describe())).hint("begin with `audience:` and a name"));
        return None;
    }
    node.only_keys(&KEYS, problems);
    for key in ["audience", "title", "communication", "recipient", "members"] {
        if node.get(key).is_none() {
            problems.push(node.error(format!("the key `{key}` is missing")).hint(format!("add `{key}: …` (docs/audiences.md)")));
        }
    }
    let valueset = |name: &str| around.valuesets.iter().position(|(known, _)| *known == name).and_then(|at| u16::try_from(at).ok());
    let mut expressions = Expressions { tables, source: file.text, valueset: &valueset, named: BTreeSet::new() };

    let name = node.get("audience").and_then(|name| self::name(name, file.stem, problems));
    let title = node.get("title").and_then(|title| words(title, problems));
    let summary = node.get("summary").and_then(|summary| words(summary, problems));
    let owner = node.get("owner").and_then(|owner| words(owner, problems));
    let communication = node.get("communication").and_then(|class| communication(class, problems));
    let remuneration = remuneration(node, communication, problems);
    let recipient = node.get("recipient").and_then(|recipient| self::recipient(recipient, around, problems));
    let channels = node.get("channels").map(|channels| self::channels(channels, problems));
    let action = node.get("action").map(|action| self::action(action, problems));
    let starts = node.get("starts").and_then(|starts| edge(starts, around.zone, Edge::Start, problems));
    let ends = node.get("ends").and_then(|ends| edge(ends, around.zone, Edge::End, problems));
    check_run(node, starts, ends, problems);
    let times = node.get("times").map_or(Some(around.times), |times| self::times(times, problems));
    let outcome = node.get("outcome").map(|outcome| self::outcome(outcome, &mut expressions, problems));
    let holdout = node.get("holdout").map(|holdout| self::holdout(holdout, problems));
    if let (Some(holdout), None) = (node.get("holdout"), node.get("outcome")) {
        let missing = Problem::warning(holdout.place.clone(), "a group is held back, but nothing says what is measured");
        problems.push(missing.hint("add `outcome: { Type: expression }`"));
    }
    let members =
        node.get("members").and_then(|members| read_rule::read(members, times.unwrap_or(around.times), &mut expressions, problems));
    let release = node.get("release").map(|release| read_release::read(release, &mut expressions, problems));
    let definition = definition(file, around, &expressions.named);
    Some(Audience {
        name: name?,
        title: title?,
        summary,
        owner,
        communication: communication?,
        remuneration: remuneration?,
        recipient: recipient?,
        channels: match channels {
            Some(channels) => Some(channels?),
            None => None,
        },
        action: match action {
            Some(action) => Some(action?),
            None => None,
        },
        starts,
        ends,
        times: times?,
        outcome: match outcome {
            Some(outcome) => Some(outcome?),
            None => None,
        },
        holdout: match holdout {
            Some(holdout) => Some(holdout?),
            None => None,
        },
        members: members?,
        release: release.unwrap_or_default(),
        definition,
    })
}

/// The name is part of a topic's, and the file's.
fn name(node: &Document, stem: &str, problems: &mut Vec<Problem>) -> Option<String> {
    let text = node.text("the audience's name", problems)?;
    let is_name = (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-');
    if !is_name {
        let hint = "use small letters, digits and `-`, beginning with a letter: it becomes the topic's name";
        problems.push(node.error(format!("`{text}` is no name for an audience")).hint(hint));
        return None;
    }
    if text != stem {
        let hint = format!("rename the file to {text}.yaml, or the audience to {stem}");
        problems.push(node.error(format!("the audience `{text}` stands in a file of another name")).hint(hint));
        return None;
    }
    Some(text.to_owned())
}

fn words(node: &Document, problems: &mut Vec<Problem>) -> Option<String> {
    let text = node.text("a text", problems)?.trim();
    if text.is_empty() {
        problems.push(node.error("an empty text").hint("write it in words"));
        return None;
    }
    Some(text.to_owned())
}

fn communication(node: &Document, problems: &mut Vec<Problem>) -> Option<Communication> {
    if node.as_text() == Some("fundraising") {
        let hint = "45 CFR 164.514(f) asks for notices and opt-outs of its own; use treatment, operations or marketing only where the message is one";
        problems.push(node.error("fundraising is not supported").hint(hint));
        return None;
    }
    let choices =
        [("treatment", Communication::Treatment), ("operations", Communication::Operations), ("marketing", Communication::Marketing)];
    node.one_of(&choices, problems)
}

/// Unstated counts as financial (45 CFR 164.501: what is not marketing is so only if nobody is paid for it).
fn remuneration(node: &Document, class: Option<Communication>, problems: &mut Vec<Problem>) -> Option<Remuneration> {
    let choices = [("none", Remuneration::None), ("cost", Remuneration::Cost), ("financial", Remuneration::Financial)];
    if let Some(stated) = node.get("remuneration") {
        return stated.one_of(&choices, problems);
    }
    if let (Some(Communication::Treatment | Communication::Operations), Some(place)) =
        (class, node.get("communication").map(|c| c.place.clone()))
    {
        let what = "`remuneration` is not stated and counts as financial: the marketing basis applies";
        problems.push(Problem::warning(place, what).hint("add `remuneration: none` if nobody is paid for the message"));
    }
    Some(Remuneration::Financial)
}

fn recipient(node: &Document, around: &Around, problems: &mut Vec<Problem>) -> Option<String> {
    let text = node.text("a recipient of the policy", problems)?;
    if around.recipients.contains(&text) {
        return Some(text.to_owned());
    }
    let hint = match did_you_mean(text, around.recipients.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if around.recipients.is_empty() => "add it under `recipients` in policy.yaml".to_owned(),
        None => format!("policy.yaml has {}", around.recipients.join(", ")),
    };
    problems.push(node.error(format!("the policy has no recipient `{text}`")).hint(hint));
    None
}

fn channels(node: &Document, problems: &mut Vec<Problem>) -> Option<Vec<Channel>> {
    let items = node.list("a list of channels, as [email, sms]", problems);
    if node.as_list().is_some() && items.is_empty() {
        problems.push(node.error("no channel is listed").hint("list email or sms, or leave the key out if no address is needed"));
        return None;
    }
    let mut channels: Vec<Channel> = Vec::new();
    let mut right = node.as_list().is_some();
    for item in items {
        match item.one_of(&[("email", Channel::Email), ("sms", Channel::Sms)], problems) {
            Some(channel) if channels.contains(&channel) => {
                problems.push(item.error("the channel is listed twice").hint("leave one of them"));
                right = false;
            }
            Some(channel) => channels.push(channel),
            None => right = false,
        }
    }
    right.then_some(channels)
}

/// A link that is the same for everybody.
fn action(node: &Document, problems: &mut Vec<Problem>) -> Option<String> {
    let text = node.text("a link", problems)?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or("");
    let host = host.split(['/', '?', '#']).next().unwrap_or("");
    let wrong = if host.is_empty() || host.contains('@') {
        Some(("not a link", "write the whole address, as https://riverside.example/book"))
    } else if let Some(c) = text.chars().find(|c| "{}$<>%".contains(*c) && !is_percent_escape(text, *c)) {
        let what = "a link may hold no placeholder";
        problems.push(
            node.error(format!("`{c}` in a link: {what}"))
                .hint("the link is fixed and the same for all members; no patient data goes into it"),
        );
        return None;
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
        Some(("a link may hold no blanks and only ASCII", "percent-encode what is neither a letter, a digit nor punctuation of a link"))
    } else if text.len() > 2000 {
        Some(("the link is longer than 2000 characters", "use a short link"))
    } else {
        None
    };
    if let Some((what, hint)) = wrong {
        problems.push(node.error(what).hint(hint));
        return None;
    }
    if text.starts_with("http://") {
        problems.push(Problem::warning(node.place.clone(), "the link is not encrypted").hint("use https"));
    }
    Some(text.to_owned())
}

/// Whether every `%` of the text begins an escape of two hex digits.
fn is_percent_escape(text: &str, c: char) -> bool {
    let is_hex = |rest: &str| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
    c == '%' && text.split('%').skip(1).all(is_hex)
}

fn edge(node: &Document, zone: &Zone, edge: Edge, problems: &mut Vec<Problem>) -> Option<Instant> {
    let text = node.text("a day or an instant", problems)?;
    match units::day_or_instant(text, zone, edge) {
        Ok(at) => Some(at),
        Err(hint) => {
            problems.push(node.error(format!("`{text}` is neither a day nor an instant")).hint(hint));
            None
        }
    }
}

fn check_run(node: &Document, starts: Option<Instant>, ends: Option<Instant>, problems: &mut Vec<Problem>) {
    let Some(written) = node.get("ends") else {
        let place = node.get("audience").unwrap_or(node).place.clone();
        let never = Problem::warning(place, "the audience has no `ends`: it runs until somebody stops it");
        problems.push(never.hint("add the last day, as `ends: 2027-12-31`"));
        return;
    };
    if let (Some(starts), Some(ends)) = (starts, ends)
        && starts >= ends
    {
        problems.push(written.error("the audience ends before it starts").hint("`ends` is the last day on which it runs"));
    }
}

fn times(node: &Document, problems: &mut Vec<Problem>) -> Option<Times> {
    if node.as_text() == Some("exact") {
        return Some(Times::Exact);
    }
    if node.as_map().is_none() {
        let wrong = node.error(format!("expected `exact` or a spread, found {}", node.describe()));
        problems.push(wrong.hint("write `times: exact` or `times: { spread: 3d }`"));
        return None;
    }
    node.only_keys(&["spread"], problems);
    let Some(spread) = node.get("spread") else {
        problems.push(node.error("`times` needs the key `spread`").hint("write `times: exact` or `times: { spread: 3d }`"));
        return None;
    };
    let span = span(spread, problems)?;
    // A spread of nothing is what `exact` says.
    if span.0 == 0 { Some(Times::Exact) } else { Some(Times::Spread(span)) }
}

fn span(node: &Document, problems: &mut Vec<Problem>) -> Option<crate::time::Span> {
    let text = node.text("a length of time", problems)?;
    match units::span(text) {
        Ok(span) => Some(span),
        Err(hint) => {
            problems.push(node.error(format!("`{text}` is no length of time")).hint(hint));
            None
        }
    }
}

fn outcome(node: &Document, expressions: &mut Expressions, problems: &mut Vec<Problem>) -> Option<u16> {
    match node.map("`{ Type: expression }`", problems) {
        [(kind, expression)] if read_rule::is_type(&kind.name) => expressions.criterion(kind, expression, problems),
        _ => {
            if node.as_map().is_some() {
                problems.push(node.error("an outcome is one `Type: expression`").hint("write it as { Procedure: status = 'completed' }"));
            }
            None
        }
    }
}

fn holdout(node: &Document, problems: &mut Vec<Problem>) -> Option<Holdout> {
    node.map("a map with `share` and `wait`", problems);
    node.only_keys(&["share", "wait"], problems);
    for key in ["share", "wait"] {
        if node.as_map().is_some() && node.get(key).is_none() {
            problems.push(node.error(format!("`holdout` needs the key `{key}`")).hint("write it as { share: 10%, wait: 60 days }"));
        }
    }
    let share = node.get("share").and_then(|share| {
        let text = share.text("a percentage", problems)?;
        match units::share(text) {
            Ok(thousandths @ 1..=999) => Some(thousandths),
            Ok(_) => {
                problems.push(share.error(format!("`{text}` leaves nobody to compare with")).hint("write a share above 0% and below 100%"));
                None
            }
            Err(hint) => {
                problems.push(share.error(format!("`{text}` is no share")).hint(hint));
                None
            }
        }
    });
    let wait = node.get("wait").and_then(|wait| span(wait, problems));
    Some(Holdout { share: share?, wait: wait? })
}

fn definition(file: &Written, around: &Around, named: &BTreeSet<u16>) -> String {
    let mut parts = vec![("audience", file.text), ("policy", around.policy), ("zone", around.zone.name())];
    let numbers: BTreeSet<u16> = named.iter().chain(around.sensitive).copied().collect();
    let mut sets: Vec<(&str, &str)> = numbers.iter().filter_map(|number| around.valuesets.get(usize::from(*number)).copied()).collect();
    // By name: a number changes when another set is added.
    sets.sort();
    parts.extend(sets);
    digest::definition(&parts)
}
