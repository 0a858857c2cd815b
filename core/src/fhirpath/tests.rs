//! Stories: what compiles, what is refused and how, what a resource gives.

use super::{Codes, Env, Program, Scalar, compile};
use crate::fhir::{Unreadable, json};
use crate::problem::Severity;
use crate::time::{Instant, Zone};
use crate::timeline::{Steps, Truth};
use proptest::prelude::*;
use sonic_rs::Value;

fn sets(name: &str) -> Option<u16> {
    ["mammography", "statins", "imaging"].iter().position(|known| *known == name).map(|number| number as u16)
}

fn program(kind: &str, text: &str) -> Program {
    match compile(text, kind, &sets) {
        Ok((program, _)) => program,
        Err(remarks) => panic!("{text}: {remarks:?}"),
    }
}

fn errors(kind: &str, text: &str) -> Vec<String> {
    match compile(text, kind, &sets) {
        Ok(_) => Vec::new(),
        Err(remarks) => remarks
            .into_iter()
            .filter(|remark| remark.severity == Severity::Error)
            .map(|remark| format!("{}:{} {} | {}", remark.line, remark.column, remark.what, remark.hint.unwrap_or_default()))
            .collect(),
    }
}

fn resource(text: &str) -> Value {
    json::parse(text.as_bytes()).expect("the test writes JSON")
}

fn chicago() -> Zone {
    Zone::named("America/Chicago").expect("zone")
}

/// `mammography` holds `urn:s|mammo`, `statins` the code `simva` of any system.
fn in_set(set: u16, system: Option<&str>, code: &str) -> bool {
    match set {
        0 => system == Some("urn:s") && code == "mammo",
        1 => code == "simva",
        _ => false,
    }
}

fn truth(kind: &str, text: &str, of: &str) -> Result<Steps<Truth>, Unreadable> {
    let zone = chicago();
    let remote = |_: usize, reference: Option<&str>| match reference {
        Some("Medication/statin") => Truth::True,
        Some("Medication/other") => Truth::False,
        _ => Truth::Unknown,
    };
    program(kind, text).truth(&resource(of), &Env { zone: &zone, valuesets: &in_set, remote: &remote })
}

/// `unknown`, or `false; true from 2026-01-01T00:00:00Z`
fn story(kind: &str, text: &str, of: &str) -> String {
    match truth(kind, text, of) {
        Ok(steps) => {
            let shown = |truth: &Truth| format!("{truth:?}").to_lowercase();
            steps.changes().fold(shown(steps.first()), |line, (from, truth)| format!("{line}; {} from {from}", shown(truth)))
        }
        Err(why) => format!("unreadable: {why}"),
    }
}

const MAMMOGRAM: &str = r#"{"resourceType":"Procedure","status":"completed","code":{"coding":[{"system":"urn:s","code":"mammo"}]},
    "performedDateTime":"2024-01-31T10:00:00-06:00"}"#;

#[test]
fn a_mammogram_counts_for_27_months() {
    let text =
        "status = 'completed' and code.memberOf(%mammography) and (performed.ofType(dateTime) | performed.start) > now() - 27 months";
    // 30 April less 27 months is 30 January: the 31st is reached on 1 May.
    assert_eq!(story("Procedure", text, MAMMOGRAM), "true; false from 2026-05-01T05:00:00Z");
    let planned = MAMMOGRAM.replace("completed", "preparation");
    assert_eq!(story("Procedure", text, &planned), "false");
}

