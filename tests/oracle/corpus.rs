//! The corpus: Synthea's patients, less what no audience reads.
//!
//! In: the shared file. Out: one list of resources a patient, references as `Type/id`. Fails where the file is missing.
//! Never here: anything invented.

use super::dice::Dice;
use super::json::{codings, id, kind, list, text};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

pub fn folder() -> PathBuf {
    match std::env::var_os("FOOTBRIDGE_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
    }
}

/// The Patient first, then what is about it, in Synthea's order.
pub fn read(seed: u64) -> Vec<Vec<Value>> {
    let path = folder().join("data/synthea-r4/patients.bundles.ndjson.zst");
    let file = std::fs::File::open(&path).unwrap_or_else(|error| {
        unreachable!(
            "{}: {error}; set FOOTBRIDGE_SHARED to the folder of shared data, or test without the feature `corpus`",
            path.display()
        )
    });
    let lines = BufReader::new(zstd::Decoder::new(file).expect("zstd")).lines();
    lines.map(|line| patient(&line.expect("UTF-8"), seed)).collect()
}

fn patient(line: &str, seed: u64) -> Vec<Value> {
    let bundle: Value = serde_json::from_str(line).expect("the corpus is JSON");
    let mut urls = HashMap::new();
    let mut resources = Vec::new();
    for entry in list(&bundle, "entry") {
        let resource = &entry["resource"];
        urls.insert(text(entry, "fullUrl").expect("a url").to_owned(), format!("{}/{}", kind(resource), id(resource)));
        if is_read(resource, seed) {
            resources.push(resource.clone());
        }
    }
    resources.iter_mut().for_each(|resource| literal(resource, &urls));
    resources.sort_by_key(|resource| kind(resource) != "Patient");
    resources
}

fn is_read(resource: &Value, seed: u64) -> bool {
    match kind(resource) {
        "Patient" | "Encounter" | "Procedure" | "Immunization" | "MedicationRequest" | "Condition" | "CarePlan" => true,
        // One in fifty of those that nobody asks about, so that there are some.
        "Observation" => codings(&resource["code"]).any(|(_, code)| code == "72514-3") || Dice::of(seed, id(resource)).percent(2),
        _ => false,
    }
}

/// References as `Type/id`.
fn literal(value: &mut Value, urls: &HashMap<String, String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get_mut("reference")
                && let Some(literal) = urls.get(reference)
            {
                reference.clone_from(literal);
            }
            fields.values_mut().for_each(|field| literal(field, urls));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| literal(item, urls)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
