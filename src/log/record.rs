//! Entries to be appended to landing and owners, and records as read from there.
//!
//! In: headers, key and value. Out: one run of bytes that a memtable, the tail and the reader share, and views of it.
//! Never here: what the value means.

use super::LogError;
use footbridge_core::time::Instant;
use std::fmt;

/// Bytes that are cheap to clone.
pub use fjall::Slice as Bytes;

/// Longest key of an entry or of state.
pub const KEY_BYTES_MAX: usize = 1024;
/// Largest value of an entry, of state or of an output.
pub const VALUE_BYTES_MAX: usize = 32 << 20;

/// The two topics that the loop reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    Landing,
    Owners,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub topic: Topic,
    pub partition: u16,
}

impl Place {
    pub const fn landing(partition: u16) -> Place {
        Place { topic: Topic::Landing, partition }
    }

    pub const fn owners(partition: u16) -> Place {
        Place { topic: Topic::Owners, partition }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = match self.topic {
            Topic::Landing => "landing",
            Topic::Owners => "owners",
        };
        write!(f, "{topic}/{}", self.partition)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an entry says (design §3, "One input"). The number is its byte on disk and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    Put = 1,
    Delete = 2,
    Preference = 3,
    Message = 4,
    Baseline = 5,
    Watermark = 6,
    Tick = 7,
    Erase = 8,
    Retry = 9,
    Prepare = 10,
    Adopt = 11,
    Claim = 12,
    ContactPreference = 13,
    Stop = 14,
}

impl Kind {
    const ALL: [Kind; 14] = [
        Kind::Put,
        Kind::Delete,
        Kind::Preference,
        Kind::Message,
        Kind::Baseline,
        Kind::Watermark,
        Kind::Tick,
        Kind::Erase,
        Kind::Retry,
        Kind::Prepare,
        Kind::Adopt,
        Kind::Claim,
        Kind::ContactPreference,
        Kind::Stop,
    ];

    fn from_byte(byte: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(byte.checked_sub(1)?)).copied()
    }
}

/// Headers of a landing or owners record. `version` orders versions of one resource; `more` marks all but the last of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    pub kind: Kind,
    /// Empty where the kind has none. At most 255 bytes, as `source`.
    pub resource_type: Box<str>,
    pub version: i64,
    pub more: bool,
    pub source: Box<str>,
}

/// To be appended.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub place: Place,
    pub key: Vec<u8>,
    pub headers: Headers,
    pub value: Vec<u8>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {}, {} bytes", self.headers.kind, self.place, self.value.len())
    }
}

impl Entry {
    /// About what it costs in a queue and on disk.
    pub fn bytes(&self) -> usize {
        HEAD + self.headers.resource_type.len() + self.headers.source.len() + self.key.len() + self.value.len()
    }

    /// All that a record says before its key.
    pub fn head(&self, stamp: Instant, out: &mut Vec<u8>) {
        let Entry { key, headers, .. } = self;
        out.extend([headers.kind as u8, u8::from(headers.more), headers.resource_type.len() as u8, headers.source.len() as u8]);
        out.extend((key.len() as u16).to_be_bytes());
        out.extend(headers.version.to_be_bytes());
        out.extend(stamp.micros().to_be_bytes());
        out.extend(headers.resource_type.as_bytes());
        out.extend(headers.source.as_bytes());
    }

    /// That it fits the form of a record.
    pub fn check(&self) -> Result<(), LogError> {
        let too_long = match () {
            () if self.key.len() > KEY_BYTES_MAX => "key",
            () if self.value.len() > VALUE_BYTES_MAX => "value",
            () if self.headers.resource_type.len() > 255 => "resource type",
            () if self.headers.source.len() > 255 => "source name",
            () => return Ok(()),
        };
        Err(LogError::refused(self.place, format!("the {too_long} of an entry is too long")))
    }
}

/// As read. Cheap to clone: all text and bytes are one shared run.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub place: Place,
    pub offset: u64,
    pub stamp: Instant,
    pub kind: Kind,
    pub version: i64,
    pub more: bool,
    whole: Bytes,
}

/// kind, more, lengths of type and source, of key (2), version (8), stamp (8); then type, source, key, value.
const HEAD: usize = 22;

impl Record {
    /// The entry must fit (`Entry::check`).
    pub fn new(entry: &Entry, offset: u64, stamp: Instant) -> Record {
        let Entry { place, key, headers, value } = entry;
        let mut whole = Vec::with_capacity(entry.bytes());
        entry.head(stamp, &mut whole);
        whole.extend(key);
        whole.extend(value);
        let (kind, version, more) = (headers.kind, headers.version, headers.more);
        Record { place: *place, offset, stamp, kind, version, more, whole: whole.into() }
    }

    /// From what [`Entry::head`] gave, with key and value, for a log that keeps them apart.
    pub fn joined(place: Place, offset: u64, head: &[u8], key: &[u8], value: &[u8]) -> Result<Record, LogError> {
        let record = Record::decode(place, offset, [head, key, value].concat().into())?;
        match record.key() == key {
            true => Ok(record),
            false => Err(LogError::damaged(place, format!("the record at offset {offset} is broken"))),
        }
    }

