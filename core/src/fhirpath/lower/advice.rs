//! What to write instead: R5's names, and the functions that are not supported.

/// R5 renamed these. `(type, name in R5, what to write in R4)`
const RENAMED: [(&str, &str, &str); 22] = [
    ("Encounter", "actualPeriod", "write `period`"),
    ("Encounter", "admission", "write `hospitalization`"),
    ("Encounter", "reason", "write `reasonCode` or `reasonReference`"),
    ("Encounter", "plannedStartDate", "R4 has no planned start; an Appointment has `start`"),
    ("Encounter.participant", "actor", "write `individual`"),
    ("Procedure", "occurrence", "write `performed`"),
    ("Procedure", "reason", "write `reasonCode` or `reasonReference`"),
    ("Procedure", "reported", "R4 has `asserter`"),
    ("Appointment", "reason", "write `reasonCode` or `reasonReference`"),
    ("Appointment", "cancellationReason", "write `cancelationReason`"),
    ("Appointment", "subject", "the patient is a `participant.actor`"),
    ("MedicationRequest", "reason", "write `reasonCode` or `reasonReference`"),
    ("MedicationRequest", "effectiveDosePeriod", "R4 has `dosageInstruction.timing`"),
    ("MedicationStatement", "reason", "write `reasonCode` or `reasonReference`"),
    ("Immunization", "administeredProduct", "write `vaccineCode`"),
    ("Immunization", "reason", "write `reasonCode` or `reasonReference`"),
    ("CarePlan", "addresses.concept", "write `addresses`, which is a Reference"),
    ("CarePlan.activity", "plannedActivityReference", "write `reference`"),
    ("CarePlan.activity", "performedActivity", "write `outcomeCodeableConcept` or `outcomeReference`"),
    ("Consent", "subject", "write `patient`"),
    ("Consent", "decision", "write `provision.type`"),
    ("ServiceRequest", "reason", "write `reasonCode` or `reasonReference`"),
];

pub fn renamed(kind: &str, name: &str) -> Option<&'static str> {
    if name == "concept" {
        return Some("that is R5's CodeableReference: in R4 write `.ofType(CodeableConcept)`, or the element that ends in `Code`");
    }
    RENAMED.iter().find(|(own, new, _)| *own == kind && *new == name).map(|(_, _, hint)| *hint)
}

/// The functions that there are.
pub const FUNCTIONS: [&str; 36] = [
    "all",
    "allTrue",
    "anyTrue",
    "as",
    "combine",
    "contains",
    "count",
    "distinct",
    "empty",
    "endsWith",
    "exists",
    "extension",
    "first",
    "hasValue",
    "iif",
    "is",
    "last",
    "length",
    "lower",
    "matches",
    "memberOf",
    "not",
    "now",
    "ofType",
    "resolve",
    "select",
    "single",
    "skip",
    "startsWith",
    "substring",
    "tail",
    "take",
    "today",
    "trim",
    "upper",
    "where",
];

/// What to write instead of a function of FHIRPath that is not supported; `None`: there is no such function at all.
pub fn instead(name: &str) -> Option<&'static str> {
    Some(match name {
        "children" | "descendants" | "repeat" => "write the path to the element out",
        "isDistinct" => "write X.count() = X.distinct().count()",
        "getValue" => "write the element itself",
        "union" => "write `a | b`",
        "intersect" | "subsetOf" | "supersetOf" | "exclude" => "write where($this in …)",
        "anyFalse" | "allFalse" => "write exists(…) or all(…) with not()",
        "trace" | "defineVariable" | "aggregate" | "sort" | "coalesce" => {
            "leave it out: a criterion says what holds, not how it is computed"
        }
        "toBoolean" | "toInteger" | "toLong" | "toDecimal" | "toDate" | "toDateTime" | "toTime" | "toQuantity" | "toString"
        | "convertsToBoolean" | "convertsToInteger" | "convertsToLong" | "convertsToDecimal" | "convertsToDate" | "convertsToDateTime"
        | "convertsToTime" | "convertsToQuantity" | "convertsToString" => "compare with a literal of the element's own type",
        "type" => "write `is TYPE` or ofType(TYPE)",
        "matchesFull" => "write matches('^(?:…)$')",
        "indexOf" | "lastIndexOf" | "replace" | "replaceMatches" | "toChars" | "split" | "join" | "encode" | "decode" | "escape"
        | "unescape" => "write startsWith(), endsWith(), contains() or matches()",
        "abs" | "ceiling" | "exp" | "floor" | "ln" | "log" | "power" | "round" | "sqrt" | "truncate" => {
            "compare with the bounds themselves"
        }
        "lowBoundary" | "highBoundary" | "precision" => "compare the element itself: what its precision leaves open is unknown",
        "yearOf" | "monthOf" | "dayOf" | "hourOf" | "minuteOf" | "secondOf" | "millisecondOf" | "timezoneOffsetOf" | "dateOf"
        | "timeOf" | "timeOfDay" | "duration" | "difference" => "compare with today() or now() and an amount, or with a date",
        "conformsTo" | "elementDefinition" | "slice" | "checkModifiers" | "htmlChecks" => "test the elements themselves",
        "subsumes" | "subsumedBy" | "validateVS" | "translate" => "write memberOf(%VALUESET) with the codes listed in the value set",
        "comparable" => "write the units that you expect",
        _ => return None,
    })
}
