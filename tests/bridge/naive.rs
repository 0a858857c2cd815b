//! The naive oracle: who is in which audience at an instant, from whole records, with no timeline and no state.
//!
//! In: records in the order in which they were appended. Out: yes or no. Never here: code of the engine.

use super::world::{Kind, PEOPLE, Record, Says, VARIANTS, Variant, What};
use footbridge_core::time::{Instant, Span};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone)]
pub struct Known {
    /// The definitions in force.
    pub variant: Variant,
    /// The newest version of each resource; of equal ones the later.
    newest: BTreeMap<(Kind, usize), Record>,
    /// Versions of Consents that were the newest once.
    current: BTreeSet<(usize, Instant)>,
    /// Consents of which a version came late that had never been current: it may close the gate until a newer one comes.
    late: BTreeSet<usize>,
    /// Of each resource that was erased the newest version there was, and whose it was.
    erased: BTreeMap<(Kind, usize), (Instant, usize)>,
    opted_out: BTreeSet<usize>,
    pub stopped: BTreeSet<&'static str>,
    /// Numbers that want no texts, for messages of the CRM or (`true`) of anybody.
    numbers_out: BTreeSet<(usize, bool)>,
}

impl Default for Known {
    fn default() -> Known {
        let (newest, current, late, opted_out) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (numbers_out, stopped, erased) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        Known { variant: VARIANTS[0], newest, current, late, erased, opted_out, numbers_out, stopped }
    }
}

impl Known {
    pub fn hear(&mut self, record: &Record) {
        if self.is_overtaken(record) {
            return;
        }
        let consent = record.kind == Kind::Consent;
        if let Some(newest) = self.newest.get(&(record.kind, record.id)).filter(|newest| newest.version > record.version) {
            if consent && newest.what.is_some() && !self.current.contains(&(record.id, record.version)) {
                self.late.insert(record.id);
            }
            return;
        }
        if consent {
            if self.newest.get(&(record.kind, record.id)).is_none_or(|newest| newest.version < record.version) {
                self.late.remove(&record.id);
            }
            self.current.insert((record.id, record.version));
        }
        self.newest.insert((record.kind, record.id), record.clone());
    }

    /// Of all channels that this world has.
    pub fn opt_out(&mut self, person: usize, out: bool) {
        if out { _ = self.opted_out.insert(person) } else { _ = self.opted_out.remove(&person) }
    }

    pub fn number_out(&mut self, number: usize, of_anybody: bool, out: bool) {
        let key = (number, of_anybody);
        if out { _ = self.numbers_out.insert(key) } else { _ = self.numbers_out.remove(&key) }
    }

    /// Whoever was merged into the person goes, too. Deletes stay known, and that there were newer versions.
    pub fn erase(&mut self, person: usize) -> BTreeSet<usize> {
        let gone = self.group(person);
        for one in &gone {
            let theirs = |record: &Record| record.person == *one && record.kind != Kind::Medication && record.what.is_some();
            let erased = self.newest.extract_if(.., |_, record| theirs(record));
            self.erased.extend(erased.map(|(key, record)| (key, (record.version, *one))));
            self.current.retain(|(id, _)| id / 2 != *one);
            self.late.retain(|id| id / 2 != *one);
            self.opted_out.remove(one);
        }
        gone
    }

    /// The owners still know the version that was erased: of another person only a newer one counts.
    fn is_overtaken(&self, record: &Record) -> bool {
        let known = self.erased.get(&(record.kind, record.id));
        known.is_some_and(|(version, person)| *version > record.version && *person != record.person)
    }

    fn what(&self, kind: Kind, id: usize) -> Option<&What> {
        self.newest.get(&(kind, id))?.what.as_ref()
    }

    fn claims(&self, other: usize, person: usize) -> bool {
        matches!(self.what(Kind::Patient, other), Some(What::Patient { replaces, .. }) if *replaces == Some(person))
    }

    pub fn survivor(&self, person: usize) -> Option<usize> {
        let own = match self.what(Kind::Patient, person) {
            Some(What::Patient { replaced_by, .. }) => *replaced_by,
            _ => None,
        };
        own.or_else(|| (0..PEOPLE).find(|other| self.claims(*other, person)))
    }

    /// Links that the oracle does not follow: two who claim a person, one who is not there, a Patient that cannot be read.
    pub fn is_contested(&self) -> bool {
        let links = |person: usize| self.survivor(person).is_some();
        (0..PEOPLE).any(|person| {
            let claimers = (0..PEOPLE).filter(|other| self.claims(*other, person)).count();
            let newest = self.newest.get(&(Kind::Patient, person));
            let absent = newest.is_none_or(|newest| newest.what.is_none() || newest.unreadable);
            let own = matches!(newest.and_then(|newest| newest.what.as_ref()), Some(What::Patient { replaced_by: Some(_), .. }));
            claimers > 1 || claimers == 1 && (own || absent) || newest.is_some_and(|newest| newest.unreadable) && (0..PEOPLE).any(links)
        })
    }

    pub fn is_merged(&self, person: usize) -> bool {
        self.survivor(person).is_some() || self.group(person).len() > 1
    }

