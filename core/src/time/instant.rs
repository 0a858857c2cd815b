//! `Instant`: a point on the time line, in microseconds; `Span`: a length of it.

use std::fmt;

/// Microseconds since 1970-01-01T00:00:00Z. Finer fractions in a source are cut off.
///
/// [`Instant::BEGIN`] and [`Instant::END`] stand for "always was" and "never": they sort before and after
/// every real instant and are never printed in an event.
///
/// At rest (serde) whole seconds take five bytes and the ends of time few.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(from = "i128", into = "i128")]
pub struct Instant(i64);

/// A length of time in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(from = "i128", into = "i128")]
pub struct Span(pub i64);

/// An even number counts whole seconds, an odd one microseconds that are none. Two odd numbers that nothing else takes stand
/// for the ends of time.
fn to_code(micros: i64) -> i128 {
    match micros {
        i64::MAX => END_CODE,
        i64::MIN => BEGIN_CODE,
        _ if micros % 1_000_000 == 0 => i128::from(micros / 1_000_000) * 2,
        _ => i128::from(micros) * 2 + 1,
    }
}

/// What nobody wrote reads as the nearer end of time.
fn from_code(code: i128) -> i64 {
    let micros = match code {
        END_CODE => return i64::MAX,
        BEGIN_CODE => return i64::MIN,
        _ if code & 1 == 0 => (code / 2).saturating_mul(1_000_000),
        _ => (code - 1) / 2,
    };
    micros.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

const END_CODE: i128 = 1;
const BEGIN_CODE: i128 = 2_000_001;

impl From<Instant> for i128 {
    fn from(instant: Instant) -> i128 {
        to_code(instant.0)
    }
}

impl From<i128> for Instant {
    fn from(code: i128) -> Instant {
        Instant(from_code(code))
    }
}

impl From<Span> for i128 {
    fn from(span: Span) -> i128 {
        to_code(span.0)
    }
}

impl From<i128> for Span {
    fn from(code: i128) -> Span {
        Span(from_code(code))
    }
}

impl Span {
    pub const ZERO: Span = Span(0);

    pub const fn days(n: i64) -> Span {
        Span::hours(24 * n)
    }
    pub const fn hours(n: i64) -> Span {
        Span::seconds(3600 * n)
    }
    pub const fn minutes(n: i64) -> Span {
        Span::seconds(60 * n)
    }
    pub const fn seconds(n: i64) -> Span {
        Span(n * 1_000_000)
    }
}

impl Instant {
    pub const BEGIN: Instant = Instant(i64::MIN);
    pub const END: Instant = Instant(i64::MAX);

    pub const fn from_micros(micros: i64) -> Self {
        Instant(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub const fn is_real(self) -> bool {
        self.0 != i64::MIN && self.0 != i64::MAX
    }

    /// The next instant that can be told apart.
    pub const fn tick(self) -> Self {
        Instant(self.0.saturating_add(1))
    }

    /// Saturates: the ends of time stay where they are.
    pub const fn plus(self, span: Span) -> Self {
        if self.is_real() { Instant(self.0.saturating_add(span.0)) } else { self }
    }

    pub const fn minus(self, span: Span) -> Self {
        if self.is_real() { Instant(self.0.saturating_sub(span.0)) } else { self }
    }

    pub const fn since(self, earlier: Instant) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// Reads RFC 3339: date, time, and `Z` or an offset; seconds may be left out.
    pub fn parse(text: &str) -> Result<Self, BadInstant> {
        let bad = || BadInstant { given: text.chars().take(40).collect() };
        let padded;
        let full = match text.len() > 16 && text.as_bytes()[13] == b':' && text.as_bytes()[16] != b':' && text.is_ascii() {
            true => {
                padded = format!("{}:00{}", &text[..16], &text[16..]);
                padded.as_str()
            }
            false => text,
        };
        let stamp: jiff::Timestamp = full.parse().map_err(|_| bad())?;
        Ok(stamp.into())
    }
}

impl From<jiff::Timestamp> for Instant {
    fn from(stamp: jiff::Timestamp) -> Self {
        Instant(stamp.as_microsecond())
    }
}

impl Instant {
    /// `None` at the ends of time and beyond the year 9999.
    pub fn to_jiff(self) -> Option<jiff::Timestamp> {
        jiff::Timestamp::from_microsecond(self.0).ok()
    }
}

/// `2026-03-02T06:00:00Z`; a fraction only where there is one.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Instant::BEGIN => f.write_str("always"),
            Instant::END => f.write_str("never"),
            _ => match self.to_jiff() {
                Some(stamp) => stamp.fmt(f),
                None => write!(f, "{}us", self.0),
            },
        }
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no RFC 3339 instant. It names the text: only for what an operator wrote, never for a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadInstant {
    pub given: String,
}

impl fmt::Display for BadInstant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not an instant; write it as 2026-01-31T08:00:00Z", self.given)
    }
}

impl std::error::Error for BadInstant {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_rest_an_instant_is_what_it_was_and_short() {
        let second = 1_700_000_000_000_000;
        for (micros, most) in [
            (0, 1),
            (second, 5),
            (second + 1, 8),
            (-second, 5),
            (i64::MAX, 1),
            (i64::MIN, 4),
            (i64::MAX - 1, 10),
            (i64::MIN + 1, 10),
            (1, 1),
            (-1, 1),
        ] {
            let bytes = postcard::to_stdvec(&Instant::from_micros(micros)).expect("plain data");
            assert_eq!(postcard::from_bytes::<Instant>(&bytes).expect("what was written").micros(), micros);
            assert!(bytes.len() <= most, "{micros}: {}", bytes.len());
        }
    }

    #[test]
    fn instants_read_and_print_as_rfc_3339() {
        for (text, printed) in [
            ("2026-03-02T06:00:00Z", "2026-03-02T06:00:00Z"),
            ("2026-03-02T06:00Z", "2026-03-02T06:00:00Z"),
            ("2026-03-02T06:00:00.250-06:00", "2026-03-02T12:00:00.25Z"),
            ("2026-03-02T06:00-06:00", "2026-03-02T12:00:00Z"),
        ] {
            assert_eq!(Instant::parse(text).map(|i| i.to_string()).as_deref(), Ok(printed), "{text}");
        }
        for bad in ["", "2026-03-02", "2026-03-02T06:00:00", "2026-13-02T06:00:00Z", "yesterday", "2026-03-02T06:0é"] {
            assert!(Instant::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_ends_of_time_do_not_move() {
        assert_eq!(Instant::END.plus(Span::days(1)), Instant::END);
        assert_eq!(Instant::BEGIN.minus(Span::days(1)), Instant::BEGIN);
    }
}
