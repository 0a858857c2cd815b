//! `Period`: a calendar amount as FHIRPath's time-valued quantities have it.

use jiff::civil;

/// Years and months move the calendar and clamp to the month's last day; the rest moves by fixed lengths.
/// Every amount of one period has the same sign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Period {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

impl Period {
    pub const fn months(n: i32) -> Period {
        Period { months: n, days: 0, micros: 0 }
    }
    pub const fn days(n: i32) -> Period {
        Period { months: 0, days: n, micros: 0 }
    }

    pub const fn negated(self) -> Period {
        Period { months: -self.months, days: -self.days, micros: -self.micros }
    }

    /// `None` beyond the calendar's ends (years −9999 to 9999).
    pub fn add_to_date(self, day: civil::Date) -> Option<civil::Date> {
        let span = jiff::Span::new().try_months(self.months).ok()?.try_days(i64::from(self.days)).ok()?;
        day.checked_add(span).ok()
    }

    /// Moves a wall clock's reading, months first, then days, then the time of day.
    pub fn add_to_local(self, local: civil::DateTime) -> Option<civil::DateTime> {
        let day = self.add_to_date(local.date())?;
        let moved = civil::DateTime::from_parts(day, local.time());
        if self.micros == 0 {
            return Some(moved);
        }
        moved.checked_add(jiff::SignedDuration::from_micros(self.micros)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn months_clamp_to_the_last_day() {
        for (day, months, expected) in [
            (date(2024, 2, 29), 12, date(2025, 2, 28)),
            (date(2024, 2, 29), -48, date(2020, 2, 29)),
            (date(2026, 3, 31), -1, date(2026, 2, 28)),
            (date(2026, 1, 31), 1, date(2026, 2, 28)),
            (date(2026, 12, 31), 2, date(2027, 2, 28)),
        ] {
            assert_eq!(Period::months(months).add_to_date(day), Some(expected), "{day} {months}");
        }
        assert_eq!(Period::months(12).add_to_date(date(9999, 12, 31)), None);
    }
}
