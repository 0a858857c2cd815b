//! The chart: all records of the files, and what of them is on file about one patient at an instant.
//!
//! In: lines of NDJSON. Out: the newest version of each resource that has arrived. Never here: what it means.

use super::clock::{instant, zone};
use super::json::{at, each_coding, id, kind, list, text};
use super::labels::{self, Vocabulary};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// When the files' resources arrive, as `simulate --arrival` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    Start,
    LastUpdated,
}

impl Arrival {
    pub fn flag(self) -> &'static str {
        match self {
            Arrival::Start => "start",
            Arrival::LastUpdated => "last-updated",
        }
    }
}

/// One version of one resource, or its deletion, in the order of files and lines.
pub struct Record {
    /// `meta.lastUpdated`, or the instant of a deletion.
    version: Option<Timestamp>,
    /// Of a deletion without an instant of its own: when the entry after it arrives.
    carried: Option<Timestamp>,
    /// `None`: a deletion.
    pub body: Option<Value>,
    owner: Option<String>,
    /// One of its codes is in a sensitive value set.
    sensitive: bool,
    pub links: Vec<Link>,
}

/// What a resource's labels also come from: another resource, or something that cannot be found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Link {
    To(Key),
    Loose,
}

/// Type and id.
pub type Key = (String, String);

pub struct World {
    pub from: Timestamp,
    pub until: Timestamp,
    histories: HashMap<Key, Vec<Record>>,
    /// All resources that ever were about a patient.
    charts: BTreeMap<String, BTreeSet<Key>>,
    /// Patients that name another one, as old or as new, in some version.
    linked: BTreeSet<String>,
}

/// A resource on file.
pub struct Live<'w> {
    pub key: &'w Key,
    pub body: &'w Value,
    pub sensitive: bool,
    pub links: &'w [Link],
}

pub struct Chart<'w> {
    pub live: Vec<Live<'w>>,
    /// Patients that were merged into this one: their records count, but for what they are themselves.
    pub olds: Vec<&'w Value>,
    /// Another patient stands for this one.
    pub merged_away: bool,
}

impl<'w> Chart<'w> {
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &Live<'w>> {
        self.live.iter().filter(move |live| live.key.0 == kind)
    }

    pub fn find(&self, key: &Key) -> Option<&Live<'w>> {
        self.live.iter().find(|live| live.key == key)
    }

    pub fn patient(&self) -> Option<&'w Value> {
        self.of("Patient").next().map(|live| live.body)
    }
}

impl World {
    pub fn new(from: Timestamp, until: Timestamp) -> World {
        World { from, until, histories: HashMap::new(), charts: BTreeMap::new(), linked: BTreeSet::new() }
    }

    pub fn patients(&self) -> impl Iterator<Item = &str> {
        self.charts.keys().map(String::as_str)
    }

    /// Reads one line: a resource or a Bundle.
    pub fn read(&mut self, line: &str, vocabulary: &Vocabulary) {
        let value: Value = serde_json::from_str(line).expect("a line that was written here");
        if kind(&value) != "Bundle" {
            self.put(value, &HashMap::new(), vocabulary);
            return;
        }
        let entries = list(&value, "entry");
        let mut urls = HashMap::new();
        for entry in entries {
            if let (Some(url), false) = (text(entry, "fullUrl"), entry["resource"].is_null()) {
                urls.insert(url.to_owned(), format!("{}/{}", kind(&entry["resource"]), id(&entry["resource"])));
            }
        }
        for (place, entry) in entries.iter().enumerate() {
            if text(entry, "request.method") == Some("DELETE") {
                let own = text(entry, "response.lastModified").map(instant);
                let carried = entries[place + 1..]
                    .iter()
                    .find_map(|entry| text(entry, "resource.meta.lastUpdated").or(text(entry, "response.lastModified")).map(instant));
                let (kind, id) = text(entry, "request.url").and_then(|url| url.split_once('/')).expect("a deletion names a resource");
                let record = Record { version: own, carried, body: None, owner: None, sensitive: false, links: Vec::new() };
                self.histories.entry((kind.to_owned(), id.to_owned())).or_default().push(record);
            } else {
                self.put(entry["resource"].clone(), &urls, vocabulary);
            }
        }
    }

    fn put(&mut self, body: Value, urls: &HashMap<String, String>, vocabulary: &Vocabulary) {
        let resolve = |reference: &str| -> Option<Key> {
            let literal = urls.get(reference).map_or(reference, String::as_str);
            let (kind, id) = literal.split_once('/')?;
            (!kind.contains(':')).then(|| (kind.to_owned(), id.to_owned()))
        };
        let key = (kind(&body).to_owned(), id(&body).to_owned());
        let fields = &body;
        let actors = list(fields, "participant").iter().filter_map(|participant| text(participant, "actor.reference"));
        let about = [text(&body, "subject.reference"), text(&body, "patient.reference")].into_iter().flatten().chain(actors);
        let found = about.filter_map(resolve).find(|(kind, _)| kind == "Patient").map(|(_, id)| id);
        let owner = if key.0 == "Patient" { Some(key.1.clone()) } else { found };
        let links = links_of(&body).into_iter().map(|reference| reference.and_then(resolve).map_or(Link::Loose, Link::To)).collect();
        let mut sensitive = false;
        for (element, value) in body.as_object().expect("a resource is an object") {
            if element != "meta" {
                each_coding(value, &mut |system, code| sensitive |= vocabulary.is_sensitive(system, code));
            }
        }
        if key.0 == "Patient" && !list(&body, "link").is_empty() {
            self.linked.insert(key.1.clone());
        }
        if let Some(owner) = &owner {
            self.charts.entry(owner.clone()).or_default().insert(key.clone());
        }
        let version = text(&body, "meta.lastUpdated").map(instant);
        let record = Record { version, carried: None, body: Some(body), owner, sensitive, links };
        self.histories.entry(key).or_default().push(record);
    }