#[test]
fn an_age_is_reached_on_the_birthday_at_midnight_of_the_zone() {
    let text = "birthDate <= today() - 50 years and birthDate > today() - 75 years";
    for (born, expected) in [
        ("1976-03-01", "false; true from 2026-03-01T06:00:00Z; false from 2051-03-01T06:00:00Z"),
        (
            "1976",
            "false; unknown from 2026-01-01T06:00:00Z; true from 2027-01-01T06:00:00Z; unknown from 2051-01-01T06:00:00Z; false from 2052-01-01T06:00:00Z",
        ),
    ] {
        assert_eq!(story("Patient", text, &format!(r#"{{"resourceType":"Patient","birthDate":"{born}"}}"#)), expected, "{born}");
    }
    assert_eq!(story("Patient", text, r#"{"resourceType":"Patient"}"#), "unknown");
}

#[test]
fn the_moved_side_may_be_the_element() {
    let of = r#"{"resourceType":"Encounter","period":{"end":"2026-01-31T10:00:00Z"}}"#;
    assert_eq!(story("Encounter", "period.end + 1 month > now()", of), "true; false from 2026-02-28T10:00:00Z");
    assert_eq!(story("Encounter", "now() < period.end + 72 hours", of), "true; false from 2026-02-03T10:00:00Z");
    // A year is too coarse to be moved by months.
    let of = r#"{"resourceType":"Encounter","period":{"end":"2026"}}"#;
    assert_eq!(story("Encounter", "period.end + 1 month > now()", of), "unknown");
}

#[test]
fn unknown_stays_unknown_and_false_decides() {
    let of = r#"{"resourceType":"Patient","name":[{"family":"A"},{"family":"B"}],"gender":"female"}"#;
    for (text, expected) in [
        ("active and gender = 'female'", "unknown"),
        ("active and gender = 'male'", "false"),
        ("active or gender = 'female'", "true"),
        ("name.single().exists() and gender = 'female'", "unknown"),
        ("name.single().exists() and gender = 'male'", "false"),
        ("name.single().empty() or gender = 'female'", "true"),
        ("active implies gender = 'female'", "true"),
        ("name.family = 'A'", "false"),
        ("name.exists(family = 'A')", "true"),
        ("name.family contains 'B'", "true"),
        ("gender in ('male' | 'female')", "true"),
        ("name", "unknown"),
        ("name[0]", "true"),
        ("deceased = false", "unknown"),
        ("deceased.empty()", "true"),
        ("iif(gender = 'female', name.count() = 2, false)", "true"),
    ] {
        assert_eq!(story("Patient", text, of), expected, "{text}");
    }
}

#[test]
fn a_value_that_cannot_be_compared_is_unknown_and_a_filter_does_not_hide_it() {
    let of = r#"{"resourceType":"Procedure","status":"completed","performedString":"last spring"}"#;
    assert_eq!(story("Procedure", "performed > now() - 1 year", of), "unknown");
    assert_eq!(story("Procedure", "performed.where($this > now() - 1 year).empty()", of), "unknown");
    assert_eq!(story("Procedure", "performed.ofType(dateTime).where($this > now() - 1 year).empty()", of), "true");
}

#[test]
fn what_cannot_be_read_is_said_without_its_content() {
    for (text, of, expected) in [
        ("birthDate < today()", r#"{"birthDate":"1980-13-45"}"#, "unreadable: `birthDate` is not a date of FHIR"),
        ("birthDate < today()", r#"{"birthDate":19801345}"#, "unreadable: `birthDate` is not a text"),
        (
            "birthDate < today()",
            r#"{"birthDate":"1980-01-01T10:00:00Z"}"#,
            "unreadable: `birthDate` is a date with a time where FHIR has a date",
        ),
        ("active", r#"{"active":"true"}"#, "unreadable: `active` is not true or false"),
        ("gender = 'male'", r#"{"gender":"male","gender":"female"}"#, "unreadable: the key `gender` stands twice in one object"),
        (
            "deceased.exists()",
            r#"{"deceasedBoolean":true,"deceasedDateTime":"2020-01-01"}"#,
            "unreadable: `deceasedDateTime` stands beside the same element in another type",
        ),
        ("deceased.empty()", r#"{"deceasedBoolean":null}"#, "unreadable: `deceasedBoolean` is null"),
        ("name.exists(family = 'x')", r#"{"name":["x"]}"#, "unreadable: `name` is not an object"),
        ("maritalStatus.memberOf(%statins)", r#"{"maritalStatus":{"coding":[{"code":1}]}}"#, "unreadable: `code` is not a text"),
        ("gender = 'male' and active", r#"{"gender":"female","active":"yes"}"#, "false"),
    ] {
        assert_eq!(story("Patient", text, of), expected, "{text} {of}");
    }
}

#[test]
fn extensions_stand_beside_primitives_too() {
    let of = r#"{"birthDate":"1990-05-01","_birthDate":{"extension":[{"url":"urn:t","valueDateTime":"1990-05-01T10:00:00Z"}]},
        "name":[{"given":["A",null],"_given":[null,{"extension":[{"url":"urn:u","valueCode":"x"}]}]}]}"#;
    assert_eq!(story("Patient", "birthDate.extension('urn:t').value.ofType(dateTime) < @1991-01-01", of), "true");
    assert_eq!(story("Patient", "name.given.extension('urn:u').exists()", of), "true");
    assert_eq!(story("Patient", "name.given.count() = 2 and name.given[1].hasValue().not()", of), "true");
}

#[test]
fn value_sets_look_at_every_coding() {
    for (code, expected) in [
        (r#"{"coding":[{"system":"urn:x","code":"mammo"},{"system":"urn:s","code":"mammo"}]}"#, "true"),
        (r#"{"coding":[{"system":"urn:x","code":"mammo"}]}"#, "false"),
        // Hidden or never coded, it may be any.
        (r#"{"text":"mammogram"}"#, "unknown"),
        (r#"{"coding":[{"system":"urn:s","_code":{"extension":[{"url":"urn:m","valueCode":"masked"}]}}]}"#, "unknown"),
        (r#"{"coding":[{"system":"urn:x","code":"mammo"},{"system":"urn:s"}]}"#, "unknown"),
        (r#""mammo""#, "unreadable: `code` is not an object"),
        (r#"["mammo"]"#, "unreadable: `code` is a list where FHIR R4 has one value"),
    ] {
        assert_eq!(story("Procedure", "code.memberOf(%mammography)", &format!(r#"{{"code":{code}}}"#)), expected, "{code}");
    }
    assert_eq!(story("Procedure", "code.memberOf(%mammography)", "{}"), "unknown");
    let category = r#"{"category":[{"coding":[{"code":"simva"}]},{"text":"other"}]}"#;
    assert_eq!(story("Condition", "category.exists(memberOf(%statins))", category), "true");
    assert_eq!(story("Condition", "category.memberOf(%statins)", category), "unknown");
}

#[test]
fn resolve_asks_about_the_resource_that_is_named() {
    let text = "status = 'active' and (medication.ofType(CodeableConcept).memberOf(%statins) or medication.ofType(Reference).resolve().code.memberOf(%statins))";
    for (medication, expected) in [
        (r#""medicationReference":{"reference":"Medication/statin"}"#, "true"),
        (r#""medicationReference":{"reference":"Medication/other"}"#, "unknown"),
        (r#""medicationReference":{"display":"a pill"}"#, "unknown"),
        (r#""medicationCodeableConcept":{"coding":[{"code":"simva"}]}"#, "true"),
        (
            r##""medicationReference":{"reference":"#m"},"contained":[{"resourceType":"Medication","id":"m","code":{"coding":[{"code":"simva"}]}}]"##,
            "true",
        ),
        (r##""medicationReference":{"reference":"#n"},"contained":[{"resourceType":"Medication","id":"m"}]"##, "unknown"),
    ] {
        let of = format!(r#"{{"resourceType":"MedicationRequest","status":"active",{medication}}}"#);
        assert_eq!(story("MedicationRequest", text, &of), expected, "{medication}");
    }
    // A CodeableConcept is no reference: the other side of the `or` is empty, so unknown and not false.
    let program = program("MedicationRequest", text);
    assert_eq!(program.remotes().len(), 1);
    assert_eq!(program.remotes()[0].kinds, ["Medication"]);
    assert_eq!(program.remotes()[0].program.elements(), ["code"]);
    assert_eq!(program.elements(), ["contained", "medication", "medicationCodeableConcept", "medicationReference", "status"]);
}

#[test]
fn an_unknown_look_is_not_turned_into_a_no() {
    let of = r#"{"participant":[{"individual":{"reference":"Practitioner/1"}}]}"#;
    for text in [
        "participant.where(individual.resolve().ofType(Practitioner).active).empty()",
        "participant.individual.resolve().ofType(Practitioner).where(active = true).exists().not()",
        "participant.exists(individual.resolve().ofType(Practitioner).active)",
    ] {
        assert_eq!(story("Encounter", text, of), "unknown", "{text}");
    }
}

#[test]
fn one_sure_answer_is_enough_whatever_the_others_hide() {
    let text = "participant.exists(individual.resolve().ofType(Practitioner).active)";
    let zone = chicago();
    let remote = |_: usize, reference: Option<&str>| if reference == Some("Practitioner/2") { Truth::True } else { Truth::Unknown };
    let env = Env { zone: &zone, valuesets: &in_set, remote: &remote };
    for (references, expected) in [("12", Truth::True), ("21", Truth::True), ("11", Truth::Unknown), ("", Truth::False)] {
        let list: Vec<String> = references.chars().map(|n| format!(r#"{{"individual":{{"reference":"Practitioner/{n}"}}}}"#)).collect();
        let of = resource(&format!(r#"{{"participant":[{}]}}"#, list.join(",")));
        assert_eq!(program("Encounter", text).truth(&of, &env), Ok(Steps::always(expected)), "{references}");
    }
}

#[test]
fn references_are_types_and_keys() {
    let of = r##"{"subject":{"reference":"http://a.example/fhir/Patient/1/_history/3"},"performer":[{"reference":"Patient/1"}],
        "encounter":{"type":"Encounter","display":"x"}}"##;
    for (text, expected) in [
        ("subject.resolve() is Patient", "true"),
        ("subject.resolve().is(Group).not()", "true"),
        ("encounter.resolve() is Encounter", "true"),
        ("subject.resolve() = performer.first().resolve()", "true"),
        ("subject.resolve() != performer.first().resolve()", "false"),
        ("encounter.resolve() = subject.resolve()", "unknown"),
    ] {
        assert_eq!(story("Observation", text, of), expected, "{text}");
    }
}

#[test]
fn quantities_compare_in_one_unit() {
    let of = |value: &str| format!(r#"{{"valueQuantity":{{{value}}}}}"#);
    let ucum = r#""system":"http://unitsofmeasure.org","code":"mg/dL""#;
    let text = "value.ofType(Quantity) >= 190 'mg/dL'";
    for (value, expected) in [
        (format!(r#""value":190.0,{ucum}"#), "true"),
        (format!(r#""value":1.8e2,{ucum}"#), "false"),
        (format!(r#""value":190,"comparator":"<",{ucum}"#), "unknown"),
        (r#""value":190,"unit":"mg/dL""#.to_owned(), "unknown"),
        (format!(r#""value":"190",{ucum}"#), "unreadable: `value` is not a decimal number"),
    ] {
        assert_eq!(story("Observation", text, &of(&value)), expected, "{value}");
    }
}

#[test]
fn each_mistake_has_a_place_and_a_way_out() {
    for (kind, text, expected) in [
        ("Patient", "birthdate < today()", "1:1 `birthdate` is not an element of Patient | did you mean `birthDate`?"),
        (
            "Procedure",
            "performedDateTime > now()",
            "1:1 `performedDateTime` is not an element of Procedure | write `performed.ofType(dateTime)`",
        ),
        (
            "Encounter",
            "status = 'finished'\n  and actualPeriod.start > now()",
            "2:7 `actualPeriod` is not an element of Encounter | write `period`",
        ),
        ("Encounter", "period > now()", "1:10 Period cannot be compared with now() or today() | write `.start` or `.end`"),
        ("Patient", "birthDate = '1990-01-01'", "1:11 `=` between date and System.String never holds | write a date as @2026-01-31"),
        ("Patient", "active < @2020-01-01", "1:8 `<` between boolean and System.Date never holds | compare values of one kind"),
        (
            "Patient",
            "today() - birthDate > 50 years",
            "1:11 now() and today() can be moved by a written amount only | write the element alone on the other side: `birthDate <= today() - 50 years`",
        ),
        (
            "Patient",
            "birthDate < today() - 1 year - 2 months",
            "1:30 now() and today() can be moved by one amount only | write it as one amount, as 14 months",
        ),
        ("Patient", "birthDate < today() - 5 hours", "1:21 today() is a day and cannot be moved by a time | write now()"),
        ("Patient", "birthDate < today() - 1.5 years", "1:23 a date is moved by whole amounts | write it in a smaller unit"),
        ("Patient", "birthDate < today() - 50 'a'", "1:23 a date cannot be moved by 'a' | write `years`: UCUM's `a` is 365.25 days"),
        (
            "Patient",
            "now().exists()",
            "1:1 `now()` can only be compared, with an amount added or taken away | write it as `PATH > now() - 12 months` or `PATH <= today()`",
        ),
        ("Patient", "name.repeat(given)", "1:6 `repeat()` is not supported | write the path to the element out"),
        ("Patient", "name.exist()", "1:6 there is no function `exist()` | did you mean `exists()`?"),
        (
            "Procedure",
            "code.memberOf(%mamography)",
            "1:15 there is no value set `%mamography` | add mappings/valuesets/mamography.json, or correct the name",
        ),
        (
            "Procedure",
            "code.memberOf('http://x')",
            "1:15 memberOf() needs a value set by its name | write memberOf(%NAME), where mappings/valuesets/NAME.json holds it",
        ),
        ("Procedure", "Encounter.status", "1:1 `Encounter` is not what this path starts from | it starts from Procedure"),
        (
            "Procedure",
            "subject.resolve().gender = 'male'",
            "1:19 resolve() cannot look at a Patient or Group | it leads to HealthcareService, Location, Medication, Organization, Practitioner, PractitionerRole only; write a criterion of its own for another type",
        ),
        (
            "MedicationRequest",
            "medication.resolve().code",
            "1:22 what follows resolve() must be a yes or a no | end it in memberOf(%…) or where(…).exists()",
        ),
        (
            "MedicationRequest",
            "medication.resolve()",
            "1:12 resolve() must lead to a yes or a no | write resolve().PATH.memberOf(%…), resolve().where(…).exists(), resolve() is TYPE, or a.resolve() = b.resolve()",
        ),
        ("Patient", "name.given = ", "1:14 expected a value or a path, found the end | "),
        ("Patient", "gender = \"male\"", "1:10 texts stand in single quotes | write '…' instead of \"…\""),
        (
            "Patient",
            "name.given.matches('(')",
            "1:20 not a regular expression, or too large a one | look-around and back references are not supported",
        ),
        ("Patients", "gender", "1:1 `Patients` is not a resource type of R4 | did you mean `Patient`?"),
    ] {
        let given = errors(kind, text);
        assert!(given.first().is_some_and(|first| first.starts_with(expected)), "{text}\n  gives    {given:?}\n  expected {expected}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    assert_eq!(errors("Patient", "gendr = 'male' and birthdate < today() and nam.exists()").len(), 3);
}

#[test]
fn an_element_of_which_some_type_cannot_be_compared_is_a_warning() {
    let (_, remarks) = compile("performed > now() - 1 year", "Procedure", &sets).expect("compiles");
    assert_eq!(remarks.len(), 1);
    assert_eq!(remarks[0].severity, Severity::Warning);
    assert_eq!(remarks[0].what, "this element may be Period, string, Age or Range, which cannot be compared so: it is unknown then");
    assert!(compile("performed.ofType(dateTime) > now()", "Procedure", &sets).is_ok_and(|(_, remarks)| remarks.is_empty()));
}

#[test]
fn required_codes_are_the_most_telling_of_a_conjunction() {
    let listed = |codes: &[(Option<&str>, &str)]| {
        Codes::Listed(codes.iter().map(|(system, code)| (system.map(str::to_owned), (*code).to_owned())).collect())
    };
    for (kind, text, expected) in [
        ("Procedure", "status = 'completed' and code.memberOf(%mammography)", Some(("code", Codes::Valueset(0)))),
        ("Procedure", "status = 'completed' or code.memberOf(%mammography)", None),
        ("Procedure", "status = 'completed' or status = 'stopped'", Some(("status", listed(&[(None, "completed"), (None, "stopped")])))),
        ("Procedure", "status in ('completed' | 'stopped')", Some(("status", listed(&[(None, "completed"), (None, "stopped")])))),
        ("Procedure", "code.coding.code = 'x' and performed.exists()", Some(("code", listed(&[(None, "x")])))),
        ("Procedure", "code.coding.where(system = 's' and code = 'x').exists()", Some(("code", listed(&[(Some("s"), "x")])))),
        ("Procedure", "code.coding.exists(code = 'x')", Some(("code", listed(&[(None, "x")])))),
        ("Procedure", "code.coding.exists(code = 'x').not()", None),
        ("Encounter", "Encounter.class.code = 'AMB'", Some(("class", listed(&[(None, "AMB")])))),
        ("Condition", "category.memberOf(%imaging)", None),
        ("Condition", "category.exists(memberOf(%imaging))", Some(("category", Codes::Valueset(2)))),
        (
            "MedicationRequest",
            "medication.ofType(CodeableConcept).memberOf(%statins)",
            Some(("medicationCodeableConcept", Codes::Valueset(1))),
        ),
        ("Patient", "gender = 'female'", Some(("gender", listed(&[(None, "female")])))),
        ("Patient", "gender != 'female'", None),
    ] {
        let given = program(kind, text).required_codes().map(|required| (required.element, required.codes));
        assert_eq!(given, expected.map(|(element, codes)| (element.to_owned(), codes)), "{text}");
    }
}

#[test]
fn values_are_steps_and_print_nothing() {
    let zone = chicago();
    let env = Env { zone: &zone, valuesets: &in_set, remote: &|_, _| Truth::Unknown };
    let of =
        resource(r#"{"communication":[{"language":{"coding":[{"code":"es"}]},"preferred":true},{"language":{"coding":[{"code":"en"}]}}]}"#);
    let values = program("Patient", "communication.where(preferred = true).language.coding.code.first()").values(&of, &env);
    assert_eq!(values, Ok(Steps::always(vec![Scalar::Text("es".to_owned())])));
    assert!(!format!("{values:?}").contains("es\""), "{values:?}");
    let of = resource(r#"{"period":{"start":"2026-01-02T10:00:00Z"}}"#);
    let last = program("Encounter", "period.start.where($this <= now())").values(&of, &env).expect("readable");
    assert_eq!((last.first().len(), last.changes().len()), (0, 1));
    assert_eq!(program("Encounter", "period.start").gives(), ["dateTime"]);
}

#[test]
fn evaluation_at_an_instant_says_until_when() {
    let zone = chicago();
    let env = Env { zone: &zone, valuesets: &in_set, remote: &|_, _| Truth::Unknown };
    let program = program("Procedure", "status = 'completed' and performed.ofType(dateTime) > now() - 27 months");
    let at = Instant::parse("2026-01-01T00:00:00Z").expect("instant");
    let expected = (Truth::True, Instant::parse("2026-05-01T05:00:00Z").expect("instant"));
    assert_eq!(program.truth_at(&resource(MAMMOGRAM), &env, at), Ok(expected));
    // The status decides: the date is not looked at, and nothing will change.
    let planned = resource(&MAMMOGRAM.replace("completed", "preparation"));
    assert_eq!(program.truth_at(&planned, &env, at), Ok((Truth::False, Instant::END)));
    assert!(!program.is_time_free());
}

#[test]
fn many_changes_are_bounded() {
    let dates: Vec<String> = (0..700).map(|n| format!(r#""{:04}-01-01T00:00:00Z""#, 1000 + n)).collect();
    let of = format!(r#"{{"occurrenceTiming":{{"event":[{}]}}}}"#, dates.join(","));
    let steps = truth("ServiceRequest", "occurrence.ofType(Timing).event.where($this <= now()).count() > 600", &of).expect("readable");
    assert_eq!(steps.changes().last().map(|(_, truth)| *truth), Some(Truth::Unknown));
}

proptest! {
    /// Words of the language in any order: compiles or is refused, and what compiles evaluates.
    #[test]
    fn any_words_are_compiled_or_refused(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..14)) {
        let text = words.concat();
        if let Ok((program, _)) = compile(&text, "Procedure", &sets) {
            let zone = chicago();
            let env = Env { zone: &zone, valuesets: &in_set, remote: &|_, _| Truth::Unknown };
            program.truth(&resource(MAMMOGRAM), &env).expect("a readable resource");
            program.values(&resource(MAMMOGRAM), &env).expect("a readable resource");
        }
    }
}

const WORDS: [&str; 46] = [
    "status",
    "code",
    ".coding",
    ".code",
    ".memberOf(%statins)",
    "performed",
    ".start",
    ".ofType(dateTime)",
    " as Period",
    " is dateTime",
    "(",
    ")",
    "[0]",
    ".where(",
    ".exists(",
    ".all(",
    ".first()",
    ".resolve()",
    "subject",
    "location",
    ".name",
    " and ",
    " or ",
    " implies ",
    ".not()",
    " = ",
    " ~ ",
    " < ",
    " | ",
    " in ",
    " + ",
    " - ",
    "'x'",
    "1",
    "1.5",
    "3 months",
    "2 hours",
    "@2026-01-31",
    "@2026-01-31T10:00:00Z",
    "now()",
    "today()",
    "{}",
    "$this",
    "-",
    ".count()",
    "iif(true, ",
];

#[test]
fn no_text_makes_compiling_panic_or_overflow() {
    let deep = |open: &str, close: &str, n: usize| format!("{}true{}", open.repeat(n), close.repeat(n));
    for text in [
        deep("(", ")", 4000),
        deep("not(", ")", 2000),
        "-".repeat(9000),
        format!("1{}", "+1".repeat(4900)),
        format!("name{}", ".name".repeat(1900)),
        format!("name{}", "[0]".repeat(3000)),
        format!("true{}", " and true".repeat(1000)),
        format!("iif{}", "(iif".repeat(2000)),
        "'".repeat(9999),
        "x".repeat(20_000),
        "{".repeat(500),
        "%".to_owned(),
        "@".to_owned(),
        "$".to_owned(),
        "@T".to_owned(),
        "1 'x".to_owned(),
        "a.as(1) is".to_owned(),
        String::new(),
    ] {
        assert!(compile(&text, "Patient", &sets).is_err(), "{}", text.chars().take(20).collect::<String>());
    }
    let long = format!("gender = 'a'{}", " or gender = 'a'".repeat(100));
    assert!(compile(&long, "Patient", &sets).is_ok());
}
