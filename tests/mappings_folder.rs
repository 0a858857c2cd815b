//! A mappings folder, read whole: what is right, what is wrong, and what the program ships with.

use footbridge::config::mappings::{self, Reading};
use std::path::{Path, PathBuf};

const POLICY: &str = "organisation: { name: Riverside, zone: America/Chicago, references: [Organization/riverside] }
recipients:
  crm: { name: CRM, address: Main Street 1, references: [Organization/crm], agreement: { kind: business-associate } }
";
const AUDIENCE: &str = "audience: due
title: Due
communication: treatment
remuneration: none
recipient: crm
ends: 2027-12-31
times: exact
members:
  Procedure: status = 'completed' and code.memberOf(%set)
";
const STORY: &str = "- story: s
  people: { ann: { gender: female } }
  given:
    - 2026-02-01T10:00Z ann: { resourceType: Procedure, status: completed, code: set }
  then:
    - 2026-02-01T10:00Z ann entered
";
const SET: &str =
    r#"{"resourceType":"ValueSet","url":"urn:set","status":"active","compose":{"include":[{"system":"urn:x","concept":[{"code":"1"}]}]}}"#;

/// A folder of its own for each test, removed when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str, files: &[(&str, &[u8])]) -> Folder {
        let path = std::env::temp_dir().join(format!("footbridge-{}-{test}", std::process::id()));
        for (file, bytes) in files {
            let file = path.join(file);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(file, bytes).expect("a file");
        }
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn read(test: &str, more: &[(&str, &[u8])]) -> Reading {
    let mut files: Vec<(&str, &[u8])> = vec![
        ("policy.yaml", POLICY.as_bytes()),
        ("audiences/due.yaml", AUDIENCE.as_bytes()),
        ("audiences/due.test.yaml", STORY.as_bytes()),
        ("valuesets/set.json", SET.as_bytes()),
    ];
    files.retain(|(file, _)| !more.iter().any(|(other, _)| other == file));
    files.extend(more.iter().filter(|(_, bytes)| *bytes != b"none"));
    let folder = Folder::new(test, &files);
    mappings::read(&folder.0)
}

fn told(reading: &Reading) -> Vec<String> {
    reading.problems.iter().map(std::string::ToString::to_string).collect()
}

#[test]
fn a_right_folder_is_read() {
    let reading = read("right", &[]);
    assert_eq!(told(&reading), Vec::<String>::new());
    let mappings = reading.mappings.expect("mappings");
    assert_eq!(mappings.catalogue.audiences.len(), 1);
    assert_eq!((mappings.stories[0].audience.as_str(), mappings.stories[0].stories.len()), ("due", 1));
    assert_eq!(mappings.policy.organisation.zone.name(), "America/Chicago");
    assert_eq!(mappings.valuesets.index("set"), Some(0));
    assert!(mappings.digest.starts_with("sha256:"));
    // What an audience names decides it; what it does not name does not.
    let digest = |test: &str, more: &[(&str, &[u8])]| read(test, more).mappings.expect("mappings").digest;
    let other = SET.replace("\"1\"", "\"2\"");
    assert_ne!(digest("other-code", &[("valuesets/set.json", other.as_bytes())]), mappings.digest);
    let unnamed = SET.replace("urn:set", "urn:unnamed");
    assert_eq!(digest("unnamed", &[("valuesets/unnamed.json", unnamed.as_bytes())]), mappings.digest);
    let sensitive = SET.replace("urn:set", "urn:sensitive");
    assert_ne!(digest("sensitive", &[("valuesets/sensitive-x.json", sensitive.as_bytes())]), mappings.digest);
}

#[test]
fn problems_of_all_files_are_told_at_once_by_place() {
    let reading = read(
        "wrong",
        &[
            ("policy.yaml", b"none"),
            ("approvals.yaml", b"x: 1"),
            ("notes.txt", b"x"),
            ("audiences/.hidden", b"x"),
            ("audiences/due.yml", b"x"),
            ("audiences/bad.yaml", b"a: \xff"),
            ("audiences/tab.yaml", b"a:\n\tb: 1"),
            ("valuesets/set.json", b"{"),
        ],
    );
    assert!(reading.mappings.is_none());
    let told = told(&reading);
    let starts: Vec<&str> = told.iter().map(|problem| problem.lines().next().expect("a line")).collect();
    for expected in [
        "approvals.yaml  warning: approvals are off: no key ring is configured",
        "audiences/bad.yaml  the file is not UTF-8 at byte 3",
        "audiences/due.yml  warning: the file is not read",
        "notes.txt  warning: the file is not read",
        "policy.yaml  the file is missing",
    ] {
        assert!(starts.contains(&expected), "{expected}: {starts:#?}");
    }
    assert!(starts.iter().any(|p| p.starts_with("audiences/tab.yaml:2:") && p.contains("not YAML")), "{starts:#?}");
    assert!(starts.iter().any(|p| p.starts_with("valuesets/set.json")), "{starts:#?}");
    let mut sorted = reading.problems.iter().map(|p| p.place.clone()).collect::<Vec<_>>();
    sorted.sort();
    assert_eq!(sorted, reading.problems.iter().map(|p| p.place.clone()).collect::<Vec<_>>());
}

