//! R5's keys for elements that R4 calls by another name, or has in another form.
//!
//! In: a type and an element of R4. Out: keys that are read as that element, and keys that stand for it and cannot be read here.
//! Never here: a guess. An element that is only missing under its R4 name would pass for one that is not there.

use crate::fhirpath::model::{R4, TypeId};

/// What R5 made of one element of R4.
pub struct Newer {
    /// Keys of the same meaning and form, each with its type.
    pub same: &'static [(&'static str, &'static str)],
    /// Keys whose form is another: a resource that has one of them is unreadable to whoever reads the element.
    pub other: &'static [&'static str],
}

impl Newer {
    pub fn same(&self) -> impl Iterator<Item = (&'static str, TypeId)> {
        self.same.iter().filter_map(|(key, kind)| Some((*key, R4.named(kind)?)))
    }
}

const NONE: Newer = Newer { same: &[], other: &[] };

const fn same(same: &'static [(&'static str, &'static str)]) -> Newer {
    Newer { same, other: &[] }
}

const fn other(other: &'static [&'static str]) -> Newer {
    Newer { same: &[], other }
}

/// Elements that keep their key and take another form (a list, a CodeableReference) are told by that form when they are read.
pub fn newer(kind: &str, element: &str) -> Newer {
    match (kind, element) {
        ("Procedure", "performed") => Newer {
            same: &[
                ("occurrenceDateTime", "dateTime"),
                ("occurrencePeriod", "Period"),
                ("occurrenceString", "string"),
                ("occurrenceAge", "Age"),
                ("occurrenceRange", "Range"),
            ],
            other: &["occurrenceTiming"],
        },
        // As R5 spells it.
        ("MedicationAdministration", "effective") => {
            Newer { same: &[("occurenceDateTime", "dateTime"), ("occurencePeriod", "Period")], other: &["occurenceTiming"] }
        }
        ("Encounter", "period") => same(&[("actualPeriod", "Period")]),
        ("Encounter", "hospitalization") => other(&["admission"]),
        ("Encounter.participant", "individual") => same(&[("actor", "Reference")]),
        ("Appointment", "cancelationReason") => same(&[("cancellationReason", "CodeableConcept")]),
        ("Appointment", "comment") => other(&["note"]),
        ("MedicationAdministration" | "MedicationDispense" | "MedicationStatement", "context") => same(&[("encounter", "Reference")]),
        ("MedicationDispense", "statusReason") => other(&["notPerformedReason"]),
        ("MedicationRequest", "reported") => other(&["reported", "informationSource"]),
        ("Immunization", "reportOrigin") => other(&["informationSource"]),
        ("Immunization.protocolApplied", "doseNumber") => other(&["doseNumber"]),
        ("Immunization.protocolApplied", "seriesDoses") => other(&["seriesDoses"]),
        ("Immunization.reaction", "detail") => other(&["manifestation"]),
        ("CarePlan.activity", "reference") => same(&[("plannedActivityReference", "Reference")]),
        ("CarePlan.activity", "detail") => other(&["plannedActivityReference"]),
        ("CarePlan.activity", "outcomeCodeableConcept" | "outcomeReference") => other(&["performedActivity"]),
        ("Condition.evidence", "code") => other(&["concept"]),
        ("Condition.evidence", "detail") => other(&["reference"]),
        ("Condition" | "AllergyIntolerance", "recorder" | "asserter") => other(&["participant"]),
        ("Coverage", "payor") => other(&["insurer"]),
        ("DocumentReference", "context") => other(&["facilityType", "practiceSetting", "period", "event"]),
        ("Goal", "outcomeCode" | "outcomeReference") => other(&["outcome"]),
        ("ImagingStudy", "procedureCode" | "procedureReference") => other(&["procedure"]),
        ("Procedure", "usedCode" | "usedReference") => other(&["used"]),
        ("Procedure", "complicationDetail") => other(&["complication"]),
        ("ServiceRequest", "locationCode" | "locationReference") => other(&["location"]),
        (_, "reasonCode" | "reasonReference") => other(&["reason"]),
        (_, "medication") => other(&["medication"]),
        _ => NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_is_named_is_one_of_r4s() {
        for (kind, element) in [
            ("Procedure", "performed"),
            ("MedicationAdministration", "effective"),
            ("Encounter", "period"),
            ("Encounter.participant", "individual"),
            ("Appointment", "cancelationReason"),
            ("MedicationStatement", "context"),
            ("CarePlan.activity", "reference"),
        ] {
            let holder = R4.named(kind).and_then(|holder| holder.element(element)).unwrap_or_else(|| panic!("{kind}.{element}"));
            let newer = newer(kind, element);
            assert_eq!(newer.same().count(), newer.same.len(), "{kind}.{element}");
            // What R4 may hold there, R5 may hold, too.
            for option in &holder.options {
                assert!(newer.same().any(|(_, same)| same == option.kind), "{kind}.{element} as {}", option.kind.name());
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_key_of_the_same_type_in_r4() {
        for (kind, element) in [
            ("Encounter", "hospitalization"),
            ("Encounter", "reasonCode"),
            ("Appointment", "comment"),
            ("Appointment", "reasonReference"),
            ("MedicationDispense", "statusReason"),
            ("MedicationRequest", "medication"),
            ("MedicationRequest", "reported"),
            ("Immunization", "reportOrigin"),
            ("Immunization.protocolApplied", "doseNumber"),
            ("Immunization.reaction", "detail"),
            ("CarePlan.activity", "detail"),
            ("CarePlan.activity", "outcomeReference"),
            ("Condition.evidence", "code"),
            ("Condition", "asserter"),
            ("AllergyIntolerance", "recorder"),
            ("Coverage", "payor"),
            ("DocumentReference", "context"),
            ("Goal", "outcomeCode"),
            ("ImagingStudy", "procedureCode"),
            ("Procedure", "usedCode"),
            ("ServiceRequest", "locationCode"),
            ("Task", "reasonCode"),
        ] {
            let holder = R4.named(kind).unwrap_or_else(|| panic!("{kind}"));
            assert!(holder.element(element).is_some(), "{kind}.{element}");
            let own: Vec<&str> = holder
                .element_names()
                .into_iter()
                .filter_map(|name| holder.element(name))
                .flat_map(|e| &e.options)
                .map(|o| o.key)
                .collect();
            for key in newer(kind, element).other {
                assert!(!own.contains(key), "{kind}.{key} is R4's, too");
            }
        }
    }
}
