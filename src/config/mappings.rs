//! temporary
use super::render::{self, Sources};
use super::yaml;
use footbridge_core::audience::story::{self, Story};
use footbridge_core::audience::{self, Around, Catalogue, Times, Written};
use footbridge_core::consent::{Policy, read_policy};
use footbridge_core::document::Document;
use footbridge_core::fhir::valueset::ValueSets;
use footbridge_core::problem::{Place, Problem};
use std::path::Path;

pub struct Mappings { pub policy: Policy, pub valuesets: ValueSets, pub catalogue: Catalogue, pub stories: Vec<StoryFile> }
pub struct StoryFile { pub audience: String, pub stories: Vec<Story> }
pub struct Loaded { pub mappings: Option<Mappings>, pub problems: Vec<Problem>, pub sources: Sources }

fn files(folder: &Path, sub: &str, ext: &str) -> std::io::Result<Vec<(String, String, String)>> {
    let mut out = Vec::new();
    let Ok(dir) = std::fs::read_dir(folder.join(sub)) else { return Ok(out) };
    for e in dir { let e = e?; let name = e.file_name().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(ext) { out.push((stem.to_owned(), format!("{sub}/{name}"), std::fs::read_to_string(e.path())?)); } }
    out.sort(); Ok(out)
}
pub fn load(folder: &Path) -> std::io::Result<Loaded> {
    let mut problems = Vec::new(); let mut sources = Sources::new();
    let policy_text = std::fs::read_to_string(folder.join("policy.yaml"))?;
    sources.insert("policy.yaml".into(), policy_text.clone());
    let policy = yaml::read("policy.yaml", &policy_text, &mut problems).and_then(|d| read_policy(&d, &mut problems));
    let vs = files(folder, "valuesets", ".json")?;
    let valuesets = ValueSets::build(&vs.iter().map(|(_, f, t)| (f.clone(), t.clone())).collect::<Vec<_>>(), &mut problems);
    let auds = files(folder, "audiences", ".yaml")?;
    let Some(policy) = policy else { return Ok(Loaded { mappings: None, problems, sources }) };
    let names: Vec<(&str, &str)> = vs.iter().map(|(n, _, t)| (n.as_str(), t.as_str())).collect();
    let recipients: Vec<&str> = policy.recipients.iter().map(|r| r.key.as_str()).collect();
    let mut docs: Vec<(&str, &str, Document)> = Vec::new(); let mut stories = Vec::new();
    for (stem, file, text) in &auds {
        sources.insert(file.clone(), text.clone());
        let Some(d) = yaml::read(file, text, &mut problems) else { continue };
        match stem.strip_suffix(".test") {
            None => docs.push((stem, text, d)),
            Some(a) => { let known: Vec<&str> = names.iter().map(|n| n.0).collect();
                let first = |n: &str| valuesets.index(n).and_then(|i| valuesets.first(i)).map(|(s, c, _)| (s.map(str::to_owned), c.to_owned()));
                stories.push(StoryFile { audience: a.to_owned(), stories: story::read(&d, &story::Known { valuesets: &known, first_code: &first }, &mut problems) }); }
        }
    }
    let written: Vec<Written> = docs.iter().map(|(stem, text, document)| Written { stem, text, document }).collect();
    let around = Around { zone: &policy.organisation.zone, recipients: &recipients, times: Times::Spread(policy.times.spread), policy: &policy_text, valuesets: &names, sensitive: &[] };
    let catalogue = audience::read(&written, &around, &mut problems);
    render::sort(&mut problems);
    let _ = Place::new("", 0, 0);
    let ok = !problems.iter().any(Problem::is_error);
    Ok(Loaded { mappings: ok.then_some(Mappings { policy, valuesets, catalogue, stories }), problems, sources })
}
