//! Value sets: which codes a name stands for.
//!
//! In: FHIR ValueSets, by file. Out: membership of a code, and problems with what cannot be evaluated here.
//! Never here: a terminology server. A set that needs one is refused, never half read.

use super::json;
use crate::problem::{Place, Problem, did_you_mean};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// Sets are known by index; `%name` in an expression is the name of the file without its ending.
#[derive(Default)]
pub struct ValueSets {
    sets: Vec<Set>,
    by_name: HashMap<String, u16>,
    systems: HashMap<String, u16, Fast>,
    /// Every code that some set lists.
    listed: HashSet<String, Fast>,
    /// Some set takes a system whole, or is made of others: any code may belong.
    open: bool,
}

pub type Fast = BuildHasherDefault<Fnv>;

#[derive(Default)]
struct Set {
    name: String,
    include: Rules,
    exclude: Rules,
    /// Those listed that belong, in the order of the files; of systems taken whole none is known.
    concepts: Vec<Concept>,
}

#[derive(Default)]
struct Rules {
    /// By code: the systems under which it is listed.
    listed: HashMap<String, Vec<u16>, Fast>,
    /// Systems of which every code belongs.
    whole: Vec<u16>,
    joins: Vec<Join>,
}

/// An include that names value sets: a code must be in all of them, and in the system and list where those are given.
struct Join {
    system: Option<u16>,
    codes: Option<HashSet<String, Fast>>,
    sets: Vec<u16>,
}

#[derive(Clone)]
struct Concept {
    system: Option<String>,
    code: String,
    display: Option<String>,
}

impl ValueSets {
    /// `files`: path relative to the mappings folder, and its text. Every problem is an error; a set that has one is left empty.
    pub fn build(files: &[(String, String)], problems: &mut Vec<Problem>) -> ValueSets {
        let raw: Vec<Raw> = files.iter().map(|(file, text)| read_file(file, text, problems)).collect();
        let mut out = ValueSets::default();
        let mut by_url: HashMap<&str, u16> = HashMap::new();
        for (index, raw) in (0u16..).zip(&raw) {
            if out.by_name.insert(raw.name.clone(), index).is_some() {
                problems.push(raw.problem(format!("a second value set is named `{}`", raw.name)).hint("rename one of the files"));
            }
            if let Some(url) = &raw.url
                && by_url.insert(url, index).is_some()
            {
                problems.push(raw.problem(format!("a second value set has the url `{url}`")).hint("give each its own url"));
            }
        }
        let order = order_of(&raw, &by_url, problems);
        out.sets = raw.iter().map(|raw| Set { name: raw.name.clone(), ..Set::default() }).collect();
        for index in order {
            out.fill(index, &raw[usize::from(index)], &by_url, problems);
        }
        let rules = || out.sets.iter().map(|set| &set.include);
        out.open = rules().any(|rules| !rules.whole.is_empty() || !rules.joins.is_empty());
        out.listed = rules().flat_map(|rules| rules.listed.keys().cloned()).collect();
        out
    }

    /// `false` only where no set lists the code, and none takes a system whole: for almost every code of a feed.
    pub fn may_mention(&self, code: &str) -> bool {
        self.open || self.listed.contains(code)
    }

    /// The codes that a set lists itself; `None` where it may hold others: it takes a system whole, or is made of sets.
    pub fn listed_by(&self, index: u16) -> Option<impl Iterator<Item = &str>> {
        let rules = &self.sets[usize::from(index)].include;
        (rules.whole.is_empty() && rules.joins.is_empty()).then(|| rules.listed.keys().map(String::as_str))
    }

    pub fn index(&self, name: &str) -> Option<u16> {
        self.by_name.get(name).copied()
    }

