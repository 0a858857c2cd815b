//! `Moment`: a FHIR `date`, `dateTime` or `instant` as it was written, with the precision it has.
//!
//! Source: FHIR R4, Data Types, primitive types `date`, `dateTime`, `instant`.

use super::{Instant, Zone};
use jiff::civil;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Precision {
    Year,
    Month,
    Day,
    /// Hours and minutes without seconds: FHIRPath literals may be so, FHIR elements may not.
    Minute,
    Second,
}

/// A partial date or a date with a time. Without a time it stands for the whole year, month or day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moment {
    pub local: civil::DateTime,
    pub precision: Precision,
    /// Seconds east of UTC; `None` where none was written (always so without a time).
    pub offset: Option<i32>,
}

/// Not a date of FHIR. The text itself may be a patient's and is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadMoment;

impl Moment {
    pub fn day(day: civil::Date) -> Moment {
        Moment { local: day.at(0, 0, 0, 0), precision: Precision::Day, offset: None }
    }

    /// Reads `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or a date with time and zone. A leap second counts as the second before it.
    pub fn parse(text: &str) -> Result<Moment, BadMoment> {
        let b = text.as_bytes();
        let year = digits(b, 0, 4)?;
        if b.len() == 4 {
            return Moment::build(year, 1, 1, Precision::Year);
        }
        let month = after(b, 4, b'-')?;
        if b.len() == 7 {
            return Moment::build(year, month, 1, Precision::Month);
        }
        let day = after(b, 7, b'-')?;
        if b.len() == 10 {
            return Moment::build(year, month, day, Precision::Day);
        }
        if b.get(10) != Some(&b'T') {
            return Err(BadMoment);
        }
        let hour = digits(b, 11, 2)?;
        let minute = after(b, 13, b':')?;
        let mut precision = Precision::Minute;
        let (mut second, mut nanos, mut rest) = (0, 0, 16);
        if b.get(16) == Some(&b':') {
            precision = Precision::Second;
            second = digits(b, 17, 2)?;
            if second == 60 {
                second = 59;
            }
            rest = 19;
            if b.get(19) == Some(&b'.') {
                let end = 20 + b[20..].iter().take_while(|c| c.is_ascii_digit()).count();
                if end == 20 {
                    return Err(BadMoment);
                }
                nanos = b[20..end].iter().chain(b"000000000").take(9).fold(0, |n, c| n * 10 + i32::from(c - b'0'));
                rest = end;
            }
        }
        let offset = match &b[rest..] {
            [] => None,
            [b'Z'] => Some(0),
            [sign @ (b'+' | b'-'), ..] if b.len() == rest + 6 => {
                let (hours, minutes) = (digits(b, rest + 1, 2)?, after(b, rest + 3, b':')?);
                if hours > 14 || minutes > 59 {
                    return Err(BadMoment);
                }
                let seconds = hours * 3600 + minutes * 60;
                Some(if *sign == b'-' { -seconds } else { seconds })
            }
            _ => return Err(BadMoment),
        };
        let day = Moment::build(year, month, day, Precision::Day)?.local.date();
        let narrow = |n: i32| i8::try_from(n).map_err(|_| BadMoment);
        let time = civil::Time::new(narrow(hour)?, narrow(minute)?, narrow(second)?, nanos).map_err(|_| BadMoment)?;
        Ok(Moment { local: day.to_datetime(time), precision, offset })
    }

    fn build(year: i32, month: i32, day: i32, precision: Precision) -> Result<Moment, BadMoment> {
        let narrow = |n: i32| i8::try_from(n).map_err(|_| BadMoment);
        let year = i16::try_from(year).map_err(|_| BadMoment)?;
        let day = civil::Date::new(year, narrow(month)?, narrow(day)?).map_err(|_| BadMoment)?;
        Ok(Moment { local: day.at(0, 0, 0, 0), precision, offset: None })
    }

