//! A slow second reading of the rules, for tests: straight off the JSON, at one instant, sharing no code with `decide`.
//!
//! In: Consents as the property tests make them. Out: outcome, redactions, whether a permitting path names a purpose.
//! Never here: supersession, most-recent, own-purposes; those have stories.

use super::Outcome;
use crate::fhir::json::parse;
use crate::time::{Instant, Moment, Zone};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::collections::BTreeSet;

pub(super) struct Naive {
    pub outcome: Outcome,
    pub redact: Vec<String>,
    pub names_purpose: bool,
}

struct Ask<'a> {
    purpose: &'a str,
    at: Instant,
    zone: &'a Zone,
    may_permit: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Says {
    Permit { named: bool },
    Deny,
    Nothing,
}

pub(super) fn decide(texts: &[String], purpose: &str, at: Instant, zone: &Zone) -> Naive {
    let (mut redact, mut said) = (BTreeSet::new(), Vec::new());
    for text in texts {
        let consent = parse(text.as_bytes()).expect("json");
        let status = consent["status"].as_str().unwrap_or("");
        let scope = text.contains("consentscope\",\"code\":\"patient-privacy\"");
        if ["inactive", "draft"].contains(&status) || text.contains("consentscope\",\"code\":\"research\"") {
            continue;
        }
        let unsupported = text.contains("\"class\"")
            || text.contains("\"type\":\"perhaps\"")
            || text.contains("Organization/stranger")
            || is_backwards(&consent, zone);
        let list = consent.get("provision").is_some_and(sonic_rs::JsonValueTrait::is_array);
        let root_type = if list { None } else { consent["provision"]["type"].as_str() };
        let base = if list { consent["decision"].as_str() } else { rule(text).or(root_type) };
        let base = match (base, rule(text), root_type) {
            (_, Some(rule), Some(kind)) if rule != kind => Some("deny"),
            (Some("permit"), ..) => Some("permit"),
            (Some(_), ..) => Some("deny"),
            (None, ..) => None,
        };
        let date = consent["dateTime"].as_str().or(consent["date"].as_str());
        let given = date.is_none_or(|date| Moment::parse(date).expect("date").earliest(zone) <= at);
        let ask = Ask {
            purpose,
            at,
            zone,
            may_permit: status == "active"
                && given
                && scope
                && !unsupported
                && base.is_some()
                && consent["decision"].as_str() != Some("perhaps"),
        };
        let is_base = list || root_type.is_none() || (rule(text).is_some() && rule(text) != root_type);
        let (says, cut) = if list {
            let children: Vec<&Value> = consent["provision"].as_array().into_iter().flatten().collect();
            let (said, cut) = fold(&children, base, true, false, &ask);
            (said.unwrap_or(own(base, ask.may_permit, false)), cut)
        } else {
            one(&consent["provision"], base, true, false, is_base, &ask)
        };
        // A rule that denies does so whatever a typed root is about, within its period.
        let is_out = rule(text) == Some("deny") && root_type.is_some();
        said.push(if is_out && says == Says::Nothing && lasts(&consent["provision"], at, zone) { Says::Deny } else { says });
        redact.extend(cut);
    }
    let permits: Vec<&Says> = said.iter().filter(|says| matches!(says, Says::Permit { .. })).collect();
    let outcome = match (said.contains(&Says::Deny), permits.is_empty()) {
        (true, _) => Outcome::Deny,
        (false, false) => Outcome::Permit,
        (false, true) => Outcome::NoConsent,
    };
    let named = permits.iter().any(|says| matches!(says, Says::Permit { named: true }));
    // In the order of the tables.
    let redact = ["ETH", "HIV"].iter().filter(|code| redact.contains(**code)).map(|code| (*code).to_owned()).collect();
    Naive { outcome, redact, names_purpose: outcome == Outcome::Permit && named }
}

fn rule(text: &str) -> Option<&'static str> {
    if text.contains("\"OPTIN\"") {
        return Some("permit");
    }
    text.contains("\"OPTOUT\"").then_some("deny")
}

fn own(kind: Option<&str>, strict: bool, named: bool) -> Says {
    match kind {
        Some("deny") => Says::Deny,
        Some("permit") if strict => Says::Permit { named },
        _ => Says::Nothing,
    }
}

