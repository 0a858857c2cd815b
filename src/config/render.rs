//! Problems as people and machines read them: with an excerpt of the source, or one JSON object a line.
//!
//! In: problems, and the texts of the files that they name. Out: one text, sorted by place.
//! Never here: a terminal; the caller says whether there are colours.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use footbridge_core::problem::{Place, Problem};
use std::collections::HashMap;

/// The texts of the files that were read, by the name that places use.
pub type Sources = HashMap<String, String>;

/// By file, line and column; the same problem is told once.
pub fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| (&a.place, a.severity, &a.what).cmp(&(&b.place, b.severity, &b.what)));
    problems.dedup();
}

/// All problems, each with the line it is about, and a last line that counts them.
pub fn for_people(problems: &[Problem], sources: &Sources, colours: bool) -> String {
    let renderer = if colours { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for problem in problems {
        out += &one(problem, sources, &renderer);
        out += "\n\n";
    }
    out += &count(problems);
    out.push('\n');
    out
}

/// One object a line: severity, file, line, column, what, hint.
pub fn for_machines(problems: &[Problem]) -> String {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        severity: footbridge_core::problem::Severity,
        file: &'a str,
        line: u32,
        column: u32,
        what: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
    }
    let mut out = String::new();
    for problem in problems {
        let Place { file, line, column } = &problem.place;
        let line =
            Line { severity: problem.severity, file, line: *line, column: *column, what: &problem.what, hint: problem.hint.as_deref() };
        out += &sonic_rs::to_string(&line).expect("texts and numbers are always JSON");
        out.push('\n');
    }
    out
}

fn one(problem: &Problem, sources: &Sources, renderer: &Renderer) -> String {
    let level = if problem.is_error() { Level::ERROR } else { Level::WARNING };
    let found = sources.get(&problem.place.file).and_then(|text| Some((text, spot(text, &problem.place)?)));
    let mut group = match found {
        Some((text, range)) => {
            let snippet = Snippet::source(text.as_str()).path(problem.place.file.as_str()).annotation(AnnotationKind::Primary.span(range));
            level.primary_title(problem.what.as_str()).element(snippet)
        }
        // Nothing to show: a file that could not be read, or a place that is not in it.
        None => return problem.to_string(),
    };
    if let Some(hint) = &problem.hint {
        group = group.element(Level::HELP.with_name("hint").message(hint.as_str()));
    }
    renderer.render(&[group])
}

/// The bytes of the word at a place; `None` where the text has no such line.
fn spot(text: &str, place: &Place) -> Option<std::ops::Range<usize>> {
    let mut start = 0;
    let mut lines = text.split_inclusive('\n');
    for _ in 1..place.line {
        start += lines.next()?.len();
    }
    let line = if place.line == 0 { return None } else { lines.next().unwrap_or("") };
    let at = line.char_indices().nth(place.column.saturating_sub(1) as usize).map_or(line.trim_end().len(), |(at, _)| at);
    let rest = &line[at..];
    let word = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '%'))).unwrap_or(rest.len());
    let one = rest.chars().next().filter(|c| *c != '\n' && *c != '\r').map_or(0, char::len_utf8);
    Some(start + at..start + at + word.max(one))
}

fn count(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|p| p.is_error()).count();
    let plural = |n: usize, word: &str| if n == 1 { format!("{n} {word}") } else { format!("{n} {word}s") };
    format!("{}, {}", plural(errors, "error"), plural(problems.len() - errors, "warning"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        Sources::from([("audiences/a.yaml".to_owned(), "audience: a\nadress: x\nzürich: älter\n".to_owned())])
    }

    fn at(line: u32, column: u32) -> Place {
        Place::new("audiences/a.yaml", line, column)
    }

    #[test]
    fn a_problem_shows_its_line_and_points_at_the_word() {
        let problems = [Problem::error(at(2, 1), "unknown key `adress`").hint("did you mean `address`?")];
        let expected = "\
error: unknown key `adress`
 --> audiences/a.yaml:2:1
  |
2 | adress: x
  | ^^^^^^
  |
  = hint: did you mean `address`?

1 error, 0 warnings
";
        assert_eq!(for_people(&problems, &sources(), false), expected);
        let coloured = for_people(&problems, &sources(), true);
        assert!(coloured.contains("\u{1b}["), "{coloured}");
    }

    #[test]
    fn places_beyond_the_text_do_no_harm() {
        for place in [at(3, 9), at(3, 99), at(4, 1), at(9, 1), at(0, 0), Place::new("policy.yaml", 1, 1)] {
            let text = for_people(&[Problem::warning(place.clone(), "odd")], &sources(), false);
            assert!(text.contains("odd") && text.contains("0 errors, 1 warning"), "{place}: {text}");
        }
    }

    #[test]
    fn problems_are_sorted_and_told_once() {
        let mut problems = vec![Problem::error(at(2, 1), "b"), Problem::warning(at(1, 1), "a"), Problem::error(at(2, 1), "b")];
        sort(&mut problems);
        assert_eq!(problems.iter().map(|p| p.what.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_machine_reads_one_object_a_line() {
        let problems = [Problem::warning(at(3, 9), "odd \"word\""), Problem::error(at(2, 1), "bad").hint("mend it")];
        let expected = r#"{"severity":"warning","file":"audiences/a.yaml","line":3,"column":9,"what":"odd \"word\""}
{"severity":"error","file":"audiences/a.yaml","line":2,"column":1,"what":"bad","hint":"mend it"}
"#;
        assert_eq!(for_machines(&problems), expected);
    }
}
