//! A member as a store keeps it: its core, each resource's evidence, and its versions in buckets, a piece each.
//!
//! In: the member as it is, and what the store has of it. Out: the pieces that differ, and a member from its pieces.
//! Never here: a list of what somebody says to have changed; what differs is found by comparing.

use super::member::{BadState, FORMAT, Member};
use super::versions::{BUCKETS, Versions};
use crate::audience::Kept;
use crate::key::ResourceKey;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::hash::Hasher;

/// Which part of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// All but the evidence and the versions. A member that is not empty has one.
    Core,
    Evidence(ResourceKey),
    /// The versions of the resources whose keys begin with these six bits.
    Versions(u8),
}

/// What the store has of one member.
#[derive(Default)]
pub struct Stored {
    core: Option<u64>,
    /// Evidence is never changed in place: the same piece is the same evidence.
    evidence: Vec<(ResourceKey, Kept)>,
    /// Digests by bucket; 0: none. Empty: none at all.
    versions: Box<[u64]>,
}

impl Stored {
    /// Gives the pieces in which the member differs from what is stored; `None`: there is no such piece any more. From then on they
    /// count as stored. `head` stands in front of the core.
    pub fn renew(&mut self, head: &[u8], member: &Member, versions: &Versions, mut each: impl FnMut(Piece, Option<Vec<u8>>)) {
        let core = (!member.is_empty(versions)).then(|| encode(member, head.to_vec()));
        let digest = core.as_deref().map(digest_of);
        if digest != self.core {
            self.core = digest;
            each(Piece::Core, core);
        }
        self.renew_evidence(&member.evidence, &mut each);
        if self.versions.is_empty() && versions.is_empty() {
            return;
        }
        let before = std::mem::replace(&mut self.versions, versions.digests());
        for bucket in 0..BUCKETS {
            let digest = self.versions[usize::from(bucket)];
            if before.get(usize::from(bucket)).copied().unwrap_or(0) != digest {
                each(Piece::Versions(bucket), (digest != 0).then(|| encode(&versions.of_bucket(bucket), Vec::new())));
            }
        }
    }

    /// Walks both lists, which are sorted by key.
    fn renew_evidence(&mut self, now: &[(ResourceKey, Kept)], each: &mut impl FnMut(Piece, Option<Vec<u8>>)) {
        let same = |a: &(ResourceKey, Kept), b: &(ResourceKey, Kept)| a.0 == b.0 && a.1.is(&b.1);
        if self.evidence.len() == now.len() && self.evidence.iter().zip(now).all(|(a, b)| same(a, b)) {
            return;
        }
        let mut before = self.evidence.iter().peekable();
        for one in now {
            while let Some((key, _)) = before.next_if(|(key, _)| *key < one.0) {
                each(Piece::Evidence(*key), None);
            }
            if before.next_if(|(key, _)| *key == one.0).is_none_or(|old| !same(old, one)) {
                each(Piece::Evidence(one.0), Some(encode(&one.1, Vec::new())));
            }
        }
        before.for_each(|(key, _)| each(Piece::Evidence(*key), None));
        self.evidence = now.to_vec();
    }
}

/// A member in the making. Pieces of evidence, and of versions, come in the order of their keys.
pub struct Loaded {
    pub member: Member,
    pub versions: Versions,
    stored: Stored,
}

impl Loaded {
    /// `core`: with the `head` bytes that stand in front of it.
    pub fn new(core: &[u8], head: usize) -> Result<Loaded, BadState> {
        let member = decode(core.get(head..).unwrap_or(&[]))?;
        let stored = Stored { core: Some(digest_of(core)), ..Stored::default() };
        Ok(Loaded { member, versions: Versions::default(), stored })
    }

    pub fn evidence(&mut self, key: ResourceKey, bytes: &[u8]) -> Result<(), BadState> {
        if self.member.evidence.last().is_some_and(|(last, _)| *last >= key) {
            return Err(BadState::Damaged);
        }
        self.member.evidence.push((key, decode(bytes)?));
        Ok(())
    }

    pub fn versions(&mut self, bucket: u8, bytes: &[u8]) -> Result<(), BadState> {
        let (seen, gone) = decode(bytes)?;
        if self.versions.restore(bucket, seen, gone) { Ok(()) } else { Err(BadState::Damaged) }
    }

