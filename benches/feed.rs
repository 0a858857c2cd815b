//! The mix of a health system's feed: seven types of the Synthea patients with Consents, in order of time.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

pub struct Record {
    pub body: Vec<u8>,
}

const TYPES: [&str; 7] = ["Patient", "Encounter", "Condition", "Observation", "Procedure", "Immunization", "MedicationRequest"];

/// Where the shared data is.
pub fn shared() -> PathBuf {
    match std::env::var_os("FOOTBRIDGE_SHARED") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
    }
}

/// So many copies of the patients, each with ids of its own. Two thirds have a Consent, a third of those a second one.
pub fn mix(shared: &Path, copies: usize) -> Vec<Record> {
    let file = shared.join("data/synthea-r4/patients.bundles.ndjson.zst");
    assert!(file.exists(), "{} is missing; set FOOTBRIDGE_SHARED", file.display());
    let packed = std::fs::File::open(&file).expect("a file that can be read");
    let lines = BufReader::with_capacity(1 << 20, zstd::Decoder::new(packed).expect("a zstd file")).lines();
    let mut once = Vec::new();
    for (number, line) in lines.enumerate() {
        let bundle: Value = sonic_rs::from_str(&line.expect("a line")).expect("a Bundle");
        let entries = bundle.get("entry").and_then(|e| e.as_array().cloned()).expect("entries");
        let text = |value: &Value, key: &str| value.get(key).and_then(|v| v.as_str().map(str::to_owned));
        let resources: Vec<Value> = entries.iter().filter_map(|entry| entry.get("resource").cloned()).collect();
        let patient = resources.iter().find(|r| text(r, "resourceType").as_deref() == Some("Patient"));
        let id = patient.and_then(|r| text(r, "id")).expect("a patient");
        let mut mine = Vec::new();
        for resource in resources {
            let kind = text(&resource, "resourceType").expect("a type");
            if TYPES.contains(&kind.as_str()) {
                let json = sonic_rs::to_string(&resource).expect("JSON").replace(&format!("urn:uuid:{id}"), &format!("Patient/{id}"));
                mine.push((when(&resource), json.replace("urn:uuid:", "Encounter/")));
            }
        }
        mine.sort();
        for (version, (status, effect)) in consents(number).into_iter().enumerate() {
            let place = (1 + version * mine.len() / 4).min(mine.len());
            let at = mine[place - 1].0.clone();
            mine.insert(place, (at, consent(&id, version, status, effect)));
        }
        once.extend(mine.into_iter().map(|(at, json)| (at, id.clone(), json)));
    }
    once.sort_by(|a, b| a.0.cmp(&b.0));
    let mut records = Vec::with_capacity(once.len() * copies);
    for copy in 0..copies {
        for (_, id, json) in &once {
            // Every id of a copy ends in its number: no resource belongs to two patients.
            let body = json.replace(id.as_str(), &format!("{id}-{copy}")).replacen("\"id\":\"", &format!("\"id\":\"{copy}-"), 1);
            let body = body.replace(&format!("\"id\":\"{copy}-{id}-{copy}\""), &format!("\"id\":\"{id}-{copy}\""));
            let body = body.replace("\"Encounter/", &format!("\"Encounter/{copy}-"));
            records.push(Record { body: body.into_bytes() });
        }
    }
    records
}

fn when(resource: &Value) -> String {
    let elements = ["recordedDate", "effectiveDateTime", "occurrenceDateTime", "authoredOn", "onsetDateTime"];
    let direct = elements.iter().find_map(|key| resource.get(key).and_then(|v| v.as_str().map(str::to_owned)));
    let start = |key: &str| resource.get(key).and_then(|v| v.get("start").and_then(|s| s.as_str().map(str::to_owned)));
    let birth = || resource.get("birthDate").and_then(|v| v.as_str().map(str::to_owned));
    direct.or_else(|| start("performedPeriod")).or_else(|| start("period")).or_else(birth).unwrap_or_else(|| "1900".to_owned())
}

fn consents(number: usize) -> Vec<(&'static str, &'static str)> {
    match number % 10 {
        0..=3 => vec![("active", "permit")],
        4 | 5 => vec![("active", "permit"), ("inactive", "permit")],
        6 => vec![("active", "deny")],
        7 => vec![("active", "permit"), ("inactive", "permit"), ("active", "permit")],
        _ => Vec::new(),
    }
}

fn consent(patient: &str, version: usize, status: &str, effect: &str) -> String {
    let mut json = String::new();
    let system = "http://terminology.hl7.org/CodeSystem";
    write!(
        json,
        r#"{{"resourceType":"Consent","id":"c-{patient}","meta":{{"versionId":"{version}"}},"status":"{status}","scope":{{"coding":[{{"system":"{system}/consentscope","code":"patient-privacy"}}]}},"category":[{{"coding":[{{"system":"http://loinc.org","code":"59284-0"}}]}}],"patient":{{"reference":"Patient/{patient}"}},"dateTime":"2020-01-{:02}T00:00:00Z","provision":{{"type":"{effect}","purpose":[{{"system":"{system}/v3-ActReason","code":"HMARKT"}}]}}}}"#,
        version + 1
    )
    .expect("writing to a string");
    json
}
