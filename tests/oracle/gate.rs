//! What the Consents on file say about one purpose at one instant, provision by provision.
//!
//! In: Consents as JSON, Riverside's policy as constants. Out: permit, deny, authorized, redactions.
//! Never here: time other than the one instant asked about.

use super::chart::Chart;
use super::clock::Clock;
use super::json::{at, codings, list, text, written};
use super::labels::{ACT_CODE, CONFIDENTIALITY, LEVELS, Redact};
use serde_json::Value;
use std::cmp::Ordering;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    Treat,
    Hoperat,
    Hmarkt,
}

impl Purpose {
    /// The purpose and those above it: naming one of these names the purpose.
    fn named_by(self, code: &str) -> bool {
        match self {
            Purpose::Treat => matches!(code, "TREAT" | "PurposeOfUse"),
            Purpose::Hoperat => matches!(code, "HOPERAT" | "PurposeOfUse"),
            Purpose::Hmarkt => matches!(code, "HMARKT" | "PurposeOfUse"),
        }
    }
}

/// Codes of v3-ActReason that the overlay uses.
const KNOWN_PURPOSES: [&str; 8] = ["TREAT", "HOPERAT", "HMARKT", "HPAYMT", "HRESCH", "PATRQT", "COC", "CAREMGT"];

#[derive(Default, Debug, Clone, PartialEq)]
pub struct Says {
    pub permits: bool,
    pub denies: bool,
    pub authorized: bool,
    pub redact: Redact,
}

/// All Consents together: deny overrides, redactions unite.
pub fn decide(chart: &Chart, purpose: Purpose, clock: &Clock) -> Says {
    let consents: Vec<&Value> =
        chart.of("Consent").map(|live| live.body).filter(|consent| speaks(consent) == Some(true) || speaks(consent).is_none()).collect();
    let mut all = Says::default();
    for consent in &consents {
        let newer: Vec<&&Value> = consents.iter().filter(|other| supersedes(other, consent)).collect();
        // Its denies count until a newer one that could permit is in force itself.
        let replaced = |one: &Value| consents.iter().any(|other| supersedes(other, one));
        if newer.iter().any(|newer| !replaced(newer) && is_in_force(newer, clock)) {
            continue;
        }
        let mut one = ask(consent, purpose, clock);
        if !newer.is_empty() {
            (one.permits, one.authorized) = (false, false);
        }
        all.permits |= one.permits;
        all.denies |= one.denies;
        all.authorized |= one.authorized;
        all.redact.from_level = match (all.redact.from_level, one.redact.from_level) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        all.redact.codes.extend(one.redact.codes);
    }
    all.permits &= !all.denies;
    all.authorized &= !all.denies;
    all
}

/// C0: `None` where its subject cannot be told.
fn speaks(consent: &Value) -> Option<bool> {
    let scope = "http://terminology.hl7.org/CodeSystem/consentscope";
    let concepts = list(consent, "category").iter().chain([&consent["scope"]]);
    let scopes: Vec<&str> = concepts.flat_map(codings).filter(|(system, _)| *system == scope).map(|(_, code)| code).collect();
    if scopes.contains(&"patient-privacy") {
        return Some(true);
    }
    if scopes.iter().any(|code| ["research", "treatment", "adr"].contains(code)) { Some(false) } else { None }
}

/// C10: the same identifier and a later date.
fn supersedes(newer: &Value, older: &Value) -> bool {
    let in_force = |consent| matches!(text(consent, "status"), Some("active" | "inactive"));
    let identifiers = |consent| list(consent, "identifier").iter().map(|i| (text(i, "system"), text(i, "value"))).collect::<Vec<_>>();
    let same = identifiers(newer).iter().any(|identifier| identifiers(older).contains(identifier));
    let dates = (written(older, "dateTime"), written(newer, "dateTime"));
    let later = matches!(dates, (Some(older), Some(newer)) if older.past() <= newer.earliest());
    same && later && in_force(newer) && speaks(newer) == Some(true) && speaks(older) == Some(true)
}

/// Active, whole, and within its own period.
fn is_in_force(consent: &Value, clock: &Clock) -> bool {
    let own = if consent["decision"].is_string() { &consent["period"] } else { &consent["provision"]["period"] };
    text(consent, "status") == Some("active")
        && is_given(consent, clock)
        && supported(consent)
        && !consent["provision"].is_string()
        && period(own, clock) == Fits::Yes
}

fn is_given(consent: &Value, clock: &Clock) -> bool {
    let date = written(consent, "dateTime").or(written(consent, "date"));
    date.is_none_or(|date| date.earliest() <= clock.now.timestamp())
}

/// What the way down to a permitting provision names.
#[derive(Clone, Copy, Default, Debug)]
struct Names {
    purpose: bool,
    recipient: bool,
    end: bool,
}

