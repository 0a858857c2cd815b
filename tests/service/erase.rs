//! Erasure on the real process: exits, tombstones, and nothing left of the person but the accounting.
//!
//! In: invented patients. Out: nothing. Never here: a patient who is not invented.

use super::home::{Bridge, Home, patient, until};
use footbridge::config::data::DataFolder;
use footbridge::log::{Batch, Log, OutTopic, Place, embedded};
use sonic_rs::JsonValueTrait;
use std::sync::Arc;
use std::time::Duration;

fn erase(home: &Home, bridge: &Bridge, args: &[&str]) -> (Option<i32>, String) {
    let out = home.command().arg("erase").args(args).args(["--at", &bridge.address]).output().expect("it runs");
    (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
}

/// Whether a text stands in what landing still has.
fn lands(home: &Home, text: &str) -> bool {
    let data = DataFolder::open(&home.path("footbridge-data")).expect("a data folder");
    let settings = embedded::Settings { partitions: 4, ..embedded::Settings::default() };
    let log = embedded::Embedded::open(&data.log(), settings, Arc::new(|| jiff::Timestamp::now().into())).expect("a log");
    let mut sessions = log.sessions(1).expect("a session");
    let mut batch = Batch::default();
    sessions[0].poll(Duration::ZERO, &mut batch).expect("a poll");
    let mut records = Vec::new();
    for partition in 0..4 {
        let mut from = Some(0);
        while let Some(next) = from {
            from = sessions[0].replay(Place::landing(partition), next, &mut records).expect("records");
        }
    }
    assert!(!records.is_empty(), "it has something");
    assert_eq!(log.outputs(&OutTopic::Disclosures, 0, usize::MAX).expect("disclosures").list.len(), 3, "the accounting stays");
    records.iter().any(|record| record.value().windows(text.len()).any(|part| part == text.as_bytes()))
}

#[test]
fn who_is_erased_leaves_and_is_forgotten_and_counts_on_when_the_source_sends_them_again() {
    let home = Home::new("sources: { ehr: { baseline: start } }\n");
    let bridge = home.start();
    let names = ["ann-erased", "bea-stays"];
    let told = |bridge: &Bridge| home.story(bridge, "adults", &names);
    names.iter().for_each(|id| bridge.push("ehr", &patient(id, "1950-01-01")));
    let procedure = r#"{"resourceType":"Procedure","id":"p","subject":{"reference":"Patient/ann-erased"}}"#;
    bridge.push("ehr", procedure);
    assert_eq!(told(&bridge), ["ann-erased, entered qualified", "bea-stays, entered qualified"]);

    let (code, said) = erase(&home, &bridge, &["Patient/ann-erased", "--source", "ehr"]);
    assert!(code == Some(2) && said.contains("--yes"), "{said}");
    for (wrong, why) in [(["Patient/a b", "ehr"], "no id of a Patient"), (["Patient/ann-erased", "lab"], "there is ehr")] {
        let (code, said) = erase(&home, &bridge, &[wrong[0], "--source", wrong[1], "--yes"]);
        assert!(code == Some(3) && said.contains(why), "{said}");
    }
    assert_eq!(told(&bridge)[0], "ann-erased, entered qualified");
    let (code, said) = erase(&home, &bridge, &["Patient/ann-erased", "--source", "ehr", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let gone = "ann-erased, entered qualified, exited erased, removed";
    until("she has left", || told(&bridge)[0] == gone);
    assert_eq!(told(&bridge)[1], "bea-stays, entered qualified");
    bridge.kill();
    assert!(!lands(&home, "ann-erased") && lands(&home, "bea-stays"));

    // A second time there is nothing left to erase; other mappings find nothing of her.
    home.lay("mappings/audiences/adults.yaml", super::home::AUDIENCE.replace("18", "21"));
    let bridge = home.start();
    until("the mappings are adopted", || bridge.status()["definitions"].get("next").is_none() && bridge.ready().is_ok());
    assert_eq!(erase(&home, &bridge, &["ann-erased", "--source", "ehr", "--yes"]).0, Some(0));
    bridge.settle();
    assert_eq!(told(&bridge)[0], format!("{gone}, removed"));
    // The source has her still: her events go on counting where they were.
    bridge.push("ehr", &patient("ann-erased", "1950-01-01"));
    until("she is back", || told(&bridge)[0] == format!("{gone}, removed, entered qualified"));
    let mut last = 0;
    let each = &mut |line: &[u8]| {
        let line: sonic_rs::Value = sonic_rs::from_slice(line).expect("JSON");
        last = line["data"]["seq"].as_u64().unwrap_or(last);
        Ok(())
    };
    bridge.client().each_line("/audiences/adults/events", each).expect("events");
    assert_eq!(last, 3);
}
