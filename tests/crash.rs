//! `kill -9` of the real program under load: what was acknowledged has its effect, each event came once (I3).
//!
//! In: the invented population over HTTP, kills at moments that a seed decides. Out: nothing.
//! `FOOTBRIDGE_KILLS=1000 FOOTBRIDGE_SEED=7` asks for more, and for other moments (`just torture`).

#![expect(clippy::panic, reason = "a test says in its own words how it fails")]

#[cfg(feature = "servers")]
mod broker;

use footbridge::cli::rehearsal::Engine;
use footbridge::config::files::Files;
use footbridge::config::mappings;
use footbridge::console::client::Client;
use footbridge::console::started;
use footbridge::demo::{population, shipped};
use footbridge::log::faulty::Chance;
use footbridge_core::shard::{Input, Reading};
use footbridge_core::time::{Instant, Span};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

const KILLS: u64 = 20;
const PART: usize = 25;

struct Bridge {
    process: Child,
    client: Client,
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

/// Each event of each audience, by member, in the order of the topic.
fn told(client: &Client) -> BTreeMap<(String, String), Vec<Value>> {
    let mut told: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    let status: Value = sonic_rs::from_slice(&client.get("/status").expect("a status").body).expect("JSON");
    for audience in status["audiences"].as_array().expect("a list").iter() {
        let name = audience["name"].as_str().expect("a name");
        let each = &mut |line: &[u8]| {
            let line: Value = sonic_rs::from_slice(line).expect("JSON");
            let member = line["key"].as_str().expect("a member").to_owned();
            told.entry((name.to_owned(), member)).or_default().push(line);
            Ok(())
        };
        client.each_line(&format!("/audiences/{name}/events"), each).expect("events");
    }
    told
}

/// What stands in the end, whatever the instants and however much was told on the way: who is in, and with which fields.
/// Late versions wait for the owners, so that what comes and goes meanwhile is told of as one.
fn shown(event: &str) -> serde_json::Value {
    let mut event: serde_json::Value = serde_json::from_str(event).expect("JSON");
    let fields = event.as_object_mut().expect("an event");
    // Entered, changed or renewed: the last of them says no more than that the person is in.
    if fields["status"] == "updated" {
        fields.insert("status".into(), "entered".into());
    }
    ["since", "effective", "until", "seq", "episode", "reason"].iter().for_each(|key| _ = fields.remove(*key));
    event
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
    for _ in 0..600 {
        let status: Value = sonic_rs::from_slice(&bridge.client.get("/status").expect("a status").body).expect("JSON");
        if status["worked_off"].as_bool() == Some(true) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let told = told(&bridge.client);
    let mut ids = BTreeSet::new();
    for ((audience, _), lines) in &told {
        for (number, line) in lines.iter().enumerate() {
            assert_eq!(line["data"]["seq"].as_u64(), Some(number as u64 + 1), "{audience}: no event of a member is missing, none twice");
            assert!(ids.insert(line["headers"]["ce_id"].as_str().expect("an id").to_owned()));
        }
    }
    assert!(ids.len() > 100, "a load that is told much of: {}", ids.len());

    // The newest event of each member, beside what one room makes of the same records without any log.
    let secret = |name: &str| std::fs::read(folder.path().join("data/secrets").join(name)).expect("a secret");
    let mappings = mappings::read_files(&Files::Texts(shipped::MAPPINGS)).mappings.expect("right");
    let engine = Engine::keyed(mappings, &secret("routing.key"), &secret("members.key"));
    let mut room = engine.room();
    let mut out = Vec::new();
    room.baseline("files", now, &mut out);
    for arrival in &arrivals {
        if let Ok(Reading::About { persons, put, .. }) = engine.origin().read(arrival.json.as_bytes(), None, None, now) {
            for (person, _) in persons {
                room.put(person, now, Input::Put(put.clone()), &mut out);
            }
        }
    }
    let mut newest = BTreeMap::new();
    for happening in &out {
        let event = &happening.told.event;
        let json = sonic_rs::to_string(event).expect("plain data");
        newest.insert((event.audience().to_owned(), event.member().to_owned()), shown(&json));
    }
    let found: BTreeMap<_, _> =
        told.iter().map(|(member, lines)| (member.clone(), shown(&lines[lines.len() - 1]["data"].to_string()))).collect();
    for (member, event) in &newest {
        // Who came and went before the owners spoke was never told of.
        let never_in = event["status"] == "exited" && !found.contains_key(member);
        assert!(never_in || found.get(member) == Some(event), "{}: {:?} for {event:?}", member.0, found.get(member));
    }
    assert!(found.keys().all(|member| newest.contains_key(member)));
    assert!(found.values().filter(|event| event["status"] != "exited").count() > 50, "many are in");
    bridge.process.kill().expect("still there");
    bridge.process.wait().expect("gone");
}