    /// In alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str).collect::<BTreeSet<_>>().into_iter()
    }

    pub fn name(&self, index: u16) -> &str {
        &self.sets[usize::from(index)].name
    }

    /// Whether a code belongs to the set. Without a system (an element of type `code`, whose system its type fixes) any
    /// system that the set names will do, and of a system taken whole every code belongs.
    pub fn contains(&self, index: u16, system: Option<&str>, code: &str) -> bool {
        let system = system.map(|system| self.systems.get(system).copied().unwrap_or(UNKNOWN));
        self.has(index, system, code)
    }

    fn has(&self, index: u16, system: Option<u16>, code: &str) -> bool {
        let set = &self.sets[usize::from(index)];
        self.matches(&set.include, system, code) && !self.matches(&set.exclude, system, code)
    }

    fn matches(&self, rules: &Rules, system: Option<u16>, code: &str) -> bool {
        let listed = || rules.listed.get(code).is_some_and(|under| system.is_none_or(|system| under.contains(&system)));
        let whole = || !rules.whole.is_empty() && system.is_none_or(|system| rules.whole.contains(&system));
        let joined = |join: &Join| {
            let system_fits = join.system.is_none() || system.is_none() || join.system == system;
            system_fits
                && join.codes.as_ref().is_none_or(|codes| codes.contains(code))
                && join.sets.iter().all(|set| self.has(*set, system, code))
        };
        listed() || whole() || rules.joins.iter().any(joined)
    }

    /// System, code and display of the first concept that the set lists. `None` where it lists none.
    pub fn first(&self, index: u16) -> Option<(Option<&str>, &str, Option<&str>)> {
        let first = self.sets.get(usize::from(index))?.concepts.first()?;
        Some((first.system.as_deref(), &first.code, first.display.as_deref()))
    }

    fn system(&mut self, url: &str) -> u16 {
        let next = self.systems.len() as u16;
        *self.systems.entry(url.to_owned()).or_insert(next)
    }

    fn fill(&mut self, index: u16, raw: &Raw, by_url: &HashMap<&str, u16>, problems: &mut Vec<Problem>) {
        let before = problems.len();
        let include = self.rules(&raw.include, raw, by_url, problems);
        let exclude = self.rules(&raw.exclude, raw, by_url, problems);
        if problems.len() > before {
            return;
        }
        let set = &mut self.sets[usize::from(index)];
        (set.include, set.exclude) = (include, exclude);
        let concepts = self.listed(raw, by_url).filter(|c| self.contains(index, c.system.as_deref(), &c.code)).cloned().collect();
        self.sets[usize::from(index)].concepts = concepts;
    }

    fn rules(&mut self, parts: &[Include], raw: &Raw, by_url: &HashMap<&str, u16>, problems: &mut Vec<Problem>) -> Rules {
        let mut rules = Rules::default();
        for part in parts {
            let system = part.system.as_deref().map(|system| self.system(system));
            if !part.sets.is_empty() {
                let sets = part.sets.iter().filter_map(|url| raw.find(url, by_url, problems)).collect();
                let codes = (!part.concepts.is_empty()).then(|| part.concepts.iter().map(|c| c.code.clone()).collect());
                rules.joins.push(Join { system, codes, sets });
                continue;
            }
            match system {
                Some(system) if part.concepts.is_empty() => rules.whole.push(system),
                _ => {}
            }
            for concept in &part.concepts {
                let under = match &concept.system {
                    Some(system) => self.system(system),
                    None => NO_SYSTEM,
                };
                rules.listed.entry(concept.code.clone()).or_default().push(under);
            }
        }
        rules
    }

    /// What the includes list themselves, each followed by what the sets that it names list.
    fn listed<'a>(&'a self, raw: &'a Raw, by_url: &'a HashMap<&str, u16>) -> impl Iterator<Item = &'a Concept> {
        let of_sets = |part: &'a Include| {
            part.sets.iter().filter_map(|url| by_url.get(bare(url))).flat_map(|set| &self.sets[usize::from(*set)].concepts)
        };
        raw.include.iter().flat_map(move |part| part.concepts.iter().chain(of_sets(part)))
    }
}

