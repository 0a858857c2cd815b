//! Changed mappings on the real program: prepared from landing, braked, adopted; planned without being adopted.
//!
//! In: a small mappings folder that changes, invented patients over HTTP. Out: nothing. Never here: how it comes about.

#![expect(clippy::panic, reason = "a test says in its own words how it fails")]

use footbridge::console::client::Client;
use footbridge::console::started;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

struct Bridge {
    process: Child,
    client: Client,
    address: String,
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn start(folder: &Path) -> Bridge {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
    command.current_dir(folder).args(["run", "--data", "data", "--mappings", "mappings", "--listen", "127.0.0.1:0", "--partitions", "3"]);
    if folder.join("footbridge.yaml").exists() {
        command.args(["--config", "footbridge.yaml"]);
    }
    let (process, address) = started(&mut command).unwrap_or_else(|said| panic!("it ended: {said:?}"));
    Bridge { process, client: Client::new(&address, None), address }
}

fn write(folder: &Path, audience: &str, members: &str) {
    let text = format!(
        "audience: {audience}\ntitle: T\ncommunication: treatment\nremuneration: none\nrecipient: crm\ntimes: exact\nends: 2099-12-31\n\
         members:\n  {members}\n"
    );
    std::fs::create_dir_all(folder.join("mappings/audiences")).expect("a folder");
    std::fs::write(folder.join(format!("mappings/audiences/{audience}.yaml")), text).expect("written");
}

fn policy(folder: &Path, least: u32) {
    let text = format!(
        "organisation: {{ name: Riverside, zone: UTC, references: [], identifiers: [] }}\n\
         recipients:\n  crm: {{ name: CRM, address: a, references: [], identifiers: [], \
         agreement: {{ kind: business-associate, until: 2099-12-31 }}, identify: pseudonym, may_know: [] }}\n\
         blast_radius: {{ share: 10%, least: {least} }}\ncounts: {{ least: 2, round: 1 }}\n"
    );
    std::fs::create_dir_all(folder.join("mappings")).expect("a folder");
    std::fs::write(folder.join("mappings/policy.yaml"), text).expect("written");
}

/// One more recipient.
fn recipient(folder: &Path, name: &str) {
    let file = folder.join("mappings/policy.yaml");
    let text = std::fs::read_to_string(&file).expect("a policy");
    let one = format!(
        "recipients:\n  {name}: {{ name: N, address: a, references: [], identifiers: [], \
         agreement: {{ kind: business-associate, until: 2099-12-31 }}, identify: pseudonym, may_know: [] }}\n"
    );
    std::fs::write(file, text.replacen("recipients:\n", &one, 1)).expect("written");
}

fn report(bridge: &Bridge, recipient: &str) -> bool {
    let report = format!(r#"{{"recipient":"{recipient}","channel":"sms","what":"opt-out","contact":"+1 312 555 0100"}}"#);
    bridge.client.post("/preferences", "application/json", report.as_bytes()).is_ok()
}

fn status(bridge: &Bridge) -> Value {
    sonic_rs::from_slice(&bridge.client.get("/status").expect("a status").body).expect("JSON")
}

/// Waits until the status is as asked.
fn until(bridge: &Bridge, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let status = status(bridge);
        if is(&status) {
            return status;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}: {status:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn settled(status: &Value) -> bool {
    status["worked_off"].as_bool() == Some(true) && status["definitions"].get("next").is_none()
}

/// Status and reason of each event of an audience, sorted.
fn told(bridge: &Bridge, audience: &str) -> Vec<String> {
    let mut told = Vec::new();
    let each = &mut |line: &[u8]| {
        let line: Value = sonic_rs::from_slice(line).expect("JSON");
        told.push(format!("{} {}", line["data"]["status"].as_str().expect("a status"), line["data"]["reason"].as_str().expect("a reason")));
        Ok(())
    };
    bridge.client.each_line(&format!("/audiences/{audience}/events"), each).expect("events");
    told.sort();
    told
}

fn patients(bridge: &Bridge) {
    for (number, gender) in ["female", "female", "male"].iter().enumerate() {
        let patient = format!(r#"{{"resourceType":"Patient","id":"p{number}","gender":"{gender}","birthDate":"1980-01-01"}}"#);
        bridge.client.post("/fhir", "application/fhir+json", patient.as_bytes()).expect("taken");
        let appointment = format!(
            r#"{{"resourceType":"Appointment","id":"a{number}","status":"booked","participant":[{{"status":"accepted","actor":{{"reference":"Patient/p{number}"}}}}]}}"#
        );
        bridge.client.post("/fhir", "application/fhir+json", appointment.as_bytes()).expect("taken");
    }
    bridge.client.post("/sources/push/baseline", "application/json", b"").expect("marked");
}

#[test]
fn changed_mappings_are_prepared_braked_and_adopted() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    policy(folder, 1000);
    write(folder, "women", "Patient: gender = 'female'");
    let bridge = start(folder);
    patients(&bridge);
    until(&bridge, "two women entered", |status| settled(status) && status["audiences"][0]["events"].as_u64() == Some(2));
    drop(bridge);

    // Killed in the middle, a preparation goes on. The other audience is new, and few enough are moved.
    write(folder, "women", "Patient: gender = 'male'");
    write(folder, "all", "Patient: gender.exists()");
    drop(start(folder));
    let bridge = start(folder);
    let status = until(&bridge, "adopted", |status| settled(status) && status["audiences"].as_array().is_some_and(|all| all.len() == 2));
    assert!(status["troubles"].as_array().is_some_and(sonic_rs::Array::is_empty));
    assert_eq!(told(&bridge, "women"), ["entered qualified", "entered qualified", "entered qualified", "exited ended", "exited ended"]);
    assert_eq!(told(&bridge, "all"), ["entered qualified"; 3]);

    // What only is planned moves nothing.
    let other = tempfile::tempdir().expect("a folder");
    policy(other.path(), 0);
    write(other.path(), "women", "Patient: gender = 'female'");
    let mut plan = Command::new(env!("CARGO_BIN_EXE_footbridge"));
    plan.current_dir(other.path()).args(["plan", "--mappings", "mappings", "--at", &bridge.address]);
    let said = plan.output().expect("the program runs");
    let (text, why) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = text.lines().map(words).collect();
    let expected = ["all 3 in it 0 would enter 3 leave 0 change", "women <2 in it 2 would enter <2 leave 0 change"];
    assert_eq!(lines, expected, "{why}");
    until(&bridge, "the plan is dropped", settled);
    assert_eq!((told(&bridge, "women").len(), told(&bridge, "all").len()), (5, 3));
    assert!(!report(&bridge, "desk"), "nobody of that name");
    drop(bridge);

    // A brake that anything touches: it waits, and meanwhile the old definitions decide.
    policy(folder, 0);
    recipient(folder, "desk");
    let bridge = start(folder);
    until(&bridge, "the policy is adopted", settled);
    assert!(report(&bridge, "desk"), "a recipient of the definitions in force, without a restart");
    drop(bridge);
    write(folder, "all", "Patient: gender = 'female'");
    let bridge = start(folder);
    let waits = |status: &Value| status["definitions"]["next"]["state"].as_str() == Some("waits");
    let status = until(&bridge, "it waits", waits);
    assert_eq!(status["definitions"]["next"]["reasons"].as_array().map(sonic_rs::Array::len), Some(1), "{status:?}");
    bridge.client.get("/readyz").expect("it is ready all the same");
    let patient = br#"{"resourceType":"Patient","id":"p9","gender":"male","birthDate":"1980-01-01"}"#;
    bridge.client.post("/fhir", "application/fhir+json", patient).expect("taken");
    until(&bridge, "he entered", |status| status["worked_off"].as_bool() == Some(true) && waits(status) && told(&bridge, "all").len() == 4);
    drop(bridge);
    let bridge = start(folder);
    until(&bridge, "it waits again", waits);
    bridge.client.post("/definitions/proceed", "application/json", b"").expect("it waits for that");
    until(&bridge, "adopted", settled);
    assert_eq!(told(&bridge, "all")[4..], ["exited ended", "exited ended"]);
    drop(bridge);

    // A type that landing does not have from the beginning has to be sent again, or allowed to be absent.
    policy(folder, 1000);
    recipient(folder, "desk");
    write(folder, "all", "Appointment: status = 'booked'");
    let bridge = start(folder);
    let status = until(&bridge, "it waits for the type", waits);
    let reasons = status["definitions"]["next"]["reasons"].as_array().expect("a list");
    assert!(reasons.iter().any(|reason| reason.as_str().is_some_and(|reason| reason.contains("no Appointment"))), "{status:?}");
    patients(&bridge);
    until(&bridge, "they are in landing", |status| status["worked_off"].as_bool() == Some(true));
    bridge.client.post("/definitions/proceed", "application/json", b"").expect("it waits for that");
    until(&bridge, "adopted", settled);
    assert_eq!(told(&bridge, "all")[..5], ["entered qualified"; 5]);

    // A stop order outlives the process that heard it.
    let before = told(&bridge, "all").len();
    let stop = |bridge: &Bridge, resume: &[&str]| {
        let mut stop = Command::new(env!("CARGO_BIN_EXE_footbridge"));
        let said = stop.args(["stop", "all", "--at", &bridge.address]).args(resume).output().expect("the program runs");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    };
    stop(&bridge, &[]);
    drop(bridge);
    let bridge = start(folder);
    until(&bridge, "stopped", |status| settled(status) && status["audiences"][0]["stopped"].as_bool() == Some(true));
    let after = told(&bridge, "all");
    assert_eq!((after.len(), after.iter().filter(|line| *line == "exited paused").count()), (before + 3, 3), "{after:?}");
    stop(&bridge, &["--resume"]);
    until(&bridge, "resumed", |status| settled(status) && status["audiences"][0]["stopped"].as_bool() == Some(false));
    assert_eq!(told(&bridge, "all").iter().filter(|line| *line == "entered resumed").count(), 3);
}

#[test]
fn with_all_kept_a_type_that_is_read_anew_is_there_from_the_beginning() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("footbridge.yaml"), "landing: { keep: all }\n").expect("written");
    policy(folder, 1000);
    write(folder, "all", "Patient: gender = 'nobody'");
    let bridge = start(folder);
    patients(&bridge);
    // Deleted before anybody read the type.
    let gone = br#"{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"DELETE","url":"Appointment/a2"}}]}"#;
    bridge.client.post("/fhir", "application/fhir+json", gone).expect("taken");
    until(&bridge, "nobody is in", settled);
    drop(bridge);
    write(folder, "all", "Appointment: status = 'booked'");
    let bridge = start(folder);
    until(&bridge, "adopted", settled);
    assert_eq!(told(&bridge, "all"), ["entered qualified"; 2]);
}