    /// From the bytes that `whole` gave.
    pub fn decode(place: Place, offset: u64, whole: Bytes) -> Result<Record, LogError> {
        let broken = || LogError::damaged(place, format!("the record at offset {offset} is broken"));
        let head = whole.get(..HEAD).ok_or_else(broken)?;
        let kind = Kind::from_byte(head[0]).ok_or_else(broken)?;
        let more = match head[1] {
            0 => false,
            1 => true,
            _ => return Err(broken()),
        };
        let long = |at: usize| head[at..at + 8].try_into().map(i64::from_be_bytes).map_err(|_| broken());
        let (version, stamp) = (long(6)?, Instant::from_micros(long(14)?));
        let record = Record { place, offset, stamp, kind, version, more, whole };
        let [resource_type, source, key] = record.ends();
        let names = record.whole.get(HEAD..source).ok_or_else(broken)?;
        if key > record.whole.len() || std::str::from_utf8(names).is_err() || record.text(HEAD, resource_type).is_none() {
            return Err(broken());
        }
        Ok(record)
    }

    /// What is kept on disk.
    pub fn whole(&self) -> &Bytes {
        &self.whole
    }

    pub fn resource_type(&self) -> &str {
        self.text(HEAD, self.ends()[0]).expect("`new` and `decode` saw to it that names are text")
    }

    pub fn source(&self) -> &str {
        let [resource_type, source, _] = self.ends();
        self.text(resource_type, source).expect("`new` and `decode` saw to it that names are text")
    }

    pub fn key(&self) -> &[u8] {
        let [_, source, key] = self.ends();
        &self.whole[source..key]
    }

    pub fn value(&self) -> &[u8] {
        &self.whole[self.ends()[2]..]
    }

    pub fn headers(&self) -> Headers {
        let (resource_type, source) = (self.resource_type().into(), self.source().into());
        Headers { kind: self.kind, resource_type, version: self.version, more: self.more, source }
    }

    /// Where the type, the source and the key end.
    fn ends(&self) -> [usize; 3] {
        let resource_type = HEAD + usize::from(self.whole[2]);
        let source = resource_type + usize::from(self.whole[3]);
        [resource_type, source, source + usize::from(u16::from_be_bytes([self.whole[4], self.whole[5]]))]
    }

    fn text(&self, from: usize, to: usize) -> Option<&str> {
        std::str::from_utf8(self.whole.get(from..to)?).ok()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}@{} {}, {} bytes", self.kind, self.place, self.offset, self.stamp, self.whole.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let headers = Headers { kind: Kind::Put, resource_type: "Patient".into(), version: -7, more: true, source: "quelle".into() };
        Entry { place: Place::landing(3), key: vec![1, 2, 3], headers, value: vec![9; 40] }
    }

    #[test]
    fn a_record_says_what_the_entry_said_also_after_decoding() {
        let entry = entry();
        let record = Record::new(&entry, 12, Instant::from_micros(5));
        let again = Record::decode(entry.place, 12, record.whole().clone()).expect("a whole record");
        for record in [&record, &again] {
            assert_eq!(record.headers(), entry.headers);
            assert_eq!((record.key(), record.value()), (&entry.key[..], &entry.value[..]));
            assert_eq!((record.place, record.offset, record.stamp.micros()), (entry.place, 12, 5));
        }
        assert_eq!(record, again);
        assert_eq!(record.whole().len(), entry.bytes());
    }

    #[test]
    fn every_kind_keeps_its_byte() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_byte(kind as u8), Some(kind));
        }
        assert_eq!((Kind::from_byte(0), Kind::from_byte(15)), (None, None));
    }

    #[test]
    fn bytes_cut_short_or_spoilt_are_damage_and_never_a_panic() {
        let whole = Record::new(&entry(), 0, Instant::from_micros(5)).whole().to_vec();
        let names = HEAD + "Patientquelle".len() + 3;
        for end in 0..names {
            let error = Record::decode(Place::landing(3), 4, Bytes::from(&whole[..end])).expect_err("cut short");
            assert_eq!(
                error.to_string(),
                "landing/3: the record at offset 4 is broken; stop the instance and restore the directory from a backup"
            );
        }
        for (at, byte) in [(0, 0), (0, 99), (1, 2), (HEAD, 0xff), (4, 0xff)] {
            let mut spoilt = whole.clone();
            spoilt[at] = byte;
            assert!(Record::decode(Place::landing(3), 4, spoilt.into()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn debug_output_shows_no_key_and_no_value() {
        let entry = Entry { key: b"secret".to_vec(), value: b"private".to_vec(), ..entry() };
        assert_eq!(format!("{entry:?}"), "Put for landing/3, 7 bytes");
        assert_eq!(format!("{:?}", Record::new(&entry, 1, Instant::from_micros(0))), "Put at landing/3@1 1970-01-01T00:00:00Z, 48 bytes");
    }

    #[test]
    fn an_entry_too_long_for_its_form_is_refused() {
        let long: Box<str> = "x".repeat(256).into();
        let cases = [
            Entry { key: vec![0; KEY_BYTES_MAX + 1], ..entry() },
            Entry { headers: Headers { source: long.clone(), ..entry().headers }, ..entry() },
            Entry { headers: Headers { resource_type: long, ..entry().headers }, ..entry() },
        ];
        assert_eq!(entry().check(), Ok(()));
        for case in cases {
            assert_eq!(case.check().expect_err("too long").trouble, super::super::Trouble::Refused);
        }
    }
}
