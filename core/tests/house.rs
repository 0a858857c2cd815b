//! The order of the house (design §5): rooms use only rooms to their left, and the core does no I/O.
//!
//! In: the sources and the lock file of this workspace. Out: a failed test that names each line that breaks the order.
//! Never here: code under `#[cfg(test)]`, which may read files and look anywhere.

#![allow(clippy::panic, reason = "a test that cannot read the sources must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const CORE: &[&str] =
    &["phi", "problem", "document", "time", "timeline", "key", "fhir", "fhirpath", "consent", "audience", "gate", "shard"];
const PROGRAM: &[&str] = &["observe", "log", "store", "source", "config", "demo", "pipeline", "console", "cli"];

/// Paths that the core must not name, as tokens.
const NOT_IN_CORE: &[&[&str]] = &[
    &["std", "::", "fs"],
    &["std", "::", "net"],
    &["std", "::", "env"],
    &["std", "::", "process"],
    &["std", "::", "thread"],
    &["SystemTime"],
    &["Instant", "::", "now"],
    &["Zoned", "::", "now"],
    &["Timestamp", "::", "now"],
    &["print", "!"],
    &["println", "!"],
    &["eprint", "!"],
    &["eprintln", "!"],
];
const NOT_UNDER_CORE: &[&str] = &["tokio", "rdkafka", "fjall", "tracing"];

#[test]
fn rooms_of_the_core_use_only_rooms_to_their_left() {
    assert_eq!(in_all(&core(), |path, text| imports(CORE, path, text)), Vec::<String>::new());
}

#[test]
fn rooms_of_the_program_use_only_rooms_to_their_left() {
    let sources = core().join("../../src");
    assert_eq!(in_all(&sources, |path, text| imports(PROGRAM, path, text)), Vec::<String>::new());
}

#[test]
fn the_core_reads_no_file_clock_or_socket() {
    assert_eq!(in_all(&core(), |_, text| forbidden(NOT_IN_CORE, text)), Vec::<String>::new());
}

#[test]
fn the_core_depends_on_no_runtime_log_or_store_even_through_others() {
    let lock = read(&core().join("../../Cargo.lock"));
    let found: Vec<String> = reached("footbridge-core", &lock).into_iter().filter(|name| NOT_UNDER_CORE.contains(&name.as_str())).collect();
    assert_eq!(found, Vec::<String>::new());
}

// The checks

/// What `text`, the file at `path` below the sources, uses of rooms that do not stand to the left of its own.
fn imports(order: &[&str], path: &Path, text: &str) -> Vec<String> {
    let rooms = rooms(path);
    // The files at the root only declare rooms.
    let Some(own) = rooms.first() else { return Vec::new() };
    let Some(place) = order.iter().position(|room| room == own) else {
        return vec![format!("room `{own}` has no place in the order of tests/house.rs")];
    };
    let mut wrong = Vec::new();
    let tokens = without_tests(tokens(text));
    for (i, token) in tokens.iter().enumerate() {
        for used in heads(&tokens, i, rooms.len()) {
            if used != own && !order[..place].contains(&used) {
                wrong.push(format!("line {}: `{own}` uses `{used}`, which is not to its left", token.line));
            }
        }
    }
    wrong
}

fn forbidden(paths: &[&[&str]], text: &str) -> Vec<String> {
    let tokens = without_tests(tokens(text));
    let mut wrong = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        for path in paths {
            let plain = path.iter().enumerate().all(|(k, part)| tokens.get(i + k).is_some_and(|t| t.text == *part));
            // `use std::{fs, io}` names `std::fs` too.
            let grouped = path.len() == 3 && token.text == path[0] && after(&tokens, i + 1).contains(&path[2]);
            if plain || grouped {
                wrong.push(format!("line {}: `{}` has no place in the core", token.line, path.concat()));
            }
        }
    }
    wrong
}

