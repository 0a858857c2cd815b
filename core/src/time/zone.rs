//! `Zone`: where the organisation's days begin.

use super::{Instant, Span};
use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use std::fmt;
use std::sync::Arc;

/// An IANA zone from the tzdata built into the program, so that all instances agree on it.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    tz: TimeZone,
    name: String,
    /// The changes of its offset from 1900 to 2150: asked for with every comparison with `now()`.
    changes: Arc<[Change]>,
}

/// From `at` on, until the next one, clocks are ahead of UTC by `offset`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Change {
    at: Instant,
    offset: Offset,
}

/// 1900-01-01 and 2150-01-01: outside, changes are worked out when asked for.
const KNOWN_FROM: Instant = Instant::from_micros(-2_208_988_800_000_000);
const KNOWN_TO: Instant = Instant::from_micros(5_680_281_600_000_000);

/// The first stands for what holds at `KNOWN_FROM`.
fn changes(tz: &TimeZone) -> Arc<[Change]> {
    let Some(start) = KNOWN_FROM.to_jiff() else { return Arc::from([]) };
    let first = Change { at: KNOWN_FROM, offset: tz.to_offset(start) };
    let later = tz.following(start).map(|change| Change { at: change.timestamp().into(), offset: change.offset() });
    std::iter::once(first).chain(later).take_while(|change| change.at < KNOWN_TO).collect()
}

/// Between this and the next change a wall clock's reading means one instant, whatever the change.
const UNSURE: Span = Span::hours(26);

impl Zone {
    pub fn named(name: &str) -> Result<Zone, UnknownZone> {
        let unknown = || UnknownZone { given: name.chars().take(60).collect() };
        let tz = TimeZone::get(name).map_err(|_| unknown())?;
        Ok(Zone { changes: changes(&tz), tz, name: name.to_owned() })
    }

