//! Where a character of a scalar stands in its file.
//!
//! In: a file's text, a scalar with the place of its first character, a line and column within the scalar. Out: a place.
//! Never here: the YAML parser; folding, quotes and indentation only add and remove blanks, so the rest keeps its order.

use crate::document::{Content, Document};
use crate::problem::Place;

/// `line` and `column` are 1-based, counted in characters of the scalar as it was read.
pub fn place_within(source: &str, scalar: &Document, line: u32, column: u32) -> Place {
    let Content::Text { text, quoted } = &scalar.content else { return scalar.place.clone() };
    let before = solid_before(text, line, column);
    let Some(from) = offset(source, &scalar.place) else { return scalar.place.clone() };
    let quote = if *quoted { source[..from].chars().next_back() } else { None };
    let mut rest = source[from..].chars().peekable();
    let (mut line, mut column) = (scalar.place.line, scalar.place.column);
    let mut passed = 0;
    while let Some(c) = rest.next() {
        if c == '\n' {
            (line, column) = (line + 1, 1);
            continue;
        }
        if c.is_whitespace() {
            column += 1;
            continue;
        }
        let next = rest.peek().copied();
        // An escaped line break, tab or blank is a blank of the text, not one of its solid characters.
        let is_blank = quote == Some('"') && c == '\\' && matches!(next, Some('n' | 't' | 'r' | ' ' | '\n'));
        if passed == before && !is_blank {
            return Place { line, column, ..scalar.place.clone() };
        }
        passed += usize::from(!is_blank);
        column += 1;
        if matches!((quote, c, next), (Some('\''), '\'', Some('\'')) | (Some('"'), '\\', Some(_))) {
            match rest.next() {
                Some('\n') => (line, column) = (line + 1, 1),
                _ => column += 1,
            }
        }
    }
    Place { line, column, ..scalar.place.clone() }
}

/// How many characters that are no blanks stand before the given one.
fn solid_before(text: &str, line: u32, column: u32) -> usize {
    let solid = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
    let mut before = 0;
    for (index, content) in text.split('\n').enumerate() {
        if index + 1 == line as usize {
            let left: String = content.chars().take(column.saturating_sub(1) as usize).collect();
            return before + solid(&left);
        }
        before += solid(content);
    }
    before
}

fn offset(source: &str, place: &Place) -> Option<usize> {
    let mut start = 0;
    let mut lines = source.split_inclusive('\n');
    for _ in 1..place.line {
        start += lines.next()?.len();
    }
    let line = lines.next()?;
    let within = line.char_indices().nth(place.column.checked_sub(1)? as usize)?.0;
    Some(start + within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_found_in_each_style_of_scalar() {
        for (source, text, quoted, at, within, expected) in [
            ("a: b = 'c'", "b = 'c'", false, (1, 4), (1, 5), (1, 8)),
            ("a: 'b = ''c'' + d'", "b = 'c' + d", true, (1, 5), (1, 11), (1, 17)),
            ("a: \"b = \\\"c\\\" + d\"", "b = \"c\" + d", true, (1, 5), (1, 11), (1, 17)),
            ("a: \"b\\n c\\\n  d\"", "b\n cd", true, (1, 5), (2, 3), (2, 3)),
            ("a: >-\n  b and\n  c or d\n", "b and c or d", true, (2, 3), (1, 12), (3, 8)),
            ("a: |\n  b and\n    c or d\n", "b and\n  c or d\n", true, (2, 3), (2, 3), (3, 5)),
            ("a: b and\n   c\n", "b and c", false, (1, 4), (1, 7), (2, 4)),
            ("é: ü = é", "ü = é", false, (1, 4), (1, 5), (1, 8)),
        ] {
            let content = Content::Text { text: text.to_owned(), quoted };
            let scalar = Document { place: Place::new("a.yaml", at.0, at.1), content };
            let found = place_within(source, &scalar, within.0, within.1);
            assert_eq!((found.line, found.column), expected, "{source:?}");
        }
    }

    #[test]
    fn a_place_that_is_not_in_the_source_stays_where_the_scalar_is() {
        let scalar = Document { place: Place::new("a.yaml", 9, 9), content: Content::Text { text: "x".to_owned(), quoted: false } };
        assert_eq!(place_within("a: x", &scalar, 1, 1), scalar.place);
    }
}