    pub fn done(mut self) -> (Member, Versions, Stored) {
        self.stored.evidence = self.member.evidence.clone();
        if !self.versions.is_empty() {
            self.stored.versions = self.versions.digests();
        }
        (self.member, self.versions, self.stored)
    }
}

/// Appends a piece: its format, then what it holds.
fn encode(piece: &impl Serialize, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.push(FORMAT);
    postcard::to_extend(piece, bytes).expect("a member is plain data")
}

/// A piece to its last byte.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadState> {
    match bytes.split_first() {
        None => Err(BadState::Empty),
        Some((&FORMAT, rest)) => match postcard::take_from_bytes(rest) {
            Ok((piece, [])) => Ok(piece),
            Ok(_) | Err(_) => Err(BadState::Damaged),
        },
        Some((other, _)) => Err(BadState::Format(*other)),
    }
}

/// Only ever compared within one process.
fn digest_of(bytes: &[u8]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audience::{Evidence, Facet, Held, Marks};
    use crate::consent::Labels;
    use crate::fhir::Version;
    use crate::timeline::Truth;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A store of one member, which reads back what was written after each change.
    #[derive(Default)]
    pub struct Shelf {
        stored: Stored,
        pieces: BTreeMap<Piece, Vec<u8>>,
    }

    impl Shelf {
        /// How many pieces were written or taken out. What is read again is what is in memory.
        pub fn keep(&mut self, member: &Member, versions: &Versions) -> usize {
            let (pieces, mut moved) = (&mut self.pieces, 0);
            self.stored.renew(&[], member, versions, |piece, bytes| {
                moved += 1;
                match bytes {
                    Some(bytes) => _ = pieces.insert(piece, bytes),
                    None => assert!(pieces.remove(&piece).is_some(), "only what is there is taken out"),
                }
            });
            let (read, seen, mut stored) = self.load();
            assert!(read == *member && seen == *versions, "what is read again is what was kept");
            stored.renew(&[], &read, &seen, |piece, _| unreachable!("{piece:?} did not change"));
            moved
        }

        pub fn load(&self) -> (Member, Versions, Stored) {
            let Some(core) = self.pieces.get(&Piece::Core) else {
                assert!(self.pieces.is_empty(), "nothing is left behind without a core");
                return Default::default();
            };
            let mut loaded = Loaded::new(core, 0).expect("a core");
            for (piece, bytes) in &self.pieces {
                match piece {
                    Piece::Core => {}
                    Piece::Evidence(key) => loaded.evidence(*key, bytes).expect("evidence"),
                    Piece::Versions(bucket) => loaded.versions(*bucket, bytes).expect("versions"),
                }
            }
            loaded.done()
        }
    }

    fn evidence(number: u16) -> Kept {
        let criteria = [(number, Held::Always(Truth::True))].into_iter().collect();
        let facet = Facet { kind: 0, codes: Default::default(), time: None };
        Kept::new(Evidence { criteria, latests: vec![], values: vec![], links: Default::default(), loose_link: false, facet })
    }

    #[test]
    fn only_what_changed_is_written() {
        let (mut member, mut versions, mut shelf) = (Member::default(), Versions::default(), Shelf::default());
        assert_eq!(shelf.keep(&member, &versions), 0, "nobody yet");
        for key in 0..100 {
            versions.accept(ResourceKey::from_u64(key << 57), Version(1));
        }
        member.evidence = (0..9).map(|key| (ResourceKey::from_u64(key), evidence(1))).collect();
        assert_eq!(shelf.keep(&member, &versions), 1 + 9 + 50);
        assert_eq!(shelf.keep(&member, &versions), 0);
        versions.accept(ResourceKey::from_u64(7 << 57), Version(2));
        assert_eq!(shelf.keep(&member, &versions), 1, "a bucket");
        versions.leave(ResourceKey::from_u64(7 << 57), Version(2));
        assert_eq!(shelf.keep(&member, &versions), 1, "the same version, and gone");
        member.evidence[3].1 = evidence(2);
        member.evidence.remove(5);
        assert_eq!(shelf.keep(&member, &versions), 2);
        member.open_group = true;
        assert_eq!(shelf.keep(&member, &versions), 1, "the core");
        assert_eq!(shelf.keep(&Member::default(), &Versions::default()), 1 + 8 + 50, "forgotten");
        assert!(shelf.pieces.is_empty());
    }

    #[test]
    fn what_is_damaged_or_of_another_format_is_refused() {
        let core = encode(&Member::default(), Vec::new());
        assert!(Loaded::new(&core, 0).is_ok_and(|loaded| loaded.member == Member::default()));
        assert!(matches!(Loaded::new(&[], 0), Err(BadState::Empty)));
        assert!(matches!(Loaded::new(&core, core.len() + 1), Err(BadState::Empty)));
        assert!(matches!(Loaded::new(&[9, 0], 0), Err(BadState::Format(9))));
        assert!(matches!(Loaded::new(&core[..1], 0), Err(BadState::Damaged)));
        let (mut loaded, bytes) = (Loaded::new(&core, 0).expect("a core"), encode(&evidence(1), Vec::new()));
        loaded.evidence(ResourceKey::from_u64(5), &bytes).expect("evidence");
        assert!(matches!(loaded.evidence(ResourceKey::from_u64(5), &bytes), Err(BadState::Damaged)), "twice");
        for end in 0..bytes.len() {
            assert!(loaded.evidence(ResourceKey::from_u64(6), &bytes[..end]).is_err(), "cut at {end}");
        }
        let mut versions = Versions::default();
        versions.accept(ResourceKey::from_u64(1 << 58), Version(3));
        let bytes = encode(&versions.of_bucket(1), Vec::new());
        assert!(loaded.versions(2, &bytes).is_err(), "of another bucket");
        for end in 0..bytes.len() {
            assert!(loaded.versions(1, &bytes[..end]).is_err(), "cut at {end}");
        }
        loaded.versions(1, &bytes).expect("versions");
        assert!(loaded.versions(1, &bytes).is_err(), "twice");
    }

    #[derive(Debug, Clone)]
    enum Change {
        Accept(u64, i64),
        Leave(u64, i64),
        Evidence(u64, Option<u16>),
        Mark(u64, bool),
        Swap,
        Clone,
        Reload,
        Forget,
    }

    fn changes() -> impl Strategy<Value = Change> {
        let key = || (0u64..40).prop_map(|key| key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let version = || prop_oneof![0i64..4, Just(i64::MIN), Just(i64::MAX), Just(1_600_000_000_123_000)];
        prop_oneof![
            6 => (key(), version()).prop_map(|(key, version)| Change::Accept(key, version)),
            3 => (key(), version()).prop_map(|(key, version)| Change::Leave(key, version)),
            6 => (key(), prop::option::of(0u16..3)).prop_map(|(key, number)| Change::Evidence(key, number)),
            2 => (key(), any::<bool>()).prop_map(|(key, sensitive)| Change::Mark(key, sensitive)),
            1 => Just(Change::Swap),
            1 => Just(Change::Clone),
            1 => Just(Change::Reload),
            1 => Just(Change::Forget),
        ]
    }

    proptest! {
        /// Two spaces of state, members that are carried from one to the other and back, kept now and then.
        #[test]
        fn whatever_happens_to_a_member_is_on_file(story in prop::collection::vec((changes(), any::<bool>()), 0..60)) {
            let (mut mine, mut other) = <((Member, Versions), (Member, Versions))>::default();
            let (mut shelf, mut second) = (Shelf::default(), Shelf::default());
            for (change, keep) in story {
                match change {
                    Change::Accept(key, version) => _ = mine.1.accept(ResourceKey::from_u64(key), Version(version)),
                    Change::Leave(key, version) => _ = mine.1.leave(ResourceKey::from_u64(key), Version(version)),
                    Change::Evidence(key, number) => {
                        crate::shard::member::place(&mut mine.0.evidence, ResourceKey::from_u64(key), number.map(evidence));
                    }
                    Change::Mark(key, sensitive) => {
                        let marks = Marks { labels: Labels::default(), sensitive };
                        crate::shard::member::place(&mut mine.0.marks, ResourceKey::from_u64(key), Some(marks));
                    }
                    Change::Swap => std::mem::swap(&mut mine, &mut other),
                    Change::Clone => other = mine.clone(),
                    Change::Reload => {
                        shelf.keep(&mine.0, &mine.1);
                        let (member, versions, stored) = shelf.load();
                        (mine, shelf.stored) = ((member, versions), stored);
                    }
                    Change::Forget => mine = Default::default(),
                }
                if keep {
                    shelf.keep(&mine.0, &mine.1);
                    second.keep(&other.0, &other.1);
                }
            }
            shelf.keep(&mine.0, &mine.1);
            second.keep(&other.0, &other.1);
        }
    }
}
