//! `kill -9` of the real program under load: what was acknowledged has its effect, each event came once (I3).
//!
//! In: the invented population over HTTP, kills at moments that a seed decides. Out: nothing.
//! `FOOTBRIDGE_KILLS=1000 FOOTBRIDGE_SEED=7` asks for more, and for other moments (`just torture`).

#![expect(clippy::panic, reason = "a test says in its own words how it fails")]

#[cfg(feature = "servers")]
#[path = "../broker/mod.rs"]
mod broker;
mod judge;
#[cfg(feature = "servers")]
mod several;
#[cfg(feature = "servers")]
mod topics;

use footbridge::console::client::Client;
use footbridge::console::started;
use footbridge::demo::population;
use footbridge::log::faulty::Chance;
use footbridge_core::time::{Instant, Span};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

const KILLS: u64 = 20;
const PART: usize = 25;

struct Bridge {
    process: Child,
    client: Client,
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Gone already, or going: either is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts the program on a port that the system chooses, and waits until it says which.
fn start(folder: &Path) -> Bridge {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
    command.current_dir(folder).args(["run", "--data", "data", "--listen", "127.0.0.1:0", "--partitions", "8"]);
    if folder.join("footbridge.yaml").exists() {
        command.args(["--config", "footbridge.yaml"]);
    }
    let (process, address) = started(&mut command).unwrap_or_else(|said| panic!("it ended: {said:?}"));
    Bridge { process, client: Client::new(&address, None) }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_comes_twice() {
    let (kills, seed) = (number("FOOTBRIDGE_KILLS").unwrap_or(KILLS), number("FOOTBRIDGE_SEED").unwrap_or(1));
    survives(&tempfile::tempdir().expect("a folder"), kills, seed, &mut |_| ());
}

/// A start takes longer there, for the group has to let go of who was killed.
#[cfg(feature = "servers")]
#[test]
fn killed_at_any_moment_on_kafka_nothing_is_lost_and_nothing_comes_twice() {
    let mut broker = broker::Broker::start();
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!("kafka: {{ bootstrap: \"{}\", prefix: \"crash.\", replication: 1 }}\n", broker.address());
    std::fs::write(folder.path().join("footbridge.yaml"), config).expect("a file");
    let kills = number("FOOTBRIDGE_KAFKA_KILLS").unwrap_or(6);
    // The broker is killed, too, under load: the bridge waits for it, and goes on by itself.
    survives(&folder, kills, number("FOOTBRIDGE_SEED").unwrap_or(1), &mut |parts| {
        if parts == 20 || parts == 40 {
            broker.kill();
            std::thread::sleep(Duration::from_secs(2));
            broker.again();
        }
    });
}

/// Whoever runs the program has to know that to start it again would take the other's place in turn.
#[cfg(feature = "servers")]
#[test]
fn a_second_process_of_the_same_name_takes_over_on_kafka_and_the_first_ends_with_a_code_of_its_own() {
    let broker = broker::Broker::start();
    let config = format!("kafka: {{ bootstrap: \"{}\", prefix: \"two.\", replication: 1 }}\n", broker.address());
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    folders.iter().for_each(|folder| std::fs::write(folder.path().join("footbridge.yaml"), &config).expect("a file"));
    let mut first = start(folders[0].path());
    first.client.post("/sources/push/baseline", "application/json", b"").expect("a baseline");
    let patient = |id: u32| format!(r#"{{"resourceType": "Patient", "id": "{id}", "birthDate": "1970-01-01"}}"#);
    first.client.post("/fhir", "application/fhir+ndjson", patient(1).as_bytes()).expect("taken");

    let secrets = |folder: &tempfile::TempDir| folder.path().join("data/secrets");
    std::fs::create_dir_all(secrets(&folders[1])).expect("a folder");
    for name in ["routing.key", "members.key"] {
        std::fs::copy(secrets(&folders[0]).join(name), secrets(&folders[1]).join(name)).expect("a copy");
    }
    let mut second = start(folders[1].path());
    second.client.post("/fhir", "application/fhir+ndjson", patient(2).as_bytes()).expect("taken by the second");
    let ended = (0..600).find_map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        first.process.try_wait().expect("a child")
    });
    let ended = ended.unwrap_or_else(|| {
        first.process.kill().expect("still there");
        panic!("the first goes on")
    });
    assert_eq!(ended.code(), Some(4));
    second.process.kill().expect("still there");
    second.process.wait().expect("gone");
}

/// `between`: what else happens after so many parts were taken.
fn survives(folder: &tempfile::TempDir, kills: u64, seed: u64, between: &mut dyn FnMut(usize)) {
    let now: Instant = jiff::Timestamp::now().into();
    let arrivals = population::invent(seed, 150, now.minus(Span::days(400)), now.minus(Span::days(1)));
    let mut chance = Chance::new(seed);

    let mut bridge = start(folder.path());
    bridge.client.post("/sources/push/baseline", "application/json", b"").expect("a baseline");
    let parts: Vec<String> =
        arrivals.chunks(PART).map(|part| part.iter().flat_map(|arrival| [arrival.json.as_str(), "\n"]).collect()).collect();
    let (mut next, mut killed) = (0, 0);
    while next < parts.len() || killed < kills {
        // In the middle of a request, of a commit, of nothing: a moment that nobody chose.
        let lasts = Duration::from_micros(chance.below(60_000) as u64);
        let doomed = killed < kills && chance.happens(300);
        let id = bridge.process.id();
        let killer = doomed.then(|| {
            std::thread::spawn(move || {
                std::thread::sleep(lasts);
                let done = Command::new("kill").args(["-9", &id.to_string()]).status();
                assert!(done.expect("kill").success());
            })
        });
        // After the last part, the same again: what comes twice changes nothing.
        let part = &parts[next.min(parts.len() - 1)];
        if bridge.client.post("/fhir", "application/fhir+ndjson", part.as_bytes()).is_ok() {
            next += 1;
            between(next);
        }
        if let Some(killer) = killer {
            killer.join().expect("killed");
            bridge.process.wait().expect("gone");
            killed += 1;
            bridge = start(folder.path());
        }
    }
    judge::until_worked_off(&[&bridge.client]);
    judge::all_is_right(&bridge.client, folder.path(), &arrivals, now);
    bridge.process.kill().expect("still there");
    bridge.process.wait().expect("gone");
}
