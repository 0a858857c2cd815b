//! What is kept where: the keyspaces, their keys, and the form of an output.
//!
//! In: places, offsets, names, outputs. Out: bytes whose order is the order of reading, and back.
//! Never here: a read or a write.

use crate::log::{LogError, OutTopic, Output, Place, Stored, Topic};
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use footbridge_core::time::Instant;

/// All keyspaces of one log. Numbers in keys are big-endian: bytes sort as numbers do.
#[derive(Clone)]
pub struct Spaces {
    /// partition, offset -> record
    pub landing: Keyspace,
    /// partition, offset -> record
    pub owners: Keyspace,
    /// topic, partition, key -> offset of the newest record below the committed position
    pub index: Keyspace,
    /// topic, partition, key -> state
    pub state: Keyspace,
    /// topic, partition -> next offset to be read
    pub positions: Keyspace,
    /// stream, offset -> output
    pub outputs: Keyspace,
    /// stream, key -> offset of its newest output
    pub newest: Keyspace,
    /// when it is due, stream, offset -> key: outputs to be removed
    pub doomed: Keyspace,
    /// hash -> content
    pub definitions: Keyspace,
    /// stream -> next offset
    pub meta: Keyspace,
}

impl Spaces {
    /// `memtables`: bytes for all of them; a third each for landing and state, the rest shared.
    pub fn open(database: &Database, memtables: u64) -> Result<Spaces, fjall::Error> {
        let space = |name: &str, share: u64| {
            database.keyspace(name, || KeyspaceCreateOptions::default().max_memtable_size((memtables / share).max(1 << 20)))
        };
        Ok(Spaces {
            landing: space("landing", 3)?,
            owners: space("owners", 24)?,
            index: space("index", 6)?,
            state: space("state", 3)?,
            positions: space("positions", 48)?,
            outputs: space("outputs", 12)?,
            newest: space("newest", 24)?,
            doomed: space("doomed", 24)?,
            definitions: space("definitions", 48)?,
            meta: space("meta", 48)?,
        })
    }

    pub fn records(&self, topic: Topic) -> &Keyspace {
        match topic {
            Topic::Landing => &self.landing,
            Topic::Owners => &self.owners,
        }
    }
}

/// The key of a record among those of its topic.
pub fn record_key(partition: u16, offset: u64) -> [u8; 10] {
    let mut key = [0; 10];
    key[..2].copy_from_slice(&partition.to_be_bytes());
    key[2..].copy_from_slice(&offset.to_be_bytes());
    key
}

pub fn place_key(place: Place) -> [u8; 3] {
    let topic = match place.topic {
        Topic::Landing => 0,
        Topic::Owners => 1,
    };
    let [high, low] = place.partition.to_be_bytes();
    [topic, high, low]
}

/// The key of state, or of the index, in a place.
pub fn keyed(place: Place, key: &[u8]) -> Vec<u8> {
    [&place_key(place), key].concat()
}

/// The eight bytes at `at` as an offset.
pub fn offset_at(bytes: &[u8], at: usize, what: &str) -> Result<u64, LogError> {
    let slice = bytes.get(at..at + 8).and_then(|slice| slice.try_into().ok());
    slice.map(u64::from_be_bytes).ok_or_else(|| LogError::damaged(what, "an offset is broken"))
}

/// A stream of outputs: its topic as the beginning of a key that is no beginning of another's.
pub fn stream(topic: &OutTopic) -> Vec<u8> {
    match topic {
        OutTopic::Disclosures => vec![0],
        OutTopic::Quarantine => vec![1],
        OutTopic::Audience(name) => [&[2, name.len() as u8], name.as_bytes()].concat(),
    }
}

pub fn topic_of(stream: &[u8]) -> Result<OutTopic, LogError> {
    let topic = match stream {
        [0] => Some(OutTopic::Disclosures),
        [1] => Some(OutTopic::Quarantine),
        [2, length, name @ ..] if name.len() == usize::from(*length) => {
            std::str::from_utf8(name).ok().map(|name| OutTopic::Audience(name.into()))
        }
        _ => None,
    };
    topic.ok_or_else(|| LogError::damaged("meta", "the name of a stream is broken"))
}

