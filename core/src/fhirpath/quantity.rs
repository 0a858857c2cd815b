//! Units: calendar words and UCUM codes, and what may be compared with what.
//!
//! Source: FHIRPath 2.0, "Quantity" and "Time-valued quantities".

use crate::time::Period;
use rust_decimal::Decimal;

/// A calendar duration's keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    Calendar(Field),
    Ucum(String),
}

impl Field {
    pub fn named(word: &str) -> Option<Field> {
        Some(match word {
            "year" | "years" => Field::Year,
            "month" | "months" => Field::Month,
            "week" | "weeks" => Field::Week,
            "day" | "days" => Field::Day,
            "hour" | "hours" => Field::Hour,
            "minute" | "minutes" => Field::Minute,
            "second" | "seconds" => Field::Second,
            "millisecond" | "milliseconds" => Field::Millisecond,
            _ => return None,
        })
    }

    /// The field of a UCUM code of fixed length. `a` and `mo` are not: UCUM's year is 365.25 days, no calendar's.
    fn of_ucum(code: &str) -> Option<Field> {
        Some(match code {
            "wk" => Field::Week,
            "d" => Field::Day,
            "h" => Field::Hour,
            "min" => Field::Minute,
            "s" => Field::Second,
            "ms" => Field::Millisecond,
            _ => return None,
        })
    }

    /// `None` for those that have no fixed length.
    fn millis(self) -> Option<i64> {
        Some(match self {
            Field::Year | Field::Month => return None,
            Field::Week => 7 * 86_400_000,
            Field::Day => 86_400_000,
            Field::Hour => 3_600_000,
            Field::Minute => 60_000,
            Field::Second => 1000,
            Field::Millisecond => 1,
        })
    }

    /// `None` where the amount is too great to be meant.
    pub fn period(self, amount: i64) -> Option<Period> {
        let narrow = |n: i64| i32::try_from(n).ok().filter(|n| n.abs() <= 4_000_000);
        let micros = |each: i64| amount.checked_mul(each).filter(|n| n.abs() <= 1000 * 366 * 86_400_000_000);
        Some(match self {
            Field::Year => Period::months(narrow(amount.checked_mul(12)?)?),
            Field::Month => Period::months(narrow(amount)?),
            Field::Week => Period::days(narrow(amount.checked_mul(7)?)?),
            Field::Day => Period::days(narrow(amount)?),
            Field::Hour | Field::Minute | Field::Second | Field::Millisecond => {
                Period { months: 0, days: 0, micros: micros(self.millis()?.checked_mul(1000)?)? }
            }
        })
    }
}

impl Unit {
    /// A code in quotes: a calendar word means what it means without quotes.
    pub fn of_code(code: &str) -> Unit {
        match Field::named(code) {
            Some(field) => Unit::Calendar(field),
            None => Unit::Ucum(code.to_owned()),
        }
    }

    pub fn written(&self) -> &str {
        match self {
            Unit::Ucum(code) => code,
            Unit::Calendar(field) => match field {
                Field::Year => "year",
                Field::Month => "month",
                Field::Week => "week",
                Field::Day => "day",
                Field::Hour => "hour",
                Field::Minute => "minute",
                Field::Second => "second",
                Field::Millisecond => "millisecond",
            },
        }
    }

    /// The field to move a date by: of UCUM codes only those of fixed length.
    pub fn field(&self) -> Option<Field> {
        match self {
            Unit::Calendar(field) => Some(*field),
            Unit::Ucum(code) => Field::of_ucum(code),
        }
    }
}

/// Both amounts in one unit; `None` where no rule leads from one unit to the other.
pub fn aligned(a: Decimal, a_unit: &str, b: Decimal, b_unit: &str) -> Option<(Decimal, Decimal)> {
    if a_unit == b_unit {
        return Some((a, b));
    }
    let (x, y) = (Unit::of_code(a_unit), Unit::of_code(b_unit));
    if let (Unit::Calendar(x), Unit::Calendar(y)) = (&x, &y) {
        match (x, y) {
            (Field::Year, Field::Month) => return Some((a.checked_mul(Decimal::from(12))?, b)),
            (Field::Month, Field::Year) => return Some((a, b.checked_mul(Decimal::from(12))?)),
            _ => {}
        }
    }
    let (x, y) = (x.field()?, y.field()?);
    Some((a.checked_mul(Decimal::from(x.millis()?))?, b.checked_mul(Decimal::from(y.millis()?))?))
}
