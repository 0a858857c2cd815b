//! The shipped mappings hang together: names, value sets, stories.
//!
//! In: the folder `mappings`. Out: a failed test that names the file.
//! Never here: what the definitions mean; `footbridge check` and `footbridge test` say that.

use footbridge_core::fhir::json;
use sonic_rs::{JsonContainerTrait, JsonValueTrait};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings").join(folder);
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).expect("the folder of mappings") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8").to_owned();
        if let Some(stem) = name.strip_suffix(ending) {
            found.push((stem.to_owned(), fs::read_to_string(&path).expect("a text")));
        }
    }
    found.sort();
    found
}

fn audiences() -> Vec<(String, String)> {
    files("audiences", ".yaml").into_iter().filter(|(stem, _)| !stem.ends_with(".test")).collect()
}

/// The names that stand after `%` in a text.
fn value_sets_named(text: &str) -> BTreeSet<String> {
    let after = |part: &str| part.chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
    text.split('%').skip(1).map(after).filter(|name| !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).collect()
}

#[test]
fn eight_audiences_ship_each_under_its_own_name_with_three_stories_or_more() {
    let stories = files("audiences", ".test.yaml");
    assert_eq!(audiences().len(), 8);
    for (stem, text) in audiences() {
        assert!(text.starts_with(&format!("audience: {stem}\n")), "{stem}");
        let told = stories.iter().find(|(name, _)| *name == stem).map_or(0, |(_, text)| text.matches("- story: ").count());
        assert!(told >= 3, "{stem} has {told} stories");
    }
    assert_eq!(stories.len(), 8);
}

#[test]
fn every_value_set_is_there_has_codes_and_is_used() {
    let sets = files("valuesets", ".json");
    let names: BTreeSet<String> = sets.iter().map(|(stem, _)| stem.clone()).collect();
    let named: BTreeSet<String> = audiences().iter().flat_map(|(_, text)| value_sets_named(text)).collect();
    let unused: Vec<&String> = names.iter().filter(|name| !named.contains(*name) && !name.starts_with("sensitive-")).collect();
    assert!(named.is_subset(&names), "{named:?} of {names:?}");
    assert!(unused.is_empty(), "{unused:?}");
    for (stem, text) in sets {
        let set = json::parse(text.as_bytes()).expect(&stem);
        assert_eq!(set.get("id").and_then(|id| id.as_str()), Some(stem.as_str()));
        let include = set.get("compose").and_then(|compose| compose.get("include")).and_then(|list| list.as_array()).expect(&stem);
        let mut seen = BTreeSet::new();
        for part in include {
            let system = part.get("system").and_then(|system| system.as_str()).expect(&stem);
            for concept in part.get("concept").and_then(|list| list.as_array()).expect(&stem) {
                let code = concept.get("code").and_then(|code| code.as_str()).expect(&stem);
                assert!(seen.insert((system.to_owned(), code.to_owned())), "{stem}: {code} stands twice");
            }
        }
        assert!(!seen.is_empty(), "{stem}");
    }
}

#[test]
fn every_audience_is_described_in_words() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audiences-shipped.md");
    let page = fs::read_to_string(page).expect("docs/audiences-shipped.md");
    for (stem, _) in audiences() {
        assert!(page.contains(&format!("`{stem}`")), "{stem}");
    }
}
