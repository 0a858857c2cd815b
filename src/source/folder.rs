//! A folder in which files appear: what lies in it, which files may be read, and where they go then.
//!
//! In: listings. Out: names of files that are whole; files in `done` or `failed`, a reason beside them.
//! Never here: the content of a file, or a file that is deleted.
//!
//! A file is moved once all of it is durable in landing. If the process dies before that, it is read again from its beginning:
//! the same version of a resource again changes nothing.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What tells that a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub modified: SystemTime,
    pub bytes: u64,
}

pub type Listing = BTreeMap<OsString, Mark>;

/// Which files may be read: their names fit, and they are as they were at the look before. In the order of their times.
pub fn ready(before: &Listing, now: &Listing, any_ending: bool) -> Vec<(OsString, Mark)> {
    let whole = now.iter().filter(|(name, mark)| is_candidate(name, any_ending) && before.get(*name) == Some(mark));
    let mut ready: Vec<(OsString, Mark)> = whole.map(|(name, mark)| (name.clone(), *mark)).collect();
    ready.sort_by(|(a, at_a), (b, at_b)| (at_a.modified, a).cmp(&(at_b.modified, b)));
    ready
}

/// Whether the first pass is complete: something was read, nothing is left, and nothing failed.
pub fn is_complete(now: &Listing, any_ending: bool, done: usize, failed: usize) -> bool {
    done > 0 && failed == 0 && !now.keys().any(|name| is_candidate(name, any_ending))
}

fn is_candidate(name: &OsStr, any_ending: bool) -> bool {
    let name = name.to_string_lossy().to_ascii_lowercase();
    let unfinished = name.starts_with('.') || [".part", ".tmp", ".reason"].iter().any(|ending| name.ends_with(ending));
    let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    !unfinished && (any_ending || plain.ends_with(".json") || plain.ends_with(".ndjson"))
}

/// Where a file that was read goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// All of it is in landing, or in quarantine.
    Done,
    /// Something in it could not be taken at all.
    Failed,
}

impl Shelf {
    pub const fn name(self) -> &'static str {
        match self {
            Shelf::Done => "done",
            Shelf::Failed => "failed",
        }
    }
}

pub struct Folder {
    path: PathBuf,
}

/// Files of one name that a shelf holds.
const SAME_NAME_MAX: u32 = 10_000;

impl Folder {
    /// Makes the folder and its shelves where they are missing.
    pub fn open(path: &Path) -> io::Result<Folder> {
        for shelf in [Shelf::Done, Shelf::Failed] {
            std::fs::create_dir_all(path.join(shelf.name()))?;
        }
        Ok(Folder { path: path.to_owned() })
    }

    /// Plain files only: a link could lead anywhere.
    pub fn look(&self) -> io::Result<Listing> {
        let mut listing = Listing::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(about) if about.is_file() => {
                    let mark = Mark { modified: about.modified()?, bytes: about.len() };
                    listing.insert(entry.file_name(), mark);
                }
                Ok(_) => {}
                // It went between the two calls.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(listing)
    }

