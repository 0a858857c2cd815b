//! `read_policy`: the document of `mappings/policy.yaml` → a validated `Policy`.
//!
//! In: a document with places. Out: the policy, and every problem at once, each with its place and a way out.
//! Never here: a file; or a setting that is guessed where the document is wrong.

use super::codes::Label;
use super::policy::*;
use crate::document::Document;
use crate::problem::{Problem, did_you_mean};
use crate::time::{Span, Zone, parse_span};
use jiff::civil;

type Problems<'a> = &'a mut Vec<Problem>;

/// The keys of the policy file; `schemas/` is made from them.
pub const KEYS: &[&str] = &[
    "organisation",
    "recipients",
    "consents",
    "bases",
    "authorization",
    "signers",
    "channels",
    "sensitive",
    "minors",
    "lease",
    "times",
    "feed",
    "hold_after",
    "counts",
    "blast_radius",
];

/// `None` where an error was found. An absent key has the default of [`Policy::default`].
pub fn read_policy(document: &Document, problems: &mut Vec<Problem>) -> Option<Policy> {
    let before = problems.len();
    let mut policy = Policy::default();
    document.map("a map of policy keys", problems);
    document.only_keys(KEYS, problems);
    organisation(document, &mut policy.organisation, problems);
    if let Some(part) = document.get("recipients") {
        policy.recipients = recipients(part, problems);
    }
    if let Some(part) = document.get("consents") {
        consents(part, &mut policy.consents, problems);
    }
    if let Some(part) = document.get("bases") {
        bases(part, &mut policy.bases, problems);
    }
    let forms = [("complete", Authorization::Complete), ("purpose-only", Authorization::PurposeOnly)];
    choice(document, "authorization", &forms, &mut policy.authorization, problems);
    if let Some(part) = document.get("signers") {
        policy.signers = signers(part, problems);
    }
    if let Some(part) = document.get("channels") {
        part.map("a map of channels", problems);
        part.only_keys(&["email", "sms"], problems);
        channel(part.get("email"), &mut policy.channels.email, problems);
        channel(part.get("sms"), &mut policy.channels.sms, problems);
    }
    if let Some(part) = document.get("sensitive") {
        sensitive(part, &mut policy.sensitive, problems);
    }
    if let Some(part) = document.get("minors") {
        minors(part, &mut policy.minors, problems);
    }
    span(document, "lease", Span::minutes(1), &mut policy.lease, problems);
    if let Some(part) = document.get("times") {
        part.map("a map with `spread`", problems);
        part.only_keys(&["spread"], problems);
        span(part, "spread", Span::ZERO, &mut policy.times.spread, problems);
    }
    if let Some(part) = document.get("feed") {
        part.map("a map with `stale_after` and `on_stale`", problems);
        part.only_keys(&["stale_after", "on_stale"], problems);
        span(part, "stale_after", Span::seconds(1), &mut policy.feed.stale_after, problems);
        choice(part, "on_stale", &[("lease", OnStale::Lease), ("exit-now", OnStale::ExitNow)], &mut policy.feed.on_stale, problems);
    }
    span(document, "hold_after", Span::seconds(1), &mut policy.hold_after, problems);
    if let Some(part) = document.get("counts") {
        part.map("a map with `least` and `round`", problems);
        part.only_keys(&["least", "round"], problems);
        number(part, "least", 0, u32::MAX, &mut policy.counts.least, problems);
        number(part, "round", 1, u32::MAX, &mut policy.counts.round, problems);
    }
    if let Some(part) = document.get("blast_radius") {
        part.map("a map with `share` and `least`", problems);
        part.only_keys(&["share", "least"], problems);
        if let Some(share) = part.get("share").and_then(|share| per_mille(share, problems)) {
            policy.blast_radius.share = share;
        }
        number(part, "least", 0, u32::MAX, &mut policy.blast_radius.least, problems);
    }
    (!problems[before..].iter().any(Problem::is_error)).then_some(policy)
}

