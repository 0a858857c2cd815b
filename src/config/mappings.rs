//! Reads a mappings folder: policy, audiences, stories, value sets.
//!
//! In: a folder, or its texts. Out: `Mappings`, or every problem of every file at once, and the texts to show them with.
//! Never here: the meaning of a key; each room reads its own documents.

use super::files::Files;
use super::render::{self, Sources};
use super::{included, yaml};
use footbridge_core::audience::story::{self, Known, Story};
use footbridge_core::audience::{self, Around, Catalogue, Times, Written};
use footbridge_core::consent::{Policy, read_policy};
use footbridge_core::document::Document;
use footbridge_core::fhir::valueset::ValueSets;
use footbridge_core::problem::{Place, Problem, did_you_mean};
use std::path::Path;

/// A value set may list many codes; it is read whole.
pub const VALUESET_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What the business decided. There is no error in it.
pub struct Mappings {
    pub policy: Policy,
    pub valuesets: ValueSets,
    pub catalogue: Catalogue,
    pub stories: Vec<StoryFile>,
    /// `sha256:` and hex digits: of every audience's definition, in the order of names.
    pub digest: String,
    /// All of it but the stories, by file, so that it can be kept and read again.
    pub texts: Vec<(String, String)>,
}

pub struct StoryFile {
    /// Relative to the mappings folder.
    pub file: String,
    pub audience: String,
    pub stories: Vec<Story>,
}

/// The outcome of reading: problems sorted by place, warnings too where the mappings are right.
pub struct Reading {
    /// `None` where a problem is an error.
    pub mappings: Option<Mappings>,
    pub problems: Vec<Problem>,
    pub sources: Sources,
}

pub fn read(folder: &Path) -> Reading {
    read_files(&Files::Folder(folder))
}

pub fn read_files(files: &Files<'_>) -> Reading {
    let mut reader = Reader { files, sources: Sources::new(), problems: Vec::new() };
    let mappings = reader.whole();
    let Reader { sources, mut problems, .. } = reader;
    render::sort(&mut problems);
    let mappings = mappings.filter(|_| !problems.iter().any(Problem::is_error));
    Reading { mappings, problems, sources }
}

struct Reader<'a> {
    files: &'a Files<'a>,
    sources: Sources,
    problems: Vec<Problem>,
}

/// A YAML file that could be read at all.
struct Read {
    file: String,
    /// The file's name without its endings.
    stem: String,
    text: String,
    document: Document,
}

