//! `Zone`: where the organisation's days begin.

use super::Instant;
use jiff::civil;
use jiff::tz::TimeZone;
use std::fmt;
use std::sync::Arc;

/// An IANA zone from the tzdata built into the program, so that all instances agree on it.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    tz: TimeZone,
    name: String,
    /// The changes of its offset from 1900 to 2150: asked for with every comparison with `now()`.
    changes: Arc<[Instant]>,
}

/// 1900-01-01 and 2150-01-01: outside, changes are worked out when asked for.
const KNOWN_FROM: Instant = Instant::from_micros(-2_208_988_800_000_000);
const KNOWN_TO: Instant = Instant::from_micros(5_680_281_600_000_000);

fn changes(tz: &TimeZone) -> Arc<[Instant]> {
    let Some(start) = KNOWN_FROM.to_jiff() else { return Arc::from([]) };
    tz.following(start).map(|change| Instant::from(change.timestamp())).take_while(|change| *change < KNOWN_TO).collect()
}

impl Zone {
    pub fn named(name: &str) -> Result<Zone, UnknownZone> {
        let unknown = || UnknownZone { given: name.chars().take(60).collect() };
        let tz = TimeZone::get(name).map_err(|_| unknown())?;
        Ok(Zone { changes: changes(&tz), tz, name: name.to_owned() })
    }

    pub fn utc() -> Zone {
        Zone { tz: TimeZone::UTC, name: "UTC".to_owned(), changes: Arc::from([]) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn tz(&self) -> &TimeZone {
        &self.tz
    }

    /// What a clock on the wall shows. `None` at the ends of time.
    pub fn local(&self, at: Instant) -> Option<civil::DateTime> {
        Some(self.tz.to_datetime(at.to_jiff()?))
    }

    /// The instant of a wall clock's reading: of two the earlier, in a gap the one as far after it (RFC 5545).
    pub fn instant(&self, local: civil::DateTime) -> Instant {
        match self.tz.to_ambiguous_timestamp(local).compatible() {
            Ok(stamp) => stamp.into(),
            // Only a reading beyond the calendar's ends has no instant.
            Err(_) if local.year() < 0 => Instant::BEGIN,
            Err(_) => Instant::END,
        }
    }

    pub fn start_of_day(&self, day: civil::Date) -> Instant {
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
            && let Some(change) = self.changes.get(self.changes.partition_point(|change| *change <= at))
        {
            return Some(*change);
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
    fn an_unknown_zone_is_refused() {
        assert!(Zone::named("America/Chikago").is_err());
    }
}