fn organisation(document: &Document, organisation: &mut Organisation, problems: Problems) {
    let part = document.get("organisation");
    if let Some(part) = part {
        part.map("a map that describes the organisation", problems);
        part.only_keys(&["name", "zone", "references", "identifiers"], problems);
        string(part, "name", &mut organisation.name, problems);
        organisation.references = strings(part.get("references"), "a list of references such as Organization/1", problems);
        organisation.identifiers = identifiers(part.get("identifiers"), problems);
    }
    match part.and_then(|part| part.get("zone")) {
        None => problems.push(
            Problem::warning(part.unwrap_or(document).place.clone(), "the organisation has no zone, so its days are those of UTC")
                .hint("write `zone: America/Chicago`, or `zone: UTC` if that is meant"),
        ),
        Some(zone) => {
            if let Some(text) = zone.text("the name of a zone", problems) {
                match Zone::named(text) {
                    Ok(named) => organisation.zone = named,
                    Err(unknown) => {
                        problems.push(zone.error(unknown.to_string()).hint("write a zone of the IANA list, as America/Chicago"));
                    }
                }
            }
        }
    }
}

fn recipients(part: &Document, problems: Problems) -> Vec<Recipient> {
    let mut out: Vec<Recipient> = Vec::new();
    for (key, body) in part.map("a map from a short name to a recipient", problems) {
        let read = recipient(&key.name, body, problems);
        let shared = out.iter().find(|other| {
            other.references.iter().any(|r| read.references.contains(r)) || other.identifiers.iter().any(|i| read.identifiers.contains(i))
        });
        if let Some(other) = shared {
            let what = format!("recipients `{}` and `{}` share a reference or identifier", other.key, key.name);
            problems.push(Problem::error(key.place.clone(), what).hint("a consent must tell them apart: give each its own"));
        }
        out.push(read);
    }
    out
}

fn recipient(key: &str, body: &Document, problems: Problems) -> Recipient {
    body.map("a map that describes the recipient", problems);
    body.only_keys(&["name", "address", "references", "identifiers", "agreement", "identify", "may_know"], problems);
    let (mut name, mut address) = (String::new(), String::new());
    if !string(body, "name", &mut name, problems) {
        problems.push(body.error(format!("recipient `{key}` has no `name`")).hint("disclosures name whom they went to"));
    }
    if !string(body, "address", &mut address, problems) {
        let warning = Problem::warning(body.place.clone(), format!("recipient `{key}` has no `address`"));
        problems.push(warning.hint("an accounting of disclosures gives it where it is known (45 CFR 164.528)"));
    }
    let references = strings(body.get("references"), "a list of references such as Organization/1", problems);
    let identifiers = identifiers(body.get("identifiers"), problems);
    if references.is_empty() && identifiers.is_empty() {
        let warning = Problem::warning(body.place.clone(), format!("no consent can name recipient `{key}`"));
        problems.push(warning.hint("list the `references` or `identifiers` by which consents name it; a complete authorization needs one"));
    }
    let agreement = body.get("agreement").and_then(|part| agreement(part, problems));
    if body.get("agreement").is_none() {
        let warning = Problem::warning(body.place.clone(), format!("recipient `{key}` has no `agreement`"));
        problems.push(warning.hint("who runs it for you needs a business associate contract: `agreement: { kind: business-associate }`"));
    }
    let identify = body.get("identify").and_then(|part| identify(part, problems)).unwrap_or(Identify::Pseudonym);
    let mut may_know = MayKnow::default();
    for item in body.get("may_know").map_or(&[][..], |part| part.list("a list of deceased, merged", problems)) {
        match item.one_of(&[("deceased", true), ("merged", false)], problems) {
            Some(true) => may_know.deceased = true,
            Some(false) => may_know.merged = true,
            None => {}
        }
    }
    Recipient { key: key.to_owned(), name, address, references, identifiers, agreement, identify, may_know }
}