/// A system that no set names, in what is asked.
const UNKNOWN: u16 = u16::MAX;
/// Of a concept that an expansion lists without a system: no system that is asked for is equal to it.
const NO_SYSTEM: u16 = u16::MAX - 1;

/// A ValueSet as its file has it.
struct Raw {
    file: String,
    name: String,
    url: Option<String>,
    include: Vec<Include>,
    exclude: Vec<Include>,
}

#[derive(Default)]
struct Include {
    system: Option<String>,
    concepts: Vec<Concept>,
    /// Canonical urls. A `|version` is not compared: the set that is here is the one meant.
    sets: Vec<String>,
}

impl Raw {
    fn problem(&self, what: impl Into<String>) -> Problem {
        Problem::error(Place::new(self.file.clone(), 0, 0), what)
    }

    fn find(&self, canonical: &str, by_url: &HashMap<&str, u16>, problems: &mut Vec<Problem>) -> Option<u16> {
        let found = by_url.get(bare(canonical)).copied();
        if found.is_none() {
            let near = did_you_mean(bare(canonical), by_url.keys().copied());
            let hint = near.map_or("put it into valuesets/ as well".to_owned(), |near| format!("did you mean `{near}`?"));
            problems.push(self.problem(format!("includes the value set `{canonical}`, which is not here")).hint(hint));
        }
        found
    }
}

/// A canonical url without its version.
fn bare(canonical: &str) -> &str {
    canonical.split_once('|').map_or(canonical, |(url, _)| url)
}

/// Each set after those that it includes. One that includes itself is a problem and is left out.
fn order_of(raw: &[Raw], by_url: &HashMap<&str, u16>, problems: &mut Vec<Problem>) -> Vec<u16> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let targets = |index: u16| {
        let raw = &raw[usize::from(index)];
        raw.include
            .iter()
            .chain(&raw.exclude)
            .flat_map(|part| &part.sets)
            .filter_map(|url| by_url.get(bare(url)).copied())
            .collect::<Vec<_>>()
    };
    let (mut marks, mut order, mut cyclic) = (vec![Mark::New; raw.len()], Vec::new(), Vec::new());
    for start in 0..raw.len() as u16 {
        // Depth first without recursion: the depth is what a file says.
        let mut path = vec![(start, targets(start))];
        if marks[usize::from(start)] != Mark::New {
            continue;
        }
        marks[usize::from(start)] = Mark::Open;
        while let Some((index, left)) = path.last_mut() {
            let index = *index;
            match left.pop() {
                Some(next) if marks[usize::from(next)] == Mark::New => {
                    marks[usize::from(next)] = Mark::Open;
                    path.push((next, targets(next)));
                }
                Some(next) if marks[usize::from(next)] == Mark::Open => {
                    cyclic.push(index);
                    let problem = raw[usize::from(index)].problem(format!("`{}` includes itself", raw[usize::from(next)].name));
                    problems.push(problem.hint("remove one of the includes that lead back to it"));
                }
                Some(_) => {}
                None => {
                    marks[usize::from(index)] = Mark::Done;
                    order.push(index);
                    path.pop();
                }
            }
        }
    }
    order.retain(|index| !cyclic.contains(index));
    order
}

fn read_file(file: &str, text: &str, problems: &mut Vec<Problem>) -> Raw {
    let name = file.rsplit('/').next().unwrap_or(file);
    let name = name.strip_suffix(".json").unwrap_or(name).to_owned();
    let mut raw = Raw { file: file.to_owned(), name, url: None, include: Vec::new(), exclude: Vec::new() };
    match json::parse(text.as_bytes()) {
        Ok(value) => {
            if let Err(problem) = read_set(&value, &mut raw) {
                problems.push(problem);
                (raw.include, raw.exclude) = (Vec::new(), Vec::new());
            }
        }
        Err(json::Unreadable::Syntax { line, column }) => {
            let place = Place::new(file, u32::try_from(line).unwrap_or(0), u32::try_from(column).unwrap_or(0));
            problems.push(Problem::error(place, "not JSON").hint("a value set is one FHIR ValueSet as JSON"));
        }
        Err(e) => problems.push(raw.problem(e.to_string()).hint("a value set is one FHIR ValueSet as JSON")),
    }
    raw
}

