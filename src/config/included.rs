//! Which value sets decide with which: a set may include others.
//!
//! In: the files of value sets. Out: for each, its text and those of all that it includes, for the definition's hash.
//! Never here: which codes a set has. A set whose url stands in another's text counts as included: rather too many.

use sonic_rs::JsonValueTrait;
use std::collections::BTreeSet;

/// In the order of the files.
pub fn texts(files: &[(String, String)]) -> Vec<String> {
    let quoted = |text: &str| Some(format!("\"{}\"", sonic_rs::get(text, ["url"]).ok()?.as_str()?));
    // A file without a readable url cannot be included; that it is no ValueSet is told elsewhere.
    let urls: Vec<Option<String>> = files.iter().map(|(_, text)| quoted(text)).collect();
    let mut direct: Vec<Vec<usize>> = Vec::new();
    for (one, (_, text)) in files.iter().enumerate() {
        let stands_in = |other: &usize| *other != one && urls[*other].as_ref().is_some_and(|url| text.contains(url.as_str()));
        direct.push((0..files.len()).filter(stands_in).collect());
    }
    let whole = |one: usize| {
        let (mut all, mut open) = (BTreeSet::from([one]), vec![one]);
        while let Some(next) = open.pop() {
            open.extend(direct[next].iter().copied().filter(|other| all.insert(*other)));
        }
        all.iter().map(|index| files[*index].1.as_str()).collect::<Vec<_>>().join("\n")
    };
    (0..files.len()).map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_included_set_is_part_of_the_text() {
        let file = |name: &str, text: &str| (format!("{name}.json"), text.to_owned());
        let files = [
            file("a", r#"{"url":"urn:a","valueSet":["urn:b"]}"#),
            file("b", r#"{"url":"urn:b","valueSet":["urn:c","urn:a"]}"#),
            file("c", r#"{"url":"urn:c"}"#),
            file("d", "not JSON"),
        ];
        let texts = texts(&files);
        let all = format!("{}\n{}\n{}", files[0].1, files[1].1, files[2].1);
        assert_eq!(texts, [all.clone(), all, files[2].1.clone(), files[3].1.clone()]);
    }
}