fn agreement(part: &Document, problems: Problems) -> Option<Agreement> {
    part.map("a map with `kind` and `until`", problems);
    part.only_keys(&["kind", "until"], problems);
    let mut kind = String::new();
    if part.as_map().is_some() && !string(part, "kind", &mut kind, problems) {
        problems.push(part.error("the agreement has no `kind`").hint("write `kind: business-associate`"));
    }
    let until = part.get("until").and_then(|until| {
        let text = until.text("a day such as 2027-12-31", problems)?;
        let day = text.parse::<civil::Date>();
        if day.is_err() {
            problems.push(until.error(format!("`{text}` is not a day")).hint("write it as 2027-12-31"));
        }
        day.ok()
    });
    Some(Agreement { kind, until })
}

fn identify(part: &Document, problems: Problems) -> Option<Identify> {
    if part.as_map().is_none() {
        return part.one_of(&[("pseudonym", ())], problems).map(|()| Identify::Pseudonym);
    }
    part.only_keys(&["identifier"], problems);
    let mut system = String::new();
    if !string(part, "identifier", &mut system, problems) {
        problems.push(part.error("`identify` names no identifier system").hint("write `identify: { identifier: \"urn:example:system\" }`"));
    }
    Some(Identify::Identifier { system })
}

fn consents(part: &Document, rules: &mut ConsentRules, problems: Problems) {
    part.map("a map with `speak`, `conflict` and `base_deny`", problems);
    part.only_keys(&["speak", "conflict", "base_deny"], problems);
    if let Some(speak) = part.get("speak") {
        let items = speak.list("a list of consent scopes", problems);
        rules.speak = items.iter().filter_map(|item| item.one_of(&Scope::CODES, problems)).collect();
        if speak.as_list().is_some_and(<[_]>::is_empty) {
            problems.push(speak.error("no consent speaks here").hint("write `speak: [patient-privacy]`"));
        }
    }
    let conflicts = [("deny-overrides", Conflict::DenyOverrides), ("most-recent", Conflict::MostRecent)];
    choice(part, "conflict", &conflicts, &mut rules.conflict, problems);
    choice(part, "base_deny", &[("literal", BaseDeny::Literal), ("own-purposes", BaseDeny::OwnPurposes)], &mut rules.base_deny, problems);
}

fn bases(part: &Document, bases: &mut Bases, problems: Problems) {
    part.map("a map with `treatment`, `operations` and `marketing`", problems);
    part.only_keys(&["treatment", "operations", "marketing"], problems);
    let choices = [("no-denial", Basis::NoDenial), ("permit", Basis::Permit), ("authorization", Basis::Authorization)];
    choice(part, "treatment", &choices, &mut bases.treatment, problems);
    choice(part, "operations", &choices, &mut bases.operations, problems);
    choice(part, "marketing", &choices, &mut bases.marketing, problems);
    if let (Some(marketing), true) = (part.get("marketing"), bases.marketing != Basis::Authorization) {
        let warning = Problem::warning(marketing.place.clone(), "marketing goes out without an authorization");
        problems.push(warning.hint("in the United States marketing needs one (45 CFR 164.508): `marketing: authorization`"));
    }
}

fn signers(part: &Document, problems: Problems) -> Vec<Signer> {
    let mut out = Vec::new();
    for item in part.list("a list of signers, each with `relationship` and `authority`", problems) {
        item.map("a map with `relationship` and `authority`", problems);
        item.only_keys(&["relationship", "authority"], problems);
        let (mut relationship, mut authority) = (String::new(), String::new());
        let whole = string(item, "relationship", &mut relationship, problems) & string(item, "authority", &mut authority, problems);
        if item.as_map().is_some() && !whole {
            problems.push(item.error("a signer needs both `relationship` and `authority`").hint("write { relationship: …, authority: … }"));
        }
        out.push(Signer { relationship, authority });
    }
    out
}

