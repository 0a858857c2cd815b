//! `parse_span`: a length of time as people write it in mappings.

use super::Span;

/// `30d`, `12h`, `15m`, `5s`, `2w`, or the words: `60 days`, `1 hour`. Whole numbers only; a day is 24 hours.
/// `None` for anything else, months and years among it, which have no length of their own.
pub fn parse_span(text: &str) -> Option<Span> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let count: i64 = text[..digits].parse().ok()?;
    let seconds = match text[digits..].trim_start() {
        "s" | "second" | "seconds" => 1,
        "m" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 7 * 86_400,
        _no_unit => return None,
    };
    count.checked_mul(seconds)?.checked_mul(1_000_000).map(Span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_short_and_in_words() {
        for (text, span) in [
            ("30d", Some(Span::days(30))),
            ("3d", Some(Span::days(3))),
            ("15m", Some(Span::minutes(15))),
            ("5s", Some(Span::seconds(5))),
            ("60 days", Some(Span::days(60))),
            ("1 hour", Some(Span::hours(1))),
            ("2w", Some(Span::days(14))),
            ("0d", Some(Span::ZERO)),
            ("", None),
            ("d", None),
            ("5", None),
            ("-5s", None),
            ("1.5h", None),
            ("3 months", None),
            ("3é", None),
            ("99999999999999999d", None),
            ("9223372036854775807s", None),
        ] {
            assert_eq!(parse_span(text), span, "{text}");
        }
    }
}
