//! The local copy of the changelog: what a session reads state from.
//!
//! In: changes as the changelog has them, with the offset after them. Out: state by key and by prefix.
//! Never here: the truth. It may be thrown away at any time, and is read again from the changelog.

use super::error::wrong_setting;
use crate::log::embedded::layout::{keyed, offset_at, place_key};
use crate::log::{Bytes, LogError, Place, Retry, StateChange, Trouble};
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use footbridge_core::time::{Instant, Span};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub struct Cache {
    folder: PathBuf,
    database: Database,
    state: Keyspace,
    /// place -> offset after the last change taken from the changelog, next offset to be read of the place
    places: Keyspace,
}

/// Among the places: when all copies were whole.
const SEEN: &[u8] = b"seen";
/// The changelog keeps for a day what says that a key is gone. A copy that was whole longer ago may have missed that.
const OLDEST: Span = Span::hours(12);

/// How far a place is known: in its changelog, and in its own records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    pub changelog: u64,
    pub position: Option<u64>,
}

const FORMAT: &str = "footbridge changelog cache 2";

impl Cache {
    /// `of`: which changelog it is a copy of. A copy of another is thrown away, and so is one that is too old.
    pub fn open(folder: &Path, of: &str, now: Instant) -> Result<Cache, LogError> {
        let failed = |e: std::io::Error| LogError::io(folder.display(), &e);
        fs::create_dir_all(folder).map_err(failed)?;
        let (label, store) = (folder.join("of"), folder.join("store"));
        let said = format!("{FORMAT}\n{of}\n");
        if fs::read_to_string(&label).is_ok_and(|before| before == said) {
            let cache = Cache::store(folder, &store)?;
            if cache.seen()?.is_some_and(|seen| seen <= now && now.since(seen) < OLDEST) {
                return Ok(cache);
            }
        }
        match fs::remove_dir_all(&store) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed(e)),
        }
        fs::write(&label, said).map_err(failed)?;
        let cache = Cache::store(folder, &store)?;
        // Empty, and so without anything that is gone.
        cache.see(now)?;
        Ok(cache)
    }

    fn store(folder: &Path, store: &Path) -> Result<Cache, LogError> {
        let broken = |e: fjall::Error| error(folder, &e);
        let database = Database::builder(store).cache_size(32 << 20).worker_threads(1).open().map_err(broken)?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(16 << 20);
        let (state, places) = (database.keyspace("state", options).map_err(broken)?, database.keyspace("places", options).map_err(broken)?);
        Ok(Cache { folder: folder.to_owned(), database, state, places })
    }

    fn failed(&self, e: &fjall::Error) -> LogError {
        error(&self.folder, e)
    }

    fn seen(&self) -> Result<Option<Instant>, LogError> {
        let bytes = self.places.get(SEEN).map_err(|e| self.failed(&e))?;
        Ok(bytes.and_then(|bytes| Some(Instant::from_micros(i64::from_be_bytes(bytes[..].try_into().ok()?)))))
    }

    /// All copies are at the end of their changelog.
    pub fn see(&self, now: Instant) -> Result<(), LogError> {
        self.places.insert(SEEN, now.micros().to_be_bytes()).map_err(|e| self.failed(&e))
    }

    pub fn get(&self, place: Place, key: &[u8]) -> Result<Option<Bytes>, LogError> {
        self.state.get(keyed(place, key)).map_err(|e| self.failed(&e))
    }

    pub fn scan(&self, place: Place, prefix: &[u8], each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        for guard in self.state.prefix(keyed(place, prefix)) {
            let (key, value) = guard.into_inner().map_err(|e| self.failed(&e))?;
            // A key begins with its place: three bytes.
            each(&key[3..], &value);
        }
        Ok(())
    }

    pub fn known(&self, place: Place) -> Result<Known, LogError> {
        let Some(bytes) = self.places.get(place_key(place)).map_err(|e| self.failed(&e))? else { return Ok(Known::default()) };
        let position = if bytes.len() > 8 { Some(offset_at(&bytes, 8, "places")?) } else { None };
        Ok(Known { changelog: offset_at(&bytes, 0, "places")?, position })
    }

    /// Changes that the changelog has, and how far each place is known with them: all or nothing.
    pub fn take<'a>(&self, changes: impl Iterator<Item = &'a StateChange>, known: &BTreeMap<Place, Known>) -> Result<(), LogError> {
        let mut batch = self.database.batch();
        for (place, key, value) in changes {
            match value {
                Some(value) => batch.insert(&self.state, keyed(*place, key), value.as_slice()),
                None => batch.remove(&self.state, keyed(*place, key)),
            }
        }
        for (place, known) in known {
            let mut value = known.changelog.to_be_bytes().to_vec();
            value.extend(known.position.into_iter().flat_map(u64::to_be_bytes));
            batch.insert(&self.places, place_key(*place), value);
        }
        batch.commit().map_err(|e| self.failed(&e))
    }

    /// Forgets a place, to read it from the beginning of its changelog.
    pub fn forget(&self, place: Place) -> Result<(), LogError> {
        let mut batch = self.database.batch();
        for guard in self.state.prefix(place_key(place)) {
            batch.remove(&self.state, guard.key().map_err(|e| self.failed(&e))?);
        }
        batch.remove(&self.places, place_key(place));
        batch.commit().map_err(|e| self.failed(&e))
    }
}

