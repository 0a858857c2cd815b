//! The patient compartment: which elements say who a resource is about.
//!
//! In: a resource type. Out: the elements that name its patient.
//! Never here: who wrote, performed, asserted or received it: they are in FHIR's compartment, but it is not about them.

/// An element at the top of a resource: one Reference or a list of them, or objects that hold one under `inner`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Element {
    pub name: &'static str,
    pub inner: Option<&'static str>,
}

const fn direct(name: &'static str) -> Element {
    Element { name, inner: None }
}

const fn within(name: &'static str, inner: &'static str) -> Element {
    Element { name, inner: Some(inner) }
}

/// Source: the patient CompartmentDefinition of R4, R4B and R5 together, less its authors, performers, recipients and payers.
/// Almost every type, and each of those that R5 added, uses `subject` or `patient`; so would a type that is not known here.
pub fn elements(kind: &str) -> &'static [Element] {
    match kind {
        // Not about a patient, whatever they refer to. Group lists members and is no statement about one of them.
        "Medication" | "Location" | "Organization" | "HealthcareService" | "Practitioner" | "PractitionerRole" | "Group" => &[],
        // The patient itself: its own id says so.
        "Patient" => &[],
        // R4 has participants only, R5 both.
        "Appointment" => const { &[direct("subject"), within("participant", "actor")] },
        "AppointmentResponse" | "Schedule" => const { &[direct("actor")] },
        "Coverage" => const { &[direct("beneficiary")] },
        "EnrollmentRequest" => const { &[direct("candidate")] },
        "Person" => const { &[within("link", "target")] },
        "Provenance" => const { &[direct("patient"), direct("target")] },
        // `individual` in R4, `subject` in R5.
        "ResearchSubject" => const { &[direct("individual"), direct("subject")] },
        // `deliverTo` in R4, `deliverFor` in R5.
        "SupplyRequest" => const { &[direct("deliverTo"), direct("deliverFor")] },
        "Task" | "Transport" => const { &[direct("for")] },
        _ => const { &[direct("subject"), direct("patient")] },
    }
}

/// Types that every shard reads, for they belong to no patient and evidence refers to them.
pub const BROADCAST: [&str; 6] = ["Medication", "Location", "Organization", "HealthcareService", "Practitioner", "PractitionerRole"];

pub fn is_broadcast(kind: &str) -> bool {
    BROADCAST.contains(&kind)
}
