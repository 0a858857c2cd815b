//! Dates and times compared with each other, and moved, as far as their precision goes.
//!
//! Source: FHIRPath 2.0, "Comparison" and "Date/Time Arithmetic".

use super::quantity::Field;
use crate::time::{Moment, Precision, Zone};
use jiff::civil::Date;
use std::cmp::Ordering;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    /// Always `Some`: an option, because a comparison without an answer stands beside it.
    pub fn holds(self, order: Ordering) -> Option<bool> {
        Some(match self {
            Relation::Equal => order.is_eq(),
            Relation::NotEqual => order.is_ne(),
            Relation::Less => order.is_lt(),
            Relation::LessOrEqual => order.is_le(),
            Relation::Greater => order.is_gt(),
            Relation::GreaterOrEqual => order.is_ge(),
        })
    }

    /// The relation that holds with both sides exchanged.
    pub fn turned(self) -> Relation {
        match self {
            Relation::Equal | Relation::NotEqual => self,
            Relation::Less => Relation::Greater,
            Relation::LessOrEqual => Relation::GreaterOrEqual,
            Relation::Greater => Relation::Less,
            Relation::GreaterOrEqual => Relation::LessOrEqual,
        }
    }
}

/// `None` where the parts that both have are equal and one has more.
/// A time is read in `zone` where it has no offset, and its day is the day in `zone`.
pub fn order(a: &Moment, b: &Moment, zone: &Zone) -> Option<Ordering> {
    match (a.has_time(), b.has_time()) {
        (true, true) if a.precision == b.precision => Some(instants(a, b, zone)),
        // Whole minutes: the seconds of one side are unknown.
        (true, true) => Some(instants(&to_minute(a), &to_minute(b), zone)).filter(|order| order.is_ne()),
        (false, false) if a.precision == b.precision => Some(a.local.cmp(&b.local)),
        _ => {
            let precision = a.precision.min(b.precision);
            let (x, y) = (parts(day(a, zone)?), parts(day(b, zone)?));
            let shared = match precision {
                Precision::Year => 1,
                Precision::Month => 2,
                Precision::Day | Precision::Minute | Precision::Second => 3,
            };
            Some(x[..shared].cmp(&y[..shared])).filter(|order| order.is_ne())
        }
    }
}

fn instants(a: &Moment, b: &Moment, zone: &Zone) -> Ordering {
    match (a.offset, b.offset) {
        (None, None) => a.local.cmp(&b.local),
        _ => a.earliest(zone).cmp(&b.earliest(zone)),
    }
}

fn to_minute(moment: &Moment) -> Moment {
    let time = moment.local.time();
    let local = moment.local.date().at(time.hour(), time.minute(), 0, 0);
    Moment { local, precision: Precision::Minute, offset: moment.offset }
}

fn day(moment: &Moment, zone: &Zone) -> Option<Date> {
    match moment.offset {
        Some(_) => Some(zone.local(moment.earliest(zone))?.date()),
        None => Some(moment.local.date()),
    }
}

fn parts(day: Date) -> [i16; 3] {
    [day.year(), i16::from(day.month()), i16::from(day.day())]
}

/// `None` where the moment is too coarse for the amount (2014 plus 3 months), or the calendar ends.
pub fn moved(moment: &Moment, field: Field, amount: i64) -> Option<Moment> {
    let period = field.period(amount)?;
    let coarse = match moment.precision {
        Precision::Year => period.days != 0 || period.micros != 0 || period.months % 12 != 0,
        Precision::Month => period.days != 0 || period.micros != 0,
        Precision::Day => period.micros != 0,
        Precision::Minute => period.micros % 60_000_000 != 0,
        Precision::Second => false,
    };
    if coarse {
        return None;
    }
    Some(Moment { local: period.add_to_local(moment.local)?, ..*moment })
}
