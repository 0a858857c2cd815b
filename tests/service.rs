//! The real program with a configuration file: several sources, a watched folder, TLS, and peers that behave badly.
//!
//! In: files and requests of invented patients. Out: nothing. Never here: a wait that is no wait for something.

#![expect(clippy::panic, reason = "a test says in its own words how it fails")]

use footbridge::config::data::DataFolder;
use footbridge::config::mappings;
use footbridge::console::client::Client;
use footbridge::console::started;
use footbridge::log::{Landing, embedded};
use footbridge::source::ReadBy;
use footbridge::source::intake::{Intake, Source};
use footbridge::source::landing::Partitions;
use footbridge_core::audience::Definitions;
use footbridge_core::fhir::Versions;
use footbridge_core::key::Keys;
use sonic_rs::{JsonValueTrait, Value};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

const POLICY: &str = "organisation: { name: Riverside, zone: UTC }\nrecipients:\n  crm: { name: Riverside CRM }\n";
const AUDIENCE: &str = "audience: adults\ntitle: Adults\ncommunication: treatment\nremuneration: none\nrecipient: crm\nends: 2999-01-01\n\
                        members: { Patient: birthDate <= today() - 18 years }\n";

/// A folder with a configuration, mappings, and whatever the test lays into it.
struct Home(tempfile::TempDir);

struct Bridge {
    process: Child,
    address: String,
}

