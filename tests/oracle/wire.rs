//! The wire: the real binary is run, and its lines are read as a consumer would.
//!
//! In: mappings, files. Out: events, and who is a member when. Never here: why.

use super::chart::Arrival;
use super::clock::instant;
use super::json::text;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Event {
    pub audience: String,
    pub patient: String,
    pub seq: u64,
    pub status: String,
    pub cause: String,
    pub effective: Timestamp,
    pub until: Option<Timestamp>,
    pub data: Value,
}

impl Event {
    pub fn is_in(&self) -> bool {
        self.status != "exited"
    }

    pub fn attributes(&self) -> BTreeMap<String, String> {
        let fields = self.data["attributes"].as_object().into_iter().flatten();
        fields.map(|(name, value)| (name.clone(), value.as_str().expect("attributes are texts").to_owned())).collect()
    }

    /// The address of each channel.
    pub fn channels(&self) -> BTreeMap<String, String> {
        let fields = self.data["channels"].as_object().into_iter().flatten();
        fields.map(|(name, value)| (name.clone(), text(value, "address").expect("a channel has an address").to_owned())).collect()
    }
}

pub struct Run<'r> {
    pub mappings: &'r Path,
    pub files: &'r [PathBuf],
    pub arrival: Arrival,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// Standard output of `simulate --reveal`, as bytes.
pub fn simulate(run: &Run) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
    command.arg("simulate").arg("--mappings").arg(run.mappings).args(["--arrival", run.arrival.flag(), "--reveal", "--ignore-approvals"]);
    command.args(["--from", &run.from.to_string(), "--until", &run.until.to_string()]).args(run.files);
    let output = command.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    // Some Consents of the overlay cannot be read: that is a problem found.
    assert_eq!(output.status.code(), Some(1), "simulate ended with {}:\n{}", output.status, tail(&said));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

pub fn events(output: &str) -> Vec<Event> {
    output.lines().map(event).collect()
}

fn event(line: &str) -> Event {
    let mut value: Value = serde_json::from_str(line).expect("an event is JSON");
    let data = value["data"].take();
    let field = |name: &str| text(&data, name).unwrap_or_else(|| unreachable!("an event without {name}")).to_owned();
    assert_eq!(text(&value, "time"), text(&data, "effective"));
    Event {
        audience: field("audience"),
        patient: field("patient").strip_prefix("Patient/").expect("a reference to a Patient").to_owned(),
        seq: data["seq"].as_u64().expect("a number"),
        status: field("status"),
        cause: text(&data, "cause").unwrap_or("").to_owned(),
        effective: instant(&field("effective")),
        until: text(&data, "until").map(instant),
        data,
    }
}

/// All events, by audience and patient, each in the order of `seq`.
pub struct Wire<'e>(BTreeMap<(&'e str, &'e str), Vec<&'e Event>>);

impl<'e> Wire<'e> {
    pub fn new(events: &'e [Event]) -> Wire<'e> {
        let mut by_member: BTreeMap<(&str, &str), Vec<&Event>> = BTreeMap::new();
        for event in events {
            by_member.entry((&event.audience, &event.patient)).or_default().push(event);
        }
        by_member.values_mut().for_each(|events| events.sort_by_key(|event| event.seq));
        Wire(by_member)
    }

    pub fn members(&self) -> impl Iterator<Item = &Vec<&'e Event>> {
        self.0.values()
    }

    /// The newest event that took effect up to `at`.
    pub fn last(&self, audience: &str, patient: &str, at: Timestamp) -> Option<&'e Event> {
        let events = self.0.get(&(audience, patient))?;
        events.iter().rev().find(|event| event.effective <= at).copied()
    }

    pub fn has(&self, audience: &str, patient: &str, at: Timestamp) -> bool {
        self.last(audience, patient, at).is_some_and(Event::is_in)
    }
}

/// What every consumer relies on, whatever the data. `until`: where the simulation ends.
pub fn check(events: &[Event], until: Timestamp) {
    let key = |event: &Event| (event.effective, event.audience.clone(), event.patient.clone());
    assert!(events.is_sorted_by_key(key), "lines are in order of instant, audience, person");
    for story in Wire::new(events).members() {
        let who = format!("{} {}", story[0].audience, story[0].patient);
        for (place, event) in story.iter().enumerate() {
            assert_eq!(event.seq, place as u64 + 1, "{who}: seq rises by one (I4)");
            assert_eq!(event.data["member"], story[0].data["member"], "{who}: one member");
            check_fields(event, &who);
        }
        assert_eq!(story[0].status, "entered", "{who}: the first event enters");
        for pair in story.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            let at = after.effective;
            assert!(before.effective <= at, "{who} at {at}: effective never goes back (I4)");
            let entered = after.status == "entered";
            assert_eq!(entered, !before.is_in(), "{who} at {at}: {} after {}", after.status, before.status);
            if let Some(end) = before.until {
                assert!(at <= end, "{who} at {at}: the lease ran out at {end} without a renewal");
            }
        }
        if let Some(end) = story.last().and_then(|event| event.until) {
            assert!(end >= until, "{who}: the lease ran out at {end} without a renewal");
        }
    }
}

/// I2: nothing that the audience does not release; an exit carries no field.
fn check_fields(event: &Event, who: &str) {
    let (attributes, channels): (&[&str], &[&str]) = match event.audience.as_str() {
        "annual-wellness-visit-due" => (&["language", "age_band", "last_visit"], &[]),
        "care-plan-activity-overdue" | "influenza-vaccine-this-season" => (&["language", "age_band"], &[]),
        "joint-pain-seminar" => (&["language", "area"], &["email"]),
        "mammogram-due" => (&["language", "age_band"], &["email", "sms"]),
        "medication-refill-overdue" => (&["language"], &[]),
        "missed-appointment-to-rebook" => (&["language"], &["email", "sms"]),
        "portal-invitation-after-first-visit" => (&["language"], &["email"]),
        other => unreachable!("{other} is not one of the eight"),
    };
    let keys = |name: &str| event.data[name].as_object().map_or(Vec::new(), |fields| fields.keys().map(String::as_str).collect());
    if !event.is_in() {
        let empty = keys("attributes").is_empty() && keys("channels").is_empty() && event.data["action"].is_null() && event.until.is_none();
        assert!(empty, "{who} at {}: an exit carries no field (I2)", event.effective);
        return;
    }
    assert!(keys("attributes").iter().all(|key| attributes.contains(key)), "{who}: attributes beyond its release (I2)");
    assert!(keys("channels").iter().all(|key| channels.contains(key)), "{who}: channels beyond its own (I2)");
    assert!(channels.is_empty() || !keys("channels").is_empty(), "{who}: an address is needed");
    let lease = event.effective.checked_add(720.hours()).expect("not the end of time");
    assert!(
        event.until.is_some_and(|until| until > event.effective && until <= lease),
        "{who} at {}: a lease of up to 30 days",
        event.effective
    );
}