fn read_set(value: &Value, raw: &mut Raw) -> Result<(), Problem> {
    let part = |value, key| get(value, key, raw);
    if part(value, "resourceType")?.and_then(|v| v.as_str()) != Some("ValueSet") {
        return Err(raw.problem("not a ValueSet").hint("a value set is one FHIR ValueSet as JSON"));
    }
    let url = string(value, "url", raw)?;
    let (compose, expansion) = (part(value, "compose")?, part(value, "expansion")?);
    let composed = compose.map(|compose| read_compose(compose, raw));
    // What the authors wrote comes first; an expansion answers where that would need a terminology server.
    let (include, exclude) = match (composed, expansion) {
        (Some(Ok(parts)), _) => parts,
        (Some(Err(_)) | None, Some(expansion)) => (read_expansion(expansion, raw)?, Vec::new()),
        (Some(Err(problem)), None) => return Err(problem),
        (None, None) => return Err(raw.problem("has neither `compose` nor `expansion`").hint("list its codes in compose.include.concept")),
    };
    (raw.url, raw.include, raw.exclude) = (url, include, exclude);
    Ok(())
}

fn read_compose(compose: &Value, raw: &Raw) -> Result<(Vec<Include>, Vec<Include>), Problem> {
    let parts = |key| list(compose, key, raw)?.iter().map(|part| read_include(part, raw)).collect::<Result<Vec<_>, _>>();
    let (include, exclude) = (parts("include")?, parts("exclude")?);
    if include.is_empty() {
        return Err(raw.problem("`compose.include` is empty").hint("list its codes in compose.include.concept"));
    }
    Ok((include, exclude))
}

fn read_include(part: &Value, raw: &Raw) -> Result<Include, Problem> {
    let hint = "expand it with a terminology server and put the ValueSet with its `expansion` here";
    if !list(part, "filter", raw)?.is_empty() {
        return Err(raw.problem("`compose` selects by a filter, which needs a terminology server").hint(hint));
    }
    let system = string(part, "system", raw)?;
    let mut include = Include { system: system.clone(), ..Include::default() };
    for concept in list(part, "concept", raw)? {
        include.concepts.push(read_concept(concept, system.clone(), raw)?);
    }
    for url in list(part, "valueSet", raw)? {
        let url =
            url.as_str().ok_or_else(|| raw.problem("`compose.include.valueSet` is not a list of urls").hint("write it as [\"urn:…\"]"))?;
        include.sets.push(url.to_owned());
    }
    if include.sets.is_empty() && include.system.is_none() {
        let what = "an include has neither `system` nor `valueSet`";
        return Err(raw.problem(what).hint("give the system of its codes"));
    }
    Ok(include)
}

fn read_concept(concept: &Value, system: Option<String>, raw: &Raw) -> Result<Concept, Problem> {
    let code = string(concept, "code", raw)?.ok_or_else(|| raw.problem("a concept has no `code`").hint("give each concept its code"))?;
    Ok(Concept { system, code, display: string(concept, "display", raw)? })
}

