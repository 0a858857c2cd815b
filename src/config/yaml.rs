//! YAML as mappings need it: a `Document` in which every key and value knows its line and column.
//!
//! In: the text of one file. Out: its tree, scalars as they were written; a problem for all that is refused.
//! Never here: anchors, aliases, tags, merge keys, guessed types; `no` is a text, and `1.10` stays `1.10`.

use footbridge_core::document::{Content, Document, Key};
use footbridge_core::problem::{Place, Problem};
use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};
use std::collections::HashMap;

/// A mapping file is written by people; more than this is a mistake or an attack.
pub const BYTES_MAX: usize = 1024 * 1024;
/// Maps and lists within each other.
pub const DEPTH_MAX: usize = 64;

/// Reads one file's text. `None`: nothing can be told of its content; else the tree holds all that was not refused.
/// Whether it may be used is for the caller to say: it may not while `problems` holds an error.
pub fn read(file: &str, text: &str, problems: &mut Vec<Problem>) -> Option<Document> {
    if text.len() > BYTES_MAX {
        let what = format!("the file has {} bytes, more than the {BYTES_MAX} that are read", text.len());
        problems.push(Problem::error(Place::new(file, 0, 0), what));
        return None;
    }
    if let Some(place) = control_character(file, text) {
        problems.push(Problem::error(place, "a control character stands here").hint("remove it; in a quoted text write it as an escape"));
        return None;
    }
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut reader = Reader { file, text, events: Parser::new_from_str_with_options(text, options), problems };
    match reader.whole() {
        Ok(document) => Some(document),
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

struct Reader<'a, 'p> {
    file: &'a str,
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    problems: &'p mut Vec<Problem>,
}

/// What ends the reading: after it the rest of the text has no sure meaning.
type Stop = Box<Problem>;

impl<'a> Reader<'a, '_> {
    fn whole(&mut self) -> Result<Document, Stop> {
        let mut document = Document { place: Place::new(self.file, 1, 1), content: Content::Null };
        let mut seen = false;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(document),
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if seen => {
                    let second = Problem::error(self.place(span.start), "a second document begins here");
                    return Err(Box::new(second.hint("write one document a file, without `---` in between")));
                }
                Event::DocumentStart(..) => seen = true,
                event => document = self.node(event, span, 0)?,
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Document, Stop> {
        let place = self.place(span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(&place, anchor, tag.is_some());
                Ok(self.scalar(text.into_owned(), style, span))
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(&place, anchor, tag.is_some());
                self.check_depth(&place, depth)?;
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => return Ok(Document { place, content: Content::List(items) }),
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(&place, anchor, tag.is_some());
                self.check_depth(&place, depth)?;
                self.map(place, depth)
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let refused = Problem::error(place.clone(), "an alias (`*name`) is not supported");
                self.problems.push(refused.hint("write the value out here, or put it in quotes if the `*` belongs to a text"));
                Ok(Document { place, content: Content::Null })
            }
            _ => Err(Box::new(Problem::error(place, "not a map, a list or a text"))),
        }
    }

    fn map(&mut self, place: Place, depth: usize) -> Result<Document, Stop> {
        let mut entries: Vec<(Key, Document)> = Vec::new();
        let mut lines: HashMap<String, u32> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Document { place, content: Content::Map(entries) });
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let Content::Text { text: name, quoted } = key.content else {
                self.problems.push(key.error(format!("a key must be a text, found {}", key.describe())));
                continue;
            };
            let key = Key { place: key.place, name };
            if key.name == "<<" && !quoted {
                let refused = Problem::error(key.place, "a merge key (`<<`) is not supported");
                self.problems.push(refused.hint("write the keys out here"));
                continue;
            }
            match lines.get(&key.name) {
                Some(first) => {
                    let twice = Problem::error(key.place, format!("the key `{}` stands twice in this map", key.name));
                    self.problems.push(twice.hint(format!("the first stands in line {first}; keep one of them")));
                }
                None => {
                    lines.insert(key.name.clone(), key.place.line);
                    entries.push((key, value));
                }
            }
        }
    }

    fn scalar(&self, text: String, style: ScalarStyle, span: Span) -> Document {
        let start = self.place(span.start);
        let place = match style {
            ScalarStyle::Plain => start,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Place { column: start.column + 1, ..start },
            ScalarStyle::Literal | ScalarStyle::Folded => self.block_start(start),
        };
        let quoted = style != ScalarStyle::Plain;
        let content = match !quoted && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
            true => Content::Null,
            false => Content::Text { text, quoted },
        };
        Document { place, content }
    }

    /// The first character of a block scalar's content that is no blank. The parser gives the line on which the content begins.
    fn block_start(&self, start: Place) -> Place {
        let lines = self.text.lines().enumerate().skip(start.line.saturating_sub(1) as usize);
        for (index, line) in lines {
            if let Some(blanks) = line.chars().position(|c| !c.is_whitespace()) {
                return Place::new(self.file, index as u32 + 1, blanks as u32 + 1);
            }
        }
        start
    }

    fn refuse_properties(&mut self, place: &Place, anchor: usize, tagged: bool) {
        if anchor != 0 {
            let refused = Problem::error(place.clone(), "an anchor (`&name`) is not supported");
            self.problems.push(refused.hint("write the value out where it is used, or put it in quotes if the `&` belongs to a text"));
        }
        if tagged {
            let refused = Problem::error(place.clone(), "a tag (`!name`) is not supported");
            self.problems.push(refused.hint("remove the tag, or put the value in quotes if the `!` belongs to a text"));
        }
    }

    fn check_depth(&self, place: &Place, depth: usize) -> Result<(), Stop> {
        match depth < DEPTH_MAX {
            true => Ok(()),
            false => Err(Box::new(Problem::error(place.clone(), format!("nested deeper than {DEPTH_MAX}")))),
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        match self.events.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err(Box::new(self.syntax(&error))),
            None => Err(Box::new(Problem::error(Place::new(self.file, 0, 0), "the file ends where more was expected"))),
        }
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        use granit_parser::ErrorKind as Kind;
        let problem = Problem::error(self.place(*error.marker()), format!("not YAML: {}", error.kind()));
        match error.kind() {
            Kind::TabNotAllowed
            | Kind::TabInBlockIndentation
            | Kind::TabInIndentation
            | Kind::TabAtBlockScalarStart
            | Kind::TabInPlainScalar => problem.hint("indent with spaces"),
            Kind::UnclosedFlowCollection { .. } | Kind::MismatchedFlowCollectionEnd { .. } | Kind::MisplacedFlowCollectionEnd => {
                problem.hint("close each `{` with `}` and each `[` with `]`; a text that holds one of them, or a comma, needs quotes")
            }
            Kind::UnclosedQuotedScalar => problem.hint("close the quote; within single quotes write a quote as two"),
            Kind::MappingValueNotAllowed | Kind::InvalidColonPlacement => {
                problem.hint("a text that holds a colon and a blank needs quotes around the whole of it")
            }
            Kind::DirectiveDisallowed => problem.hint("remove the line that begins with `%`"),
            Kind::RecursionLimitExceeded => Problem { what: format!("nested deeper than {DEPTH_MAX}"), ..problem },
            _ => problem,
        }
    }

    fn place(&self, marker: Marker) -> Place {
        Place::new(self.file, marker.line() as u32, marker.col() as u32 + 1)
    }
}

