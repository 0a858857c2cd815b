//! Several sources: folders, files, quarantine, and what the metrics tell of them.
//!
//! In: files of invented patients. Out: nothing. Never here: a patient who is not invented.

use super::home::{Bridge, Home, land, patient, until};
use sonic_rs::JsonValueTrait;
use std::io::Write;

#[test]
fn each_source_is_waited_for_and_a_folder_marks_its_own_pass() {
    let home = Home::new(
        "sources:\n  ehr: { namespace: a }\n  lab: { namespace: b, baseline: start }\n  drop: { kind: watch, namespace: c, folder: in, every: 1s, baseline: complete-pass }\n",
    );
    home.lay("in/first.ndjson", patient("cleo", "1950-01-01"));
    home.lay("in/still-coming.ndjson.part", patient("dora", "1950-01-01"));
    let bridge = home.start();
    let why = bridge.ready().expect_err("no baseline is marked");
    assert!(why.contains("the baseline of source `ehr` is not marked") && !why.contains("of source `lab`"), "{why}");
    assert!(why.contains("consents of `ehr`, `lab`, `drop` are assumed to be fresh"), "{why}");
    bridge.push("ehr", &patient("ann", "1950-01-01"));
    bridge.push("lab", &patient("bea", "1950-01-01"));
    let nowhere = bridge.client().post("/fhir", "application/fhir+json", b"{}").err().map(|why| why.to_string());
    assert!(nowhere.as_ref().is_some_and(|why| why.contains("there is ehr, lab")), "{nowhere:?}");
    let no_push = bridge.client().post("/sources/drop/fhir", "application/fhir+json", b"{}").err().map(|why| why.to_string());
    assert!(no_push.is_some_and(|why| why.contains("404")));
    until("the folder is worked off", || bridge.ready().is_err_and(|why| !why.contains("the baseline of source `drop`")));
    assert_eq!(home.read("in/done/first.ndjson"), patient("cleo", "1950-01-01"));
    assert!(home.path("in/still-coming.ndjson.part").exists());
    assert_eq!(bridge.told(), Vec::<String>::new());
    bridge.client().post("/sources/ehr/baseline", "application/json", b"").expect("a baseline");
    until("all three have entered", || bridge.told().len() == 3);
    assert_eq!(bridge.ready(), Ok(()));

    // What lies there when it dies is read when it comes back, without anybody's help; what was marked stays marked.
    bridge.kill();
    std::fs::rename(home.path("in/still-coming.ndjson.part"), home.path("in/now.ndjson")).expect("it is whole now");
    let bridge = home.start();
    assert_eq!(bridge.ready(), Ok(()));
    until("the fourth has entered", || bridge.told().len() == 4);
    assert!(bridge.told().iter().all(|status| status == "entered"));

    // The same source cannot mean other patients.
    bridge.kill();
    home.lay("footbridge.yaml", "sources: { ehr: { namespace: other } }\n");
    let said = home.try_start().err().expect("it refuses to start").join("\n");
    assert!(said.contains("the source `ehr` had another `namespace` or `versions` before"), "{said}");
}

#[test]
fn of_a_folder_what_cannot_be_read_is_named_and_the_rest_is_taken() {
    let home = Home::new("sources: { drop: { kind: watch, folder: in, every: 1s, baseline: complete-pass } }\n");
    let broken = "{\"resourceType\":\"Patient\",\"id\":\"secret-name\",\n";
    home.lay("in/lines.ndjson", [patient("ann", "1950-01-01"), broken.to_owned(), patient("bea", "1950-01-01")].concat());
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for n in 0..3000 {
        packed.write_all(patient(&format!("p{n}"), "2025-01-01").as_bytes()).expect("memory");
    }
    let packed = packed.finish().expect("memory");
    home.lay("in/cut.ndjson.gz", &packed[..packed.len() / 2]);
    let bridge = home.start();
    until("both are moved", || home.path("in/done/lines.ndjson").exists() && home.path("in/failed/cut.ndjson.gz").exists());
    let reason = home.read("in/done/lines.ndjson.reason");
    assert!(reason.starts_with("line 2: ") && reason.ends_with("in quarantine\n") && !reason.contains("secret"), "{reason}");
    let reason = home.read("in/failed/cut.ndjson.gz.reason");
    assert!(reason.contains("cannot be read from here on") && reason.ends_with("not taken\n"), "{reason}");
    // A pass with a file that failed is not complete, however often the folder is looked at.
    home.lay("in/more.json", patient("cleo", "2025-01-01"));
    until("another look was taken", || home.path("in/done/more.json").exists());
    assert!(bridge.ready().is_err_and(|why| why.contains("`drop`")));
    bridge.settle();
    assert_eq!(bridge.status()["quarantined"].as_u64(), Some(1));
    // The file comes again, whole; once its place among the failed is cleared the pass is complete.
    home.lay("in/cut.ndjson.gz", &packed);
    until("it was read again", || home.path("in/done/cut.ndjson.gz").exists());
    std::fs::remove_file(home.path("in/failed/cut.ndjson.gz")).expect("it is there");
    until("the pass is complete", || bridge.ready().is_ok());
    assert_eq!(bridge.told(), ["entered", "entered"]);
}

