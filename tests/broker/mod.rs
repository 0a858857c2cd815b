//! A real Kafka broker for one test: started by it, and gone with it.
//!
//! In: the starter in `FOOTBRIDGE_SHARED/servers` (else `../shared/servers`). Out: where it listens. Never here: a skip; what is
//! missing fails with the command that installs it.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Broker {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
}

fn starter() -> PathBuf {
    let shared = std::env::var_os("FOOTBRIDGE_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let starter = shared.join("servers/kafka");
    assert!(
        starter.exists(),
        "no broker to start at {}: lay the shared folder beside the checkout or set FOOTBRIDGE_SHARED",
        starter.display()
    );
    let fetched = Command::new(&starter).arg("--fetch").stdout(Stdio::null()).status();
    assert!(
        fetched.is_ok_and(|status| status.success()),
        "Kafka cannot be fetched: `{} --fetch` says why; it needs Java 17 and Maven",
        starter.display()
    );
    starter
}

/// Two ports side by side that are free now: of the broker and of its controller.
#[allow(dead_code, reason = "as `start`")]
fn ports() -> u16 {
    let two = |_| {
        let first = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = first.local_addr().expect("bound").port();
        (port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok()).then_some(port)
    };
    (0..100).find_map(two).expect("two free ports side by side")
}

fn run(folder: &tempfile::TempDir, port: u16) -> Child {
    let said = File::create(folder.path().join("said")).expect("a file");
    let mut command = Command::new(starter());
    command.arg(port.to_string()).arg(folder.path().join("data")).stdin(Stdio::null());
    command.stderr(said.try_clone().expect("a file")).stdout(said);
    command.spawn().expect("the starter runs")
}

impl Broker {
    #[allow(dead_code, reason = "benches name their port")]
    pub fn start() -> Broker {
        Broker::at(ports())
    }

    /// On this port; its controller takes the next.
    pub fn at(port: u16) -> Broker {
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        assert!(free(port) && free(port + 1), "something listens on port {port} or the next already");
        let folder = tempfile::tempdir().expect("a folder");
        let process = run(&folder, port);
        let mut broker = Broker { process, folder, port };
        broker.until_up();
        broker
    }

    fn until_up(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let said = || std::fs::read_to_string(self.folder.path().join("said")).unwrap_or_default();
            let stands = self.process.try_wait().expect("a child").is_none() && begun.elapsed() < Duration::from_secs(90);
            assert!(stands, "the broker did not start: {}", said().lines().rev().take(5).collect::<Vec<_>>().join(" | "));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// `kill -9`: what it had taken is on disk.
    #[allow(dead_code, reason = "the crash test breaks the broker; the tests of the log, which share this file, do not")]
    pub fn kill(&mut self) {
        self.process.kill().expect("it ran");
        self.process.wait().expect("gone");
    }

    /// Up again, with what it had.
    #[allow(dead_code, reason = "as `kill`")]
    pub fn again(&mut self) {
        self.process = run(&self.folder, self.port);
        self.until_up();
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Gone already, or going: either is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
