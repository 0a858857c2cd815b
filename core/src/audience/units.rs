//! Amounts as people write them in mappings: `3d`, `60 days`, `10%`, `2026-01-01`.
//!
//! In: a scalar's text. Out: a span, a share, an instant; or what to write instead.
//! Never here: months and years as a length of time: they have none.

use crate::time::{Instant, Moment, Span, Zone, parse_span};

/// A whole number and a unit, with or without a blank: `15m`, `12h`, `3d`, `60 days`.
pub fn span(text: &str) -> Result<Span, &'static str> {
    const MONTHS: &str = "a month has no fixed length: write it in days, as 90 days";
    const HELP: &str = "write a whole number and a unit: 30s, 15m, 12h, 3d, 2w or 60 days";
    let span = parse_span(text).ok_or(if text.contains("month") || text.contains("year") { MONTHS } else { HELP })?;
    // A hundred years: more is a slip of the keyboard.
    if span.0 > Span::days(36_525).0 { Err("write at most 36525 days") } else { Ok(span) }
}

/// `10%` or `2.5%`, in thousandths.
pub fn share(text: &str) -> Result<u32, &'static str> {
    const HELP: &str = "write a percentage with at most one decimal, as 10% or 2.5%";
    let number = text.strip_suffix('%').ok_or(HELP)?.trim_end();
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(tenth) || tenth.len() > 1 || whole.len() > 3 {
        return Err(HELP);
    }
    let thousandths = 10 * whole.parse::<u32>().map_err(|_| HELP)? + tenth.parse::<u32>().map_err(|_| HELP)?;
    if thousandths > 1000 { Err("a share is at most 100%") } else { Ok(thousandths) }
}

/// Which end of a day is meant where only a day is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    Start,
    /// The day belongs to what ends with it.
    End,
}

/// A day in the organisation's zone, or an instant with its offset.
pub fn day_or_instant(text: &str, zone: &Zone, edge: Edge) -> Result<Instant, &'static str> {
    const HELP: &str = "write a day as 2026-01-31, or an instant as 2026-01-31T08:00:00Z";
    if text.contains('T') {
        return Instant::parse(text).map_err(|_| HELP);
    }
    let day = Moment::parse(text).map_err(|_| HELP)?;
    match (day.precision, edge) {
        (crate::time::Precision::Day, Edge::Start) => Ok(day.earliest(zone)),
        (crate::time::Precision::Day, Edge::End) => Ok(day.past(zone)),
        _ => Err(HELP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_a_number_and_a_unit() {
        for (text, expected) in [
            ("30s", Span::seconds(30)),
            ("15m", Span::minutes(15)),
            ("12 h", Span::hours(12)),
            ("3d", Span::days(3)),
            ("60 days", Span::days(60)),
            ("2w", Span::days(14)),
        ] {
            assert_eq!(span(text), Ok(expected), "{text}");
        }
        for bad in ["", "3", "d", "-3d", "3.5d", "3 months", "1y", "99999999999999999999d", "9999999999999d", "３d", "3dd"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_are_percentages() {
        for (text, expected) in [("10%", 100), ("2.5%", 25), ("0%", 0), ("100%", 1000), ("10 %", 100)] {
            assert_eq!(share(text), Ok(expected), "{text}");
        }
        for bad in ["", "10", "%", "-1%", "100.1%", "2.55%", ".5%", "5.%", "1e1%", "9999%"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_day_begins_or_ends_in_the_zone() {
        let chicago = Zone::named("America/Chicago").expect("zone");
        let at = |text, edge| day_or_instant(text, &chicago, edge).map(|i| i.to_string());
        assert_eq!(at("2026-03-08", Edge::Start).as_deref(), Ok("2026-03-08T06:00:00Z"));
        assert_eq!(at("2026-03-08", Edge::End).as_deref(), Ok("2026-03-09T05:00:00Z"));
        assert_eq!(at("2026-03-08T08:00-05:00", Edge::End).as_deref(), Ok("2026-03-08T13:00:00Z"));
        for bad in ["2026", "2026-03", "soon", "2026-03-08T08:00", "2026-02-30"] {
            assert!(at(bad, Edge::Start).is_err(), "{bad}");
        }
    }
}
