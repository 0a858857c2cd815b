//! Keys: who a person is and what a resource is called inside Footbridge, without saying so.
//!
//! In: the routing secret, a namespace, FHIR ids. Out: persons, resource keys, amounts, partitions.
//! Never here: a way back from a key to an id, or a secret that prints.

mod contact;

pub use contact::{ContactKey, ContactKind};

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// A person: 128 bits of HMAC-SHA256 of namespace and Patient id (design §4, "Keys and topics"). It prints as its first
/// 8 hex digits: enough to tell two lines of a log apart, not enough to look a person up.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Person([u8; 16]);

impl Person {
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Person(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "person:{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A resource: 64 bits of HMAC-SHA256 of namespace, type and id.
// Fixed width: a hash as a variable-length integer would take up to 10 bytes, and members keep thousands of these.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceKey(#[serde(with = "postcard::fixint::le")] u64);

impl ResourceKey {
    pub const fn from_u64(key: u64) -> Self {
        ResourceKey(key)
    }

    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resource:{:08x}", self.0 >> 32)
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Hashes persons and resource keys by themselves: they are evenly spread under a secret already.
pub type Spread = std::hash::BuildHasherDefault<FirstBytes>;

#[derive(Debug, Default)]
pub struct FirstBytes(u64);

impl std::hash::Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }

    // The length of an array says nothing here.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What a hash is for. One byte in front of every message keeps the kinds apart under the one secret.
#[derive(Clone, Copy)]
enum Use {
    Person = 1,
    Resource = 2,
    Amount = 3,
    Contact = 4,
}

/// The routing secret, ready to hash. It never rotates: partition, state, holdout and spread hang on it.
#[derive(Clone)]
pub struct Keys {
    /// HMAC with the secret already worked in: a key costs two or three blocks of SHA-256 instead of four or five.
    keyed: Hmac<Sha256>,
}

impl Keys {
    /// `secret` may have any length; configuration refuses a short one.
    pub fn new(secret: &[u8]) -> Keys {
        Keys { keyed: Hmac::new_from_slice(secret).expect("hmac takes a key of any length (RFC 2104)") }
    }

    pub fn person(&self, namespace: &str, patient_id: &str) -> Person {
        Person(first(&self.hash(Use::Person, &[namespace.as_bytes(), patient_id.as_bytes()])))
    }

    pub fn resource(&self, namespace: &str, kind: &str, id: &str) -> ResourceKey {
        let hash = self.hash(Use::Resource, &[namespace.as_bytes(), kind.as_bytes(), id.as_bytes()]);
        ResourceKey(u64::from_be_bytes(first(&hash)))
    }

    /// A number spread evenly over `u64`, fixed for a person, an audience and a purpose (`spread`, `holdout`, `renew`).
    pub fn amount(&self, person: Person, audience: &str, purpose: &str) -> u64 {
        u64::from_be_bytes(first(&self.hash(Use::Amount, &[person.as_bytes(), audience.as_bytes(), purpose.as_bytes()])))
    }

    fn hash(&self, what: Use, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        mac.update(&[what as u8]);
        for part in parts {
            // The length in front: ("ab", "c") and ("a", "bc") are two messages.
            write_length(&mut mac, part.len());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// Seven bits a byte, the lowest first; the last byte is below 128. One byte for every id that FHIR allows.
fn write_length(mac: &mut Hmac<Sha256>, mut length: usize) {
    while length >= 0x80 {
        mac.update(&[(length & 0x7f) as u8 | 0x80]);
        length >>= 7;
    }
    mac.update(&[length as u8]);
}

fn first<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|i| hash[i])
}

/// The partition of a person among `count` (at least 1; configuration refuses 0): where Kafka's default partitioner
/// would put a record whose key is the 16 bytes.
pub fn partition(person: &Person, count: u32) -> u32 {
    (murmur2(&person.0) & 0x7fff_ffff) % count.max(1)
}

/// MurmurHash2, 32 bits, with the seed of Kafka's default partitioner.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that Kafka's own tests publish for its hash.
    #[test]
    fn the_hash_is_the_one_of_kafka() {
        let table: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, hash) in table {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }

    #[test]
    fn every_partition_gets_its_share() {
        let keys = Keys::new(b"a secret of the tests, invented");
        let mut filled = [0u32; 48];
        for n in 0..4800 {
            filled[partition(&keys.person("ehr", &n.to_string()), 48) as usize] += 1;
        }
        assert!(filled.iter().all(|n| (50..=160).contains(n)), "{filled:?}");
        assert_eq!(partition(&keys.person("ehr", "1"), 1), 0);
    }

    /// RFC 4231, test case 2, with what `person` puts in front of the message worked in by hand.
    #[test]
    fn a_person_is_the_start_of_an_hmac_over_tag_and_lengths() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").expect("any length");
        mac.update(b"\x01\x03ehr\x0212");
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        assert_eq!(Keys::new(b"Jefe").person("ehr", "12").as_bytes(), &whole[..16]);
    }

    #[test]
    fn what_is_different_has_different_keys() {
        let keys = Keys::new(b"a secret of the tests, invented");
        let other = Keys::new(b"another secret of the tests");
        assert_eq!(keys.person("ehr", "1"), keys.clone().person("ehr", "1"));
        assert_ne!(keys.person("ehr", "1"), other.person("ehr", "1"));
        assert_ne!(keys.person("ehr", "1"), keys.person("lab", "1"));
        assert_ne!(keys.person("ab", "c"), keys.person("a", "bc"));
        assert_ne!(keys.person("ab", ""), keys.person("", "ab"));
        assert_ne!(keys.resource("ehr", "Patient", "1"), keys.resource("ehr", "Person", "1"));
        assert_ne!(keys.resource("ehr", "List", "x1"), keys.resource("ehr", "Listx", "1"));
        let anna = keys.person("ehr", "anna");
        assert_eq!(keys.amount(anna, "mammogram-due", "spread"), keys.amount(anna, "mammogram-due", "spread"));
        assert_ne!(keys.amount(anna, "mammogram-due", "spread"), keys.amount(anna, "mammogram-due", "holdout"));
        assert_ne!(keys.amount(anna, "mammogram-due", "spread"), keys.amount(keys.person("ehr", "ben"), "mammogram-due", "spread"));
    }

    #[test]
    fn lengths_stay_apart_where_one_byte_does_not_hold_them() {
        let keys = Keys::new(b"a secret of the tests, invented");
        let long = "x".repeat(300);
        let mut seen: Vec<Person> = (0..=300).map(|cut| keys.person(&long[..cut], &long[cut..])).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 301);
    }

    #[test]
    fn keys_print_short_and_secrets_not_at_all() {
        let person = Person::from_bytes(*b"\x01\x02\xab\xcd567890123456");
        let resource = ResourceKey::from_u64(0x0102_abcd_0000_0001);
        assert_eq!(
            format!("{person} {person:?} {resource} {resource:?}"),
            "person:0102abcd person:0102abcd resource:0102abcd resource:0102abcd"
        );
        assert_eq!(format!("{:?}", Keys::new(b"secret")), "Keys");
    }

    #[test]
    fn at_rest_a_person_takes_16_bytes_and_a_resource_8() {
        let person = Person::from_bytes([0xff; 16]);
        let resource = ResourceKey::from_u64(u64::MAX);
        let bytes = postcard::to_stdvec(&(person, resource)).expect("plain data");
        assert_eq!(bytes.len(), 24);
        assert_eq!(postcard::from_bytes::<(Person, ResourceKey)>(&bytes).expect("what was written"), (person, resource));
    }
}