/// The rooms that a path which starts at token `i` names first below the root: `crate::a`, `crate::{a, b::c}`, or as
/// many `super` as the file is deep.
fn heads<'t>(tokens: &[Token<'t>], i: usize, depth: usize) -> Vec<&'t str> {
    let text = |at: usize| tokens.get(at).map(|t| t.text);
    if text(i) == Some("crate") {
        return after(tokens, i + 1);
    }
    if text(i) != Some("super") || (i > 0 && text(i - 1) == Some("::")) {
        return Vec::new();
    }
    let mut supers = 1;
    while text(i + 2 * supers - 1) == Some("::") && text(i + 2 * supers) == Some("super") {
        supers += 1;
    }
    if supers == depth { after(tokens, i + 2 * supers - 1) } else { Vec::new() }
}

/// The names behind the `::` at token `i`: one, or the first of each path of a group.
fn after<'t>(tokens: &[Token<'t>], i: usize) -> Vec<&'t str> {
    let text = |at: usize| tokens.get(at).map(|t| t.text);
    if text(i) != Some("::") {
        return Vec::new();
    }
    if text(i + 1) != Some("{") {
        return text(i + 1).into_iter().collect();
    }
    let mut names = Vec::new();
    let mut deep = 0;
    for (k, token) in tokens.iter().enumerate().skip(i + 1) {
        match token.text {
            "{" => deep += 1,
            "}" => deep -= 1,
            name if deep == 1 && name != "," && matches!(tokens[k - 1].text, "{" | ",") => names.push(name),
            _ => {}
        }
        if deep == 0 {
            break;
        }
    }
    names
}

/// The path of modules of a file: `fhir/json.rs` is `fhir`, `json`; `fhir/mod.rs` is `fhir`; `lib.rs` is none.
fn rooms(path: &Path) -> Vec<String> {
    let mut rooms: Vec<String> = path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if rooms.last().is_some_and(|last| last == "mod") || rooms == ["lib"] || rooms == ["main"] {
        rooms.pop();
    }
    rooms
}

/// All packages that `package` needs by a Cargo.lock, itself left out.
fn reached(package: &str, lock: &str) -> BTreeSet<String> {
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for part in lock.split("[[package]]").skip(1) {
        let name = part.split('"').nth(1).expect("a package has a name");
        let listed = part.split_once("dependencies = [").map_or("", |(_, list)| list);
        let list = listed.split('"').skip(1).step_by(2).filter_map(|need| need.split(' ').next());
        needs.entry(name).or_default().extend(list);
    }
    assert!(needs.contains_key(package), "no package `{package}` in the lock file");
    let mut seen = BTreeSet::new();
    let mut next = vec![package];
    while let Some(name) = next.pop() {
        for need in needs.get(name).into_iter().flatten() {
            if seen.insert((*need).to_string()) {
                next.push(need);
            }
        }
    }
    seen
}

// Reading Rust, as much of it as the checks need

#[derive(Debug, Clone, Copy, PartialEq)]
struct Token<'t> {
    text: &'t str,
    line: usize,
}

/// Names, `::` and single characters; comments, strings and character literals are left out.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(first) = text[at..].chars().next() {
        let (length, kept) = lexeme(&text[at..], first);
        if kept {
            tokens.push(Token { text: &text[at..at + length], line });
        }
        line += text[at..at + length].matches('\n').count();
        at += length;
    }
    tokens
}

