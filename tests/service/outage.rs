//! First load, outage, catch-up: what the real program tells, and what it never tells.
//!
//! In: invented patients, a clock that a file moves. Out: nothing. Never here: a patient who is not invented.

use super::home::{Home, land, patient, until};
use jiff::ToSpan;
use jiff::civil::Date;
use sonic_rs::JsonContainerTrait;
use std::io::Write;
use std::net::TcpStream;

const DAY: i64 = 86_400;

/// Nobody is told of without a permit.
const ASKS: &str =
    "organisation: { name: Riverside, zone: UTC }\nrecipients:\n  crm: { name: Riverside CRM }\nbases: { treatment: permit }\n";

fn audience(home: &Home, name: &str, members: &str) {
    let head = format!(
        "audience: {name}\ntitle: T\ncommunication: treatment\nremuneration: none\nrecipient: crm\nends: 2999-01-01\ntimes: exact\n"
    );
    home.lay(&format!("mappings/audiences/{name}.yaml"), format!("{head}members:\n  {members}\n"));
}

fn today() -> Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn consent(id: &str, of: &str, what: &str, version: u8, until: Option<Date>) -> String {
    let system = "http://terminology.hl7.org/CodeSystem";
    let period = until.map_or_else(String::new, |day| format!(r#""period":{{"end":"{day}"}},"#));
    format!(
        r#"{{"resourceType":"Consent","id":"{id}","meta":{{"lastUpdated":"2026-01-0{version}T00:00:00Z"}},"status":"active","scope":{{"coding":[{{"system":"{system}/consentscope","code":"patient-privacy"}}]}},"category":[{{"coding":[{{"system":"http://loinc.org","code":"59284-0"}}]}}],"patient":{{"reference":"Patient/{of}"}},"dateTime":"2026-01-0{version}","provision":{{"type":"{what}",{period}"purpose":[{{"system":"{system}/v3-ActReason","code":"TREAT"}}]}}}}"#
    ) + "\n"
}

fn procedure(id: &str, of: &str) -> String {
    format!(r#"{{"resourceType":"Procedure","id":"{id}","status":"completed","subject":{{"reference":"Patient/{of}"}}}}"#) + "\n"
}

#[test]
fn before_the_baseline_nobody_is_reminded_of_what_the_rest_of_the_load_says_is_done() {
    let home = Home::new("");
    audience(&home, "adults", "{ all: [{ Patient: birthDate <= today() - 18 years }, { none: { Procedure: status = 'completed' } }] }");
    let bridge = home.start();
    bridge.push("push", &[patient("ann", "1950-01-01"), patient("bea", "1950-01-01")].concat());
    assert_eq!(home.story(&bridge, "adults", &["ann", "bea"]), ["ann", "bea"]);
    // It dies in the middle of the load.
    bridge.kill();
    let bridge = home.start();
    assert!(bridge.ready().is_err_and(|why| why.contains("baseline")));
    assert_eq!(home.story(&bridge, "adults", &["ann", "bea"]), ["ann", "bea"]);
    bridge.push("push", &procedure("done", "ann"));
    assert_eq!(home.story(&bridge, "adults", &["ann", "bea"]), ["ann", "bea"]);
    bridge.client().post("/sources/push/baseline", "application/json", b"").expect("a baseline");
    assert_eq!(home.story(&bridge, "adults", &["ann", "bea"]), ["ann", "bea, entered qualified"]);
    bridge.push("push", &procedure("done-too", "bea"));
    assert_eq!(home.story(&bridge, "adults", &["ann", "bea"]), ["ann", "bea, entered qualified, exited ended"]);
}

#[test]
fn down_over_an_expiry_and_a_revocation_nothing_enters_that_was_taken_back() {
    let home = Home::new("sources: { push: { baseline: start } }\n");
    home.lay("mappings/policy.yaml", ASKS);
    audience(&home, "adults", "{ Patient: birthDate <= today() - 18 years }");
    let grown = "1950-01-01".to_owned();
    // Of age in two days; the bridge comes back in five.
    let soon = today().saturating_add(2.days()).saturating_sub(18.years()).to_string();
    let (tomorrow, later) = (Some(today().saturating_add(1.day())), None);
    let people =
        [("ann", &grown, tomorrow), ("bea", &grown, later), ("cleo", &soon, later), ("dora", &soon, later), ("eve", &soon, tomorrow)];
    let names = people.map(|(id, ..)| id);
    let bridge = home.start();
    for (id, birth, until) in people {
        bridge.push("push", &(patient(id, birth) + &consent(&format!("c-{id}"), id, "permit", 1, until)));
    }
    assert_eq!(home.story(&bridge, "adults", &names), ["ann, entered qualified", "bea, entered qualified", "cleo", "dora", "eve"]);
    bridge.kill();
    // Acknowledged, and not worked off when it died.
    for id in ["bea", "cleo"] {
        land(&home, "push", &consent(&format!("no-{id}"), id, "deny", 2, None), 0);
    }
    home.set_clock(5 * DAY);
    let bridge = home.start();
    let expected = ["ann, entered qualified, exited stop", "bea, entered qualified, exited stop", "cleo", "dora, entered qualified", "eve"];
    until("time has caught up", || home.story(&bridge, "adults", &names) == expected);
    assert_eq!(bridge.ready(), Ok(()));
}

#[test]
fn who_opted_out_is_absent_from_an_audience_that_is_added_once_all_is_compacted() {
    let home = Home::new("sources: { push: { baseline: start } }\n");
    let channels = "{ Patient: birthDate <= today() - 18 years }\nchannels: [email]";
    audience(&home, "adults", channels);
    let bridge = home.start();
    let known = |id: &str, version: u8| {
        format!(
            r#"{{"resourceType":"Patient","id":"{id}","meta":{{"lastUpdated":"2026-02-0{version}T00:00:00Z"}},"birthDate":"1950-01-01","telecom":[{{"system":"email","value":"{id}@example.org"}}]}}"#
        ) + "\n"
    };
    let names = ["ann", "bea", "cleo"];
    names.iter().for_each(|id| bridge.push("push", &known(id, 1)));
    let report = |who: &str| {
        let report = format!(r#"{{"recipient":"crm","channel":"email","what":"opt-out",{who}}}"#);
        bridge.client().post("/preferences", "application/json", report.as_bytes()).expect("it is taken");
    };
    bridge.settle();
    report(&format!(r#""member":"{}""#, home.member("ann")));
    report(r#""contact":"bea@example.org""#);
    // Newer versions take the place of the older ones in landing, and the reports come again.
    for version in 2..8 {
        names.iter().for_each(|id| bridge.push("push", &known(id, version)));
        report(r#""contact":"bea@example.org""#);
    }
    let left = "entered qualified, exited stop";
    assert_eq!(home.story(&bridge, "adults", &names), [format!("ann, {left}"), format!("bea, {left}"), "cleo, entered qualified".into()]);
    bridge.kill();
    audience(&home, "elders", &channels.replace("18", "60"));
    let bridge = home.start();
    until("the new audience is adopted", || bridge.status()["audiences"].as_array().is_some_and(|audiences| audiences.len() == 2));
    until("somebody is in it", || home.story(&bridge, "elders", &names) == ["ann", "bea", "cleo, entered qualified"]);
    bridge.settle();
    assert_eq!(home.story(&bridge, "elders", &names), ["ann", "bea", "cleo, entered qualified"]);
}

#[test]
fn of_a_group_that_a_dying_sender_cut_in_the_middle_the_revocation_takes_effect() {
    let home = Home::new("sources: { push: { baseline: start } }\n");
    audience(&home, "adults", "{ Patient: birthDate <= today() - 18 years }");
    let names = ["ann", "bea", "cleo"];
    let bridge = home.start();
    names.iter().for_each(|id| bridge.push("push", &patient(id, "1950-01-01")));
    assert_eq!(home.story(&bridge, "adults", &names), names.map(|id| format!("{id}, entered qualified")));

    // Lines, more than are taken at once; then the sender is gone, in the middle of one.
    let denial = consent("no-ann", "ann", "deny", 2, None);
    let body = denial.clone() + &patient("small", "2025-01-01").repeat(20_000);
    let mut socket = TcpStream::connect(&bridge.address).expect("it listens");
    let head = "POST /fhir HTTP/1.1\r\nhost: x\r\ncontent-type: application/fhir+ndjson\r\n";
    write!(socket, "{head}content-length: {}\r\n\r\n{body}{{\"resou", body.len() + 1000).expect("it reads");
    drop(socket);
    until("ann has left", || home.story(&bridge, "adults", &names)[0] == "ann, entered qualified, exited stop");

    // A Bundle of which not all reached landing: the group has no end.
    bridge.kill();
    let entry = |resource: &str| format!(r#"{{"resource":{}}}"#, resource.trim());
    let bundle = |of: &str| {
        let (denial, last) = (consent(&format!("no-{of}"), of, "deny", 2, None), patient(of, "1951-01-01"));
        format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{},{}]}}"#, entry(&denial), entry(&last))
    };
    land(&home, "push", &bundle("bea"), 1);
    let bridge = home.start();
    until("bea has left", || home.story(&bridge, "adults", &names)[1] == "bea, entered qualified, exited stop");
    assert_eq!(home.story(&bridge, "adults", &names)[2], "cleo, entered qualified");
}