fn error(folder: &Path, error: &fjall::Error) -> LogError {
    match error {
        fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io)) => LogError::io(folder.display(), io),
        fjall::Error::Locked => LogError {
            trouble: Trouble::Locked,
            at: folder.display().to_string(),
            what: "another process has this copy of the state open".into(),
            hint: "stop it first, or name another data folder",
            retry: Retry::Later,
        },
        _ => wrong_setting(
            folder.display().to_string(),
            "the local copy of the changelog cannot be read".to_owned(),
            "remove this folder: it is made again from the changelog",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = Place::landing(3);

    fn at(hours: i64) -> Instant {
        Instant::from_micros(0).plus(Span::hours(hours))
    }

    /// What was removed meanwhile may have been removed from the changelog, too, and would come back.
    #[test]
    fn a_copy_that_was_whole_long_ago_is_thrown_away() {
        for (seen, opened, stays) in [(1, 12, true), (1, 13, false), (5, 4, false)] {
            let folder = tempfile::tempdir().expect("a folder");
            {
                let cache = Cache::open(folder.path(), "one", at(0)).expect("a cache");
                cache.take([(HERE, b"a".to_vec(), Some(b"1".to_vec()))].iter(), &BTreeMap::new()).expect("taken");
                cache.see(at(seen)).expect("written down");
            }
            let cache = Cache::open(folder.path(), "one", at(opened)).expect("a cache");
            assert_eq!(cache.get(HERE, b"a").expect("state").is_some(), stays, "{seen} {opened}");
        }
    }

    #[test]
    fn a_copy_of_another_changelog_is_thrown_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let known = Known { changelog: 7, position: Some(3) };
        {
            let cache = Cache::open(folder.path(), "one", at(1)).expect("a cache");
            assert_eq!(cache.known(HERE), Ok(Known::default()));
            let changes = [("a", Some("1")), ("b", Some("2")), ("a", None)].map(|(key, value)| (HERE, key.into(), value.map(Into::into)));
            cache.take(changes.iter(), &BTreeMap::from([(HERE, known)])).expect("taken");
        }
        {
            let cache = Cache::open(folder.path(), "one", at(2)).expect("a cache");
            assert_eq!(cache.known(HERE), Ok(known));
            assert_eq!(cache.get(HERE, b"a"), Ok(None));
            assert_eq!(cache.get(HERE, b"b").expect("state").as_deref(), Some(&b"2"[..]));
            cache.forget(Place::landing(4)).expect("nothing there");
            assert_eq!(cache.known(HERE), Ok(known));
        }
        let cache = Cache::open(folder.path(), "another", at(2)).expect("a cache");
        assert_eq!((cache.known(HERE), cache.get(HERE, b"b")), (Ok(Known::default()), Ok(None)));
    }
}
