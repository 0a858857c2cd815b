//! Versions: which of two states of a resource is the newer, in one total order a namespace.
//!
//! In: `meta` of a resource, or what came with a delete. Out: a number that rises.
//! Never here: the comparison of a version by instant with one by id; a namespace has one kind.

use super::json::Unreadable;
use crate::time::Instant;

/// What orders the versions of a namespace's resources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Versions {
    /// `meta.lastUpdated`, else the landing stamp.
    #[default]
    LastUpdated,
    /// `meta.versionId`, a whole number. A put without one is unreadable.
    Id,
}

/// Microseconds or a versionId, as [`Versions`] says. Of equal versions the later record wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Version(pub i64);

impl Version {
    /// Of a record whose version cannot be told: older than every other.
    pub const UNORDERED: Version = Version(i64::MIN);
}

impl Versions {
    pub fn of_put(self, last_updated: Option<Instant>, version_id: Option<&str>, stamp: Instant) -> Result<Version, Unreadable> {
        match (self, version_id) {
            (Versions::LastUpdated, _) => Ok(Version(last_updated.unwrap_or(stamp).micros())),
            (Versions::Id, Some(id)) => whole_number(id),
            (Versions::Id, None) => Err(Unreadable::Element { path: "meta.versionId", why: "is missing, and `versions: id` orders by it" }),
        }
    }

    /// `None`: by id, and the delete carries none; it beats every version stamped before it.
    pub fn of_delete(self, deleted: Option<Instant>, version_id: Option<&str>, stamp: Instant) -> Result<Option<Version>, Unreadable> {
        match (self, version_id) {
            (Versions::LastUpdated, _) => Ok(Some(Version(deleted.unwrap_or(stamp).micros()))),
            (Versions::Id, Some(id)) => whole_number(id).map(Some),
            (Versions::Id, None) => Ok(None),
        }
    }
}

fn whole_number(id: &str) -> Result<Version, Unreadable> {
    let wrong = Unreadable::Element { path: "meta.versionId", why: "is not a whole number, and `versions: id` orders by it" };
    if !id.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong);
    }
    id.parse().map(Version).map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARCH: Instant = Instant::from_micros(1_772_323_200_000_000);
    const MAY: Instant = Instant::from_micros(1_777_593_600_000_000);

    #[test]
    fn by_last_updated_the_stamp_stands_in() {
        let by = Versions::LastUpdated;
        assert_eq!(by.of_put(Some(MARCH), Some("9"), MAY), Ok(Version(MARCH.micros())));
        assert_eq!(by.of_put(None, Some("9"), MAY), Ok(Version(MAY.micros())));
        assert_eq!(by.of_delete(None, None, MAY), Ok(Some(Version(MAY.micros()))));
        assert_eq!(by.of_delete(Some(MARCH), None, MAY), Ok(Some(Version(MARCH.micros()))));
    }

    #[test]
    fn by_id_ten_is_newer_than_nine() {
        let by = Versions::Id;
        assert!(by.of_put(None, Some("10"), MAY).ok() > by.of_put(Some(MAY), Some("9"), MAY).ok());
        assert_eq!(by.of_delete(Some(MAY), None, MAY), Ok(None));
        assert_eq!(by.of_delete(None, Some("3"), MAY), Ok(Some(Version(3))));
        for bad in [None, Some(""), Some("v2"), Some("-1"), Some("+1"), Some("1.0"), Some("99999999999999999999")] {
            assert!(by.of_put(Some(MAY), bad, MAY).is_err(), "{bad:?}");
        }
    }
}