/// Nested entries count alike; an abstract one groups others and is no code to be used.
fn read_expansion(expansion: &Value, raw: &Raw) -> Result<Vec<Include>, Problem> {
    let mut include = Include::default();
    let mut open: Vec<&Value> = list(expansion, "contains", raw)?.iter().rev().collect();
    let mut counted = 0u64;
    while let Some(entry) = open.pop() {
        counted += 1;
        open.extend(list(entry, "contains", raw)?.iter().rev());
        let is_abstract = get(entry, "abstract", raw)?.and_then(sonic_rs::JsonValueTrait::as_bool) == Some(true);
        let Some(code) = string(entry, "code", raw)?.filter(|_| !is_abstract) else { continue };
        let (system, display) = (string(entry, "system", raw)?, string(entry, "display", raw)?);
        include.concepts.push(Concept { system, code, display });
    }
    let total =
        get(expansion, "total", raw)?.and_then(sonic_rs::JsonValueTrait::as_raw_number).and_then(|n| n.as_str().parse::<u64>().ok());
    if total.is_some_and(|total| total > counted) {
        let what = "`expansion` holds a page of the set, not the whole";
        return Err(raw.problem(what).hint("expand it again with a larger count"));
    }
    Ok(vec![include])
}

fn get<'a>(value: &'a Value, key: &'static str, raw: &Raw) -> Result<Option<&'a Value>, Problem> {
    json::get(value, key).map_err(|e| raw.problem(e.to_string()).hint("leave one of the two"))
}

fn string(value: &Value, key: &'static str, raw: &Raw) -> Result<Option<String>, Problem> {
    match get(value, key, raw)? {
        None => Ok(None),
        Some(text) => match text.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(raw.problem(format!("`{key}` is not a string")).hint("write a text in quotes")),
        },
    }
}

fn list<'a>(value: &'a Value, key: &'static str, raw: &Raw) -> Result<&'a [Value], Problem> {
    match get(value, key, raw)? {
        None => Ok(&[]),
        Some(items) => match items.as_array() {
            Some(items) => Ok(items.as_slice()),
            None => Err(raw.problem(format!("`{key}` is not a list")).hint("write it in brackets, as FHIR does")),
        },
    }
}