impl Home {
    fn new(config: &str) -> Home {
        let home = Home(tempfile::tempdir().expect("a folder"));
        home.lay("mappings/policy.yaml", POLICY);
        home.lay("mappings/audiences/adults.yaml", AUDIENCE);
        home.lay("footbridge.yaml", config);
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn lay(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
        command.current_dir(self.0.path());
        command
    }

    fn start(&self) -> Bridge {
        self.try_start().unwrap_or_else(|said| panic!("it ended: {said:?}"))
    }

    /// What it said, if it ended before it listened.
    fn try_start(&self) -> Result<Bridge, Vec<String>> {
        let mut command = self.command();
        command.args(["run", "--config", "footbridge.yaml", "--listen", "127.0.0.1:0", "--partitions", "4"]);
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
    fn client(&self) -> Client {
        Client::new(&self.address, None)
    }

    fn push(&self, source: &str, body: &str) {
        self.client().post(&format!("/sources/{source}/fhir"), "application/fhir+ndjson", body.as_bytes()).expect("it is taken");
    }

    fn status(&self) -> Value {
        sonic_rs::from_slice(&self.client().get("/status").expect("a status").body).expect("JSON")
    }

    fn settle(&self) {
        until("it comes to rest", || self.status()["worked_off"].as_bool() == Some(true));
    }

    /// Events of the audience so far: what each says.
    fn told(&self) -> Vec<String> {
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

    fn ready(&self) -> Result<(), String> {
        self.client().get("/readyz").map(drop).map_err(|why| why.to_string())
    }

    /// As `kill -9` would.
    fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    fn signal(&self, name: &str) {
        let done = Command::new("kill").args([name, &self.process.id().to_string()]).status().expect("kill is there");
        assert!(done.success(), "{name}");
    }
}

#[track_caller]
fn until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn patient(id: &str, birth: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","meta":{{"lastUpdated":"2026-01-01T00:00:00Z"}},"birthDate":"{birth}"}}"#) + "\n"
}

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

/// Lays one resource into landing, as a bridge would that died before it worked it off.
fn land(home: &Home, name: &str, body: &str) {
    let data = DataFolder::open(&home.path("footbridge-data")).expect("a data folder");
    let settings = embedded::Settings { partitions: 4, ..embedded::Settings::default() };
    let log = embedded::Embedded::open(&data.log(), settings, Arc::new(|| jiff::Timestamp::now().into())).expect("a log");
    let mappings = mappings::read(&home.path("mappings")).mappings.expect("they are right");
    let definitions = Arc::new(Definitions::new(mappings.catalogue, mappings.policy, mappings.valuesets));
    let source = Source { name: name.into(), namespace: String::new(), versions: Versions::LastUpdated };
    let read_by = ReadBy::new(definitions);
    let intake = Intake { read_by, keys: Keys::new(&data.routing), partitions: Partitions(4), sources: vec![source.clone()] };
    log.append_durably(intake.receive(&source, body.as_bytes()).entries).expect("there is room").expect("durable");
}

#[test]
fn what_came_from_a_source_that_is_gone_takes_effect_once_it_is_back_and_tried_again() {
    let home = Home::new("sources: { ehr: { baseline: start } }\n");
    land(&home, "lab", &patient("ann", "1950-01-01"));
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
        metrics.contains("footbridge_quarantined_total")
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
    for name in ["footbridge_commit_seconds_count ", "footbridge_records_total ", "footbridge_backlog_records 0"] {
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

struct Certificate {
    certificate: String,
    key: String,
}

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).expect("a certificate");
    Certificate { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

#[test]
fn over_tls_who_trusts_the_authority_is_served_and_nobody_else() {
    let Certificate { certificate: pem, key } = certificate();
    let home = Home::new(
        "listen: { tls: { certificate: c.pem, key: k.pem }, token_file: token, handshake_within: 1s }\nsources: { push: { baseline: start } }\n",
    );
    home.lay("c.pem", &pem);
    home.lay("k.pem", key);
    home.lay("token", "a-token-for-this-test");
    let bridge = home.start();
    let address = bridge.address.strip_prefix("https://").expect("it says https").to_owned();
    // A peer that says nothing holds up no other, and is cut off.
    let mut silent = TcpStream::connect(&address).expect("it listens");
    let trusting = Client::trusting(&bridge.address, Some("a-token-for-this-test".into()), pem.as_bytes()).expect("PEM");
    let ann = patient("ann", "1950-01-01");
    trusting.post("/fhir", "application/fhir+json", ann.as_bytes()).expect("it is taken");
    assert!(trusting.get("/readyz").is_ok());
    silent.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    assert!(matches!(silent.read(&mut [0]), Ok(0) | Err(_)), "nothing may be said to it");
    let nameless = Client::trusting(&bridge.address, None, pem.as_bytes()).expect("PEM");
    assert!(nameless.get("/status").err().is_some_and(|why| why.to_string().contains("401")));
    let other = Client::trusting(&bridge.address, None, self::certificate().certificate.as_bytes()).expect("PEM");
    assert!(other.get("/healthz").is_err(), "another authority does not vouch for it");
    assert!(Client::new(&address, None).get("/healthz").is_err(), "in the clear it answers nothing");
    let metrics = String::from_utf8(trusting.get("/metrics").expect("metrics").body).expect("UTF-8");
    assert!(metrics.contains("footbridge_tls_failures_total{reason=\"slow\"} 1\n"), "{metrics}");
    // The commands ask the same way.
    home.lay("ca.pem", pem);
    let asked = |more: &[&str]| {
        let args = ["status", "--url", &bridge.address, "--token-file", "token"];
        home.command().args(args).args(more).output().expect("it runs")
    };
    let out = asked(&["--ca", "ca.pem"]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(String::from_utf8_lossy(&asked(&[]).stderr).contains("--ca FILE"));
}

#[test]
fn tls_files_that_cannot_be_used_are_named() {
    let (one, other) = (certificate(), certificate());
    let home = Home::new("listen: { tls: { certificate: c.pem, key: k.pem } }\n");
    let cannot = |expected: &str| {
        let said = home.try_start().err().expect("it does not start").join("\n");
        assert!(said.contains(expected), "{expected}: {said}");
    };
    cannot("c.pem: cannot be read");
    home.lay("c.pem", "no PEM");
    home.lay("k.pem", "no PEM");
    cannot("c.pem: holds no certificate");
    home.lay("c.pem", &one.certificate);
    cannot("k.pem: holds no private key");
    home.lay("k.pem", other.key);
    cannot("k.pem: is not the key of the certificate in");
    home.lay("c.pem", one.certificate.replace("MII", "AAA"));
    home.lay("k.pem", one.key);
    cannot("c.pem: its first certificate cannot be read");
}

#[test]
fn a_thousand_connections_at_once_are_bounded_and_the_others_are_served_after() {
    let home = Home::new("listen: { connections: 200, head_within: 2s }\nsources: { push: { baseline: start } }\n");
    let bridge = home.start();
    let idle: Vec<TcpStream> = (0..1000).map_while(|_| TcpStream::connect(&bridge.address).ok()).collect();
    assert!(idle.len() > 200, "{}", idle.len());
    let files = std::fs::read_dir(format!("/proc/{}/fd", bridge.process.id())).map(Iterator::count);
    // Where the system shows it: those beyond the bound are not accepted.
    if let Ok(files) = files {
        assert!(files < 200 + 100, "{files} descriptors");
    }
    // A request that comes after all of them is answered once those that say nothing are cut off.
    bridge.client().post("/fhir", "application/fhir+json", patient("ann", "1950-01-01").as_bytes()).expect("it is served");
    drop(idle);
    assert_eq!(bridge.told(), ["entered"]);
}

#[test]
fn stopped_for_a_while_it_goes_on_where_it_was() {
    let home = Home::new("sources: { push: { baseline: start } }\n");
    let bridge = home.start();
    bridge.push("push", &patient("ann", "1950-01-01"));
    bridge.settle();
    bridge.signal("-STOP");
    let mut socket = TcpStream::connect(&bridge.address).expect("the system takes the connection");
    let body = patient("bea", "1950-01-01");
    let head = "POST /fhir HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/fhir+json\r\n";
    write!(socket, "{head}content-length: {}\r\n\r\n{body}", body.len()).expect("the system takes the request");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    assert!(socket.read(&mut [0; 16]).is_err(), "who stands still acknowledges nothing");
    bridge.signal("-CONT");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(bridge.told(), ["entered", "entered"]);
    assert_eq!(bridge.ready(), Ok(()));
}

/// Free bytes where the data lies.
#[cfg(target_os = "linux")]
fn free(home: &Home) -> u64 {
    let space = rustix::fs::statvfs(home.0.path()).expect("a file system");
    space.f_bavail * space.f_frsize
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_takes_nothing_and_is_over_once_there_is_room() {
    let home = Home::new("");
    // Others write to the same disk: a margin that they do not use up meanwhile.
    let margin = (free(&home) / 4).min(4 << 30);
    let reserve = free(&home) - margin;
    home.lay("footbridge.yaml", format!("landing: {{ reserve: {reserve}B }}\nsources: {{ push: {{ baseline: start }}, drop: {{ kind: watch, folder: in, every: 1s, baseline: start }} }}\n"));
    let bridge = home.start();
    bridge.push("push", &patient("ann", "1950-01-01"));
    assert_eq!((bridge.told().len(), bridge.ready()), (1, Ok(())));
    let filler = std::fs::File::create(home.path("filler")).expect("a file");
    if rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, 2 * margin).is_err() {
        eprintln!("this file system cannot be filled at once: nothing more was tested");
        return;
    }
    let body = patient("bea", "1950-01-01");
    let mut socket = TcpStream::connect(&bridge.address).expect("it listens");
    let head = "POST /fhir HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/fhir+json\r\n";
    write!(socket, "{head}content-length: {}\r\n\r\n{body}", body.len()).expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.to_ascii_lowercase().contains("retry-after: 5"), "{answer}");
    let why = bridge.ready().expect_err("it is not ready");
    assert!(why.contains("landing takes nothing") && why.contains("free space"), "{why}");
    // A file waits in its folder.
    home.lay("in/later.ndjson", patient("cleo", "1950-01-01"));
    until("the folder waits, too", || bridge.ready().is_err_and(|why| why.contains("source `drop`")));
    assert_eq!(bridge.told().len(), 1);
    std::fs::remove_file(home.path("filler")).expect("it is there");
    drop(filler);
    until("it takes again", || bridge.client().post("/fhir", "application/fhir+json", body.as_bytes()).is_ok());
    until("the file was taken, too", || home.path("in/done/later.ndjson").exists());
    assert_eq!(bridge.told(), ["entered", "entered", "entered"]);
    assert_eq!(bridge.ready(), Ok(()));
}
