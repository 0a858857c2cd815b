//! What people signed: Consents in the three dialects in which R4 and R5 write them.
//!
//! In: a person's chart and dice. Out: Consent resources, some withdrawn or expiring within the window.
//! Never here: a judgement about them; some are incomplete on purpose.

use super::care::Window;
use super::chart::{Chart, at, days_after};
use super::dice::Dice;
use super::write::{ACT_CODE, LOINC, Resource, coding, concept, list, object, period, quote, reference};
use footbridge_core::time::Instant;
use jiff::civil::Date;

const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const SCOPE: &str = "http://terminology.hl7.org/CodeSystem/consentscope";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
/// The discloser and the recipient that `mappings/policy.yaml` names.
const DISCLOSER: &str = "Organization/riverside";
const RECIPIENT: &str = "Organization/crm";

/// What an ordinary adult signed. `joint`: they were asked whether they want to hear of seminars.
pub fn sign(dice: &mut Dice, window: &Window, chart: &mut Chart, joined: Date, joint: bool) {
    let day = days_after(joined.max(window.day(dice.between(-300, window.length - 100))), 1);
    let kind = dice.between(0, 99);
    if kind < if joint { 55 } else { 12 } {
        let end = if dice.percent(40) { days_after(day, dice.between(60, 400)) } else { days_after(day, 1500) };
        let id = chart.next_id();
        // Some forms came back without the recipient filled in.
        let to = if dice.percent(90) { Some(RECIPIENT) } else { None };
        let signed = at(day, 17, 30);
        let text = |status, chart: &Chart| authorization(chart, &id, status, signed, &end.to_string(), to);
        chart.put(signed, text("active", chart));
        if dice.percent(20) {
            let withdrawn = days_after(day, dice.between(10, 300));
            chart.put(at(withdrawn, 20, 15), text("inactive", chart));
        }
    } else if kind < 60 {
        // Most people sign nothing.
    } else if kind < 64 {
        let id = chart.next_id();
        let denied = by_policy_rule(chart, &id, "active", at(day, 17, 30), "OPTIN", &["HMARKT"]);
        chart.put(at(day, 17, 30), denied);
    } else if kind < 67 {
        let id = chart.next_id();
        let denied = by_policy_rule(chart, &id, "active", at(day, 17, 30), "OPTOUT", &[]);
        chart.put(at(day, 17, 30), denied);
        if dice.percent(30) {
            let again = days_after(day, dice.between(20, 200));
            let withdrawn = by_policy_rule(chart, &id, "inactive", at(day, 17, 30), "OPTOUT", &[]);
            chart.put(at(again, 17, 0), withdrawn);
        }
    } else if kind < 70 {
        let id = chart.next_id();
        let denied = by_decision(chart, &id, at(day, 17, 30), "permit", &["TREAT", "HMARKT"], None);
        chart.put(at(day, 17, 30), denied);
    } else if kind < 75 {
        let id = chart.next_id();
        let end = days_after(day, dice.between(100, 700));
        let permitted = by_decision(chart, &id, at(day, 17, 30), "deny", &["HMARKT", "TREAT", "HOPERAT"], Some(end));
        chart.put(at(day, 17, 30), permitted);
    }
}

/// A complete authorization for marketing, as IHE PCF writes it: the root provision carries the type.
/// `end` is a day, or an instant.
pub fn authorization(chart: &Chart, id: &str, status: &str, signed: Instant, end: &str, to: Option<&str>) -> Resource {
    let mut provision =
        vec![("type", quote("permit")), ("period", period(&signed.to_string(), end)), ("purpose", list(&[coding(REASON, "HMARKT")]))];
    if let Some(recipient) = to {
        provision.push(("actor", list(&[actor(recipient)])));
    }
    let verified = object(&[
        ("verified", "true".to_owned()),
        ("verifiedWith", reference(&chart.patient)),
        ("verificationDate", quote(&signed.to_string())),
    ]);
    r4(chart, id, status, signed)
        .raw("policy", list(&[object(&[("uri", quote("https://riverside.example/policies/marketing-authorization"))])]))
        .raw("sourceAttachment", object(&[("contentType", quote("application/pdf")), ("title", quote("signed form"))]))
        .raw("verification", list(&[verified]))
        .raw("provision", object(&provision))
}

/// The text of R4: the base stands in `policyRule`, what is nested carries its type.
fn by_policy_rule(chart: &Chart, id: &str, status: &str, signed: Instant, rule: &str, denied: &[&str]) -> Resource {
    let consent = r4(chart, id, status, signed).raw("policyRule", concept(ACT_CODE, rule));
    if denied.is_empty() {
        return consent;
    }
    let purposes: Vec<String> = denied.iter().map(|code| coding(REASON, code)).collect();
    let nested = object(&[("type", quote("deny")), ("purpose", list(&purposes))]);
    consent.raw("provision", object(&[("provision", list(&[nested]))]))
}

/// R5: a decision, and provisions that are exceptions from it.
fn by_decision(chart: &Chart, id: &str, signed: Instant, decision: &str, exceptions: &[&str], end: Option<Date>) -> Resource {
    let purposes: Vec<String> = exceptions.iter().map(|code| coding(REASON, code)).collect();
    let verified = object(&[
        ("verified", "true".to_owned()),
        ("verifiedWith", reference(&chart.patient)),
        ("verificationDate", list(&[quote(&signed.to_string())])),
    ]);
    let consent = Resource::new("Consent", id)
        .text("status", "active")
        .raw("category", list(&[concept(SCOPE, "patient-privacy"), concept(LOINC, "59284-0")]))
        .reference("subject", &chart.patient)
        .text("date", &signed.to_string()[..10])
        .raw("grantor", list(&[reference(&chart.patient)]))
        .raw("controller", list(&[reference(DISCLOSER)]))
        .raw("sourceAttachment", list(&[object(&[("contentType", quote("application/pdf")), ("title", quote("signed form"))])]))
        .raw("verification", list(&[verified]))
        .text("decision", decision)
        .raw("provision", list(&[object(&[("actor", list(&[actor(RECIPIENT)])), ("purpose", list(&purposes))])]));
    match end {
        Some(day) => consent.raw("period", period(&signed.to_string()[..10], &day.to_string())),
        None => consent,
    }
}

fn r4(chart: &Chart, id: &str, status: &str, signed: Instant) -> Resource {
    Resource::new("Consent", id)
        .text("status", status)
        .raw("scope", concept(SCOPE, "patient-privacy"))
        .raw("category", list(&[concept(LOINC, "59284-0")]))
        .reference("patient", &chart.patient)
        .text("dateTime", &signed.to_string())
        .raw("performer", list(&[reference(&chart.patient)]))
        .raw("organization", list(&[reference(DISCLOSER)]))
}

fn actor(who: &str) -> String {
    object(&[("role", concept(PARTICIPATION, "IRCP")), ("reference", reference(who))])
}

/// For the people whose story the demonstration tells.
pub fn authorize(chart: &mut Chart, signed: Instant, end: &str, withdrawn: Option<Instant>) {
    let id = chart.next_id();
    let given = authorization(chart, &id, "active", signed, end, Some(RECIPIENT));
    chart.put(signed, given);
    if let Some(instant) = withdrawn {
        let taken_back = authorization(chart, &id, "inactive", signed, end, Some(RECIPIENT));
        chart.put(instant, taken_back);
    }
}
