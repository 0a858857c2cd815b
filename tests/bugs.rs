//! Bugs that the oracle found, each a short story told to the real binary.
//!
//! In: a few resources, the shipped mappings. Out: what `simulate` tells. Never here: large data.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Status, instant and `until` of each event of one audience, in order.
fn told(name: &str, audience: &str, resources: &[Value]) -> Vec<(String, String, Option<String>)> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bug-{name}.ndjson"));
    let lines: Vec<String> = resources.iter().map(Value::to_string).collect();
    fs::write(&file, lines.join("\n")).expect("room for a small file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
    command.arg("simulate").arg("--mappings").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings"));
    command.args(["--arrival", "last-updated", "--from", "2026-01-01T00:00:00Z", "--until", "2026-12-01T00:00:00Z"]).arg(&file);
    let output = command.output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["data"].take());
    let field = |event: &Value, name: &str| event[name].as_str().map(str::to_owned);
    let named =
        |event: &Value| (field(event, "status").expect("a status"), field(event, "effective").expect("an instant"), field(event, "until"));
    events.filter(|event| event["audience"] == audience).map(|event| named(&event)).collect()
}

fn ann() -> Value {
    json!({ "resourceType": "Patient", "id": "ann", "meta": { "lastUpdated": "2025-01-01T00:00:00Z" }, "gender": "female",
        "birthDate": "1980-05-05", "telecom": [{ "system": "email", "value": "ann@example.org" }] })
}

fn missed(id: &str, updated: &str, start: &str) -> Value {
    json!({ "resourceType": "Appointment", "id": id, "meta": { "lastUpdated": updated }, "status": "noshow", "start": start,
        "participant": [{ "actor": { "reference": "Patient/ann" }, "status": "accepted" }] })
}

/// A plan with an activity that is late, made in the Encounter `visit`.
fn plan() -> Value {
    json!({ "resourceType": "CarePlan", "id": "plan", "meta": { "lastUpdated": "2026-02-01T00:00:00Z" }, "status": "active", "intent": "plan",
        "subject": { "reference": "Patient/ann" }, "encounter": { "reference": "Encounter/visit" },
        "activity": [{ "detail": { "status": "scheduled", "scheduledPeriod": { "end": "2026-01-20T00:00:00Z" } } }] })
}

fn visit(label: Value) -> Value {
    json!({ "resourceType": "Encounter", "id": "visit", "meta": { "lastUpdated": "2026-01-10T00:00:00Z", "security": label },
        "status": "finished", "class": { "code": "AMB" }, "subject": { "reference": "Patient/ann" } })
}

fn statuses(events: &[(String, String, Option<String>)]) -> Vec<(&str, &str)> {
    events.iter().map(|(status, at, _)| (status.as_str(), at.as_str())).collect()
}

#[test]
fn a_membership_that_a_later_record_prolongs_is_renewed_before_the_end_that_was_told() {
    // The first ends on 1 June, and so it is told in May. Before that, a second one is missed.
    let resources = [
        ann(),
        missed("first", "2026-04-02T12:00:00Z", "2026-04-02T10:00:00Z"),
        missed("second", "2026-05-30T12:00:00Z", "2026-05-30T10:00:00Z"),
    ];
    let events = told("prolonged", "missed-appointment-to-rebook", &resources);
    for pair in events.windows(2) {
        let until = pair[0].2.as_deref().expect("a lease");
        assert!(pair[1].1.as_str() <= until, "told until {until}, and then nothing before {}", pair[1].1);
    }
    let last = events.last().expect("events");
    assert_eq!((last.0.as_str(), last.1.as_str()), ("exited", "2026-07-29T10:00:00Z"));
}

#[test]
fn a_plan_stays_withheld_when_the_labelled_encounter_that_it_was_made_in_is_deleted() {
    let hiv = json!([{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV" }]);
    let gone = json!({ "resourceType": "Bundle", "type": "history", "entry": [{
        "request": { "method": "DELETE", "url": "Encounter/visit" }, "response": { "status": "204", "lastModified": "2026-03-01T00:00:00Z" } }] });
    let audience = "care-plan-activity-overdue";
    assert_eq!(told("deleted", audience, &[ann(), visit(hiv.clone()), plan(), gone.clone()]), []);
    // Without a label it is told until the Encounter goes, and again when it is back.
    let mut back = visit(json!([]));
    back["meta"]["lastUpdated"] = json!("2026-03-05T00:00:00Z");
    let events = told("deleted-plain", audience, &[ann(), visit(json!([])), plan(), gone, back]);
    let expected = [("entered", "2026-02-01T00:00:00Z"), ("exited", "2026-03-01T00:00:00Z"), ("entered", "2026-03-05T00:00:00Z")];
    let renewals_aside: Vec<(&str, &str)> = statuses(&events).into_iter().filter(|(status, _)| *status != "updated").collect();
    assert_eq!(renewals_aside[..3], expected);
}

#[test]
fn a_low_label_on_an_encounter_lifts_nothing_that_a_consent_removes() {
    let coding = |system: &str, code: &str| json!([{ "system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code }]);
    let consent = json!({ "resourceType": "Consent", "id": "c", "meta": { "lastUpdated": "2025-02-01T00:00:00Z" }, "status": "active",
        "scope": { "coding": coding("consentscope", "patient-privacy") }, "patient": { "reference": "Patient/ann" }, "dateTime": "2025-02-01",
        "policyRule": { "coding": coding("v3-ActCode", "OPTIN") },
        "provision": { "provision": [{ "type": "deny", "securityLabel": coding("v3-Confidentiality", "N") }] } });
    let audience = "care-plan-activity-overdue";
    let low = visit(coding("v3-Confidentiality", "L"));
    assert_eq!(told("low-label", audience, &[ann(), low.clone(), plan(), consent]), []);
    assert_eq!(told("low-label-alone", audience, &[ann(), low, plan()])[0].0, "entered");
}

#[test]
fn a_sensitive_code_of_an_activity_withholds_the_whole_plan() {
    let mut counselling = plan();
    let code = json!({ "coding": [{ "system": "http://snomed.info/sct", "code": "266707007" }] });
    counselling["activity"][0]["detail"]["code"] = code;
    assert_eq!(told("activity", "care-plan-activity-overdue", &[ann(), visit(json!([])), counselling]), []);
}
