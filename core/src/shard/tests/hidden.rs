//! Stories of resources that hide something, have another form, or are of another release: nobody gets into an audience for it.

use super::kit::{Rig, World, about, at, audience, patient, policy};
use crate::time::Instant;

fn day(text: &str) -> Instant {
    at(&format!("2026-{text}T00:00:00Z"))
}

/// One audience of those with no such resource, and whether a resource puts ann out of it, or is reported.
fn none_of(kind: &str, criterion: &str, resource: &str) -> (bool, bool) {
    let members = format!(r#""members":{{"none":[{{"{kind}":"{criterion}"}}]}}"#);
    let world = World::with_sets(policy(), &[audience("unseen", &members)], &[("mammography", &["mammo"])]);
    let mut rig = Rig::new(&world);
    rig.put(day("01-01"), &patient("ann", "1980-01-01", ""));
    assert_eq!(rig.told(), ["2026-01-01T00:00:00Z ann unseen entered qualified"]);
    let reported = rig.put(day("01-02"), &about(kind, "x", &["ann"], resource));
    match rig.told().as_slice() {
        [] => (false, reported),
        [left] if left.contains("exited no-longer-qualified") => (true, reported),
        other => panic!("{other:?}"),
    }
}

/// What stands where a concept belongs: how it is taken by one who looks for a code in it. `(out, reported)`
fn coded(code: &str, criterion: &str) -> (bool, bool) {
    none_of("Procedure", criterion, &format!(r#","status":"completed","code":{code}"#))
}

#[test]
fn i9_a_text_or_a_list_where_a_concept_belongs_puts_nobody_in_and_is_reported() {
    for criterion in
        ["code.memberOf(%mammography)", "code.coding.exists(code = 'mammo')", "status = 'completed' and code.coding.code = 'mammo'"]
    {
        for code in [r#""x""#, r#"["x"]"#, r#"[{"coding":[{"system":"urn:s","code":"y"}]}]"#, "7", r#"{"system":"urn:s","code":"y"}"#] {
            assert_eq!(coded(code, criterion), (true, true), "{criterion} of {code}");
        }
        assert_eq!(coded(r#"{"coding":[{"system":"urn:s","code":"y"}]}"#, criterion), (false, false), "{criterion}: surely another");
        assert_eq!(coded(r#"{"coding":[{"system":"urn:s","code":"mammo"}]}"#, criterion), (true, false), "{criterion}");
    }
}

#[test]
fn i11_a_concept_of_which_one_coding_is_hidden_may_be_any() {
    for hidden in [
        r#"{"system":"urn:s"}"#,
        r#"{"display":"{something}"}"#,
        r#"{"system":"urn:s","_code":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}}"#,
        r#"{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","code":"masked"}"#,
        r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-NullFlavor","code":"MSK"}"#,
    ] {
        for codings in [
            hidden.to_owned(),
            format!(r#"{{"system":"urn:s","code":"y"}},{hidden}"#),
            format!(r#"{hidden},{{"system":"urn:s","code":"y"}}"#),
        ] {
            let concept = format!(r#"{{"coding":[{codings}]}}"#);
            assert_eq!(coded(&concept, "code.memberOf(%mammography)"), (true, false), "{concept}");
            // Whoever looks through a filter, too.
            assert_eq!(
                none_of("Condition", "category.exists(memberOf(%mammography))", &format!(r#","category":[{concept}]"#)),
                (true, false)
            );
        }
    }
    for concept in [r#"{"text":"a picture"}"#, r#"{"coding":[]}"#, "{}"] {
        assert_eq!(coded(concept, "code.memberOf(%mammography)"), (true, false), "{concept}");
    }
}

#[test]
fn i6_a_list_where_fhir_has_one_value_is_reported_and_never_taken() {
    for status in [r#"["completed"]"#, r#"["stopped"]"#, r#"["stopped","completed"]"#, "[]"] {
        assert_eq!(none_of("Procedure", "status = 'completed'", &format!(r#","status":{status}"#)), (true, true), "{status}");
    }
    let seen = audience("seen", r#""members":{"Procedure":"status = 'completed'"}"#);
    let world = World::new(policy(), &[seen]);
    let mut rig = Rig::new(&world);
    rig.put(day("01-01"), &patient("ann", "1980-01-01", ""));
    assert!(rig.put(day("01-02"), &about("Procedure", "p", &["ann"], r#","status":["completed"]"#)));
    assert!(rig.told().is_empty());
    let beside = r#","_status":[{"extension":[{"url":"urn:x","valueCode":"y"}]}]"#;
    assert_eq!(none_of("Procedure", "status = 'completed'", beside), (true, true));
}

#[test]
fn i9_what_r5_calls_otherwise_is_read_or_reported_and_never_taken_for_absent() {
    let recent = "performed.ofType(dateTime) > @2026-01-01 or performed.start > @2026-01-01";
    for (kind, criterion, resource, expected) in [
        ("Procedure", recent, r#","occurrenceDateTime":"2026-01-02""#, (true, false)),
        ("Procedure", recent, r#","occurrencePeriod":{"start":"2026-01-02"}"#, (true, false)),
        ("Procedure", "performed.ofType(dateTime).exists()", r#","occurrenceDateTime":"2025-01-02""#, (true, false)),
        ("Procedure", "performed.exists()", r#","occurrenceTiming":{}"#, (true, true)),
        ("Procedure", "performed.exists()", r#","performedDateTime":"2026","occurrenceDateTime":"2026""#, (true, true)),
        ("Procedure", recent, r#","occurrenceDateTime":"2025-01-02""#, (true, false)),
        ("Encounter", "period.start > @2026-01-01", r#","actualPeriod":{"start":"2026-01-02"}"#, (true, false)),
        ("Encounter", "period.exists(start > @2026-01-01)", r#","actualPeriod":{"start":"2025-01-02"}"#, (false, false)),
        ("Encounter", "class.code = 'AMB'", r#","class":[{"coding":[{"code":"AMB"}]}]"#, (true, true)),
        ("Encounter", "class.exists(code = 'AMB')", r#","class":{"coding":[{"code":"AMB"}]}"#, (true, true)),
        ("Encounter", "hospitalization.exists()", r#","admission":{}"#, (true, true)),
        ("Encounter", "reasonCode.exists()", r#","reason":[{"value":[{"concept":{"text":"x"}}]}]"#, (true, true)),
        ("Encounter", "participant.individual.exists()", r#","participant":[{"actor":{"reference":"Practitioner/1"}}]"#, (true, false)),
        ("ServiceRequest", "code.coding.exists(code = 'x')", r#","code":{"concept":{"coding":[{"code":"x"}]}}"#, (true, true)),
        ("CarePlan", "addresses.reference.exists()", r#","addresses":[{"concept":{"text":"x"}}]"#, (true, true)),
        ("CarePlan", "activity.detail.exists()", r#","activity":[{"plannedActivityReference":{"reference":"Task/1"}}]"#, (true, true)),
        ("MedicationRequest", "medication.ofType(CodeableConcept).exists()", r#","medication":{"concept":{"text":"x"}}"#, (true, true)),
        ("Procedure", "status = 'completed'", r#","status":"stopped","occurrenceTiming":{}"#, (false, false)),
    ] {
        assert_eq!(none_of(kind, criterion, resource), expected, "{kind}: {criterion} of {resource}");
    }
}

/// Two Procedures, `a` undone and `b` done, by their dates: whether ann is among those whose latest was done.
fn latest_done(a: &str, b: &str) -> bool {
    let rule = r#""members":{"latest":{"Procedure":"code.exists()","by":"performed","where":"status = 'completed'"}}"#;
    let world = World::new(policy(), &[audience("done", rule)]);
    let mut rig = Rig::new(&world);
    rig.put(day("01-01"), &patient("ann", "1980-01-01", ""));
    for (id, status, performed) in [("a", "stopped", a), ("b", "completed", b)] {
        rig.put(day("01-02"), &about("Procedure", id, &["ann"], &format!(r#","status":"{status}","code":{{}}{performed}"#)));
    }
    rig.told().len() % 2 == 1
}

#[test]
fn i9_where_it_is_not_sure_which_is_the_latest_nothing_is() {
    let on = |date: &str| format!(r#","performedDateTime":"{date}""#);
    for (a, b, done) in [
        ("2020-05-01", "2020-05-02", true),
        ("2020-05-02", "2020-05-01", false),
        ("2019", "2020-05-01", true),
        ("2020", "2020-05-01", false),
        ("2020-05", "2020-05-01", false),
        ("2020-05", "2020-06", true),
        ("2020-05", "2020-06-01T00:00:00Z", true),
        ("2020-05-01", "2020-05-01T10:00:00Z", false),
        ("2020-04-30", "2020-05-01T00:00:00Z", true),
        // Equal, the greater id counts; two of one month are not equal.
        ("2020-05-01", "2020-05-01", true),
        ("2020-05-01T10:00:00Z", "2020-05-01T10:00:00Z", true),
        ("2020-05", "2020-05", false),
        ("2020", "2020", false),
    ] {
        assert_eq!(latest_done(&on(a), &on(b)), done, "{a} undone, {b} done");
    }
    // A time that is there and is no date may be any; without a time it is no candidate.
    for (a, done) in [(r#","performedString":"last spring""#, false), (r#","performedPeriod":{"start":"2019"}"#, false), ("", true)] {
        assert_eq!(latest_done(a, &on("2020-05-01")), done, "{a}");
    }
}

#[test]
fn i11_a_label_within_a_resource_withholds_the_whole() {
    let act_code = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    let hiv = format!(r#"{{"system":"{act_code}","code":"HIV"}}"#);
    let inline = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";
    let seen = audience("seen", r#""members":{"Procedure":"status = 'completed'"}"#);
    for (rest, told) in [
        (format!(r#","contained":[{{"resourceType":"Condition","id":"c","meta":{{"security":[{hiv}]}}}}]"#), false),
        (r#","contained":[{"resourceType":"Condition","id":"c","meta":{"tag":[]}}]"#.to_owned(), true),
        (format!(r#","code":{{"extension":[{{"url":"{inline}","valueCoding":{hiv}}}]}}"#), false),
        (
            format!(r#","performer":[{{"_function":{{"extension":[{{"valueCodeableConcept":{{"coding":[{hiv}]}},"url":"{inline}"}}]}}}}]"#),
            false,
        ),
        (format!(r#","code":{{"extension":[{{"url":"{inline}"}}]}}"#), false),
        (format!(r#","code":{{"extension":[{{"url":"{inline}","valueCoding":{{"system":"{act_code}","code":"AOD"}}}}]}}"#), true),
        // All elements may be labelled: which are not is not known here.
        (format!(r#","meta":{{"security":[{{"system":"{act_code}","code":"PROCESSINLINELABEL"}}]}}"#), false),
        (r#","code":{"text":"inline-sec-label"}"#.to_owned(), true),
    ] {
        let world = World::new(policy(), std::slice::from_ref(&seen));
        let mut rig = Rig::new(&world);
        rig.put(day("01-01"), &patient("ann", "1980-01-01", ""));
        assert!(!rig.put(day("01-02"), &about("Procedure", "p", &["ann"], &format!(r#","status":"completed"{rest}"#))));
        assert_eq!(!rig.told().is_empty(), told, "{rest}");
        // And whatever refers to it.
        rig.put(day("01-03"), &about("Procedure", "q", &["ann"], r#","status":"completed","partOf":[{"reference":"Procedure/p"}]"#));
        assert!(rig.told().is_empty(), "{rest}");
    }
}
