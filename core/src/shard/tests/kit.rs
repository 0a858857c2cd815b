//! The test kit: definitions from JSON texts, and a slow room that remembers nothing but the members' states.
//!
//! It has no index and no timers: it looks at everybody each time, and writes and reads back a state after each step.

use crate::audience::{self, Around, Channel, Definitions, Times, Written};
use crate::consent::{Authorization, Identify, MayKnow, OnStale, Policy, Recipient};
use crate::document::{Content, Document, Key};
use crate::fhir::valueset::ValueSets;
use crate::fhir::{self, json};
use crate::fhir::{Unreadable, Version};
use crate::gate::{MemberKey, Release};
use crate::key::{ContactKind, Keys, Person, ResourceKey};
use crate::problem::{Place, Problem};
use crate::shard::pieces::tests::Shelf;
use crate::shard::release::Desk;
use crate::shard::{
    Broadcast, Claim, ContactPreference, Fact, Input, Member, Message, Moment, Origin, Owner, Ownership, Preference, Reading, Setting,
    Versions, step,
};
use crate::time::{Instant, Zone};
use smallvec::SmallVec;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::collections::{BTreeMap, HashMap, VecDeque};

pub struct World {
    pub definitions: Definitions,
    pub keys: Keys,
    pub member_keys: Vec<MemberKey>,
    pub versions: fhir::Versions,
}

/// A policy with one recipient, days of UTC, and authorizations that only need the purpose.
pub fn policy() -> Policy {
    let mut policy = Policy::default();
    policy.organisation.zone = Zone::utc();
    policy.authorization = Authorization::PurposeOnly;
    policy.recipients = vec![Recipient {
        key: "crm".to_owned(),
        name: "CRM".to_owned(),
        address: String::new(),
        references: Vec::new(),
        identifiers: Vec::new(),
        agreement: None,
        identify: Identify::Pseudonym,
        may_know: MayKnow::default(),
    }];
    policy
}