impl Reader<'_> {
    fn whole(&mut self) -> Option<Mappings> {
        let (policy_text, policy, named) = self.policy();
        let (valuesets, sets) = self.valuesets();
        let (audiences, stories) = self.audiences();
        let names: Vec<&str> = sets.iter().map(|(name, _)| name.as_str()).collect();
        // A policy that is wrong hides no problem of an audience; nothing that is read beside it is used.
        let whole = policy.is_some();
        let policy = policy.unwrap_or_default();
        let recipients: Vec<&str> = match whole {
            true => policy.recipients.iter().map(|recipient| recipient.key.as_str()).collect(),
            false if named.is_empty() => audiences.iter().filter_map(|read| read.document.get("recipient")?.as_text()).collect(),
            false => named.iter().map(String::as_str).collect(),
        };
        let catalogue = self.catalogue(&policy, &recipients, &policy_text, &sets, &audiences);
        let first_code = |name: &str| {
            let (system, code, _) = valuesets.first(valuesets.index(name)?)?;
            Some((system.map(str::to_owned), code.to_owned()))
        };
        let known = Known { valuesets: &names, first_code: &first_code };
        let stories = self.stories(&audiences, stories, &known);
        let definitions: Vec<(&str, &str)> = catalogue.audiences.iter().map(|a| (a.name.as_str(), a.definition.as_str())).collect();
        let digest = audience::fingerprint(&definitions);
        let mut texts: Vec<(String, String)> = self.sources.iter().map(|(file, text)| (file.clone(), text.clone())).collect();
        texts.retain(|(file, _)| !file.ends_with(".test.yaml"));
        texts.sort();
        whole.then_some(Mappings { policy, valuesets, catalogue, stories, digest, texts })
    }

    /// Its text, what it says if that is right, and the recipients that it names, right or not.
    fn policy(&mut self) -> (String, Option<Policy>, Vec<String>) {
        for (name, is_folder) in self.entries("") {
            match (name.as_str(), is_folder) {
                ("audiences" | "valuesets", true) | ("policy.yaml", false) => {}
                ("approvals.yaml", false) => {
                    let problem = Problem::warning(Place::new("approvals.yaml", 0, 0), "approvals are off: no key ring is configured");
                    self.problems.push(problem.hint("every audience counts as approved; signatures are not checked yet"));
                }
                _ => self.unknown(&name, &["audiences/", "valuesets/", "policy.yaml"]),
            }
        }
        if !self.files.has("policy.yaml") {
            let missing = Problem::error(Place::new("policy.yaml", 0, 0), "the file is missing");
            self.problems.push(missing.hint("add it with `organisation` and `recipients` (docs/policy.md)"));
            return (String::new(), None, Vec::new());
        }
        let Some(read) = self.yaml("policy.yaml", "policy") else { return (String::new(), None, Vec::new()) };
        let policy = read_policy(&read.document, &mut self.problems);
        let named = read.document.get("recipients").and_then(Document::as_map).unwrap_or_default();
        (read.text, policy, named.iter().map(|(key, _)| key.name.clone()).collect())
    }

    /// The sets, and their names and texts by number.
    fn valuesets(&mut self) -> (ValueSets, Vec<(String, String)>) {
        let mut files = Vec::new();
        for (name, is_folder) in self.entries("valuesets") {
            let file = format!("valuesets/{name}");
            if is_folder || !name.ends_with(".json") {
                self.unknown(&file, &["*.json"]);
                continue;
            }
            if let Some(text) = self.text(&file, VALUESET_BYTES_MAX) {
                files.push((file, text));
            }
        }
        let sets = ValueSets::build(&files, &mut self.problems);
        let whole = included::texts(&files);
        // `build` numbers the sets in the order of the files.
        let named = files.iter().zip(whole).map(|((file, _), text)| (stem(file, ".json"), text)).collect();
        (sets, named)
    }

    /// Definitions and stories, in the order of names.
    fn audiences(&mut self) -> (Vec<Read>, Vec<Read>) {
        let (mut audiences, mut stories) = (Vec::new(), Vec::new());
        for (name, is_folder) in self.entries("audiences") {
            let file = format!("audiences/{name}");
            if is_folder || !name.ends_with(".yaml") {
                self.unknown(&file, &["NAME.yaml", "NAME.test.yaml"]);
            } else if name.ends_with(".test.yaml") {
                stories.extend(self.yaml(&file, &stem(&file, ".test.yaml")));
            } else {
                audiences.extend(self.yaml(&file, &stem(&file, ".yaml")));
            }
        }
        if audiences.is_empty() {
            let none = Problem::warning(Place::new("audiences", 0, 0), "no audience is defined");
            self.problems.push(none.hint("add one as audiences/NAME.yaml (docs/audiences.md)"));
        }
        (audiences, stories)
    }

    fn catalogue(
        &mut self,
        policy: &Policy,
        recipients: &[&str],
        policy_text: &str,
        sets: &[(String, String)],
        audiences: &[Read],
    ) -> Catalogue {
        let valuesets: Vec<(&str, &str)> = sets.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let is_sensitive = |name: &str| policy.sensitive.valuesets.iter().any(|pattern| fits(pattern, name));
        let sensitive: Vec<u16> = (0u16..).zip(sets).filter(|(_, (name, _))| is_sensitive(name)).map(|(number, _)| number).collect();
        let written: Vec<Written> =
            audiences.iter().map(|read| Written { stem: &read.stem, text: &read.text, document: &read.document }).collect();
        let around = Around {
            zone: &policy.organisation.zone,
            recipients,
            times: if policy.times.spread.0 == 0 { Times::Exact } else { Times::Spread(policy.times.spread) },
            policy: policy_text,
            valuesets: &valuesets,
            sensitive: &sensitive,
        };
        audience::read(&written, &around, &mut self.problems)
    }

    fn stories(&mut self, audiences: &[Read], files: Vec<Read>, known: &Known) -> Vec<StoryFile> {
        let stems: Vec<&str> = audiences.iter().map(|read| read.stem.as_str()).collect();
        for read in audiences {
            if !files.iter().any(|story| story.stem == read.stem) {
                let untold = Problem::warning(Place::new(read.file.as_str(), 1, 1), "no story shows what this audience does");
                self.problems.push(untold.hint(format!("add audiences/{}.test.yaml (docs/stories.md)", read.stem)));
            }
        }
        let mut stories = Vec::new();
        for read in files {
            if !stems.contains(&read.stem.as_str()) {
                let hint = match did_you_mean(&read.stem, stems.iter().copied()) {
                    Some(near) => format!("did you mean {near}.test.yaml?"),
                    None => format!("add audiences/{}.yaml, or remove the stories", read.stem),
                };
                let homeless = Problem::error(Place::new(read.file.as_str(), 0, 0), format!("there is no audience `{}`", read.stem));
                self.problems.push(homeless.hint(hint));
            }
            let told = story::read(&read.document, known, &mut self.problems);
            stories.push(StoryFile { file: read.file, audience: read.stem, stories: told });
        }
        stories
    }

    fn yaml(&mut self, file: &str, stem: &str) -> Option<Read> {
        let text = self.text(file, yaml::BYTES_MAX as u64)?;
        let document = yaml::read(file, &text, &mut self.problems)?;
        Some(Read { file: file.to_owned(), stem: stem.to_owned(), text, document })
    }

    fn text(&mut self, file: &str, most: u64) -> Option<String> {
        match self.files.text(file, most) {
            Ok(text) => {
                self.sources.insert(file.to_owned(), text.clone());
                Some(text)
            }
            Err(what) => {
                let hint = "mappings are texts in UTF-8 that the program may read; mend the file or take it out";
                self.problems.push(Problem::error(Place::new(file, 0, 0), what).hint(hint));
                None
            }
        }
    }

    /// Names and whether each is a folder, sorted.
    fn entries(&mut self, under: &str) -> Vec<(String, bool)> {
        let (names, failures) = self.files.entries(under);
        let place = if under.is_empty() { self.files.name() } else { under.to_owned() };
        let hint = "name the folder that holds policy.yaml, audiences/ and valuesets/, and let the program read it";
        self.problems.extend(failures.into_iter().map(|what| Problem::error(Place::new(place.as_str(), 0, 0), what).hint(hint)));
        names
    }

    fn unknown(&mut self, file: &str, known: &[&str]) {
        let ignored = Problem::warning(Place::new(file, 0, 0), "the file is not read");
        self.problems.push(ignored.hint(format!("what is read here: {}", known.join(", "))));
    }
}

fn stem(file: &str, ending: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(ending).unwrap_or(name).to_owned()
}

/// `sensitive-*`: a star stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => {
            name.strip_prefix(start).is_some_and(|name| (0..=name.len()).any(|at| name.is_char_boundary(at) && fits(rest, &name[at..])))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("sensitive-*", "sensitive-hiv", true),
            ("sensitive-*", "sensitive-", true),
            ("sensitive-*", "mammography", false),
            ("*-é*", "x-éy", true),
            ("hiv", "hiv", true),
            ("hiv", "hiv2", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxc", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
