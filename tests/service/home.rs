//! A folder with a configuration, and the real program in it.
//!
//! In: files and requests of invented patients. Out: what it told. Never here: a wait that is no wait for something.

use footbridge::config::data::DataFolder;
use footbridge::config::mappings;
use footbridge::console::client::Client;
use footbridge::console::started;
use footbridge::log::{Landing, embedded};
use footbridge::source::intake::{Intake, Source};
use footbridge::source::landing::Partitions;
use footbridge::source::{Keep, ReadBy};
use footbridge_core::audience::Definitions;
use footbridge_core::fhir::Versions;
use footbridge_core::gate::MemberKey;
use footbridge_core::key::Keys;
use footbridge_core::time::Span;
use sonic_rs::{JsonValueTrait, Value};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const PATIENCE: Duration = Duration::from_secs(60);

pub const POLICY: &str = "organisation: { name: Riverside, zone: UTC }\nrecipients:\n  crm: { name: Riverside CRM }\n";
pub const AUDIENCE: &str = "audience: adults\ntitle: Adults\ncommunication: treatment\nremuneration: none\nrecipient: crm\nends: 2999-01-01\n\
                        members: { Patient: birthDate <= today() - 18 years }\n";

/// A folder with a configuration, mappings, and whatever the test lays into it.
pub struct Home(pub tempfile::TempDir);

pub struct Bridge {
    pub process: Child,
    pub address: String,
}

impl Home {
    pub fn new(config: &str) -> Home {
        let home = Home(tempfile::tempdir().expect("a folder"));
        home.lay("mappings/policy.yaml", POLICY);
        home.lay("mappings/audiences/adults.yaml", AUDIENCE);
        home.lay("footbridge.yaml", config);
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn lay(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }

    /// By how many seconds the bridge's clock goes beside the machine's.
    pub fn set_clock(&self, seconds: i64) {
        self.lay("clock.new", seconds.to_string());
        std::fs::rename(self.path("clock.new"), self.path("clock")).expect("a file");
    }

    /// What the recipient calls a patient.
    pub fn member(&self, id: &str) -> String {
        let data = self.path("footbridge-data/secrets");
        let secret = |name: &str| std::fs::read(data.join(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
        MemberKey::new("crm", 1, &secret("members.key")).member(Keys::new(&secret("routing.key")).person("", id))
    }

    /// What an audience was told of each of these, in order.
    pub fn story(&self, bridge: &Bridge, audience: &str, ids: &[&str]) -> Vec<String> {
        bridge.settle();
        let mut told: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let each = &mut |line: &[u8]| {
            let line: Value = sonic_rs::from_slice(line).expect("JSON");
            let place = ids.iter().position(|id| Some(self.member(id).as_str()) == line["key"].as_str()).expect("nobody else");
            let said = |key: &str| line["data"][key].as_str().unwrap_or("").to_owned();
            match line.get("data") {
                Some(_) => told[place] += &format!(", {} {}", said("status"), said("reason")),
                None => told[place] += ", removed",
            }
            Ok(())
        };
        bridge.client().each_line(&format!("/audiences/{audience}/events"), each).expect("events");
        told
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
        command.current_dir(self.0.path());
        command
    }

    pub fn start(&self) -> Bridge {
        self.try_start().unwrap_or_else(|said| panic!("it ended: {said:?}"))
    }

    /// What it said, if it ended before it listened.
    pub fn try_start(&self) -> Result<Bridge, Vec<String>> {
        let mut command = self.command();
        command.args(["run", "--config", "footbridge.yaml", "--listen", "127.0.0.1:0", "--partitions", "4", "--clock-beside", "clock"]);
        let (process, address) = started(&mut command)?;
        Ok(Bridge { process, address })
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Bridge {
    pub fn client(&self) -> Client {
        Client::new(&self.address, None)
    }

    pub fn push(&self, source: &str, body: &str) {
        self.client().post(&format!("/sources/{source}/fhir"), "application/fhir+ndjson", body.as_bytes()).expect("it is taken");
    }

    pub fn status(&self) -> Value {
        sonic_rs::from_slice(&self.client().get("/status").expect("a status").body).expect("JSON")
    }

    pub fn settle(&self) {
        until("it comes to rest", || self.status()["worked_off"].as_bool() == Some(true));
    }

    /// Events of the audience so far: what each says.
    pub fn told(&self) -> Vec<String> {
        self.settle();
        let mut told = Vec::new();
        let each = &mut |line: &[u8]| {
            let line: Value = sonic_rs::from_slice(line).expect("JSON");
            told.push(line["data"]["status"].as_str().expect("a status").to_owned());
            Ok(())
        };
        self.client().each_line("/audiences/adults/events", each).expect("events");
        told
    }

    pub fn ready(&self) -> Result<(), String> {
        self.client().get("/readyz").map(drop).map_err(|why| why.to_string())
    }

    /// As `kill -9` would.
    pub fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// The most memory that it ever took, in MB, where the system says.
    pub fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().split(' ').next()?.parse::<u64>().ok()? / 1024)
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args([name, &self.process.id().to_string()]).status().expect("kill is there");
        assert!(done.success(), "{name}");
    }
}

#[track_caller]
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn patient(id: &str, birth: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","meta":{{"lastUpdated":"2026-01-01T00:00:00Z"}},"birthDate":"{birth}"}}"#) + "\n"
}

/// Lays what one body says into landing but for its last entries, as a bridge would that died before it worked it off, and a sender
/// that died before it was through.
pub fn land(home: &Home, name: &str, body: &str, missing: usize) {
    let data = DataFolder::open(&home.path("footbridge-data")).expect("a data folder");
    let settings = embedded::Settings { partitions: 4, ..embedded::Settings::default() };
    let beside = std::fs::read_to_string(home.path("clock")).map_or(0, |seconds| seconds.parse().expect("seconds"));
    let clock = Arc::new(move || footbridge_core::time::Instant::from(jiff::Timestamp::now()).plus(Span::seconds(beside)));
    let log = embedded::Embedded::open(&data.log(), settings, clock).expect("a log");
    let mappings = mappings::read(&home.path("mappings")).mappings.expect("they are right");
    let definitions = Arc::new(Definitions::new(mappings.catalogue, mappings.policy, mappings.valuesets));
    let source = Source { name: name.into(), namespace: String::new(), versions: Versions::LastUpdated };
    let read_by = ReadBy::new(definitions, Keep::Read);
    let intake = Intake { read_by, keys: Keys::new(&data.routing), partitions: Partitions(4), sources: vec![source.clone()] };
    let mut entries = intake.receive(&source, body.as_bytes()).entries;
    assert!(entries.len() > missing, "something is landed");
    entries.truncate(entries.len() - missing);
    log.append_durably(entries).expect("there is room").expect("durable");
}