#[derive(Default)]
struct Answer {
    permits: bool,
    denies: bool,
    names: Vec<Names>,
    redact: Vec<(String, String)>,
}

fn ask(consent: &Value, purpose: Purpose, clock: &Clock) -> Says {
    let mut says = Says::default();
    // Unreadable: what should be an object is a text. It closes the gate, whatever else it seems to say (I9).
    if consent["provision"].is_string() {
        says.denies = true;
        return says;
    }
    match text(consent, "status") {
        Some("active") => {}
        Some("draft" | "proposed" | "rejected" | "inactive" | "entered-in-error" | "not-done" | "unknown") => return says,
        Some(_) | None => unreachable!("the overlay writes known statuses"),
    }
    let rule = codings(&consent["policyRule"]).find_map(|(system, code)| match (system, code) {
        (ACT_CODE, "OPTIN" | "OPTINR") => Some(true),
        (ACT_CODE, "OPTOUT" | "OPTOUTE") => Some(false),
        _ => None,
    });
    let typed = text(consent, "provision.type").map(|kind| kind == "permit");
    // Dated ahead, nothing of it permits yet, no exception from a denial either.
    let given = is_given(consent, clock);
    let answer;
    if let Some(decision) = text(consent, "decision") {
        // D3: the base, its period, and a list of provisions that negate their parent.
        let permit = decision == "permit";
        answer = match period(&consent["period"], clock) {
            Fits::No => Answer::default(),
            fits => {
                let names = Names { end: consent["period"]["end"].is_string(), ..Names::default() };
                below(list(consent, "provision"), permit, given && fits == Fits::Yes, names, Some(permit), true, purpose, clock)
            }
        };
    } else {
        let root = &consent["provision"];
        let (permit, base) = match (typed, rule) {
            (Some(typed), None) => (Some(typed), false),
            (Some(typed), Some(rule)) if typed == rule => (Some(typed), false),
            (Some(_), Some(_)) => (Some(false), true),
            (None, rule) => (rule, true),
        };
        let mut below = provision(root, permit, given, Names::default(), base, purpose, clock);
        // An opt-out stands for all that a typed root is not about, as long as its period.
        if typed.is_some() && rule == Some(false) && !below.permits && period(&root["period"], clock) != Fits::No {
            below.denies = true;
        }
        answer = below;
    }
    says.denies = answer.denies;
    for (system, code) in answer.redact {
        match (system.as_str(), LEVELS.iter().position(|level| *level == code)) {
            (CONFIDENTIALITY, Some(rank)) => says.redact.from_level = Some(says.redact.from_level.map_or(rank, |from| from.min(rank))),
            _ => _ = says.redact.codes.insert(code),
        }
    }
    // C0, C9: it may deny; it cannot permit.
    if speaks(consent) != Some(true) || !supported(consent) {
        return says;
    }
    says.permits = answer.permits;
    let signed = list(consent, "performer").iter().chain(list(consent, "grantor")).filter_map(|signer| text(signer, "reference"));
    let patient = text(consent, "patient.reference").or(text(consent, "subject.reference"));
    let by_patient = signed.into_iter().any(|signer| Some(signer) == patient);
    let dated = consent["dateTime"].is_string() || consent["date"].is_string();
    let verified = list(consent, "verification").iter().any(|one| one["verified"] == Value::Bool(true));
    let documented = !consent["sourceAttachment"].is_null() || !consent["sourceReference"].is_null() || verified;
    let complete = |names: &Names| names.purpose && names.recipient && names.end && by_patient && dated && documented;
    says.authorized = answer.permits && answer.names.iter().any(complete);
    says
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fits {
    Yes,
    No,
    /// A permit does not match, a deny does.
    Unclear,
}

/// One provision and all beneath it. `permit`: its own effect, `None` where there is none.
fn provision(value: &Value, permit: Option<bool>, strict: bool, above: Names, base: bool, purpose: Purpose, clock: &Clock) -> Answer {
    let (actors, by_recipient) = actors(list(value, "actor"));
    let parts = [period(&value["period"], clock), purposes(list(value, "purpose"), purpose), actors];
    if parts.contains(&Fits::No) {
        return Answer::default();
    }
    let names = Names {
        purpose: above.purpose || !list(value, "purpose").is_empty(),
        recipient: above.recipient || by_recipient,
        end: above.end || value["period"]["end"].is_string(),
    };
    let strict = strict && !parts.contains(&Fits::Unclear);
    let labels: Vec<(String, String)> = list(value, "securityLabel")
        .iter()
        .map(|label| (text(label, "system").unwrap_or("").to_owned(), text(label, "code").unwrap_or("").to_owned()))
        .collect();
    if !labels.is_empty() {
        assert!(permit == Some(false) && list(value, "provision").is_empty(), "the overlay labels denials without exceptions");
        return Answer { redact: labels, ..Answer::default() };
    }
    let children = list(value, "provision");
    below(children, permit.unwrap_or(false), strict, names, permit, base, purpose, clock)
}

/// The exceptions among `children`; where none decides, the effect of the one above them.
#[expect(clippy::too_many_arguments, reason = "a naive walk carries all it knows")]
fn below(
    children: &[Value],
    parent: bool,
    strict: bool,
    names: Names,
    own: Option<bool>,
    base: bool,
    purpose: Purpose,
    clock: &Clock,
) -> Answer {
    let mut sum = Answer::default();
    for child in children {
        let permit = text(child, "type").map_or(!parent, |kind| kind == "permit");
        let one = provision(child, Some(permit), strict, names, false, purpose, clock);
        sum.permits |= one.permits;
        sum.denies |= one.denies;
        sum.names.extend(one.names);
        sum.redact.extend(one.redact);
    }
    if sum.denies {
        sum.permits = false;
        sum.names.clear();
    }
    if sum.permits || sum.denies {
        return sum;
    }
    match own {
        Some(false) => sum.denies = true,
        Some(true) if strict => {
            sum.permits = true;
            // A base decision is not an authorization, whatever it names.
            sum.names = if base { Vec::new() } else { vec![names] };
        }
        Some(true) | None => {}
    }
    sum
}

fn period(value: &Value, clock: &Clock) -> Fits {
    let bound = |end: &str| match &value[end] {
        Value::Null => Ok(None),
        _ => written(value, end).map(Some).ok_or(()),
    };
    let (Ok(start), Ok(end)) = (bound("start"), bound("end")) else { return Fits::Unclear };
    let now = clock.now.timestamp();
    let begun = start.is_none_or(|start| start.earliest() <= now);
    // The end belongs to the period: of a date that whole day.
    let over = end.is_some_and(|end| end.ends().cmp(&now) != Ordering::Greater);
    if begun && !over { Fits::Yes } else { Fits::No }
}

fn purposes(named: &[Value], purpose: Purpose) -> Fits {
    let code = |coding: &Value| text(coding, "code").unwrap_or("").to_owned();
    if named.is_empty() || named.iter().any(|coding| purpose.named_by(&code(coding))) {
        return Fits::Yes;
    }
    let unknown = named.iter().any(|coding| !KNOWN_PURPOSES.contains(&code(coding).as_str()));
    if unknown { Fits::Unclear } else { Fits::No }
}

/// With whether the recipient is named.
fn actors(named: &[Value]) -> (Fits, bool) {
    if named.is_empty() {
        return (Fits::Yes, false);
    }
    let recipient = |actor: &&Value| matches!(role(actor), Some("IRCP" | "PRCP") | None);
    let discloser = |actor: &&Value| matches!(role(actor), Some("CST" | "AUT"));
    let strangers = named.iter().any(|actor| !is_crm(actor) && !is_riverside(actor));
    let told: Vec<&Value> = named.iter().filter(recipient).collect();
    let telling: Vec<&Value> = named.iter().filter(discloser).collect();
    let told_fits = told.is_empty() || told.iter().any(|actor| is_crm(actor));
    let telling_fits = telling.is_empty() || telling.iter().any(|actor| is_riverside(actor));
    let unknown_role = told.len() + telling.len() < named.len();
    let by_recipient = told.iter().any(|actor| is_crm(actor));
    match (told_fits && telling_fits && !unknown_role, strangers || unknown_role) {
        (true, _) => (Fits::Yes, by_recipient),
        (false, true) => (Fits::Unclear, false),
        (false, false) => (Fits::No, false),
    }
}

fn role(actor: &Value) -> Option<&str> {
    codings(&actor["role"]).map(|(_, code)| code).next()
}

fn is_crm(actor: &Value) -> bool {
    text(actor, "reference.reference") == Some("Organization/crm")
        || text(actor, "reference.identifier.system") == Some("urn:example:recipients")
            && text(actor, "reference.identifier.value") == Some("crm")
}

fn is_riverside(actor: &Value) -> bool {
    text(actor, "reference.reference") == Some("Organization/riverside")
}

/// C9, of what the overlay uses: nothing stands in the Consent that this engine does not support.
fn supported(consent: &Value) -> bool {
    let rule_decides = codings(&consent["policyRule"]).any(|(_, code)| code.starts_with("OPT"));
    let computable = consent["decision"].is_string() || consent["provision"]["type"].is_string() || rule_decides;
    computable && consent["modifierExtension"].is_null() && [&consent["provision"]].into_iter().all(provision_supported)
}

fn provision_supported(value: &Value) -> bool {
    if let Value::Array(several) = value {
        return several.iter().all(provision_supported);
    }
    let resolved = list(value, "actor").iter().all(|actor| is_crm(actor) || is_riverside(actor));
    resolved && at(value, "expression").is_null() && list(value, "provision").iter().all(provision_supported)
}