    /// As FHIR writes it, to its own precision. Not `Display`: a date is a patient's, and is written only on purpose.
    pub fn written(&self) -> String {
        let form = match self.precision {
            Precision::Year => "%Y",
            Precision::Month => "%Y-%m",
            Precision::Day => "%Y-%m-%d",
            Precision::Minute => "%Y-%m-%dT%H:%M",
            Precision::Second => "%Y-%m-%dT%H:%M:%S%.f",
        };
        let local = self.local.strftime(form);
        match self.offset {
            None => local.to_string(),
            Some(0) => format!("{local}Z"),
            Some(seconds) => {
                let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
                format!("{local}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }

    pub fn has_time(&self) -> bool {
        self.precision >= Precision::Minute
    }

    /// The first instant it may mean. Without an offset of its own it is read in `zone`.
    pub fn earliest(&self, zone: &Zone) -> Instant {
        match (self.has_time(), self.offset) {
            (true, Some(seconds)) => fixed(self.local, seconds),
            (true, None) => zone.instant(self.local),
            (false, _) => zone.start_of_day(self.local.date()),
        }
    }

    /// Within 26 hours of the first instant that it may mean, wherever it was written.
    pub fn roughly(&self) -> Instant {
        fixed(self.local, 0)
    }

    /// The first instant after all that it may mean: of a day the next midnight, of a second the next second's start
    /// only where no finer time was written (a time is taken as exact).
    pub fn past(&self, zone: &Zone) -> Instant {
        match self.last_day() {
            Some(day) => zone.end_of_day(day),
            None => self.earliest(zone).tick(),
        }
    }

    /// Where a period that ends so is over: after the whole day, month or year; at the very instant of a time, so that
    /// nothing is told at an instant whose permission ends there.
    pub fn ends(&self, zone: &Zone) -> Instant {
        if self.has_time() { self.earliest(zone) } else { self.past(zone) }
    }

    /// The last day it may mean; `None` where it has a time.
    pub fn last_day(&self) -> Option<civil::Date> {
        let day = self.local.date();
        match self.precision {
            Precision::Year => Some(day.last_of_year()),
            Precision::Month => Some(day.last_of_month()),
            Precision::Day => Some(day),
            Precision::Minute | Precision::Second => None,
        }
    }
}

/// The instant of a reading at a fixed offset, without a zone's rules.
fn fixed(local: civil::DateTime, offset_seconds: i32) -> Instant {
    match jiff::tz::Offset::from_seconds(offset_seconds).and_then(|offset| offset.to_timestamp(local)) {
        Ok(stamp) => stamp.into(),
        Err(_) if local.year() < 1970 => Instant::BEGIN,
        Err(_) => Instant::END,
    }
}

fn digits(b: &[u8], from: usize, count: usize) -> Result<i32, BadMoment> {
    let text = b.get(from..from + count).ok_or(BadMoment)?;
    text.iter().try_fold(0, |n, c| if c.is_ascii_digit() { Ok(n * 10 + i32::from(c - b'0')) } else { Err(BadMoment) })
}

fn after(b: &[u8], at: usize, mark: u8) -> Result<i32, BadMoment> {
    if b.get(at) == Some(&mark) { digits(b, at + 1, 2) } else { Err(BadMoment) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_precision_spans_what_it_may_mean() {
        let zone = Zone::named("America/Chicago").expect("zone");
        for (text, earliest, past) in [
            ("2026", "2026-01-01T06:00:00Z", "2027-01-01T06:00:00Z"),
            ("2024-02", "2024-02-01T06:00:00Z", "2024-03-01T06:00:00Z"),
            ("2026-03-08", "2026-03-08T06:00:00Z", "2026-03-09T05:00:00Z"),
            ("2026-03-08T10:00:00Z", "2026-03-08T10:00:00Z", "2026-03-08T10:00:00.000001Z"),
            ("2026-03-08T10:00:00.5-05:00", "2026-03-08T15:00:00.5Z", "2026-03-08T15:00:00.500001Z"),
            ("2026-03-08T10:00:00", "2026-03-08T15:00:00Z", "2026-03-08T15:00:00.000001Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z", "2016-12-31T23:59:59.000001Z"),
        ] {
            let moment = Moment::parse(text).expect(text);
            assert_eq!((moment.earliest(&zone).to_string().as_str(), moment.past(&zone).to_string().as_str()), (earliest, past), "{text}");
        }
    }

    #[test]
    fn a_moment_is_written_as_it_was_read() {
        for text in
            ["2026", "2026-03", "2026-03-08", "2026-03-08T10:00:00Z", "2026-03-08T10:00:00.5-05:30", "2026-03-08T10:00:00", "0045-01-02"]
        {
            assert_eq!(Moment::parse(text).expect(text).written(), text);
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "26",
            "2026-1",
            "2026-02-30",
            "2026-13",
            "2026-02-01T",
            "2026-02-01T25:00:00Z",
            "2026-02-01 10:00:00Z",
            "2026-02-01T10:00:00+25:00",
            "2026-02-01T10:00:00.Z",
            "20260201",
            "2026-02-01T10:00:00Zx",
            "２０２６",
        ] {
            assert_eq!(Moment::parse(text), Err(BadMoment), "{text}");
        }
    }
}