    /// The person and all who were merged into it.
    pub fn group(&self, person: usize) -> BTreeSet<usize> {
        let mut group = BTreeSet::from([person]);
        let joins = |group: &BTreeSet<usize>, old: &usize| {
            !group.contains(old) && self.survivor(*old).is_some_and(|survivor| group.contains(&survivor))
        };
        while let Some(old) = (0..PEOPLE).find(|old| joins(&group, old)) {
            group.insert(old);
        }
        group
    }

    fn theirs(&self, kind: Kind, group: &BTreeSet<usize>) -> Vec<&Record> {
        let theirs = |record: &&Record| record.kind == kind && group.contains(&record.person) && record.what.is_some();
        self.newest.values().filter(theirs).collect()
    }

    /// A stale Consent may have closed more than the newest records say.
    pub fn may_be_closed(&self, person: usize) -> bool {
        self.group(person).iter().any(|one| self.late.iter().any(|id| id / 2 == *one))
    }

    /// What the person's consents allow for a message of this audience's class.
    pub fn permits(&self, person: usize, audience: &str) -> bool {
        let consents = self.theirs(Kind::Consent, &self.group(person));
        let says = |says: Says| consents.iter().any(|record| matches!(&record.what, Some(What::Consent(what, _)) if *what == says));
        if consents.iter().any(|record| record.unreadable) || says(Says::DeniesAll) {
            return false;
        }
        audience != "seminar" || says(Says::PermitsMarketing) && !says(Says::DeniesMarketing)
    }

    pub fn is_member(&self, person: usize, audience: &str, at: Instant) -> bool {
        let Some(What::Patient { female, email, birth, .. }) = self.what(Kind::Patient, person) else { return false };
        if self.stopped.contains(audience) {
            return false;
        }
        let unreadable = self.newest.get(&(Kind::Patient, person)).is_some_and(|record| record.unreadable);
        let group = self.group(person);
        let dead = |one: &usize| match self.what(Kind::Patient, *one) {
            Some(What::Patient { dead, .. }) => dead.is_some_and(|dead| dead <= at),
            _ => false,
        };
        // Whether it says a death, an age or a link cannot be told.
        if unreadable {
            return false;
        }
        if self.survivor(person).is_some() || *birth == "2010-01-01" || group.iter().any(dead) || !self.permits(person, audience) {
            return false;
        }
        // Whoever wants no e-mail is told of in no audience of this world: e-mail is all that there is.
        if group.iter().any(|one| self.opted_out.contains(one)) {
            return false;
        }
        // Whoever has a number that wants no texts, own or of one merged away, is told of only where there are no texts.
        let has_it = |one: &usize| match self.what(Kind::Patient, *one) {
            Some(What::Patient { number: Some((number, _)), .. }) => self.numbers_out.iter().any(|(out, _)| out == number),
            _ => false,
        };
        if audience != "had" && group.iter().any(has_it) {
            return false;
        }
        let procedures = || self.theirs(Kind::Procedure, &group);
        let since = |record: &Record, days: i64| match &record.what {
            Some(What::Procedure { done, when }) => *done && *when > at.minus(Span::days(days)),
            _ => false,
        };
        let hidden = |record: &Record| record.labelled && self.variant.withholds || record.unreadable;
        match audience {
            "due" => *female && !procedures().iter().any(|record| record.unreadable || since(record, self.variant.due_days)),
            "had" => *email && procedures().iter().any(|record| since(record, self.variant.had_days) && !hidden(record)),
            "twice" => {
                let finals = self.theirs(Kind::Observation, &group);
                let good = |record: &&&Record| record.what == Some(What::Observation { good: true }) && !hidden(record);
                finals.iter().filter(good).count() >= self.variant.finals
            }
            "drug" if !self.variant.drug => false,
            "medicated" if self.variant.drug => false,
            "drug" | "medicated" => self.theirs(Kind::Request, &group).iter().any(|record| {
                let Some(What::Request { active, medication }) = record.what else { return false };
                let drug = self.newest.get(&(Kind::Medication, medication));
                let good = drug.is_some_and(|drug| drug.what == Some(What::Medication { active: true }) && !hidden(drug));
                active && good && !hidden(record)
            }),
            // Who was born on 29 February is fifty on 1 March.
            "band" => {
                let fifty = match *birth {
                    "1970-06-01" => "2020-06-01T00:00:00Z",
                    "1976-02-29" => "2026-03-01T00:00:00Z",
                    _ => "2026-03-15T00:00:00Z",
                };
                at >= Instant::parse(fifty).expect("an instant")
            }
            "seminar" => true,
            other => unreachable!("no such audience: {other}"),
        }
    }

    /// The fields that a member's newest event must carry, where this oracle knows them.
    pub fn age_band(&self, person: usize) -> Option<&'static str> {
        match self.what(Kind::Patient, person) {
            Some(What::Patient { .. }) => Some("50-59"),
            _ => None,
        }
    }

    /// The month of the latest Procedure that may be told of.
    pub fn last(&self, person: usize) -> Option<String> {
        let procedures = self.theirs(Kind::Procedure, &self.group(person));
        let told = procedures.iter().filter(|record| !(record.unreadable || record.labelled && self.variant.withholds));
        let when = told.filter_map(|record| match record.what {
            Some(What::Procedure { when, .. }) => Some(when),
            _ => None,
        });
        when.max().map(|when| when.to_string()[..7].to_owned())
    }
}