fn channel(part: Option<&Document>, rule: &mut ChannelRule, problems: Problems) {
    let Some(part) = part else { return };
    part.map("a map with `permission` and `hours`", problems);
    part.only_keys(&["permission", "hours"], problems);
    let choices =
        [("contact-on-file", Permission::ContactOnFile), ("permit", Permission::Permit), ("written-permit", Permission::WrittenPermit)];
    choice(part, "permission", &choices, &mut rule.permission, problems);
    let Some(hours) = part.get("hours") else { return };
    let times: Vec<_> =
        hours.list("two times such as [\"08:00\", \"20:00\"]", problems).iter().map(|item| clock_time(item, problems)).collect();
    match times[..] {
        [Some(from), Some(to)] if from < to => rule.hours = Some((from, to)),
        [Some(_), Some(_)] => problems.push(hours.error("the sending hours end before they begin").hint("write the earlier time first")),
        [None, _] | [_, None] => {}
        _ if hours.as_list().is_some() => problems.push(hours.error("sending hours are two times").hint("write [\"08:00\", \"20:00\"]")),
        _ => {}
    }
}

fn clock_time(item: &Document, problems: Problems) -> Option<civil::Time> {
    let text = item.text("a time such as \"08:00\"", problems)?;
    let two = |part: &str| if part.len() == 2 { part.parse::<i8>().ok() } else { None };
    let time = text.split_once(':').and_then(|(hour, minute)| civil::Time::new(two(hour)?, two(minute)?, 0, 0).ok());
    if time.is_none() {
        problems.push(item.error(format!("`{text}` is not a time of day")).hint("write it as \"08:00\""));
    }
    time
}

fn sensitive(part: &Document, sensitive: &mut Sensitive, problems: Problems) {
    part.map("a map that says what is sensitive", problems);
    part.only_keys(&["valuesets", "withhold", "unresolved", "places", "sources"], problems);
    if part.get("valuesets").is_some() {
        sensitive.valuesets = strings(part.get("valuesets"), "a list of value set names, `*` for any text", problems);
    }
    match part.get("withhold") {
        None => {}
        Some(list) if list.as_list().is_some() => sensitive.withhold = Withhold::List(labels(list, problems)),
        Some(all) => {
            if let Some(()) = all.one_of(&[("all", ())], problems) {
                sensitive.withhold = Withhold::All;
            }
        }
    }
    let choices = [("withhold", Unresolved::Withhold), ("ignore", Unresolved::Ignore)];
    choice(part, "unresolved", &choices, &mut sensitive.unresolved, problems);
    sensitive.places = strings(part.get("places"), "a list of references such as Location/1", problems);
    if let Some(sources) = part.get("sources") {
        let entries = sources.map("a map from a source to a list of labels", problems);
        sensitive.sources = entries.iter().map(|(key, list)| (key.name.clone(), labels(list, problems))).collect();
    }
}

fn labels(list: &Document, problems: Problems) -> Vec<Label> {
    let mut out = Vec::new();
    for item in list.list("a list of security labels such as HIV or R", problems) {
        let Some(code) = item.text("a security label such as HIV or R", problems) else { continue };
        match Label::named(code) {
            Some(label) => out.push(label),
            None => {
                let hint = match did_you_mean(code, Label::codes()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write a sensitivity code of v3-ActCode or a confidentiality level".to_owned(),
                };
                problems.push(item.error(format!("unknown security label `{code}`")).hint(hint));
            }
        }
    }
    out
}

fn minors(part: &Document, minors: &mut Minors, problems: Problems) {
    part.map("a map with `majority` and `by_state`", problems);
    part.only_keys(&["majority", "by_state"], problems);
    let mut majority = u32::from(minors.majority);
    number(part, "majority", 1, 25, &mut majority, problems);
    minors.majority = u8::try_from(majority).unwrap_or(minors.majority);
    let Some(states) = part.get("by_state") else { return };
    minors.by_state.clear();
    for (state, age) in states.map("a map from a state to an age", problems) {
        if state.name.len() != 2 || !state.name.bytes().all(|b| b.is_ascii_uppercase()) {
            problems
                .push(Problem::error(state.place.clone(), format!("`{}` is not a state", state.name)).hint("write its two letters: AL"));
        }
        if let Some(years) = number_in(age, 1, 25, problems).and_then(|years| u8::try_from(years).ok()) {
            minors.by_state.push((state.name.clone(), years));
        }
    }
}

