//! What sources may bring in: from dice to landing entries, and to what the oracle hears of them.
//!
//! In: dice, the instant, what was brought before. Out: one act: entries and records. Never here: the log.

use super::world::{self, Kind, NUMBERS, PEOPLE, Record, SPOILT, patient_id};
use footbridge::log::Entry;
use footbridge::log::faulty::Chance;
use footbridge::source::intake::{Intake, Source};
use footbridge_core::audience::Channel;
use footbridge_core::key::ContactKind;
use footbridge_core::shard::{ContactPreference, Preference};
use footbridge_core::time::{Instant, Span};
use std::collections::BTreeSet;

/// One append of a source.
#[derive(Default)]
pub struct Act {
    pub entries: Vec<Entry>,
    pub records: Vec<Record>,
    pub opt_out: Option<(usize, bool)>,
    /// Of a number: whether for messages of anybody, and whether it is out.
    pub number_out: Option<(usize, bool, bool)>,
    /// One record of one person, newer than all before: the oracle knows what holds before and after it, and nothing between.
    pub simple: bool,
    pub complete_to: Option<Instant>,
}

pub struct Actor<'a> {
    pub intake: &'a Intake,
    pub source: &'a Source,
    pub history: &'a [Record],
    pub merges: bool,
    pub proves: bool,
    /// What sources write into versions.
    pub now: Instant,
    /// What landing will stamp.
    pub stamp: Instant,
}

impl Actor<'_> {
    pub fn act(&self, chance: &mut Chance) -> Act {
        if self.proves && chance.happens(250) {
            let complete_to = self.stamp.minus(Span::minutes(chance.below(120) as i64));
            return Act { entries: self.intake.watermark(self.source, complete_to), complete_to: Some(complete_to), ..Act::default() };
        }
        match chance.below(100) {
            0..=54 => self.one(world::record(chance, self.now, self.merges)),
            55..=66 => self.bundle(chance),
            67..=73 => self.delete(chance),
            74..=79 => self.again(chance),
            80..=84 => self.late(chance),
            85..=88 => self.preference(chance),
            89..=90 => self.contact(chance),
            91..=95 => self.cut(chance),
            _ => self.garbage(chance),
        }
    }

    pub fn one(&self, record: Record) -> Act {
        let simple = record.kind != Kind::Medication;
        let entries = self.intake.receive(self.source, record.json().as_bytes()).entries;
        Act { entries, records: vec![record], simple, ..Act::default() }
    }

    /// Several resources of several persons, some of them deleted.
    fn bundle(&self, chance: &mut Chance) -> Act {
        let mut seen = BTreeSet::new();
        let mut records: Vec<Record> = (0..2 + chance.below(4)).map(|_| world::record(chance, self.now, self.merges)).collect();
        records.retain(|record| seen.insert((record.kind, record.id)));
        for record in &mut records {
            if chance.happens(120) {
                *record = Record { what: None, unreadable: false, version: self.stamp, ..record.clone() };
            }
        }
        let entries = self.intake.receive(self.source, in_a_bundle(&records).as_bytes()).entries;
        Act { entries, records, ..Act::default() }
    }

    /// Of a resource that is known, was deleted already, or was never heard of.
    fn delete(&self, chance: &mut Chance) -> Act {
        let invented = world::record(chance, self.now, false);
        let known = !self.history.is_empty() && chance.happens(800);
        let of = if known { self.history[chance.below(self.history.len())].clone() } else { Record { id: invented.id + 70, ..invented } };
        let record = Record { version: self.stamp, labelled: false, unreadable: false, what: None, ..of };
        let entries = self.intake.delete(self.source, record.kind.name(), &record.id()).entries;
        Act { entries, records: vec![record], ..Act::default() }
    }

    /// Something delivered again, however old.
    fn again(&self, chance: &mut Chance) -> Act {
        let old: Vec<&Record> = self.history.iter().filter(|record| record.what.is_some()).collect();
        let Some(record) = old.get(chance.below(old.len())) else { return self.garbage(chance) };
        Act { simple: false, ..self.one((*record).clone()) }
    }

    /// A version that was long on its way: newer ones may have come before it.
    fn late(&self, chance: &mut Chance) -> Act {
        let version = self.now.minus(Span::minutes(1 + chance.below(20 * 24 * 60) as i64));
        let record = world::record(chance, version, self.merges);
        Act { simple: false, ..self.one(record) }
    }

    fn preference(&self, chance: &mut Chance) -> Act {
        let (person, opted_out) = (chance.below(PEOPLE), chance.happens(600));
        let preference = Preference { recipient: None, channel: Channel::Email, opted_out };
        let key = self.intake.keys.person(&self.source.namespace, &patient_id(person));
        let entry = self.intake.preference("crm", key, preference, chance.number() >> 1);
        Act { entries: vec![entry], opt_out: Some((person, opted_out)), ..Act::default() }
    }

    /// Of everyone who has the number, now or later. One of another recipient concerns nobody here.
    fn contact(&self, chance: &mut Chance) -> Act {
        let (number, opted_out) = (chance.below(NUMBERS.len()), chance.happens(600));
        let how = chance.number() as usize >> 8;
        let recipient = [None, Some("crm"), Some("other")][how % 3];
        let key = self.intake.keys.contact(ContactKind::Phone, NUMBERS[number][how / 3 % 3]).expect("a number");
        let preference = Preference { recipient: recipient.map(str::to_owned), channel: Channel::Sms, opted_out };
        let report = ContactPreference { contact: key, preference };
        // As the landing key tells them apart: compaction leaves the newest of each.
        let entries = self.intake.contact_preference("crm", &report, recipient.map_or(0, |name| name.len() as u64));
        let number_out = (recipient != Some("other")).then_some((number, recipient.is_none(), opted_out));
        Act { entries, number_out, ..Act::default() }
    }

    /// A group of one person whose sender dies in its middle.
    fn cut(&self, chance: &mut Chance) -> Act {
        let person = chance.below(PEOPLE);
        let mut seen = BTreeSet::new();
        let mut records: Vec<Record> = (0..12).map(|_| world::record(chance, self.now, self.merges)).collect();
        records.retain(|record| record.person == person && record.kind != Kind::Medication && seen.insert((record.kind, record.id)));
        if records.len() < 2 {
            return self.garbage(chance);
        }
        let mut entries = self.intake.receive(self.source, in_a_bundle(&records).as_bytes()).entries;
        assert_eq!(entries.len(), records.len(), "each is one entry, in their order");
        let left = 1 + chance.below(records.len() - 1);
        entries.truncate(left);
        records.truncate(left);
        Act { entries, records, ..Act::default() }
    }

    fn garbage(&self, chance: &mut Chance) -> Act {
        let body = format!(r#"{{"resourceType":"Observation","id":"{SPOILT}-{}","#, chance.below(1000));
        Act { entries: self.intake.receive(self.source, body.as_bytes()).entries, ..Act::default() }
    }
}

fn in_a_bundle(records: &[Record]) -> String {
    let entry = |record: &Record| {
        let url = format!("{}/{}", record.kind.name(), record.id());
        match record.what {
            None => format!(r#"{{"request":{{"method":"DELETE","url":"{url}"}}}}"#),
            Some(_) => format!(
                r#"{{"fullUrl":"https://ehr.example/{url}","resource":{},"request":{{"method":"PUT","url":"{url}"}}}}"#,
                record.json()
            ),
        }
    };
    let entries: Vec<String> = records.iter().map(entry).collect();
    format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#, entries.join(","))
}