    pub fn file(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// Files on a shelf, reasons aside.
    pub fn count(&self, shelf: Shelf) -> io::Result<usize> {
        let mut count = 0;
        for entry in std::fs::read_dir(self.path.join(shelf.name()))? {
            count += usize::from(!entry?.file_name().to_string_lossy().ends_with(".reason"));
        }
        Ok(count)
    }

    /// Moves a file that was read, with what is to be said of it. `false`: it is another by now, and stays.
    pub fn shelve(&self, name: &OsStr, mark: Mark, shelf: Shelf, reasons: &str) -> io::Result<bool> {
        if self.look()?.get(name) != Some(&mark) {
            return Ok(false);
        }
        let to = self.free(name, shelf)?;
        if !reasons.is_empty() {
            let mut beside = to.clone().into_os_string();
            beside.push(".reason");
            std::fs::File::create(beside)?.write_all(reasons.as_bytes())?;
        }
        std::fs::rename(self.path.join(name), to)?;
        Ok(true)
    }

    /// A name that nothing on the shelf has: a second file of the same name loses nobody's.
    fn free(&self, name: &OsStr, shelf: Shelf) -> io::Result<PathBuf> {
        let shelf = self.path.join(shelf.name());
        for number in 1..SAME_NAME_MAX {
            let mut named = name.to_owned();
            if number > 1 {
                named.push(format!(".{number}"));
            }
            let path = shelf.join(named);
            if !path.try_exists()? {
                return Ok(path);
            }
        }
        Err(io::Error::new(ErrorKind::AlreadyExists, "too many files of one name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn listing(files: &[(&str, u64, u64)]) -> Listing {
        let mark = |modified: u64, bytes: u64| Mark { modified: SystemTime::UNIX_EPOCH + Duration::from_secs(modified), bytes };
        files.iter().map(|(name, modified, bytes)| (OsString::from(name), mark(*modified, *bytes))).collect()
    }

    fn names(before: &[(&str, u64, u64)], now: &[(&str, u64, u64)], any: bool) -> Vec<String> {
        ready(&listing(before), &listing(now), any).into_iter().map(|(name, _)| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_file_is_read_once_it_no_longer_grows() {
        assert_eq!(names(&[], &[("a.json", 1, 1)], false), Vec::<String>::new());
        assert_eq!(names(&[("a.json", 1, 1)], &[("a.json", 1, 2)], false), Vec::<String>::new());
        assert_eq!(names(&[("a.json", 1, 2)], &[("a.json", 2, 2)], false), Vec::<String>::new());
        assert_eq!(names(&[("a.json", 2, 2)], &[("a.json", 2, 2)], false), ["a.json"]);
    }

    #[test]
    fn the_older_comes_first() {
        let files = [("a.json", 9, 1), ("b.ndjson", 3, 1), ("c.ndjson.gz", 3, 1)];
        assert_eq!(names(&files, &files, false), ["b.ndjson", "c.ndjson.gz", "a.json"]);
    }

    #[test]
    fn what_is_being_written_and_what_is_no_fhir_is_left_alone() {
        let files =
            [(".a.json", 1, 1), ("b.json.part", 1, 1), ("c.tmp", 1, 1), ("d.json.reason", 1, 1), ("e.csv", 1, 1), ("F.NDJSON.ZST", 1, 1)];
        assert_eq!(names(&files, &files, false), ["F.NDJSON.ZST"]);
        assert_eq!(names(&files, &files, true), ["F.NDJSON.ZST", "e.csv"]);
    }

    #[test]
    fn a_pass_is_complete_when_all_was_read_and_nothing_failed() {
        let (left, empty) = (listing(&[("a.json", 1, 1)]), listing(&[("notes.txt", 1, 1)]));
        for (now, done, failed, expected) in [(&empty, 0, 0, false), (&left, 3, 0, false), (&empty, 3, 1, false), (&empty, 3, 0, true)] {
            assert_eq!(is_complete(now, false, done, failed), expected, "{done} done, {failed} failed");
        }
    }

    #[test]
    fn a_file_moves_with_its_reason_and_never_over_another() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(home.path()).expect("shelves");
        for round in ["1", "22"] {
            std::fs::write(home.path().join("a.json"), round).expect("a file");
            let listing = folder.look().expect("a listing");
            let mark = listing[OsStr::new("a.json")];
            assert!(folder.shelve(OsStr::new("a.json"), mark, Shelf::Failed, "line 1: bad\n").expect("it moves"));
        }
        let text = |name: &str| std::fs::read_to_string(home.path().join("failed").join(name)).expect(name);
        assert_eq!([text("a.json"), text("a.json.2")], ["1", "22"]);
        assert_eq!([text("a.json.reason"), text("a.json.2.reason")], ["line 1: bad\n", "line 1: bad\n"]);
        assert_eq!((folder.count(Shelf::Failed).expect("a count"), folder.count(Shelf::Done).expect("a count")), (2, 0));
    }

    #[test]
    fn a_file_that_changed_while_it_was_read_stays() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(home.path()).expect("shelves");
        std::fs::write(home.path().join("a.json"), "1").expect("a file");
        let mark = folder.look().expect("a listing")[OsStr::new("a.json")];
        std::fs::write(home.path().join("a.json"), "12").expect("a file");
        assert!(!folder.shelve(OsStr::new("a.json"), mark, Shelf::Done, "").expect("a look"));
        assert!(home.path().join("a.json").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(home.path()).expect("shelves");
        std::os::unix::fs::symlink("/etc/hostname", home.path().join("a.json")).expect("a link");
        assert!(folder.look().expect("a listing").is_empty());
    }
}
