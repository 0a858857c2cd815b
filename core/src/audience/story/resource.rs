//! The people and resources of a story, made whole: who a resource is about, telecom, the code of a value set.
//!
//! In: inline FHIR of a story. Out: its elements as JSON texts; a problem where it cannot be made whole.
//! Never here: a default for what decides: a missing `status` stays missing.

use super::Fields;
use super::json;
use super::read::Known;
use crate::document::Document;
use crate::problem::{Problem, did_you_mean};

/// The elements of a Patient; `email`, `phone` and `sms` become telecom.
pub fn patient(name: &str, node: &Document, problems: &mut Vec<Problem>) -> Fields {
    let mut fields: Fields = vec![("resourceType".to_owned(), json::string("Patient")), ("id".to_owned(), json::string(name))];
    let mut telecom = Vec::new();
    for (key, value) in node.map("a person's elements, as { gender: female, birthDate: 1976-03-01 }", problems) {
        match key.name.as_str() {
            "email" | "phone" | "sms" => {
                let addresses = value.as_list().unwrap_or(std::slice::from_ref(value));
                for address in addresses {
                    let Some(text) = address.text("an address", problems) else { continue };
                    telecom.push(json::object(&[("system", &json::string(&key.name)), ("value", &json::string(text))]));
                }
            }
            "telecom" => match value.as_list() {
                Some(items) => telecom.extend(items.iter().map(|item| json::value(item, problems))),
                None => problems.push(value.error(format!("expected a list, found {}", value.describe()))),
            },
            "id" | "resourceType" => {
                let fixed = Problem::error(key.place.clone(), format!("`{}` is given by the story", key.name));
                problems.push(fixed.hint("leave it out: a person is a Patient whose id is the name"));
            }
            _ => fields.push((key.name.clone(), json::value(value, problems))),
        }
    }
    if !telecom.is_empty() {
        fields.push(("telecom".to_owned(), format!("[{}]", telecom.join(","))));
    }
    fields
}

/// Kind, id and elements of an inline resource. `number` tells apart those of a person that have no id.
pub fn resource(
    person: &str,
    number: usize,
    node: &Document,
    known: &Known,
    problems: &mut Vec<Problem>,
) -> Option<(String, String, Fields)> {
    let entries = node.map("a resource, as { resourceType: Procedure, status: completed }", problems);
    let Some(kind) = node.get("resourceType") else {
        if node.as_map().is_some() {
            problems.push(node.error("the resource has no `resourceType`").hint("add `resourceType: Procedure`, or another of FHIR"));
        }
        return None;
    };
    let kind = kind.text("a FHIR type", problems)?;
    let mut fields: Fields = Vec::new();
    for (key, value) in entries {
        let text = match (key.name.as_str(), value.as_text()) {
            ("code", Some(valueset)) => coded(value, valueset, known, problems),
            _ => json::value(value, problems),
        };
        fields.push((key.name.clone(), text));
    }
    let id = match node.get("id") {
        Some(id) => id.text("an id", problems)?.to_owned(),
        None if kind == "Patient" => person.to_owned(),
        None => format!("{person}-{number}"),
    };
    if kind == "Patient" && id != person {
        problems
            .push(node.error(format!("this Patient is not {person}")).hint("leave the id out, or put the line under that person's name"));
    }
    set(&mut fields, "id", json::string(&id));
    if let Some((element, text)) = about(kind, person)
        && !fields.iter().any(|(name, _)| name == element)
    {
        fields.push((element.to_owned(), text));
    }
    Some((kind.to_owned(), id, fields))
}

pub fn set(fields: &mut Fields, name: &str, text: String) {
    match fields.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = text,
        None => fields.push((name.to_owned(), text)),
    }
}

/// The JSON text of a whole resource.
pub fn whole(fields: &Fields) -> String {
    let members: Vec<(&str, &str)> = fields.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    json::object(&members)
}

pub fn reference(to: &str) -> String {
    json::object(&[("reference", &json::string(to))])
}

fn coded(node: &Document, valueset: &str, known: &Known, problems: &mut Vec<Problem>) -> String {
    let Some((system, code)) = (known.first_code)(valueset) else {
        let hint = match did_you_mean(valueset, known.valuesets.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write the name of a value set with codes, or a whole CodeableConcept".to_owned(),
        };
        problems.push(node.error(format!("no value set `{valueset}` gives a code")).hint(hint));
        return "null".to_owned();
    };
    let code = json::string(&code);
    let coding = match system.map(|system| json::string(&system)) {
        Some(system) => json::object(&[("system", &system), ("code", &code)]),
        None => json::object(&[("code", &code)]),
    };
    json::object(&[("coding", &format!("[{coding}]"))])
}

/// The element that names the patient (patient compartment of R4), and its JSON text.
fn about(kind: &str, person: &str) -> Option<(&'static str, String)> {
    let patient = reference(&format!("Patient/{person}"));
    let found = match kind {
        "Patient" | "Medication" | "Location" | "Organization" | "HealthcareService" | "Practitioner" | "PractitionerRole" => return None,
        "Appointment" => {
            let participant = json::object(&[("actor", &patient), ("status", "\"accepted\"")]);
            return Some(("participant", format!("[{participant}]")));
        }
        // A list of references in R4.
        "Account" => return Some(("subject", format!("[{patient}]"))),
        "AppointmentResponse" => "actor",
        "Coverage" => "beneficiary",
        "EnrollmentRequest" => "candidate",
        "ResearchSubject" => "individual",
        "SupplyRequest" => "deliverTo",
        "Task" => "for",
        "AllergyIntolerance"
        | "BodyStructure"
        | "Claim"
        | "ClaimResponse"
        | "Consent"
        | "CoverageEligibilityRequest"
        | "CoverageEligibilityResponse"
        | "DetectedIssue"
        | "Device"
        | "EpisodeOfCare"
        | "ExplanationOfBenefit"
        | "FamilyMemberHistory"
        | "Immunization"
        | "ImmunizationEvaluation"
        | "ImmunizationRecommendation"
        | "MolecularSequence"
        | "NutritionOrder"
        | "RelatedPerson"
        | "SupplyDelivery"
        | "VisionPrescription" => "patient",
        _ => "subject",
    };
    Some((found, patient))
}