    /// When a record arrives. `None`: never.
    fn arrives(&self, record: &Record, arrival: Arrival) -> Option<Timestamp> {
        if arrival == Arrival::Start {
            return Some(self.from);
        }
        match (record.version.or(record.carried), &record.body) {
            (Some(at), _) => Some(at.max(self.from)),
            (None, Some(_)) => Some(self.from),
            (None, None) => None,
        }
    }

    /// What is on file about `patient` when all that arrived up to `now` has been read.
    pub fn chart(&self, patient: &str, arrival: Arrival, now: Timestamp) -> Chart<'_> {
        let mut chart = Chart { live: self.own(patient, arrival, now), olds: Vec::new(), merged_away: false };
        let merges = self.merges(arrival, now);
        chart.merged_away = merges.iter().any(|(old, _)| *old == patient);
        let mut open = vec![patient];
        while let Some(survivor) = open.pop() {
            for (old, _) in merges.iter().filter(|(_, new)| *new == survivor) {
                for live in self.own(old, arrival, now) {
                    match live.key.0.as_str() {
                        "Patient" => chart.olds.push(live.body),
                        _ => chart.live.push(live),
                    }
                }
                open.push(old);
            }
        }
        chart
    }

    /// Old and new of each merge that holds now, said by either side.
    fn merges(&self, arrival: Arrival, now: Timestamp) -> BTreeSet<(&str, &str)> {
        let mut out = BTreeSet::new();
        for patient in &self.linked {
            let newest = self.newest(&("Patient".to_owned(), patient.clone()), arrival, now);
            for link in newest.and_then(|record| record.body.as_ref()).map_or(&[][..], |body| list(body, "link")) {
                let other = text(link, "other.reference").and_then(|text| text.strip_prefix("Patient/")).expect("a link names a patient");
                match text(link, "type") {
                    Some("replaced-by") => _ = out.insert((patient.as_str(), other)),
                    Some("replaces") => _ = out.insert((other, patient.as_str())),
                    _ => {}
                }
            }
        }
        out
    }

    fn own(&self, patient: &str, arrival: Arrival, now: Timestamp) -> Vec<Live<'_>> {
        let mut live = Vec::new();
        for key in &self.charts[patient] {
            let Some(record) = self.newest(key, arrival, now) else { continue };
            if let (Some(body), Some(owner)) = (&record.body, &record.owner)
                && owner == patient
            {
                live.push(Live { key, body, sensitive: record.sensitive, links: &record.links });
            }
        }
        live
    }

    fn newest(&self, key: &Key, arrival: Arrival, now: Timestamp) -> Option<&Record> {
        let arrived = self.histories[key].iter().filter_map(|record| {
            let at = self.arrives(record, arrival)?;
            (at <= now).then_some((record.version.unwrap_or(at), record))
        });
        // Of equal versions the later record wins.
        arrived.max_by_key(|(version, _)| *version).map(|(_, record)| record)
    }

    /// The instants at which something about `patient` arrives after the start, in order.
    pub fn arrivals(&self, patient: &str) -> Vec<Timestamp> {
        let records = self.charts[patient].iter().flat_map(|key| &self.histories[key]);
        let instants: BTreeSet<Timestamp> = records.filter_map(|record| self.arrives(record, Arrival::LastUpdated)).collect();
        instants.into_iter().filter(|at| *at > self.from && *at < self.until).collect()
    }
}

/// The references of the elements whose labels ride on a resource: encounter, reason, medication, partOf.
/// `None` for a reference without a text.
fn links_of(body: &Value) -> Vec<Option<&str>> {
    let mut found = Vec::new();
    for element in ["encounter", "reasonReference", "addresses", "medicationReference", "partOf"] {
        match at(body, element) {
            Value::Array(items) => found.extend(items.iter().map(|item| text(item, "reference"))),
            value @ Value::Object(_) => found.push(text(value, "reference")),
            _ => {}
        }
    }
    for diagnosis in list(body, "diagnosis") {
        found.push(text(diagnosis, "condition.reference"));
    }
    found
}

/// Each midnight of the organisation's zone between two instants.
pub fn midnights(from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let mut out = Vec::new();
    let mut day = from.to_zoned(zone().clone()).date().tomorrow().expect("not the end of time");
    loop {
        let at = day.to_zoned(zone().clone()).and_then(|day| day.start_of_day()).expect("a day begins").timestamp();
        if at >= until {
            return out;
        }
        out.push(at);
        day = day.tomorrow().expect("not the end of time");
    }
}

pub fn is_withheld(chart: &Chart, live: &Live, redact: &labels::Redact) -> bool {
    if labels::withholds(live.body, live.sensitive, redact, true) {
        return true;
    }
    live.links.iter().any(|link| match link {
        Link::Loose => true,
        Link::To(key) => match chart.find(key) {
            // What it would carry is not known.
            None => true,
            Some(target) => labels::withholds(target.body, target.sensitive, redact, false),
        },
    })
}
