//! Where mappings come from: a folder, or texts that are in memory.
//!
//! In: a folder's path, or names with texts. Out: what lies in it, sorted, and one file's text.
//! Never here: what a file means.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Files in one folder.
pub const FILES_MAX: usize = 4096;

pub enum Files<'a> {
    Folder(&'a Path),
    /// Paths relative to the mappings folder, with `/`, and their texts.
    Texts(&'a [(&'a str, &'a str)]),
}

impl Files<'_> {
    /// What a problem of the whole calls it.
    pub fn name(&self) -> String {
        match self {
            Files::Folder(folder) => folder.display().to_string(),
            Files::Texts(_) => "the shipped mappings".to_owned(),
        }
    }

    pub fn has(&self, file: &str) -> bool {
        match self {
            Files::Folder(folder) => folder.join(file).is_file(),
            Files::Texts(texts) => texts.iter().any(|(name, _)| *name == file),
        }
    }

    /// Whole, and as UTF-8; else what is wrong.
    pub fn text(&self, file: &str, bytes_max: u64) -> Result<String, String> {
        match self {
            Files::Folder(folder) => read_bounded(&folder.join(file), bytes_max),
            Files::Texts(texts) => match texts.iter().find(|(name, _)| *name == file) {
                None => Err("the file is missing".to_owned()),
                Some((_, text)) if text.len() as u64 > bytes_max => Err(too_long(bytes_max)),
                Some((_, text)) => Ok((*text).to_owned()),
            },
        }
    }

    /// Names and whether each is a folder, sorted; hidden files are nobody's business. A folder that is absent is empty,
    /// but for the whole. Beside them, what could not be read.
    pub fn entries(&self, under: &str) -> (Vec<(String, bool)>, Vec<String>) {
        let (mut names, mut failures) = match self {
            Files::Folder(folder) => list(&folder.join(under), under),
            Files::Texts(texts) => (directly_under(texts, under), Vec::new()),
        };
        names.retain(|(name, _)| !name.starts_with('.'));
        if names.len() > FILES_MAX {
            failures.push(format!("{} files, more than the {FILES_MAX} that are read", names.len()));
            names.clear();
        }
        names.sort();
        (names, failures)
    }
}

fn list(path: &Path, under: &str) -> (Vec<(String, bool)>, Vec<String>) {
    let (mut names, mut failures) = (Vec::new(), Vec::new());
    if !under.is_empty() && !path.exists() {
        return (names, failures);
    }
    let failed = |why: std::io::Error| format!("the folder cannot be read: {}", why.kind());
    match std::fs::read_dir(path) {
        Err(why) => failures.push(failed(why)),
        Ok(entries) => {
            for entry in entries {
                match entry {
                    Err(why) => failures.push(failed(why)),
                    Ok(entry) => names.push((entry.file_name().to_string_lossy().into_owned(), entry.path().is_dir())),
                }
            }
        }
    }
    (names, failures)
}

fn directly_under(texts: &[(&str, &str)], under: &str) -> Vec<(String, bool)> {
    let inside = |file: &&str| match under {
        "" => Some((*file).to_owned()),
        _ => Some(file.strip_prefix(under)?.strip_prefix('/')?.to_owned()),
    };
    let mut names = BTreeMap::new();
    for path in texts.iter().map(|(file, _)| file).filter_map(inside) {
        match path.split_once('/') {
            Some((folder, _)) => names.insert(folder.to_owned(), true),
            None => names.insert(path, false),
        };
    }
    names.into_iter().collect()
}

/// A file's text, or what is wrong with it.
pub(super) fn read_bounded(path: &Path, bytes_max: u64) -> Result<String, String> {
    let failed = |why: std::io::Error| format!("the file cannot be read: {}", why.kind());
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells that there are too many, whatever the file's size claims.
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        return Err(too_long(bytes_max));
    }
    String::from_utf8(bytes).map_err(|why| format!("the file is not UTF-8 at byte {}", why.utf8_error().valid_up_to()))
}

fn too_long(bytes_max: u64) -> String {
    format!("the file has more than the {bytes_max} bytes that are read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_listed_as_a_folder_would_be() {
        let files = Files::Texts(&[("valuesets/b.json", "{}"), ("policy.yaml", "x"), ("valuesets/a.json", ""), (".hidden", "")]);
        let listed = |under: &str| files.entries(under).0;
        assert_eq!(listed(""), [("policy.yaml".to_owned(), false), ("valuesets".to_owned(), true)]);
        assert_eq!(listed("valuesets"), [("a.json".to_owned(), false), ("b.json".to_owned(), false)]);
        assert!(listed("audiences").is_empty() && listed("value").is_empty());
        assert!(files.has("policy.yaml") && !files.has("valuesets"));
        assert_eq!(files.text("policy.yaml", 1), Ok("x".to_owned()));
        assert!(files.text("policy.yaml", 0).is_err() && files.text("other", 9).is_err());
    }
}
