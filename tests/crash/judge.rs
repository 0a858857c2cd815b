//! What must have come out in the end, however often anything died on the way.
//!
//! In: an instance that is asked, the load, the secrets. Out: nothing, or what is wrong. Never here: a process that is started or killed.

use footbridge::cli::rehearsal::Engine;
use footbridge::config::files::Files;
use footbridge::config::mappings;
use footbridge::console::client::Client;
use footbridge::demo::population::Arrival;
use footbridge::demo::shipped;
use footbridge_core::shard::{Input, Reading};
use footbridge_core::time::Instant;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

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

fn status(client: &Client) -> Option<Value> {
    let reply = client.get("/status").ok()?;
    sonic_rs::from_slice(&reply.body).ok()
}

/// Until every instance says so. Each knows only of its own places: what one sends another may be on its way, for a moment.
pub fn until_worked_off(clients: &[&Client]) {
    let is_done = |client: &&Client| status(client).is_some_and(|status| status["worked_off"].as_bool() == Some(true));
    let (enough, mut in_a_row) = (if clients.len() > 1 { 30 } else { 1 }, 0);
    for _ in 0..1200 {
        in_a_row = if clients.iter().all(is_done) { in_a_row + 1 } else { 0 };
        if in_a_row == enough {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let said: Vec<String> = clients.iter().map(|client| status(client).map_or_else(String::new, |status| status.to_string())).collect();
    panic!("it never has worked all off: {}", said.join("\n"));
}

/// Each event of a member once and in order, and in the end what one room makes of the same records without any log.
pub fn all_is_right(client: &Client, folder: &Path, arrivals: &[Arrival], now: Instant) {
    let told = told(client);
    let mut ids = BTreeSet::new();
    for ((audience, _), lines) in &told {
        for (number, line) in lines.iter().enumerate() {
            assert_eq!(line["data"]["seq"].as_u64(), Some(number as u64 + 1), "{audience}: no event of a member is missing, none twice");
            assert!(ids.insert(line["headers"]["ce_id"].as_str().expect("an id").to_owned()));
        }
    }
    assert!(ids.len() > 100, "a load that is told much of: {}", ids.len());

    // The newest event of each member, beside what one room makes of the same records without any log.
    let secret = |name: &str| std::fs::read(folder.join("data/secrets").join(name)).expect("a secret");
    let mappings = mappings::read_files(&Files::Texts(shipped::MAPPINGS)).mappings.expect("right");
    let engine = Engine::keyed(mappings, &secret("routing.key"), &secret("members.key"));
    let mut room = engine.room();
    let mut out = Vec::new();
    room.baseline("files", now, &mut out);
    for arrival in arrivals {
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
}
