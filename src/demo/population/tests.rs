use super::*;
use footbridge_core::fhir::json;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::collections::{BTreeMap, BTreeSet};

fn instant(text: &str) -> Instant {
    Instant::parse(text).expect(text)
}

fn two_years(seed: u64, people: usize) -> Vec<Arrival> {
    invent(seed, people, instant("2026-01-01T06:00:00Z"), instant("2028-01-01T06:00:00Z"))
}

fn bytes(arrivals: &[Arrival]) -> String {
    arrivals.iter().map(|arrival| format!("{} {}\n", arrival.at, arrival.json)).collect()
}

/// All but the one that is cut off.
fn readable(arrivals: &[Arrival]) -> Vec<(Instant, Value)> {
    arrivals.iter().filter_map(|arrival| Some((arrival.at, json::parse(arrival.json.as_bytes()).ok()?))).collect()
}

fn text(value: &Value, path: &[&str]) -> String {
    let mut at = value;
    for key in path {
        at = match at.get(*key) {
            Some(found) => found,
            None => return String::new(),
        };
    }
    at.as_str().unwrap_or_default().to_owned()
}

fn id(value: &Value) -> String {
    format!("{}/{}", text(value, &["resourceType"]), text(value, &["id"]))
}

/// The patient that a resource is about.
fn subject(value: &Value) -> String {
    match text(value, &["resourceType"]).as_str() {
        "Patient" => id(value),
        "Appointment" => {
            let participants = value.get("participant").and_then(|list| list.as_array()).expect("participants");
            text(&participants[0], &["actor", "reference"])
        }
        _ => text(value, &["subject", "reference"]) + &text(value, &["patient", "reference"]),
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let once = bytes(&two_years(42, 60));
    assert_eq!(once, bytes(&two_years(42, 60)));
    assert_ne!(once, bytes(&two_years(43, 60)));
}

#[test]
fn one_more_person_changes_nothing_for_the_others() {
    let few: BTreeSet<String> = two_years(5, 30).into_iter().map(|arrival| arrival.json).collect();
    let more: BTreeSet<String> = two_years(5, 31).into_iter().map(|arrival| arrival.json).collect();
    assert!(few.is_subset(&more) && few.len() < more.len());
}

#[test]
fn everything_is_readable_but_the_one_record_that_is_cut_off() {
    let arrivals = two_years(1, 300);
    let broken: Vec<&Arrival> = arrivals.iter().filter(|arrival| json::parse(arrival.json.as_bytes()).is_err()).collect();
    assert_eq!(broken.len(), 1);
    assert!(broken[0].json.contains("inv-cut-off"));
}

#[test]
fn arrivals_are_sorted_within_the_window_and_versions_rise_with_their_instants() {
    let (from, until) = (instant("2026-01-01T06:00:00Z"), instant("2028-01-01T06:00:00Z"));
    let arrivals = two_years(2, 300);
    assert!(arrivals.is_sorted_by_key(|arrival| arrival.at));
    let mut newest: BTreeMap<String, (u32, Instant)> = BTreeMap::new();
    for (at, value) in readable(&arrivals) {
        let updated = instant(&text(&value, &["meta", "lastUpdated"]));
        assert!(at >= from && at < until && at == updated.max(from), "{}", id(&value));
        let version: u32 = text(&value, &["meta", "versionId"]).parse().expect("a number");
        let (before, then) = newest.insert(id(&value), (version, updated)).unwrap_or((0, Instant::BEGIN));
        assert_eq!(version, before + 1, "{}", id(&value));
        assert!(updated >= then, "{}", id(&value));
    }
}

#[test]
fn every_resource_is_about_a_patient_who_is_there() {
    let arrivals = two_years(3, 300);
    let values = readable(&arrivals);
    let patients: BTreeSet<String> = values.iter().map(|(_, value)| id(value)).filter(|id| id.starts_with("Patient/")).collect();
    assert_eq!(patients.len(), 300);
    for (_, value) in &values {
        assert!(patients.contains(&subject(value)), "{}", id(value));
    }
}

#[test]
fn nothing_is_written_of_the_dead() {
    let arrivals = two_years(4, 600);
    let mut died: BTreeMap<String, String> = BTreeMap::new();
    for (_, value) in readable(&arrivals) {
        let day = text(&value, &["deceasedDateTime"]);
        if !day.is_empty() {
            died.insert(id(&value), day);
        }
    }
    assert!(died.len() > 5);
    for (_, value) in readable(&arrivals) {
        if let Some(day) = died.get(&subject(&value))
            && text(&value, &["resourceType"]) != "Patient"
        {
            assert!(text(&value, &["meta", "lastUpdated"])[..10] <= day[..10], "{}", id(&value));
        }
    }
}

/// Of 1000 people, so many have at least one resource for which `is` holds, in tenths of a percent.
fn share(values: &[(Instant, Value)], is: impl Fn(&Value) -> bool) -> usize {
    values.iter().filter(|(_, value)| is(value)).map(|(_, value)| subject(value)).collect::<BTreeSet<_>>().len()
}

#[test]
fn every_audience_finds_some_people_and_not_all() {
    let arrivals = two_years(7, 1000);
    let values = readable(&arrivals);
    let kind = |value: &Value, name: &str| text(value, &["resourceType"]) == name;
    let has = |value: &Value, what: &str| sonic_rs::to_string(value).expect("json").contains(what);
    let rows: [(&str, usize, usize, usize); 14] = [
        ("missed", share(&values, |v| kind(v, "Appointment") && text(v, &["status"]) == "noshow"), 30, 400),
        ("mammogram", share(&values, |v| kind(v, "Procedure") && has(v, "24623002")), 100, 400),
        ("influenza vaccine", share(&values, |v| kind(v, "Immunization") && text(v, &["status"]) == "completed"), 300, 850),
        ("declined", share(&values, |v| kind(v, "Immunization") && text(v, &["status"]) == "not-done"), 10, 150),
        ("medicine with an end", share(&values, |v| kind(v, "MedicationRequest") && has(v, "validityPeriod")), 150, 600),
        ("plan", share(&values, |v| kind(v, "CarePlan")), 60, 400),
        ("joint", share(&values, |v| kind(v, "Observation") && has(v, "72514-3")), 50, 250),
        ("authorization", share(&values, |v| kind(v, "Consent") && has(v, "marketing-authorization")), 50, 300),
        ("withdrawn", share(&values, |v| kind(v, "Consent") && text(v, &["status"]) == "inactive"), 10, 100),
        ("by policy rule", share(&values, |v| kind(v, "Consent") && has(v, "policyRule")), 10, 120),
        ("by decision", share(&values, |v| kind(v, "Consent") && has(v, "\"decision\"")), 10, 150),
        ("labelled", share(&values, |v| has(v, "\"security\"")), 10, 100),
        ("account", share(&values, |v| kind(v, "Patient") && has(v, "portal-account")), 250, 600),
        ("e-mail", share(&values, |v| kind(v, "Patient") && has(v, "\"system\":\"email\"")), 700, 950),
    ];
    for (what, count, least, most) in rows {
        assert!((least..=most).contains(&count), "{what}: {count} of 1000, expected {least} to {most}");
    }
    let born: Vec<String> = values.iter().map(|(_, value)| text(value, &["birthDate"])).collect();
    let leap = born.iter().filter(|day| day.ends_with("-02-29")).count();
    let fifty = born.iter().filter(|day| day.starts_with("1976") || day.starts_with("1977")).count();
    let minors = born.iter().filter(|day| day.as_str() > "2010").count();
    assert!(leap >= 5 && fifty >= 30 && minors >= 50, "29 February {leap}, fifty {fifty}, minors {minors}");
}

#[test]
fn the_named_people_play_their_parts_in_every_seed() {
    let (from, until) = (instant("2026-01-01T06:00:00Z"), instant("2028-01-01T06:00:00Z"));
    for seed in [0, 1, 99] {
        let values = readable(&two_years(seed, 20));
        for scene in named(from, until) {
            let own: Vec<&Value> =
                values.iter().map(|(_, value)| value).filter(|v| subject(v) == format!("Patient/{}", scene.patient)).collect();
            let patient = own.iter().find(|value| text(value, &["resourceType"]) == "Patient").expect("the Patient");
            let consents: Vec<&&Value> = own.iter().filter(|value| text(value, &["resourceType"]) == "Consent").collect();
            assert!(scene.at > from && scene.at < until);
            match scene.role {
                Role::TurnsFifty => {
                    // 30 % of 730 days after 1 January 2026.
                    assert_eq!(text(patient, &["birthDate"]), "1976-08-08");
                    assert_eq!(scene.at, instant("2026-08-08T05:00:00Z"));
                    assert!(consents.is_empty());
                }
                Role::AuthorizationExpires => {
                    assert_eq!(consents.len(), 1);
                    assert_eq!(text(consents[0], &["provision", "period", "end"]), scene.at.to_string());
                }
                Role::Withdraws => {
                    let states: Vec<String> = consents.iter().map(|consent| text(consent, &["status"])).collect();
                    assert_eq!(states, ["active", "inactive"]);
                    assert_eq!(text(consents[1], &["meta", "lastUpdated"]), scene.at.to_string());
                }
                Role::CutOff => assert!(own.iter().all(|value| text(value, &["resourceType"]) != "Encounter")),
            }
        }
    }
}
