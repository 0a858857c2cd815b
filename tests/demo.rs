//! The demonstration, run as a person would run it: from any folder, twice, and with what it keeps.

use std::process::Command;

fn demo(arguments: &[&str]) -> (String, Option<i32>) {
    let folder = std::env::temp_dir();
    let run = Command::new(env!("CARGO_BIN_EXE_footbridge"))
        .arg("demo")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program starts");
    (String::from_utf8(run.stdout).expect("a text"), run.status.code())
}

/// The story without the line that says what was measured.
fn lines(story: &str) -> Vec<&str> {
    story.lines().filter(|line| !line.contains("measured on this machine")).collect()
}

#[test]
fn the_same_seed_tells_the_same_story_from_any_folder() {
    let (one, code) = demo(&["--people", "120", "--seed", "5"]);
    assert_eq!(code, Some(0));
    let (other, _) = demo(&["--people", "120", "--seed", "5"]);
    assert_eq!(lines(&one), lines(&other));
    let (another, _) = demo(&["--people", "120", "--seed", "6"]);
    assert_ne!(lines(&one), lines(&another));
}

#[test]
fn every_scene_is_told_with_its_cause() {
    let (story, _) = demo(&["--people", "120"]);
    for told in [
        "turns fifty",
        "mammogram-due entered",
        "consent-expired",
        "consent-revoked",
        "not JSON at line 1",
        "Someone misses an appointment",
        "two of one household have it",
    ] {
        assert!(story.contains(told), "{told}");
    }
}

#[test]
fn machines_read_a_summary_with_every_audience() {
    let (summary, _) = demo(&["--people", "120", "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("one object");
    assert_eq!(summary["refused"], 1);
    let members = summary["members"].as_object().expect("by audience");
    assert_eq!(members.len(), 8);
    assert!(members.values().all(|sizes| sizes.as_array().is_some_and(|sizes| sizes.len() == 8)));
}

#[test]
fn what_it_keeps_gives_simulate_the_same_number_of_events() {
    let folder = std::env::temp_dir().join(format!("footbridge-demo-{}", std::process::id()));
    let kept = folder.to_str().expect("a plain path");
    let (summary, code) = demo(&["--people", "120", "--json", "--keep", kept]);
    assert_eq!(code, Some(0));
    assert_eq!(demo(&["--people", "120", "--keep", kept]).1, Some(3), "a folder that is not empty is left alone");
    let run = Command::new(env!("CARGO_BIN_EXE_footbridge"))
        .args(["simulate", "--arrival", "last-updated", "--from", "2026-01-01T06:00:00Z", "--until", "2028-01-01T06:00:00Z", "--mappings"])
        .arg(folder.join("mappings"))
        .arg(folder.join("population.ndjson"))
        .output()
        .expect("the program starts");
    std::fs::remove_dir_all(&folder).expect("its own folder");
    assert_eq!(run.status.code(), Some(1), "one record is broken on purpose");
    let events = String::from_utf8(run.stdout).expect("a text").lines().count();
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("one object");
    assert_eq!(summary["events"], events);
}
