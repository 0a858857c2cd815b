//! Invented Consents: three dialects, whole and lacking, in force and not, about this and about something else.
//!
//! In: dice and a patient. Out: versions of Consents in the order of time. Never here: what they mean.

use super::dice::Dice;
use super::labels::{ACT_CODE, CONFIDENTIALITY};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

pub struct Window {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Window {
    /// Somewhere in the window, or up to `before` days ahead of it.
    pub fn throw(&self, dice: &mut Dice, before: i64) -> Timestamp {
        let first = self.from.as_second() - before * 86_400;
        let length = u64::try_from(self.until.as_second() - first).expect("a window");
        Timestamp::from_second(first + i64::try_from(dice.below(length)).expect("a second")).expect("a second")
    }
}

pub fn later(at: Timestamp, days: u64, dice: &mut Dice) -> Timestamp {
    let seconds = i64::try_from(dice.below(days * 86_400) + 1).expect("seconds");
    at.checked_add(seconds.seconds()).expect("not the end of time")
}

pub fn day(at: Timestamp) -> String {
    at.to_string()[..10].to_owned()
}

/// All versions of all Consents of one patient. `keen`: likely to sign an authorization.
pub fn invent(dice: &mut Dice, patient: &str, window: &Window, keen: bool) -> Vec<Value> {
    let mut out = Vec::new();
    let count = if keen { 1 + dice.below(2) } else { 1 + dice.below(3) };
    for number in 0..count {
        let kind = match (keen && number == 0, dice.below(100)) {
            (true, 0..80) => *dice.pick(&[1, 1, 1, 2, 7]),
            (_, percent @ 0..26) => [0, 1, 2, 3][usize::try_from(percent % 4).expect("small")],
            (_, 26..36) => 4,
            _ => i32::try_from(dice.below(24)).expect("small"),
        };
        let made = window.throw(dice, 300);
        let id = format!("consent-{patient}-{number}");
        let mut consent = consent(dice, kind, patient, made, window);
        consent["id"] = json!(id);
        if consent["status"].is_null() {
            consent["status"] = json!("active");
        }
        stamp(&mut consent, made);
        let mut at = made;
        out.push(consent.clone());
        if kind == 17 {
            // Replaced by another one with the same identifier.
            let (kind, signed) = (*dice.pick(&[0, 1, 4, 8]), later(made, 200, dice));
            let mut next = self::consent(dice, kind, patient, signed, window);
            next["id"] = json!(format!("{id}-next"));
            next["status"] = json!("active");
            next["identifier"] = consent["identifier"].clone();
            let at = next["dateTime"].as_str().map_or(made, |text| text.parse().unwrap_or(made));
            stamp(&mut next, at.max(made));
            out.push(next);
        }
        // Revoked, and sometimes given again.
        if dice.percent(35) {
            at = later(at, 400, dice);
            consent["status"] = json!(*dice.pick(&["inactive", "inactive", "entered-in-error", "rejected"]));
            stamp(&mut consent, at);
            out.push(consent.clone());
            if dice.percent(30) {
                at = later(at, 200, dice);
                consent["status"] = json!("active");
                stamp(&mut consent, at);
                out.push(consent);
            }
        }
    }
    out
}

fn stamp(resource: &mut Value, at: Timestamp) {
    resource["meta"]["lastUpdated"] = json!(at.to_string());
}

fn coding(system: &str, code: &str) -> Value {
    json!({ "system": system, "code": code })
}

fn concept(system: &str, code: &str) -> Value {
    json!({ "coding": [coding(system, code)] })
}

fn purposes(codes: &[&str]) -> Value {
    codes.iter().map(|code| coding(REASON, code)).collect()
}

fn scope(code: &str) -> Value {
    concept("http://terminology.hl7.org/CodeSystem/consentscope", code)
}

fn actor(role: &str, reference: Value) -> Value {
    json!({ "role": concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", role), "reference": reference })
}

fn to_crm(dice: &mut Dice) -> Value {
    let reference = match dice.percent(70) {
        true => json!({ "reference": "Organization/crm" }),
        false => json!({ "identifier": { "system": "urn:example:recipients", "value": "crm" } }),
    };
    actor(dice.pick::<&str>(&["IRCP", "PRCP"]), reference)
}

/// From around `made` on, mostly with an end: past, within the window, or far away; as days or instants.
fn period(dice: &mut Dice, made: Timestamp, window: &Window) -> Value {
    let start = match dice.percent(15) {
        true => later(made, 150, dice),
        false => made.checked_sub(10.hours()).expect("not the beginning of time"),
    };
    let end = match dice.below(10) {
        0 => start.checked_add(72.hours()).expect("not the end of time"),
        1..=5 => later(start, 500, dice),
        _ => window.until.checked_add(9000.hours()).expect("not the end of time"),
    };
    let write = |at: Timestamp, dice: &mut Dice| if dice.percent(50) { day(at) } else { at.to_string() };
    json!({ "start": write(start, dice), "end": write(end, dice) })
}

fn r4(patient: &str, made: Timestamp) -> Value {
    json!({
        "resourceType": "Consent", "status": null, "scope": scope("patient-privacy"),
        "category": [concept("http://loinc.org", "59284-0")],
        "patient": { "reference": format!("Patient/{patient}") },
        "dateTime": made.to_string(), "performer": [{ "reference": format!("Patient/{patient}") }],
        "sourceAttachment": { "title": "a signed form" }, "policy": [{ "uri": "urn:example:policy" }],
    })
}

fn r5(patient: &str, made: Timestamp) -> Value {
    json!({
        "resourceType": "Consent", "status": null, "category": [scope("patient-privacy")],
        "subject": { "reference": format!("Patient/{patient}") },
        "date": day(made), "grantor": [{ "reference": format!("Patient/{patient}") }],
        "verification": [{ "verified": true }],
    })
}

fn remove(value: &mut Value, key: &str) {
    value.as_object_mut().expect("an object").remove(key);
}

fn consent(dice: &mut Dice, kind: i32, patient: &str, made: Timestamp, window: &Window) -> Value {
    let mut c = r4(patient, made);
    match kind {
        // D2, the purposes of care.
        0 => {
            c["provision"] = json!({ "type": "permit", "purpose": purposes(&["TREAT", "HOPERAT"]), "period": period(dice, made, window) });
        }
        // D2, a whole authorization.
        1 => {
            c["provision"] = json!({ "type": "permit", "purpose": purposes(&["HMARKT"]), "actor": [to_crm(dice)], "period": period(dice, made, window) });
        }
        // D2, purpose above, recipient and end beneath: permit under permit. Or with the discloser named too.
        2 => {
            c["provision"] = json!({ "type": "permit", "purpose": purposes(&["HMARKT", "TREAT"]), "provision": [
                { "type": "permit", "actor": [to_crm(dice), actor("CST", json!({ "reference": "Organization/riverside" }))], "period": period(dice, made, window) }
            ] });
        }
        // D2, an authorization that lacks something.
        3 => {
            c["provision"] = json!({ "type": "permit", "purpose": purposes(&["HMARKT"]), "actor": [to_crm(dice)], "period": period(dice, made, window) });
            match dice.below(6) {
                0 => remove(&mut c, "dateTime"),
                1 => c["performer"] = json!([{ "reference": "RelatedPerson/rel-1" }]),
                2 => remove(&mut c, "sourceAttachment"),
                3 => remove(&mut c["provision"], "actor"),
                4 => remove(&mut c["provision"]["period"], "end"),
                _ => remove(&mut c["provision"], "purpose"),
            }
        }
        // D1, opt-in with exceptions.
        4 => {
            c["policyRule"] = concept(ACT_CODE, "OPTIN");
            let exception = match dice.below(8) {
                0 => json!({ "type": "deny", "purpose": purposes(&["HMARKT"]) }),
                1 => json!({ "type": "deny", "purpose": purposes(&["TREAT"]), "period": period(dice, made, window) }),
                2..=5 => json!({ "type": "deny", "securityLabel": [coding(CONFIDENTIALITY, "N")] }),
                6 => json!({ "type": "deny", "securityLabel": [coding(CONFIDENTIALITY, "R"), coding(ACT_CODE, "HIV")] }),
                _ => json!({ "type": "permit", "purpose": purposes(&["HMARKT"]), "actor": [to_crm(dice)] }),
            };
            c["provision"] = json!({ "provision": [exception], "period": period(dice, made, window) });
        }
        // D1, opt-out but for an authorization.
        5 => {
            c["policyRule"] = concept(ACT_CODE, "OPTOUT");
            c["provision"] = json!({ "provision": [
                { "type": "permit", "purpose": purposes(&["HMARKT"]), "actor": [to_crm(dice)], "period": period(dice, made, window) }
            ] });
        }
        // D3, all but one purpose.
        6 => {
            c = r5(patient, made);
            c["decision"] = json!("permit");
            c["period"] = period(dice, made, window);
            c["provision"] = json!([{ "purpose": purposes(&[*dice.pick(&["HMARKT", "TREAT", "HOPERAT"])]) }]);
        }
        // D3, nothing but marketing to the recipient; beneath it an exception to the exception.
        7 => {
            c = r5(patient, made);
            c["decision"] = json!("deny");
            c["period"] = period(dice, made, window);
            c["provision"] = json!([{ "purpose": purposes(&["HMARKT"]), "actor": [to_crm(dice)] }]);
            if dice.percent(30) {
                c["provision"][0]["provision"] = json!([{ "period": period(dice, made, window) }]);
            }
        }
        // D2 denials.
        8 => {
            let named = *dice.pick(&["TREAT", "HOPERAT", "HMARKT", "HRESCH", "COC"]);
            c["provision"] = json!({ "type": "deny", "purpose": purposes(&[named]), "period": period(dice, made, window) });
        }
        9 => {
            // Somebody that nobody here knows, somebody that is not told, somebody who is.
            let whom = *dice.pick(&["Organization/elsewhere", "Organization/riverside", "Organization/crm"]);
            let role = *dice.pick(&["IRCP", "IRCP", "CST", "WIT"]);
            c["provision"] = json!({ "type": *dice.pick(&["deny", "permit"]), "actor": [actor(role, json!({ "reference": whom }))] });
        }
        // About something else, or nobody can tell about what.
        10 => {
            c["scope"] = scope(dice.pick::<&str>(&["research", "adr", "treatment"]));
            c["provision"] = json!({ "type": "deny" });
        }
        11 => {
            c["scope"] = match dice.percent(50) {
                true => scope("housekeeping"),
                false => json!({ "text": "see the form" }),
            };
            c["provision"] = json!({ "type": *dice.pick(&["deny", "permit", "permit"]), "purpose": purposes(&["TREAT", "HMARKT"]), "period": period(dice, made, window), "actor": [to_crm(dice)] });
        }
        // It cannot be read.
        12 => c["provision"] = json!("see the attachment"),
        // Something stands there that nobody here understands.
        13 => {
            c["modifierExtension"] = json!([{ "url": "urn:example:only-on-weekdays", "valueBoolean": true }]);
            c["provision"] = json!({ "type": *dice.pick(&["deny", "permit", "permit"]), "purpose": purposes(&["TREAT", "HMARKT"]), "actor": [to_crm(dice)], "period": period(dice, made, window) });
        }
        // Never in force.
        14 => {
            c["status"] = json!(*dice.pick(&["draft", "proposed", "rejected", "entered-in-error"]));
            c["provision"] = json!({ "type": *dice.pick(&["deny", "permit"]), "purpose": purposes(&["TREAT", "HMARKT"]) });
        }
        // D2, a pause within a permit, or a permit within a denial.
        15 => {
            let (outer, inner) = *dice.pick(&[("permit", "deny"), ("deny", "permit")]);
            c["provision"] = json!({ "type": outer, "purpose": purposes(&["TREAT", "HOPERAT"]), "provision": [
                { "type": inner, "period": period(dice, made, window) },
                { "type": inner, "purpose": purposes(&["HRESCH"]) }
            ] });
        }
        // A period or a purpose that cannot be read.
        16 => {
            c["provision"] = json!({ "type": "deny", "purpose": purposes(&[*dice.pick(&["NEWREASON", "HMARKT"])]), "period": { "start": day(made), "end": "until further notice" } });
        }
        17 => {
            c["identifier"] = json!([{ "system": "urn:example:forms", "value": format!("form-{patient}") }]);
            c["provision"] = json!({ "type": *dice.pick(&["deny", "permit"]), "purpose": purposes(&["TREAT", "HOPERAT"]) });
        }
        // Both a rule and a type, that agree or do not.
        18 => {
            c["policyRule"] = concept(ACT_CODE, dice.pick::<&str>(&["OPTIN", "OPTOUT"]));
            c["provision"] = json!({ "type": "permit", "purpose": purposes(&["TREAT"]) });
        }
        // A rule that only names the basis.
        19 => {
            c["policyRule"] = concept("http://terminology.hl7.org/CodeSystem/consentpolicycodes", "hipaa-auth");
            c["provision"] = json!({ "provision": [
                { "type": *dice.pick(&["deny", "permit"]), "purpose": purposes(&["HOPERAT", "HMARKT"]), "actor": [to_crm(dice)], "period": period(dice, made, window) }
            ] });
        }
        // Plain permits, so that text messages can be sent.
        _ => {
            c["provision"] = json!({ "type": "permit", "purpose": purposes(&["TREAT"]), "period": period(dice, made, window) });
        }
    }
    c
}
