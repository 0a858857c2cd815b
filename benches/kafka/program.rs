//! `footbridge run` with a `kafka` section, in a process of its own.
//!
//! In: a broker, a name that sets its topics and group apart. Out: a bridge, what it costs, what it said.
//! Never here: secrets of anybody; they are those that `live` knows.

use super::{live, memory, process, until};
use footbridge::console::client::Client;
use sonic_rs::{JsonValueTrait, Value};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const START: Duration = Duration::from_secs(60);

/// The folder of a bridge, before and while it runs.
pub struct Home {
    pub folder: PathBuf,
    pub at: String,
    pub name: String,
    pub partitions: u16,
}

impl Home {
    /// `beside`: by how many seconds the bridge's clock goes beside the machine's.
    pub fn new(at: &str, name: &str, partitions: u16, beside: i64) -> Home {
        let home = Home { folder: live::folder(), at: at.to_owned(), name: name.to_owned(), partitions };
        live::lay_secrets(&home.folder);
        let config = format!(
            "data: data\npartitions: {partitions}\nlisten: {{ address: \"127.0.0.1:0\" }}\n\
             kafka: {{ bootstrap: \"{at}\", prefix: \"{name}.\", group: \"{name}\", replication: 1 }}\n"
        );
        std::fs::write(home.folder.join("footbridge.yaml"), config).expect("a file");
        std::fs::write(home.folder.join("clock"), beside.to_string()).expect("a file");
        home
    }

    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// The group that reads this topic.
    pub fn group(&self, topic: &str) -> super::group::Group {
        super::group::Group::of(&self.at, &format!("{}.{topic}", self.name), &self.topic(topic), self.partitions)
    }

    fn said(&self) -> PathBuf {
        self.folder.join("said")
    }

    /// The last lines of the program's log.
    pub fn tail(&self) -> String {
        let said = std::fs::read_to_string(self.said()).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    pub fn start(&self) -> Program<'_> {
        let log = std::fs::File::create(self.said()).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
        command.current_dir(&self.folder).args(["run", "--config", "footbridge.yaml", "--clock-beside", "clock"]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("the program starts");
        Program { home: self, process }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

pub struct Program<'a> {
    home: &'a Home,
    process: Child,
}

impl Program<'_> {
    /// Where it listens, once it does.
    pub fn address(&mut self) -> String {
        let home = self.home;
        let process = &mut self.process;
        until(
            "the program to listen",
            START,
            Duration::from_millis(5),
            || home.tail(),
            || {
                let ended = process.try_wait().expect("a child");
                assert!(ended.is_none(), "it ended: {ended:?}\n{}", home.tail());
                let said = std::fs::read_to_string(home.said()).unwrap_or_default();
                said.lines().find_map(|line| Some(line.strip_prefix("footbridge listens on ")?.split_once(',')?.0.to_owned()))
            },
        )
    }

    pub fn cpu(&self) -> Duration {
        process::cpu(&self.process.id().to_string())
    }

    /// The most memory that it took, in MB.
    pub fn memory(&self) -> f64 {
        memory::memory_of(&self.process.id().to_string(), "VmHWM:").expect("a system that says") as f64 / 1024.0
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Whether all that was appended has had its effect.
pub fn is_worked_off(client: &Client) -> bool {
    let status: Value = sonic_rs::from_slice(&client.get("/status").expect("a status").body).expect("JSON");
    status["worked_off"].as_bool() == Some(true)
}