#[test]
fn files_are_read_once_and_their_pass_is_the_baseline() {
    let home = Home::new("sources: { history: { kind: files, files: [a.ndjson, b.ndjson] }, ehr: { baseline: start } }\n");
    home.lay("a.ndjson", patient("ann", "1950-01-01"));
    let bridge = home.start();
    until("it says what is missing", || bridge.ready().is_err_and(|why| why.contains("1 of 2 files could not be taken whole")));
    assert_eq!(bridge.told(), Vec::<String>::new());
    bridge.kill();
    home.lay("b.ndjson", patient("bea", "1950-01-01"));
    let bridge = home.start();
    until("the pass is complete", || bridge.ready().is_ok());
    assert_eq!(bridge.told(), ["entered", "entered"]);
    let metrics = String::from_utf8(bridge.client().get("/metrics").expect("metrics").body).expect("UTF-8");
    assert!(metrics.contains("footbridge_files_total{source=\"history\",outcome=\"done\"} 1\n"), "{metrics}");
}

fn quarantine(home: &Home, bridge: &Bridge, args: &[&str]) -> (Option<i32>, String) {
    let out = home.command().arg("quarantine").args(args).args(["--at", &bridge.address]).output().expect("it runs");
    (out.status.code(), String::from_utf8(out.stdout).expect("UTF-8") + &String::from_utf8_lossy(&out.stderr))
}