/// What siblings say together, `None` where none of them permits or denies; and what they redact.
fn fold(children: &[&Value], parent: Option<&str>, strict: bool, named: bool, ask: &Ask) -> (Option<Says>, BTreeSet<String>) {
    let (mut says, mut cut) = (Vec::new(), BTreeSet::new());
    for child in children {
        let kind = match (child["type"].as_str(), parent) {
            (Some("permit"), _) | (None, Some("deny")) => Some("permit"),
            (Some(_) | None, _) => Some("deny"),
        };
        let (this, labels) = one(child, kind, strict, named, false, ask);
        says.push(this);
        cut.extend(labels);
    }
    let permit =
        says.iter().find(|s| **s == Says::Permit { named: true }).or_else(|| says.iter().find(|s| matches!(s, Says::Permit { .. })));
    (if says.contains(&Says::Deny) { Some(Says::Deny) } else { permit.copied() }, cut)
}

fn lasts(provision: &Value, at: Instant, zone: &Zone) -> bool {
    provision.get("period").is_none_or(|period| {
        let bound = |key: &str| Moment::parse(period[key].as_str().unwrap_or("")).expect("date");
        let (from, to) = (bound("start").earliest(zone), bound("end").ends(zone));
        from >= to || (from <= at && at < to)
    })
}

/// Whether some period of the Consent ends before it begins.
fn is_backwards(value: &Value, zone: &Zone) -> bool {
    let own = value.get("period").is_some_and(|period| {
        let bound = |key: &str| Moment::parse(period[key].as_str().unwrap_or("")).expect("date");
        bound("start").earliest(zone) >= bound("end").ends(zone)
    });
    let provision = &value["provision"];
    let beneath = provision.as_array().is_some_and(|all| all.iter().any(|one| is_backwards(one, zone)));
    own || beneath || provision.is_object() && is_backwards(provision, zone)
}

fn one(provision: &Value, mut kind: Option<&str>, mut strict: bool, named: bool, is_base: bool, ask: &Ask) -> (Says, BTreeSet<String>) {
    let nothing = (Says::Nothing, BTreeSet::new());
    // Provisions beneath turn the direction as it is written, whatever is made of this one.
    let written = kind;
    if let Some(period) = provision.get("period") {
        let bound = |key: &str| Moment::parse(period[key].as_str().unwrap_or("")).expect("date");
        let (from, to) = (bound("start").earliest(ask.zone), bound("end").ends(ask.zone));
        if from >= to {
            // It may not pass for silence.
            strict = false;
            kind = Some("deny");
        } else if ask.at < from || ask.at >= to {
            return nothing;
        }
    }
    let mut here = named;
    if let Some(purpose) = provision.get("purpose") {
        let code = purpose[0]["code"].as_str().unwrap_or("");
        let matched = code == ask.purpose || (code == "TREAT" && ask.purpose == "COC");
        if !matched && code != "NEWCODE" {
            return nothing;
        }
        strict &= matched;
        here = true;
    }
    if let Some(actor) = provision.get("actor") {
        let role = actor[0]["role"]["coding"][0]["code"].as_str().unwrap_or("");
        let who = actor[0]["reference"]["reference"].as_str().unwrap_or("");
        let exact = matches!((role, who), ("IRCP", "Organization/crm") | ("CST", "Organization/riverside"));
        if !exact && role != "GUARD" && who != "Organization/stranger" {
            return nothing;
        }
        strict &= exact;
    }
    let label = provision.get("securityLabel").and_then(|label| label[0]["code"].as_str());
    if label == Some("NEWLABEL") || label.is_some() && kind != Some("deny") {
        strict = false;
    }
    let children: Vec<&Value> = provision.get("provision").and_then(|p| p.as_array()).into_iter().flatten().collect();
    // What stands beneath, as if this provision itself said nothing.
    let beneath = fold(&children, written, strict, here, ask);
    let redact_only = label.filter(|code| kind == Some("deny") && *code != "NEWLABEL");
    if let Some(code) = redact_only {
        let lifted = matches!(&beneath, (Some(Says::Permit { .. }), cut) if cut.is_empty());
        let cut = if lifted { BTreeSet::new() } else { BTreeSet::from([code.to_owned()]) };
        return (Says::Nothing, cut);
    }
    let (said, cut) = beneath;
    (said.unwrap_or(own(kind, strict && ask.may_permit, here && !is_base)), cut)
}
