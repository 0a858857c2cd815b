//! The real program in a process of its own, in a folder that goes with it.
//!
//! In: nothing but flags. Out: a bridge that answers, its clients, what it takes of memory and disk.
//! Never here: a secret of anybody; the bridge's are known, so that a bench can tell who is who.

use footbridge::console::client::Client;
use footbridge::console::started;
use footbridge_core::gate::MemberKey;
use footbridge_core::key::Keys;
use sonic_rs::{JsonValueTrait, Value};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const ROUTING: &[u8; 32] = b"the benches' routing secret knwn";
const MEMBERS: &[u8; 32] = b"the benches' members secret knwn";

pub struct Live {
    folder: PathBuf,
    flags: Vec<String>,
    process: Child,
    pub address: String,
}

impl Live {
    pub fn begin(flags: &[&str]) -> Live {
        let folder = folder();
        lay_secrets(&folder);
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let (process, address) = start(&folder, &flags);
        Live { folder, flags, process, address }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.address, None)
    }

    /// Kills it and starts it again; how long it took until it listens.
    pub fn again(&mut self) -> Duration {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
        let began = Instant::now();
        (self.process, self.address) = start(&self.folder, &self.flags);
        began.elapsed()
    }

    pub fn baseline(&self) {
        self.client().post("/sources/push/baseline", "application/json", b"").expect("a baseline");
    }

    pub fn settle(&self) {
        let client = self.client();
        loop {
            let status: Value = sonic_rs::from_slice(&client.get("/status").expect("a status").body).expect("JSON");
            if status["worked_off"].as_bool() == Some(true) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// MB of a line of the process's status.
    pub fn memory(&self, name: &str) -> Option<f64> {
        super::memory::memory_of(&self.process.id().to_string(), name).map(|kilobytes| kilobytes as f64 / 1024.0)
    }

    /// MB of its data folder.
    pub fn disk(&self) -> f64 {
        fn sum(folder: &Path) -> u64 {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.metadata().map_or(0, |about| if about.is_dir() { sum(&entry.path()) } else { about.len() })).sum()
        }
        sum(&self.folder) as f64 / 1e6
    }

    /// What this bridge calls a person of `people`.
    pub fn member(id: &str) -> String {
        MemberKey::new("crm", 1, MEMBERS).member(Keys::new(ROUTING).person("", id))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn start(folder: &Path, flags: &[String]) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
    command.current_dir(folder).args(["run", "--data", "data", "--listen", "127.0.0.1:0"]).args(flags);
    started(&mut command).unwrap_or_else(|said| panic!("it ended: {said:?}"))
}

pub fn lay_secrets(folder: &Path) {
    let secrets = folder.join("data/secrets");
    std::fs::create_dir_all(&secrets).expect("a folder");
    std::fs::write(secrets.join("routing.key"), ROUTING).expect("a file");
    std::fs::write(secrets.join("members.key"), MEMBERS).expect("a file");
}

/// A folder of this process's own, each time another.
pub fn folder() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("footbridge-bench-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

pub fn bundle<'a>(resources: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut body = br#"{"resourceType":"Bundle","type":"collection","entry":["#.to_vec();
    for (number, resource) in resources.enumerate() {
        if number > 0 {
            body.push(b',');
        }
        body.extend(br#"{"resource":"#);
        body.extend(resource);
        body.push(b'}');
    }
    body.extend(b"]}");
    body
}

pub fn send(client: &Client, bundle: &[u8]) {
    client.post("/fhir", "application/fhir+json", bundle).expect("it is taken");
}