    pub fn utc() -> Zone {
        Zone { changes: changes(&TimeZone::UTC), tz: TimeZone::UTC, name: "UTC".to_owned() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn tz(&self) -> &TimeZone {
        &self.tz
    }

    /// What a clock on the wall shows. `None` at the ends of time.
    pub fn local(&self, at: Instant) -> Option<civil::DateTime> {
        let stamp = at.to_jiff()?;
        match self.known(at) {
            Some((now, _)) => Some(now.offset.to_datetime(stamp)),
            None => Some(self.tz.to_datetime(stamp)),
        }
    }

    /// What is in force at an instant, and when that ends, where both are kept.
    fn known(&self, at: Instant) -> Option<(Change, Instant)> {
        if !(KNOWN_FROM..KNOWN_TO).contains(&at) {
            return None;
        }
        let next = self.changes.partition_point(|change| change.at <= at);
        let now = self.changes.get(next.checked_sub(1)?)?;
        Some((*now, self.changes.get(next).map_or(KNOWN_TO, |change| change.at)))
    }

    /// The instant of a wall clock's reading: of two the earlier, in a gap the one as far after it (RFC 5545).
    pub fn instant(&self, local: civil::DateTime) -> Instant {
        if let Some(plain) = self.plainly(local) {
            return plain;
        }
        match self.tz.to_ambiguous_timestamp(local).compatible() {
            Ok(stamp) => stamp.into(),
            // Only a reading beyond the calendar's ends has no instant.
            Err(_) if local.year() < 0 => Instant::BEGIN,
            Err(_) => Instant::END,
        }
    }

    /// The instant of a reading that is far from every change.
    fn plainly(&self, local: civil::DateTime) -> Option<Instant> {
        let near = Instant::from(Offset::UTC.to_timestamp(local).ok()?);
        let (now, until) = self.known(near)?;
        let far = near.since(now.at) > UNSURE && until.since(near) > UNSURE;
        far.then(|| near.minus(Span::seconds(i64::from(now.offset.seconds()))))
    }

    pub fn start_of_day(&self, day: civil::Date) -> Instant {
        if let Some(plain) = self.plainly(day.at(0, 0, 0, 0)) {
            return plain;
        }
        match day.to_zoned(self.tz.clone()).and_then(|zoned| zoned.start_of_day()) {
            Ok(zoned) => zoned.timestamp().into(),
            Err(_) if day.year() < 0 => Instant::BEGIN,
            Err(_) => Instant::END,
        }
    }

    /// The first instant after `day` in this zone.
    pub fn end_of_day(&self, day: civil::Date) -> Instant {
        match day.tomorrow() {
            Ok(next) => self.start_of_day(next),
            Err(_) => Instant::END,
        }
    }

    /// The next instant after `at` at which this zone's offset changes. `None`: never again.
    pub fn next_transition(&self, at: Instant) -> Option<Instant> {
        if at >= KNOWN_FROM
            && let Some(change) = self.changes.get(self.changes.partition_point(|change| change.at <= at))
        {
            return Some(change.at);
        }
        let stamp = at.to_jiff()?;
        self.tz.following(stamp).next().map(|transition| transition.timestamp().into())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownZone {
    pub given: String,
}

impl fmt::Display for UnknownZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a zone of the IANA database; write it as America/Chicago", self.given)
    }
}

impl std::error::Error for UnknownZone {}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn at(text: &str) -> Instant {
        Instant::parse(text).expect(text)
    }

    #[test]
    fn a_day_is_as_long_as_the_zone_makes_it() {
        let chicago = Zone::named("America/Chicago").expect("zone");
        assert_eq!(chicago.start_of_day(date(2026, 3, 8)), at("2026-03-08T06:00:00Z"));
        assert_eq!(chicago.end_of_day(date(2026, 3, 8)), at("2026-03-09T05:00:00Z"));
        let sao_paulo = Zone::named("America/Sao_Paulo").expect("zone");
        // Midnight did not exist that day: the day began at one o'clock.
        assert_eq!(sao_paulo.start_of_day(date(2018, 11, 4)), at("2018-11-04T03:00:00Z"));
    }

    #[test]
    fn changes_are_found_within_what_is_kept_and_beyond() {
        let chicago = Zone::named("America/Chicago").expect("zone");
        for (from, change) in [
            ("2026-01-01T00:00:00Z", Some("2026-03-08T08:00:00Z")),
            ("2026-03-08T08:00:00Z", Some("2026-11-01T07:00:00Z")),
            ("2149-12-31T00:00:00Z", Some("2150-03-08T08:00:00Z")),
            ("2200-01-01T00:00:00Z", Some("2200-03-09T08:00:00Z")),
            ("1850-01-01T00:00:00Z", Some("1883-11-18T18:00:00Z")),
        ] {
            assert_eq!(chicago.next_transition(at(from)), change.map(at), "{from}");
        }
        assert_eq!(Zone::utc().next_transition(at("2026-01-01T00:00:00Z")), None);
    }

    #[test]
    fn readings_and_instants_are_those_of_the_database() {
        for name in ["America/Chicago", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "UTC"] {
            let zone = Zone::named(name).expect(name);
            let tz = TimeZone::get(name).expect(name);
            let (mut at, end) = (at_micros(-2_300_000_000), at_micros(5_800_000_000));
            while at < end {
                let stamp = at.to_jiff().expect("a real instant");
                assert_eq!(zone.local(at), Some(tz.to_datetime(stamp)), "{name} {at}");
                let reading = Offset::UTC.to_datetime(stamp);
                let meant = tz.to_ambiguous_timestamp(reading).compatible().expect("within the calendar");
                assert_eq!(zone.instant(reading), Instant::from(meant), "{name} {reading}");
                // Not a whole number of days, so that all hours come up.
                at = at.plus(Span::hours(31)).plus(Span::seconds(17));
            }
        }
    }

    fn at_micros(seconds: i64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn an_unknown_zone_is_refused() {
        assert!(Zone::named("America/Chikago").is_err());
    }
}