/// FNV-1a: codes are short, and they come from our own files, so nobody can choose them to collide.
#[derive(Clone, Copy)]
pub struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(files: &[(&str, &str)]) -> (ValueSets, Vec<String>) {
        let files: Vec<(String, String)> =
            files.iter().map(|(name, text)| (format!("valuesets/{name}.json"), (*text).to_owned())).collect();
        let mut problems = Vec::new();
        let sets = ValueSets::build(&files, &mut problems);
        (sets, problems.iter().map(|p| p.what.clone()).collect())
    }

    fn set(url: &str, compose: &str) -> String {
        format!(r#"{{"resourceType":"ValueSet","url":"{url}","compose":{compose}}}"#)
    }

    #[test]
    fn enumeration_whole_systems_and_exclusions() {
        let colours = set(
            "u:c",
            r#"{"include":[{"system":"s","concept":[{"code":"red","display":"Red"},{"code":"blue"}]},{"system":"t"}],
            "exclude":[{"system":"t","concept":[{"code":"grey"}]},{"system":"s","concept":[{"code":"blue"}]}]}"#,
        );
        let (sets, problems) = build(&[("colours", &colours)]);
        assert_eq!(problems, [""; 0]);
        let index = sets.index("colours").expect("named by its file");
        for (system, code, expected) in [
            (Some("s"), "red", true),
            (Some("s"), "blue", false),
            (Some("x"), "red", false),
            (Some("t"), "any", true),
            (Some("t"), "grey", false),
            (None, "red", true),
            (Some("s"), "Red", false),
        ] {
            assert_eq!(sets.contains(index, system, code), expected, "{system:?} {code}");
        }
        assert_eq!(sets.first(index), Some((Some("s"), "red", Some("Red"))));
        assert_eq!(sets.index("colour"), None);
    }

    #[test]
    fn sets_of_sets_in_any_order_of_files() {
        let both = set("u:both", r#"{"include":[{"valueSet":["u:a","u:b|2"]}]}"#);
        let either = set("u:either", r#"{"include":[{"valueSet":["u:b"]},{"valueSet":["u:a"]}],"exclude":[{"valueSet":["u:both"]}]}"#);
        let a = set("u:a", r#"{"include":[{"system":"s","concept":[{"code":"1"},{"code":"2"}]}]}"#);
        let b = set("u:b", r#"{"include":[{"system":"s","concept":[{"code":"2"},{"code":"3"}]}]}"#);
        let (sets, problems) = build(&[("either", &either), ("both", &both), ("a", &a), ("b", &b)]);
        assert_eq!(problems, [""; 0]);
        let holds = |name| ["1", "2", "3"].map(|code| sets.contains(sets.index(name).expect(name), Some("s"), code));
        assert_eq!((holds("both"), holds("either")), ([false, true, false], [true, false, true]));
        assert_eq!(sets.first(sets.index("both").expect("both")).map(|(_, code, _)| code), Some("2"));
    }

    #[test]
    fn an_expansion_is_read_nested_and_stands_in_for_a_filter() {
        let expanded = r#"{"resourceType":"ValueSet","compose":{"include":[{"system":"s","filter":[{"property":"concept","op":"is-a","value":"1"}]}]},
            "expansion":{"contains":[{"system":"s","code":"1","abstract":true,"contains":[{"system":"s","code":"2"}]},{"system":"s","code":"3"}]}}"#;
        let (sets, problems) = build(&[("e", expanded)]);
        assert_eq!(problems, [""; 0]);
        assert_eq!(["1", "2", "3"].map(|code| sets.contains(0, Some("s"), code)), [false, true, true]);
        let (sets, _) = build(&[("e", r#"{"resourceType":"ValueSet","expansion":{"contains":[{"code":"1"}]}}"#)]);
        assert_eq!((sets.contains(0, Some("x"), "1"), sets.contains(0, None, "1")), (false, true));
    }

    #[test]
    fn what_cannot_be_evaluated_is_a_problem() {
        for (text, what) in [
            (
                set("u", r#"{"include":[{"system":"s","filter":[{"op":"is-a"}]}]}"#),
                "`compose` selects by a filter, which needs a terminology server",
            ),
            (set("u", r#"{"include":[{"valueSet":["u:none"]}]}"#), "includes the value set `u:none`, which is not here"),
            (set("u", r#"{"include":[{"valueSet":["u"]}]}"#), "`v` includes itself"),
            (set("u", r#"{"include":[{"concept":[{"code":"1"}]}]}"#), "an include has neither `system` nor `valueSet`"),
            (set("u", r#"{"include":[]}"#), "`compose.include` is empty"),
            (set("u", r#"{"include":[{"system":"s","concept":[{}]}]}"#), "a concept has no `code`"),
            (r#"{"resourceType":"ValueSet"}"#.to_owned(), "has neither `compose` nor `expansion`"),
            (
                r#"{"resourceType":"ValueSet","expansion":{"total":9,"contains":[{"code":"1"}]}}"#.to_owned(),
                "`expansion` holds a page of the set, not the whole",
            ),
            (r#"{"resourceType":"CodeSystem"}"#.to_owned(), "not a ValueSet"),
            ("{".to_owned(), "not JSON"),
            (r#"{"resourceType":"ValueSet","url":"a","url":"b"}"#.to_owned(), "the key `url` stands twice in one object"),
        ] {
            let (sets, problems) = build(&[("v", &text)]);
            assert_eq!(problems, [what]);
            assert!(!sets.contains(0, Some("s"), "1"));
        }
        let a = set("u:a", r#"{"include":[{"valueSet":["u:b"]}]}"#);
        let b = set("u:b", r#"{"include":[{"valueSet":["u:a"]}]}"#);
        let (sets, problems) = build(&[("a", &a), ("b", &b)]);
        assert!(problems.len() == 1 && !sets.contains(0, Some("s"), "1") && !sets.contains(1, None, "1"));
    }
}