/// Invisible characters change what a text means without anybody seeing it.
fn control_character(file: &str, text: &str) -> Option<Place> {
    let (mut line, mut column) = (1, 1);
    for c in text.chars() {
        match c {
            '\n' => (line, column) = (line + 1, 1),
            '\t' | '\r' => column += 1,
            // The bidirectional controls show a text in an order that is not its own.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => return Some(Place::new(file, line, column)),
            c if c.is_control() => return Some(Place::new(file, line, column)),
            _ => column += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> (Option<Document>, Vec<String>) {
        let mut problems = Vec::new();
        let document = read("a.yaml", text, &mut problems);
        (document, problems.iter().map(std::string::ToString::to_string).collect())
    }

    /// The value at a dotted path: its text, and its place.
    fn leaf(document: &Document, path: &str) -> (String, u32, u32) {
        let found = path.split('.').fold(document, |at, step| match step.parse::<usize>() {
            Ok(index) => &at.as_list().expect(step)[index],
            Err(_) => at.get(step).expect(step),
        });
        (found.as_text().unwrap_or(found.describe()).to_owned(), found.place.line, found.place.column)
    }

    #[test]
    fn scalars_stay_as_they_were_written() {
        let (document, problems) = tree(
            "version: 1.10\nday: 2026-01-01\nhour: 08:00\nshare: 10%\nnorway: no\noctal: 0o17\nold: 017\nhex: 0xff\nyes: on\n\
             big: 123456789012345678901234567890\nexp: 1e3\nempty:\ntilde: ~\nword: 'null'\nquoted: \"08:00\"\npath: code.memberOf(%a) and b = 'c'\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        let document = document.expect("a tree");
        for (key, text) in [
            ("version", "1.10"),
            ("day", "2026-01-01"),
            ("hour", "08:00"),
            ("share", "10%"),
            ("norway", "no"),
            ("octal", "0o17"),
            ("old", "017"),
            ("hex", "0xff"),
            ("yes", "on"),
            ("big", "123456789012345678901234567890"),
            ("exp", "1e3"),
            ("empty", "nothing"),
            ("tilde", "nothing"),
            ("word", "null"),
            ("quoted", "08:00"),
            ("path", "code.memberOf(%a) and b = 'c'"),
        ] {
            assert_eq!(leaf(&document, key).0, text, "{key}");
        }
    }

    #[test]
    fn every_value_knows_its_first_character() {
        let text = "a: { b: [x, \"y\"], c: 'z' }\nd:\n  - é: {e: f}\n    g: |\n\n      first\n      second\n    h: >- # folded\n      third\n      fourth\n";
        let (document, problems) = tree(text);
        assert_eq!(problems, Vec::<String>::new());
        let document = document.expect("a tree");
        for (path, text, line, column) in [
            ("a.b.0", "x", 1, 10),
            ("a.b.1", "y", 1, 14),
            ("a.c", "z", 1, 23),
            ("d.0.é.e", "f", 3, 12),
            ("d.0.g", "\nfirst\nsecond\n", 6, 7),
            ("d.0.h", "third fourth", 9, 7),
        ] {
            assert_eq!(leaf(&document, path), (text.to_owned(), line, column), "{path}");
        }
        let keys: Vec<_> =
            document.as_map().expect("a map").iter().map(|(key, _)| (key.name.as_str(), key.place.line, key.place.column)).collect();
        assert_eq!(keys, [("a", 1, 1), ("d", 2, 1)]);
    }

    #[test]
    fn what_has_no_sure_meaning_is_refused_with_its_place() {
        for (text, expected) in [
            (
                "a: 1\nb: 2\na: 3\n",
                "a.yaml:3:1  the key `a` stands twice in this map\n  hint: the first stands in line 1; keep one of them",
            ),
            (
                "a: &x 1\nb: 2\n",
                "a.yaml:1:7  an anchor (`&name`) is not supported\n  hint: write the value out where it is used, or put it in quotes if the `&` belongs to a text",
            ),
            (
                "b: *x\n",
                "a.yaml:1:4  an alias (`*name`) is not supported\n  hint: write the value out here, or put it in quotes if the `*` belongs to a text",
            ),
            (
                "a: !!str 1\n",
                "a.yaml:1:10  a tag (`!name`) is not supported\n  hint: remove the tag, or put the value in quotes if the `!` belongs to a text",
            ),
            ("a: {<<: {b: 1}}\n", "a.yaml:1:5  a merge key (`<<`) is not supported\n  hint: write the keys out here"),
            ("[a]: 1\n", "a.yaml:1:1  a key must be a text, found a list"),
            ("a: 1\n---\nb: 2\n", "a.yaml:2:1  a second document begins here\n  hint: write one document a file, without `---` in between"),
            (
                "%YAML 1.2\n---\na: 1\n",
                "a.yaml:1:1  not YAML: YAML directives are disallowed\n  hint: remove the line that begins with `%`",
            ),
            (
                "a: b: c\n",
                "a.yaml:1:5  not YAML: mapping values are not allowed in this context\n  hint: a text that holds a colon and a blank needs quotes around the whole of it",
            ),
            ("a: \u{0}\n", "a.yaml:1:4  a control character stands here\n  hint: remove it; in a quoted text write it as an escape"),
            ("a: x\u{202e}y\n", "a.yaml:1:5  a control character stands here\n  hint: remove it; in a quoted text write it as an escape"),
        ] {
            assert_eq!(tree(text).1, [expected], "{text:?}");
        }
    }

    #[test]
    fn tabs_and_open_brackets_come_with_a_hint() {
        for (text, hint) in [("a:\n\tb: 1\n", "indent with spaces"), ("a: {b: 1\n", "close each `{`"), ("a: 'b\n", "close the quote")] {
            let problems = tree(text).1;
            assert!(problems.len() == 1 && problems[0].contains(hint), "{text:?}: {problems:?}");
        }
    }

    #[test]
    fn nesting_size_and_alias_bombs_are_bounded() {
        for (open, close) in [("[", "]"), ("{a: ", "}")] {
            let deep = format!("{}{}", open.repeat(100_000), close.repeat(100_000));
            let (document, problems) = tree(&deep);
            assert!(document.is_none() && problems.len() == 1 && problems[0].contains("deeper than 64"), "{problems:?}");
        }
        let blocks: String = (0..500).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
        assert!(tree(&blocks).0.is_none());
        let long = format!("a: {}", "x".repeat(BYTES_MAX));
        assert_eq!(tree(&long).1, ["a.yaml  the file has 1048579 bytes, more than the 1048576 that are read"]);
        let mut bomb = String::from("a0: &a0 [x, x]\n");
        for i in 1..30 {
            bomb += &format!("a{i}: &a{i} [*a{}, *a{}]\n", i - 1, i - 1);
        }
        // Each alias is refused where it stands; nothing is multiplied.
        assert_eq!(tree(&bomb).1.len(), 30 + 2 * 29);
    }

    #[test]
    fn an_empty_file_is_nothing() {
        for text in ["", "# only a comment\n", "---\n"] {
            assert_eq!(tree(text).0.map(|d| d.content), Some(Content::Null), "{text:?}");
        }
    }
}