pub fn output_key(stream: &[u8], offset: u64) -> Vec<u8> {
    [stream, &offset.to_be_bytes()].concat()
}

pub fn newest_key(stream: &[u8], key: &[u8]) -> Vec<u8> {
    [stream, key].concat()
}

/// Sorts by when it is due. Instants before 1970 are never due times of anything kept; they sort first.
pub fn doomed_key(due: Instant, stream: &[u8], offset: u64) -> Vec<u8> {
    let due = due.micros().max(0);
    [&due.to_be_bytes(), stream, &offset.to_be_bytes()].concat()
}

/// Stamp, whether there is a value, key, headers, value.
pub fn encode_output(output: &Output, stamp: Instant) -> Vec<u8> {
    let value = output.value.as_deref().unwrap_or(&[]);
    let mut out = Vec::with_capacity(64 + output.key.len() + value.len());
    out.extend(stamp.micros().to_be_bytes());
    out.extend([u8::from(output.value.is_some()), output.headers.len() as u8]);
    put(&mut out, &output.key);
    for (name, text) in &output.headers {
        put(&mut out, name.as_bytes());
        put(&mut out, text.as_bytes());
    }
    out.extend(value);
    out
}

pub fn decode_output(offset: u64, bytes: &[u8]) -> Result<Stored, LogError> {
    read_output(offset, bytes).ok_or_else(|| LogError::damaged("outputs", format!("the output at offset {offset} is broken")))
}

fn read_output(offset: u64, bytes: &[u8]) -> Option<Stored> {
    let stamp = Instant::from_micros(i64::from_be_bytes(bytes.get(..8)?.try_into().ok()?));
    let (&[valued, headers], mut rest) = bytes.get(8..)?.split_first_chunk()?;
    let key = take(&mut rest)?.to_vec();
    let mut list = Vec::with_capacity(usize::from(headers));
    for _ in 0..headers {
        let name = String::from_utf8(take(&mut rest)?.to_vec()).ok()?;
        list.push((name, String::from_utf8(take(&mut rest)?.to_vec()).ok()?));
    }
    let value = match (valued, rest) {
        (1, value) => Some(value.to_vec()),
        (0, []) => None,
        _ => return None,
    };
    Some(Stored { offset, stamp, key, headers: list, value })
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend(bytes);
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let (taken, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_comes_back_as_it_went_and_damage_is_an_error() {
        let headers = vec![("ce_type", "entered".to_string()), ("ce_id", String::new())];
        for value in [None, Some(vec![]), Some(vec![1, 2, 3])] {
            let output = Output { topic: OutTopic::Disclosures, key: vec![7; 20], headers: headers.clone(), value };
            let bytes = encode_output(&output, Instant::from_micros(-3));
            let stored = decode_output(4, &bytes).expect("a whole output");
            assert_eq!((stored.offset, stored.stamp.micros(), &stored.key, &stored.value), (4, -3, &output.key, &output.value));
            assert_eq!(stored.headers, [("ce_type".into(), "entered".into()), ("ce_id".into(), String::new())]);
            let body = bytes.len() - output.value.as_ref().map_or(0, Vec::len);
            for end in 0..body {
                assert!(decode_output(4, &bytes[..end]).is_err(), "cut at {end}");
            }
        }
    }

    #[test]
    fn keys_sort_as_places_offsets_and_times_do() {
        assert!(record_key(1, u64::MAX) < record_key(2, 0));
        assert!(record_key(1, 255) < record_key(1, 256));
        assert!(keyed(Place::landing(9), b"z") < keyed(Place::owners(0), b"a"));
        assert!(doomed_key(Instant::from_micros(255), b"z", 9) < doomed_key(Instant::from_micros(256), b"a", 0));
    }

    #[test]
    fn no_stream_is_the_beginning_of_another() {
        let audience = |name: &str| OutTopic::Audience(name.into());
        let topics = [OutTopic::Disclosures, OutTopic::Quarantine, audience("a"), audience("ab"), audience("b")];
        for one in &topics {
            assert_eq!(topic_of(&stream(one)).as_ref(), Ok(one));
            for other in topics.iter().filter(|other| *other != one) {
                assert!(!stream(other).starts_with(&stream(one)), "{one} {other}");
            }
        }
    }
}