/// The length in bytes of what `rest` starts with, and whether it is a token.
fn lexeme(rest: &str, first: char) -> (usize, bool) {
    let until = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |n| from + n + end.len());
    if rest.starts_with("//") {
        return (until("\n", 0), false);
    }
    if rest.starts_with("/*") {
        return (until("*/", 2), false);
    }
    let marked = rest.trim_start_matches(['b', 'r', 'c']);
    let prefix = rest.len() - marked.len();
    if rest[..prefix].contains('r') && marked.starts_with(['"', '#']) {
        let fence = marked.find('"').filter(|n| marked[..*n].bytes().all(|b| b == b'#'));
        if let Some(fence) = fence {
            return (until(&format!("\"{}", "#".repeat(fence)), prefix + fence + 1), false);
        }
    }
    if marked.starts_with('"') && prefix <= 1 {
        return (prefix + quoted(marked, '"'), false);
    }
    if first == '\'' {
        let mut inside = rest.chars().skip(1);
        // 'a' and '\n' are characters, 'a alone is a lifetime.
        let character = inside.next() == Some('\\') || inside.next() == Some('\'');
        return if character { (quoted(rest, '\''), false) } else { (1, false) };
    }
    let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    if name > 0 {
        return (name, true);
    }
    if rest.starts_with("::") {
        return (2, true);
    }
    (first.len_utf8(), !first.is_whitespace())
}