/// Sets `into` where the key is there and right; says whether a text was there.
fn string(part: &Document, key: &str, into: &mut String, problems: Problems) -> bool {
    let text = part.get(key).and_then(|value| value.text("a text", problems));
    if let Some(text) = text {
        into.clear();
        into.push_str(text);
    }
    text.is_some_and(|text| !text.is_empty())
}

fn strings(part: Option<&Document>, expected: &str, problems: Problems) -> Vec<String> {
    let items = part.map_or(&[][..], |part| part.list(expected, problems));
    items.iter().filter_map(|item| item.text("a text", problems).map(str::to_owned)).collect()
}

fn identifiers(part: Option<&Document>, problems: Problems) -> Vec<Identifier> {
    let mut out = Vec::new();
    for item in part.map_or(&[][..], |part| part.list("a list of identifiers, each with `system` and `value`", problems)) {
        item.map("a map with `system` and `value`", problems);
        item.only_keys(&["system", "value"], problems);
        let mut identifier = Identifier { system: String::new(), value: String::new() };
        let whole = string(item, "system", &mut identifier.system, problems) & string(item, "value", &mut identifier.value, problems);
        if item.as_map().is_some() && !whole {
            problems.push(item.error("an identifier needs both `system` and `value`").hint("write { system: \"urn:…\", value: … }"));
        }
        out.push(identifier);
    }
    out
}

fn choice<T: Copy>(part: &Document, key: &str, choices: &[(&str, T)], into: &mut T, problems: Problems) {
    if let Some(chosen) = part.get(key).and_then(|value| value.one_of(choices, problems)) {
        *into = chosen;
    }
}

fn span(part: &Document, key: &str, least: Span, into: &mut Span, problems: Problems) {
    let Some(value) = part.get(key) else { return };
    let Some(text) = value.text("a length of time such as 30d", problems) else { return };
    match parse_span(text) {
        Some(span) if span >= least => *into = span,
        Some(_) => problems.push(value.error(format!("`{key}` is too short")).hint(format!("write at least {}s", least.0 / 1_000_000))),
        None => problems.push(value.error(format!("`{text}` is not a length of time")).hint("write it as 30d, 12h, 15m, 5s or 60 days")),
    }
}

fn number(part: &Document, key: &str, least: u32, most: u32, into: &mut u32, problems: Problems) {
    if let Some(number) = part.get(key).and_then(|value| number_in(value, least, most, problems)) {
        *into = number;
    }
}

fn number_in(value: &Document, least: u32, most: u32, problems: Problems) -> Option<u32> {
    let text = value.text("a whole number", problems)?;
    let number = text.parse::<u32>().ok().filter(|number| (least..=most).contains(number));
    if number.is_none() {
        problems.push(
            value.error(format!("`{text}` is not a whole number from {least} to {most}")).hint(format!("write a number, as {least}")),
        );
    }
    number
}

/// `10%` or `0.5%`, in thousandths.
fn per_mille(value: &Document, problems: Problems) -> Option<u32> {
    let text = value.text("a share such as 10%", problems)?;
    let share = text.trim().strip_suffix('%').and_then(|number| {
        let (whole, tenth) = number.trim().split_once('.').unwrap_or((number.trim(), "0"));
        let digits = |part: &str, most| {
            (!part.is_empty() && part.len() <= most && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())
        };
        let (whole, tenth): (u32, u32) = (digits(whole, 3)??, digits(tenth, 1)??);
        Some(whole * 10 + tenth).filter(|share| *share <= 1000)
    });
    if share.is_none() {
        problems.push(value.error(format!("`{text}` is not a share")).hint("write it as 10% or 0.5%, at most 100%"));
    }
    share
}

#[cfg(test)]
mod tests;
