//! Instants, partial dates and the calendar, asked at one instant only.
//!
//! In: FHIR's texts and an instant. Out: an order, or `None` where the precision runs out.
//! Never here: the search for when an answer changes; the oracle just asks again.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Zoned};
use std::cmp::Ordering;
use std::sync::OnceLock;

/// Riverside's zone, as in the policy.
pub fn zone() -> &'static TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    ZONE.get_or_init(|| TimeZone::get("America/Chicago").expect("the bundled time zones"))
}

pub fn instant(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| unreachable!("{text} is no instant: {error}"))
}

/// A date, dateTime or instant as far as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    At(Timestamp),
    Day(Date),
    Month(i16, i8),
    Year(i16),
}

impl Written {
    pub fn read(text: &str) -> Option<Written> {
        if text.contains('T') {
            return text.parse().ok().map(Written::At);
        }
        let mut parts = text.split('-').map(str::parse::<i16>);
        let year = parts.next()?.ok()?;
        let Some(month) = parts.next() else { return Some(Written::Year(year)) };
        let month = i8::try_from(month.ok()?).ok()?;
        match parts.next() {
            None => Some(Written::Month(year, month)),
            Some(day) => Date::new(year, month, i8::try_from(day.ok()?).ok()?).ok().map(Written::Day),
        }
    }

    /// Against an instant: dates are compared as far as both are written.
    pub fn order(self, other: &Zoned) -> Option<Ordering> {
        match self {
            Written::At(at) => Some(at.cmp(&other.timestamp())),
            Written::Day(day) => Some(day.cmp(&other.date())).filter(|order| order.is_ne()),
            Written::Month(..) | Written::Year(_) => self.order_day(other.date()),
        }
    }

    /// Against a day.
    pub fn order_day(self, other: Date) -> Option<Ordering> {
        match self {
            Written::At(at) => Some(at.to_zoned(zone().clone()).date().cmp(&other)).filter(|order| order.is_ne()),
            Written::Day(day) => Some(day.cmp(&other)),
            Written::Month(year, month) => Some((year, month).cmp(&(other.year(), other.month()))).filter(|order| order.is_ne()),
            Written::Year(year) => Some(year.cmp(&other.year())).filter(|order| order.is_ne()),
        }
    }

    /// Whether all that it may mean comes after all that the other may mean.
    pub fn is_after(self, other: Written) -> bool {
        match (self, other) {
            (Written::At(a), Written::At(b)) => a > b,
            (one, Written::At(b)) => one.earliest() > b,
            (one, other) => {
                one.earliest() >= other.last_day().tomorrow().expect("a day").to_zoned(zone().clone()).expect("midnight").timestamp()
            }
        }
    }

    pub fn first_day(self) -> Option<Date> {
        match self {
            Written::At(_) => None,
            Written::Day(day) => Some(day),
            Written::Month(year, month) => Date::new(year, month, 1).ok(),
            Written::Year(year) => Date::new(year, 1, 1).ok(),
        }
    }

    pub fn last_day(self) -> Date {
        match self {
            Written::At(at) => at.to_zoned(zone().clone()).date(),
            Written::Day(day) => day,
            Written::Month(year, month) => Date::new(year, month, 1).expect("a month").last_of_month(),
            Written::Year(year) => Date::new(year, 12, 31).expect("a year"),
        }
    }

    /// The earliest instant that it may mean.
    pub fn earliest(self) -> Timestamp {
        match self {
            Written::At(at) => at,
            _ => start_of(self.first_day().expect("a date has a first day")),
        }
    }

    /// Where a period that ends so is over: after the whole day, at the very instant of a time.
    pub fn ends(self) -> Timestamp {
        match self {
            Written::At(at) => at,
            _ => start_of(self.last_day().tomorrow().expect("not the end of time")),
        }
    }

    /// The first instant after all that it may mean: ends of periods belong to them. Instants are told to the microsecond.
    pub fn past(self) -> Timestamp {
        match self {
            Written::At(at) => at.checked_add(1.microsecond()).expect("not the end of time"),
            _ => start_of(self.last_day().tomorrow().expect("not the end of time")),
        }
    }
}

fn start_of(day: Date) -> Timestamp {
    day.to_zoned(zone().clone()).and_then(|day| day.start_of_day()).expect("a day begins").timestamp()
}

/// `now()` and `today()` at one instant, and what audiences subtract from them.
pub struct Clock {
    pub now: Zoned,
    pub today: Date,
}

impl Clock {
    pub fn at(now: Timestamp) -> Clock {
        let now = now.to_zoned(zone().clone());
        Clock { today: now.date(), now }
    }

    /// `now() - span`: years, months and days move the wall clock of the zone.
    pub fn ago(&self, span: Span) -> Zoned {
        self.now.checked_sub(span).expect("within the calendar")
    }

    pub fn years_ago(&self, years: i32) -> Date {
        self.today.checked_sub(years.years()).expect("within the calendar")
    }
}