/// Positions of what stands in quarantine.
fn positions(home: &Home, bridge: &Bridge) -> Vec<String> {
    bridge.settle();
    let (_, list) = quarantine(home, bridge, &["list"]);
    list.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

#[test]
fn a_record_of_quarantine_is_sent_again_and_what_came_since_stays_newer() {
    let both = "sources: { ehr: { baseline: start }, lab: { baseline: start, namespace: lab } }\n";
    let home = Home::new(both);
    let bridge = home.start();
    bridge.push("ehr", "{\"resourceType\":\"Patient\",\"id\":\n");
    let [broken] = &positions(&home, &bridge)[..] else { panic!("one record cannot be read") };
    let (code, said) = quarantine(&home, &bridge, &["retry", broken]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot be read yet"), "{said}");
    let [again] = &positions(&home, &bridge)[..] else { panic!("it stands there once, under its new position") };
    assert_ne!(again, broken);
    let (code, said) = quarantine(&home, &bridge, &["retry", broken]);
    assert!(code == Some(3) || code == Some(1), "{said}");
    assert!(said.contains("404"), "{said}");

    // A Patient without a version, with a birth date that cannot be read; then a version that can, then another that cannot.
    let unversioned = |birth: &str| format!("{{\"resourceType\":\"Patient\",\"id\":\"ann\",\"birthDate\":{birth}}}\n");
    bridge.push("lab", &unversioned("19500101"));
    bridge.settle();
    bridge.push("lab", &unversioned("\"1950-01-01\""));
    assert_eq!(bridge.told(), ["entered"]);
    let older = positions(&home, &bridge).into_iter().find(|position| position != again).expect("the birth date is in quarantine");
    let (_, said) = quarantine(&home, &bridge, &["retry", &older]);
    assert!(said.contains("is on its way again"), "{said}");
    // It is as old as it was: the newer version stands, and nobody leaves.
    assert_eq!(positions(&home, &bridge).len(), 2);
    assert_eq!(bridge.told(), ["entered"]);

    // After a restart it can all be tried at once; what fails again is not tried twice.
    bridge.kill();
    let bridge = home.start();
    let (code, said) = quarantine(&home, &bridge, &["retry", "--all"]);
    assert_eq!((code, said.lines().count()), (Some(1), 2), "{said}");
    assert_eq!(bridge.told(), ["entered"]);
    let metrics = String::from_utf8(bridge.client().get("/metrics").expect("metrics").body).expect("UTF-8");
    assert!(metrics.contains("footbridge_retried_total{source=\"lab\"} 1\n"), "{metrics}");
}

#[test]
fn what_came_from_a_source_that_is_gone_takes_effect_once_it_is_back_and_tried_again() {
    let home = Home::new("sources: { ehr: { baseline: start } }\n");
    land(&home, "lab", &patient("ann", "1950-01-01"), 0);
    let bridge = home.start();
    let [position] = &positions(&home, &bridge)[..] else { panic!("its source is not known") };
    let (code, said) = quarantine(&home, &bridge, &["retry", position]);
    assert!(code == Some(1) && said.contains("its source `lab` is not in the configuration"), "{said}");
    assert_eq!((bridge.told(), positions(&home, &bridge).len()), (Vec::new(), 1));
    bridge.kill();
    home.lay("footbridge.yaml", "sources: { ehr: { baseline: start }, lab: { baseline: start } }\n");
    let bridge = home.start();
    let (code, said) = quarantine(&home, &bridge, &["retry", "--all"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(bridge.told(), ["entered"]);
    assert_eq!(positions(&home, &bridge), Vec::<String>::new());
}

#[test]
fn a_wrong_configuration_is_told_with_its_places_and_starts_nothing() {
    let home = Home::new("sauces: {}\nlisten: { adress: x }\n");
    let out = home.command().args(["run", "--config", "footbridge.yaml"]).output().expect("it runs");
    let said = String::from_utf8(out.stderr).expect("UTF-8");
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("footbridge.yaml:1:1") && said.contains("did you mean `sources`?"), "{said}");
    assert!(said.contains("footbridge.yaml:2:11") && said.contains("2 errors"), "{said}");
    assert!(!home.path("footbridge-data").exists());
}

#[test]
fn the_metrics_tell_what_the_pipeline_did_and_nothing_of_a_patient() {
    let home = Home::new("sources: { ehr: { baseline: start } }\n");
    let bridge = home.start();
    bridge.push("ehr", &[patient("ann-secret", "1950-01-01"), patient("bea-secret", "2025-01-01")].concat());
    assert_eq!(bridge.told(), ["entered"]);
    bridge.push("ehr", &patient("ann-secret", "2025-01-01").replace("2026-01-01T", "2026-01-02T"));
    bridge.push("ehr", "{\"resourceType\":\"Patient\",\"id\":\n");
    assert_eq!(bridge.told(), ["entered", "exited"]);
    let mut metrics = String::new();
    until("all has been told", || {
        metrics = String::from_utf8(bridge.client().get("/metrics").expect("metrics").body).expect("UTF-8");
        // The backlog is looked at twice a second.
        metrics.contains("footbridge_quarantined_total") && metrics.lines().any(|told| told == "footbridge_backlog_records 0")
    });
    for line in [
        "footbridge_events_total{audience=\"adults\",type=\"org.footbridge.audience.entered\"} 1",
        "footbridge_events_total{audience=\"adults\",type=\"org.footbridge.audience.exited\"} 1",
        "footbridge_quarantined_total{source=\"ehr\",reason=\"form\"} 1",
        "footbridge_unreadable_total{source=\"ehr\",reason=\"form\"} 1",
        "footbridge_members 2",
        "footbridge_members_in_memory 2",
        "footbridge_member_looks_total{from=\"disk\"} 2",
        "footbridge_due 0",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line}\n{metrics}");
    }
    for name in ["footbridge_commit_seconds_count ", "footbridge_records_total "] {
        assert!(metrics.lines().any(|told| told.starts_with(name)), "{name}\n{metrics}");
    }
    assert!(!metrics.contains("secret"), "{metrics}");
    // After a restart it knows them before anything comes.
    bridge.kill();
    let bridge = home.start();
    until("what stands is told again", || {
        let metrics = String::from_utf8(bridge.client().get("/metrics").expect("metrics").body).expect("UTF-8");
        metrics.lines().any(|told| told == "footbridge_members 2")
    });
    // Each has a line in the page that explains them.
    let page = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).expect("the page");
    for name in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(page.contains(&format!("`{name}`")), "docs/metrics.md says nothing of {name}");
    }
}