#[test]
fn stories_and_audiences_miss_each_other() {
    let reading = read("homeless", &[("audiences/due.test.yaml", b"none"), ("audiences/dues.test.yaml", STORY.as_bytes())]);
    assert!(reading.mappings.is_none());
    assert_eq!(
        told(&reading),
        [
            "audiences/due.yaml:1:1  warning: no story shows what this audience does\n  hint: add audiences/due.test.yaml (docs/stories.md)",
            "audiences/dues.test.yaml  there is no audience `dues`\n  hint: did you mean due.test.yaml?",
        ]
    );
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let reading = mappings::read(Path::new("/nowhere/mappings"));
    assert!(reading.mappings.is_none());
    assert!(told(&reading)[0].starts_with("/nowhere/mappings  the folder cannot be read: entity not found\n  hint: name the folder"));
}

#[test]
fn a_file_that_never_ends_is_refused() {
    let long = vec![b' '; 1024 * 1024 + 1];
    let reading = read("long", &[("audiences/due.yaml", &long)]);
    assert!(
        told(&reading).iter().any(|p| p.starts_with("audiences/due.yaml  the file has more than the 1048576 bytes that are read\n  hint:")),
        "{:?}",
        told(&reading)
    );
}

#[test]
fn the_shipped_mappings_have_no_error() {
    let reading = mappings::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings"));
    let errors: Vec<_> = reading.problems.iter().filter(|problem| problem.is_error()).map(std::string::ToString::to_string).collect();
    assert_eq!(errors, Vec::<String>::new());
    let mappings = reading.mappings.expect("mappings");
    assert_eq!(mappings.catalogue.audiences.len(), 8);
    assert_eq!(mappings.stories.len(), 8, "every audience has stories");
}

#[test]
fn what_is_wrong_with_the_policy_hides_nothing_of_the_audiences() {
    let audience = AUDIENCE.replace("title: Due", "titel: Due").replace("Procedure: status", "Procedure: stauts");
    for policy in [POLICY.replace("zone: America/Chicago", "zone: Amerika/Chicago"), "organisation: [".to_owned(), "none".to_owned()] {
        let story = STORY.replace("ann entered", "bea entered");
        let files: [(&str, &[u8]); 3] = [
            ("policy.yaml", policy.as_bytes()),
            ("audiences/due.yaml", audience.as_bytes()),
            ("audiences/due.test.yaml", story.as_bytes()),
        ];
        let reading = read("hides", &files);
        assert!(reading.mappings.is_none());
        let told = told(&reading);
        for expected in
            ["policy.yaml", "audiences/due.yaml:2:1  unknown key `titel`", "audiences/due.yaml:9:14  `stauts`", "audiences/due.test.yaml:"]
        {
            assert!(told.iter().any(|problem| problem.starts_with(expected)), "{expected}: {told:?}");
        }
        assert!(!told.iter().any(|problem| problem.contains("no recipient")), "{told:?}");
        assert!(reading.problems.iter().all(|problem| problem.hint.is_some()), "{told:?}");
    }
    // A recipient that a readable policy does not name is a problem all the same.
    let policy = POLICY.replace("zone: America/Chicago", "zone: Amerika/Chicago").replace("  crm:", "  cmr:");
    let reading = read("names", &[("policy.yaml", policy.as_bytes())]);
    assert!(told(&reading).iter().any(|problem| problem.contains("the policy has no recipient `crm`")), "{:?}", told(&reading));
}

#[test]
fn a_folder_that_is_not_there_is_a_command_that_failed() {
    for command in
        [&["check"][..], &["test"], &["simulate", "--from", "2026-01-01T00:00:00Z", "--until", "2026-02-01T00:00:00Z", "/dev/null"]]
    {
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_footbridge"))
            .args(command)
            .args(["--mappings", "/no/such/folder"])
            .output()
            .expect("the program starts");
        assert_eq!(ran.status.code(), Some(3), "{command:?}");
        assert!(String::from_utf8_lossy(&ran.stderr).contains("there is no mappings folder /no/such/folder"), "{command:?}");
    }
}
