//! Invented people, as plain as they can be: a member of `annual-wellness-visit-due`, and what takes that back.
//!
//! In: a number. Out: resources as JSON. Never here: a real person.

use std::fmt::Write;

pub fn id(number: usize) -> String {
    format!("bench-{number}")
}

/// A Patient, two visits, a procedure; of every third a Consent that permits.
pub fn person(number: usize, out: &mut Vec<String>) {
    let id = id(number);
    let gender = if number.is_multiple_of(2) { "female" } else { "male" };
    out.push(patient(number, gender, &format!("{}-{:02}-{:02}", 1940 + number % 60, 1 + number % 12, 1 + number % 28)));
    let about = format!(r#""subject":{{"reference":"Patient/{id}"}}"#);
    let day = now().strftime("%Y-%m-%d").to_string();
    let before = (now() - jiff::SignedDuration::from_hours(24 * 500)).strftime("%Y-%m-%d").to_string();
    for (place, start) in [before.as_str(), day.as_str()].into_iter().enumerate() {
        out.push(format!(
            r#"{{"resourceType":"Encounter","id":"{id}-{place}","status":"finished","class":{{"code":"AMB"}},{about},"period":{{"start":"{start}T08:00:00Z","end":"{start}T08:30:00Z"}}}}"#
        ));
    }
    out.push(format!(
        r#"{{"resourceType":"Procedure","id":"{id}-p","status":"completed","code":{{"coding":[{{"system":"http://snomed.info/sct","code":"430193006"}}]}},{about},"performedDateTime":"{before}T08:10:00Z"}}"#
    ));
    if number.is_multiple_of(3) {
        out.push(consent(number, "permit", "TREAT"));
    }
}

pub fn patient(number: usize, gender: &str, birth: &str) -> String {
    let id = id(number);
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","gender":"{gender}","birthDate":"{birth}","name":[{{"family":"Invented","given":["Number{number}"]}}],"telecom":[{{"system":"email","value":"{id}@example.org"}}],"address":[{{"state":"IL","postalCode":"60601"}}]}}"#
    )
}

/// What revokes: nothing may be told of this person any more.
pub fn denial(number: usize) -> String {
    consent(number, "deny", "TREAT")
}

fn consent(number: usize, effect: &str, purpose: &str) -> String {
    let (id, system) = (id(number), "http://terminology.hl7.org/CodeSystem");
    let mut json = String::new();
    write!(
        json,
        r#"{{"resourceType":"Consent","id":"c-{id}","status":"active","scope":{{"coding":[{{"system":"{system}/consentscope","code":"patient-privacy"}}]}},"category":[{{"coding":[{{"system":"http://loinc.org","code":"59284-0"}}]}}],"patient":{{"reference":"Patient/{id}"}},"dateTime":"2026-01-01T00:00:00Z","provision":{{"type":"{effect}","purpose":[{{"system":"{system}/v3-ActReason","code":"{purpose}"}}]}}}}"#
    )
    .expect("writing to a string");
    json
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