/// The length of a literal with its two quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Drops the items under `#[cfg(test)]` and `#[cfg(all(test, ...))]`.
fn without_tests(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if test_only(&tokens[at..]) {
            at = end_of_item(&tokens, at);
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

fn test_only(tokens: &[Token<'_>]) -> bool {
    let start: Vec<&str> = tokens.iter().take(7).map(|t| t.text).collect();
    start == ["#", "[", "cfg", "(", "test", ")", "]"] || start == ["#", "[", "cfg", "(", "all", "(", "test"]
}

/// Behind the `;` or the closing brace of the item at `at`.
fn end_of_item(tokens: &[Token<'_>], mut at: usize) -> usize {
    let mut deep = 0;
    while at < tokens.len() {
        match tokens[at].text {
            "{" | "(" | "[" => deep += 1,
            "}" | ")" | "]" => deep -= 1,
            _ => {}
        }
        let ends = matches!(tokens[at].text, ";" | "}");
        at += 1;
        if deep == 0 && ends {
            break;
        }
    }
    at
}

/// The files that `text` declares for tests only: `#[cfg(test)] mod stories;`.
fn test_files(text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let mut names = Vec::new();
    for at in 0..tokens.len() {
        if test_only(&tokens[at..]) {
            let item: Vec<&str> = tokens[at..end_of_item(&tokens, at)].iter().map(|t| t.text).collect();
            if let [.., "mod", name, ";"] = item.as_slice() {
                names.push((*name).to_string());
            }
        }
    }
    names
}

// Files

fn core() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Runs a check on each Rust file below `sources` that is not for tests only, the file's name in front of what it found.
fn in_all(sources: &Path, check: impl Fn(&Path, &str) -> Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![sources.to_path_buf()];
    let mut skipped = Vec::new();
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> = fs::read_dir(&folder).expect("sources").map(|e| e.expect("an entry").path()).collect();
        entries.sort();
        let rust: Vec<&PathBuf> = entries.iter().filter(|p| p.extension().is_some_and(|e| e == "rs")).collect();
        skipped.extend(rust.iter().flat_map(|p| declared_for_tests(p)));
        for path in rust.iter().filter(|p| !skipped.contains(&p.with_extension(""))) {
            let below = path.strip_prefix(sources).expect("a path below the sources");
            found.extend(check(below, &read(path)).into_iter().map(|wrong| format!("{}: {wrong}", below.display())));
            files += 1;
        }
        folders.extend(entries.iter().filter(|p| p.is_dir() && !skipped.contains(p)).cloned());
    }
    assert!(files > 0, "no sources in {}", sources.display());
    found
}

/// Paths without extension. Those that a file `x.rs` declares lie in the folder `x`, those of `mod.rs` beside it.
fn declared_for_tests(path: &Path) -> Vec<PathBuf> {
    let stem = path.with_extension("");
    let beside = ["mod", "lib", "main"].iter().any(|name| stem.ends_with(name));
    let folder = if beside { stem.with_file_name("") } else { stem };
    test_files(&read(path)).into_iter().map(|name| folder.join(name)).collect()
}

// The checks, checked

fn uses(path: &str, text: &str) -> Vec<String> {
    imports(&["phi", "time", "fhir", "gate"], Path::new(path), text)
}

#[test]
fn a_use_to_the_right_is_found_however_it_is_written() {
    let wrong = [
        ("time/zone.rs", "use crate::fhir::json;"),
        ("time.rs", "fn f() { let x = crate::gate::open(); }"),
        ("time/mod.rs", "use crate::{phi::Phi, fhir::{json, Unreadable}};"),
        ("time/zone.rs", "use super::super::fhir;"),
        ("time/mod.rs", "use super::{phi, gate};"),
        ("time.rs", "const C: char = '\"'; use crate::fhir;"),
        ("time.rs", "fn f<'a>(x: &'a str) { crate::fhir::g(x) }"),
        ("time.rs", "#[cfg(test)] mod tests { fn f() {} } use crate::fhir;"),
        ("time.rs", "#[cfg(test)] use crate::gate; use crate::fhir;"),
        ("time.rs", "use crate::r#gate;"),
        ("time.rs", "use crate::unheard_of;"),
    ];
    for (path, text) in wrong {
        assert_eq!(uses(path, text).len(), 1, "{path}: {text}");
    }
    assert_eq!(uses("time.rs", "\n\nuse crate::fhir;"), ["line 3: `time` uses `fhir`, which is not to its left"]);
    assert_eq!(uses("attic/mod.rs", ""), ["room `attic` has no place in the order of tests/house.rs"]);
}

#[test]
fn what_keeps_the_order_passes() {
    let right = [
        ("gate/mod.rs", "use crate::{phi::Phi, time, fhir::{gates, json}}; use crate::gate::member;"),
        ("time/zone.rs", "use super::fhir; use std::fmt;"),
        ("time/zone.rs", "/// See [`crate::gate`].\n// crate::gate\n/* crate::gate */ const S: &str = \"crate::gate \\\" crate::gate\";"),
        ("time.rs", "const S: &str = r#\"use \"crate::gate\" \"#; const B: &[u8] = b\"crate::gate\";"),
        ("time.rs", "#[cfg(test)] mod tests { use crate::gate; mod inner { use crate::fhir; } }"),
        ("time.rs", "#[cfg(all(test, feature = \"corpus\"))] #[path = \"x.rs\"] mod tests { use crate::gate; }"),
        ("lib.rs", "pub mod phi; pub use crate::gate::Event;"),
    ];
    for (path, text) in right {
        assert_eq!(uses(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn what_the_core_must_not_name_is_found() {
    for text in ["use std::fs::File;", "use std::{io, fs};", "std::time::Instant::now()", "println!(\"x\")", "SystemTime::UNIX_EPOCH"] {
        assert_eq!(forbidden(NOT_IN_CORE, text).len(), 1, "{text}");
    }
    for text in ["use std::fmt;", "Instant::from_micros(0)", "writeln!(f)", "// println!", "#[cfg(test)] mod tests { use std::fs; }"] {
        assert_eq!(forbidden(NOT_IN_CORE, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn files_for_tests_are_known_by_their_declaration() {
    let text = "mod a; #[cfg(test)] mod b; #[cfg(all(test, feature = \"corpus\"))]\npub mod c; #[cfg(test)] mod d { mod e; }";
    assert_eq!(test_files(text), ["b", "c"]);
}

#[test]
fn a_dependency_is_found_through_others() {
    let lock = "
[[package]]
name = \"a\"
dependencies = [
 \"b 2.0.0\",
]

[[package]]
name = \"b\"
dependencies = [
 \"tokio\",
]

[[package]]
name = \"c\"
dependencies = [
 \"a\",
]
";
    assert_eq!(reached("a", lock).into_iter().collect::<Vec<_>>(), ["b", "tokio"]);
}
