//! `Chart`: what one person's record becomes over time, version after version.
//!
//! In: resources with the instant at which the hospital wrote them. Out: arrivals.
//! Never here: what a resource says.

use super::Arrival;
use super::write::Resource;
use footbridge_core::time::Instant;
use jiff::ToSpan;
use jiff::civil::Date;
use std::collections::BTreeMap;

pub struct Chart {
    /// `Patient/…`
    pub patient: String,
    from: Instant,
    /// Nothing is written from here on.
    pub until: Instant,
    pub arrivals: Vec<Arrival>,
    versions: BTreeMap<(&'static str, String), u32>,
    numbers: u32,
}

impl Chart {
    pub fn new(patient_id: &str, from: Instant, until: Instant) -> Chart {
        Chart { patient: format!("Patient/{patient_id}"), from, until, arrivals: Vec::new(), versions: BTreeMap::new(), numbers: 0 }
    }

    /// The id of the next resource that is not the Patient.
    pub fn next_id(&mut self) -> String {
        self.numbers += 1;
        format!("{}-{}", self.patient.trim_start_matches("Patient/"), self.numbers)
    }

    /// What was written before the window arrives when it opens, with the `meta.lastUpdated` that it has.
    /// Versions of one resource are put in the order of time.
    pub fn put(&mut self, at: Instant, resource: Resource) {
        if at >= self.until {
            return;
        }
        let version = self.versions.entry((resource.kind, resource.id.clone())).or_insert(0);
        *version += 1;
        self.arrivals.push(Arrival { at: at.max(self.from), json: resource.finish(*version, at) });
    }

    /// A transmission that broke off in the middle.
    pub fn put_cut_off(&mut self, at: Instant, resource: Resource) {
        let whole = resource.finish(1, at);
        self.arrivals.push(Arrival { at: at.max(self.from), json: whole[..whole.len() / 2].to_owned() });
    }
}

/// Hours between 14 and 22 lie on the same day in UTC and in the middle of North America.
pub fn at(day: Date, hour: i8, minute: i8) -> Instant {
    let local = day.at(hour, minute, 0, 0);
    let stamp = jiff::tz::Offset::UTC.to_timestamp(local).expect("an invented day lies within the years that jiff knows");
    stamp.into()
}

pub fn days_after(day: Date, days: i64) -> Date {
    day.saturating_add(days.days())
}