/// An audience of class treatment with exact times; `rest` holds `members` and what else it needs.
pub fn audience(name: &str, rest: &str) -> String {
    let given = |key: &str| rest.contains(&format!("\"{key}\""));
    let mut head = format!(r#""audience":"{name}","title":"T","recipient":"crm","ends":"2099-12-31""#);
    for (key, value) in [("communication", r#""treatment""#), ("remuneration", r#""none""#), ("times", r#""exact""#)] {
        if !given(key) {
            head.push_str(&format!(r#","{key}":{value}"#));
        }
    }
    format!("{{{head},{rest}}}")
}

impl World {
    pub fn new(policy: Policy, audiences: &[String]) -> World {
        World::with_sets(policy, audiences, &[])
    }

    /// Each value set: its name, and the codes of `urn:s` that it lists.
    pub fn with_sets(policy: Policy, audiences: &[String], sets: &[(&str, &[&str])]) -> World {
        let documents: Vec<(String, Document)> = audiences.iter().map(|text| document(text)).collect();
        let written: Vec<Written> =
            documents.iter().zip(audiences).map(|((name, document), text)| Written { stem: name, text, document }).collect();
        let around = Around {
            zone: &policy.organisation.zone,
            recipients: &["crm"],
            times: Times::Exact,
            policy: "",
            valuesets: &sets.iter().map(|(name, _)| (*name, "")).collect::<Vec<_>>(),
            sensitive: &[],
        };
        let mut problems = Vec::new();
        let catalogue = audience::read(&written, &around, &mut problems);
        let errors: Vec<&Problem> = problems.iter().filter(|problem| problem.is_error()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        let member_keys = MemberKey::of_all(&policy.recipients, b"invented");
        let valuesets = ValueSets::build(&sets.iter().map(|(name, codes)| valueset(name, codes)).collect::<Vec<_>>(), &mut problems);
        assert!(problems.iter().all(|problem| !problem.is_error()), "{problems:?}");
        let keys = Keys::new(b"invented routing");
        World { definitions: Definitions::new(catalogue, policy, valuesets), keys, member_keys, versions: fhir::Versions::LastUpdated }
    }

    pub fn person(&self, name: &str) -> Person {
        self.keys.person("", name)
    }

    pub fn key(&self, kind: &str, id: &str) -> ResourceKey {
        self.keys.resource("", kind, id)
    }

    pub fn read(&self, text: &[u8], stamp: Instant) -> Result<Reading, Unreadable> {
        let origin = Origin { definitions: &self.definitions, keys: &self.keys, namespace: "", versions: self.versions };
        origin.read(text, None, None, stamp)
    }
}

fn valueset(name: &str, codes: &[&str]) -> (String, String) {
    let concepts: Vec<String> = codes.iter().map(|code| format!(r#"{{"code":"{code}"}}"#)).collect();
    let include = format!(r#"{{"system":"urn:s","concept":[{}]}}"#, concepts.join(","));
    let text = format!(r#"{{"resourceType":"ValueSet","url":"urn:{name}","compose":{{"include":[{include}]}}}}"#);
    (format!("valuesets/{name}.json"), text)
}

/// A JSON text as the configuration reader would hand it over, and the value of its `audience`.
fn document(text: &str) -> (String, Document) {
    let document = node(&json::parse(text.as_bytes()).expect("JSON"));
    let name = document.get("audience").and_then(Document::as_text).unwrap_or_default().to_owned();
    (name, document)
}

fn node(value: &Value) -> Document {
    let place = || Place::new("audience.json", 1, 1);
    let content = if let Some(object) = value.as_object() {
        Content::Map(object.iter().map(|(name, value)| (Key { place: place(), name: name.to_owned() }, node(value))).collect())
    } else if let Some(items) = value.as_array() {
        Content::List(items.iter().map(node).collect())
    } else {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Content::Text { text, quoted: false }
    };
    Document { place: place(), content }
}

pub fn at(text: &str) -> Instant {
    Instant::parse(text).expect("an instant")
}

/// An event as the tests compare it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub now: Instant,
    pub person: Person,
    pub audience: String,
    pub seq: u64,
    /// All that left, in JSON.
    pub json: String,
    pub effective: Instant,
    pub entered: bool,
    pub exited: bool,
    pub text: String,
}

/// A room without index or timers.
pub struct Rig<'w> {
    pub world: &'w World,
    pub members: BTreeMap<Person, (Member, Versions)>,
    /// What is written of each, and read again after each step.
    shelves: BTreeMap<Person, Shelf>,
    pub broadcast: Broadcast,
    pub owners: HashMap<ResourceKey, Owner>,
    pub now: Instant,
    pub hold: bool,
    pub silent: bool,
    pub fresh_until: Instant,
    /// The end of freshness that everybody has heard of.
    stale_since: Option<Instant>,
    /// Messages to other members wait here while it is set.
    pub post: Option<Vec<(Person, Message)>>,
    /// Else what they are told is lost.
    pub owners_answer: bool,
    pub facts: Vec<Fact>,
    pub lines: Vec<Line>,
    names: BTreeMap<Person, String>,
}

impl<'w> Rig<'w> {
    pub fn new(world: &'w World) -> Rig<'w> {
        Rig {
            world,
            members: BTreeMap::new(),
            shelves: BTreeMap::new(),
            broadcast: Broadcast::default(),
            owners: HashMap::new(),
            now: Instant::BEGIN,
            hold: false,
            silent: false,
            fresh_until: Instant::END,
            stale_since: None,
            post: None,
            owners_answer: true,
            facts: Vec::new(),
            lines: Vec::new(),
            names: BTreeMap::new(),
        }
    }

    /// Reads and applies a resource; `true` where some element of it was unreadable.
    pub fn put(&mut self, now: Instant, text: &str) -> bool {
        self.apply(now, text, false)
    }

    /// As [`Rig::put`], with more of the group to come.
    pub fn more(&mut self, now: Instant, text: &str) -> bool {
        self.apply(now, text, true)
    }

    pub fn apply(&mut self, now: Instant, text: &str, more: bool) -> bool {
        self.apply_bytes(now, text.as_bytes(), more)
    }

    /// As [`Rig::apply`], of what need not be a text.
    pub fn apply_bytes(&mut self, now: Instant, text: &[u8], more: bool) -> bool {
        self.now = self.now.max(now);
        let shown = String::from_utf8_lossy(text);
        match self.world.read(text, now).unwrap_or_else(|why| panic!("{why}: {shown}")) {
            Reading::Unread => panic!("nothing reads {shown}"),
            Reading::Nobody { key, version, .. } => {
                self.hear(now, Ownership::Claim(Claim { resource: key, version, stamp: now, persons: SmallVec::new(), asks: None }), more);
                false
            }
            Reading::Unclear { unclear, .. } => {
                self.hear(now, Ownership::Unclear(unclear), more);
                true
            }
            Reading::Shared { key, shared, unreadable, .. } => {
                if self.broadcast.put(key, shared) {
                    self.review();
                }
                unreadable.is_some()
            }
            Reading::About { persons, mut put, unreadable, .. } => {
                put.more = more;
                for (person, id) in persons {
                    self.names.insert(person, id);
                    self.input(person, now, Input::Put(put.clone()));
                }
                unreadable.is_some()
            }
        }
    }

    pub fn delete(&mut self, now: Instant, kind: &str, id: &str) {
        self.delete_version(now, kind, id, now);
    }

    pub fn delete_version(&mut self, now: Instant, kind: &str, id: &str, version: Instant) {
        self.delete_as(now, kind, id, Some(Version(version.micros())));
    }

    /// With the version that it carries, if any.
    pub fn delete_as(&mut self, now: Instant, kind: &str, id: &str, version: Option<Version>) {
        let key = self.world.key(kind, id);
        self.now = self.now.max(now);
        if self.broadcast.delete(key, version, now) {
            self.review();
        }
        self.hear(now, Ownership::Delete { resource: key, version, stamp: now }, false);
    }

    /// The owners hear, and those who have an older version hear of it.
    pub fn hear(&mut self, now: Instant, heard: Ownership, more: bool) {
        for (person, input) in self.owners.entry(heard.resource()).or_default().hear(heard) {
            self.input(person, now, input.with_more(more));
        }
    }

    pub fn opt_out(&mut self, now: Instant, name: &str, channel: Channel, opted_out: bool) {
        self.input(self.world.person(name), now, Input::Preference(Preference { recipient: None, channel, opted_out }));
    }

    /// A report of a contact; this room has no index and looks at everybody.
    pub fn contact(&mut self, now: Instant, recipient: Option<&str>, channel: Channel, contact: &str, opted_out: bool) {
        self.now = self.now.max(now);
        if self.broadcast.opt_outs.hear(&report(self.world, recipient, channel, contact, opted_out), self.now) {
            self.review();
        }
    }

    pub fn review(&mut self) {
        for person in self.members.keys().copied().collect::<Vec<_>>() {
            self.input(person, self.now, Input::Review);
        }
    }

    pub fn input(&mut self, person: Person, now: Instant, input: Input) {
        self.now = self.now.max(now);
        let mut queue = VecDeque::from([(person, input)]);
        while let Some((person, input)) = queue.pop_front() {
            self.one(person, input, &mut queue);
        }
    }

    /// Hands over what waited in `post`.
    pub fn deliver(&mut self) {
        for (person, message) in self.post.take().unwrap_or_default() {
            self.input(person, self.now, Input::Message(Box::new(message)));
        }
    }

    fn one(&mut self, person: Person, input: Input, queue: &mut VecDeque<(Person, Input)>) {
        let silent = vec![self.silent; self.world.definitions.catalogue.audiences.len()];
        let moment = Moment { now: self.now, hold: self.hold, silent: &silent, fresh_until: self.fresh_until };
        let setting = setting(self.world, &self.broadcast);
        let (member, versions) = self.members.entry(person).or_default();
        let done = step(&setting, person, member, versions, &moment, input);
        let shelf = self.shelves.entry(person).or_default();
        shelf.keep(member, versions);
        let (read, seen, _) = shelf.load();
        (*member, *versions) = (read, seen);
        queue.extend(done.erased.into_iter().flat_map(|erased| erased.merged).map(|person| (person, Input::Erase)));
        for told in done.told {
            let event = &told.event;
            let name = self.names.get(&person).map_or("?", String::as_str);
            let status = format!("{:?}", event.status()).to_lowercase();
            let json = sonic_rs::to_string(event).expect("an event is JSON");
            let text = format!("{} {name} {} {status} {}", event.effective(), event.audience(), event.cause());
            self.lines.push(Line {
                now: self.now,
                person,
                audience: event.audience().to_owned(),
                seq: event.seq(),
                json,
                effective: event.effective(),
                entered: status == "entered",
                exited: status == "exited",
                text,
            });
        }
        self.facts.extend(done.facts);
        match &mut self.post {
            Some(post) => post.extend(done.messages),
            None => queue.extend(done.messages.into_iter().map(|(to, message)| (to, Input::Message(Box::new(message))))),
        }
        for claim in done.claims.into_iter().filter(|_| self.owners_answer) {
            queue.extend(self.owners.entry(claim.resource()).or_default().hear(claim));
        }
    }

    /// Lets time run up to, not including, `until`.
    pub fn run(&mut self, until: Instant) {
        loop {
            let exits = self.world.definitions.policy.feed.on_stale == OnStale::ExitNow;
            let due = |(member, _): &(Member, Versions)| if member.open_group { self.now } else { member.due() };
            let Some((at, person)) = self.members.iter().map(|(person, state)| (due(state), *person)).min() else { return };
            if exits && self.fresh_until < until && self.fresh_until <= at && self.stale_since != Some(self.fresh_until) {
                self.stale_since = Some(self.fresh_until);
                self.now = self.now.max(self.fresh_until);
                self.review();
                continue;
            }
            if at >= until {
                self.now = self.now.max(until);
                return;
            }
            self.input(person, at, Input::Tick);
            let state = &self.members[&person].0;
            assert!(state.due() > at, "a tick leaves nothing due");
        }
    }

    pub fn release(&self, person: Person, audience: usize) -> Release {
        let setting = setting(self.world, &self.broadcast);
        let (member, versions) = &self.members[&person];
        let mut desk = Desk::new(&setting, person, member, versions);
        let unhidden = desk.unhidden(audience);
        desk.release(audience, unhidden)
    }

    pub fn member(&self, name: &str) -> &Member {
        &self.members[&self.world.person(name)].0
    }

    /// What left since the last call, a line an event: effective, person, audience, status, cause.
    pub fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines).into_iter().map(|line| line.text).collect()
    }

    /// As [`Rig::told`], as the events themselves.
    pub fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines).into_iter().map(|line| line.json).collect()
    }
}

pub fn report(world: &World, recipient: Option<&str>, channel: Channel, contact: &str, opted_out: bool) -> ContactPreference {
    let kind = match channel {
        Channel::Email => ContactKind::Email,
        Channel::Sms => ContactKind::Phone,
    };
    let contact = world.keys.contact(kind, contact).expect("a contact");
    ContactPreference { contact, preference: Preference { recipient: recipient.map(str::to_owned), channel, opted_out } }
}

static NONE_STOPPED: std::collections::BTreeSet<String> = std::collections::BTreeSet::new();

pub fn setting<'a>(world: &'a World, broadcast: &'a Broadcast) -> Setting<'a> {
    Setting { definitions: &world.definitions, keys: &world.keys, member_keys: &world.member_keys, broadcast, stopped: &NONE_STOPPED }
}

// Resources

/// A woman born on `birth` with an address for e-mail; `rest` begins with a comma.
pub fn patient(id: &str, birth: &str, rest: &str) -> String {
    let telecom = if rest.contains("\"telecom\"") {
        String::new()
    } else {
        format!(r#","telecom":[{{"system":"email","value":"{id}@example.org"}}]"#)
    };
    format!(r#"{{"resourceType":"Patient","id":"{id}","gender":"female","birthDate":"{birth}"{telecom}{rest}}}"#)
}

/// A resource about `whom`; `rest` begins with a comma.
pub fn about(kind: &str, id: &str, whom: &[&str], rest: &str) -> String {
    let reference = |name: &&str| format!(r#"{{"reference":"Patient/{name}"}}"#);
    let subject = match (kind, whom) {
        ("Appointment", _) => {
            let actors: Vec<String> = whom.iter().map(|name| format!(r#"{{"actor":{}}}"#, reference(name))).collect();
            format!(r#""participant":[{}]"#, actors.join(","))
        }
        ("Consent", [name]) => format!(r#""patient":{}"#, reference(name)),
        (_, [name]) => format!(r#""subject":{}"#, reference(name)),
        _ => panic!("only an appointment is about several"),
    };
    format!(r#"{{"resourceType":"{kind}","id":"{id}",{subject}{rest}}}"#)
}

/// A Consent in the form of IHE PCF; `provision` holds members of its root provision.
pub fn consent(id: &str, whom: &str, status: &str, provision: &str, rest: &str) -> String {
    let scope = r#""scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]}"#;
    about("Consent", id, &[whom], &format!(r#","status":"{status}",{scope},"provision":{{{provision}}}{rest}"#))
}

pub fn purpose(effect: &str, code: &str) -> String {
    format!(r#""type":"{effect}","purpose":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"{code}"}}]"#)
}

/// `meta` with a version and at most one label.
pub fn meta(updated: Option<Instant>, label: Option<&str>) -> String {
    let mut parts = Vec::new();
    parts.extend(updated.map(|at| format!(r#""lastUpdated":"{at}""#)));
    parts.extend(label.map(|code| {
        let system = if code == "R" { "v3-Confidentiality" } else { "v3-ActCode" };
        format!(r#""security":[{{"system":"http://terminology.hl7.org/CodeSystem/{system}","code":"{code}"}}]"#)
    }));
    format!(r#","meta":{{{}}}"#, parts.join(","))
}
