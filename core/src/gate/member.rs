//! Members: a person as one recipient knows them.
//!
//! In: a person, or a member id that comes back from the recipient. Out: the member id, or the person.
//! Never here: a table of who is who, a secret that prints, or a member id that is only nearly right.

use std::fmt;

use aes::Aes256;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::consent::Recipient;
use crate::key::Person;

/// Bytes of keyed check behind the block: a made-up member id passes once in 2^64 tries.
const CHECK: usize = 8;
const BYTES: usize = 16 + CHECK;
/// Four characters hold three bytes, and 24 bytes fill them without a rest, so a member id has one spelling only.
const CHARACTERS: usize = BYTES / 3 * 4;

/// One key of a recipient. Members are stable under it, differ from those of any other key, and can be read back
/// without a table (design §4, "Keys and topics").
#[derive(Clone)]
pub struct MemberKey {
    id: u32,
    cipher: Aes256,
    check: Hmac<Sha256>,
}

/// Why a text is no member id of this key. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadMember {
    /// Not `k`, a number, `.` and 32 characters of base64url.
    Shape,
    /// A member id of another key: an old one, or another recipient's.
    OtherKey,
    /// Made up, damaged, or made with another secret.
    Check,
}

impl fmt::Display for BadMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadMember::Shape => "not a member id: expected `k`, a key number, `.` and 32 characters of base64url",
            BadMember::OtherKey => "a member id of another key: reload the audience topic for the present one",
            BadMember::Check => "a member id that this key did not make: its check fails",
        })
    }
}

impl std::error::Error for BadMember {}

impl MemberKey {
    /// `id` is the number in front of every member (`k1.`) and rises when the key is rotated. Recipient and id are part
    /// of the key, so recipients stay unlinkable even where one secret serves them all.
    pub fn new(recipient: &str, id: u32, secret: &[u8]) -> MemberKey {
        let cipher = derive(secret, "member cipher", recipient, id);
        let check = derive(secret, "member check", recipient, id);
        MemberKey { id, cipher: Aes256::new(&Array::from(cipher)), check: keyed(&check) }
    }

    /// The first key of each of the policy's recipients, in their order.
    pub fn of_all(recipients: &[Recipient], secret: &[u8]) -> Vec<MemberKey> {
        recipients.iter().map(|recipient| MemberKey::new(&recipient.key, 1, secret)).collect()
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    /// The person as this recipient knows them: `k1.` and 32 characters of base64url.
    pub fn member(&self, person: Person) -> String {
        let mut block = Array::from(*person.as_bytes());
        self.cipher.encrypt_block(&mut block);
        let check: [u8; 32] = self.check_of(&block.into()).finalize().into_bytes().into();
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(&block);
        bytes[16..].copy_from_slice(&check[..CHECK]);
        format!("k{}.{}", self.id, encode(&bytes))
    }

    /// Whose member id this is. Refuses all that [`MemberKey::member`] of this very key did not write.
    pub fn person(&self, member: &str) -> Result<Person, BadMember> {
        let (id, text) = member.strip_prefix('k').and_then(|rest| rest.split_once('.')).ok_or(BadMember::Shape)?;
        let number: u32 = id.parse().map_err(|_| BadMember::Shape)?;
        let bytes = decode(text).ok_or(BadMember::Shape)?;
        // `01` and `+1` are numbers too, but not how the id is written.
        if number.to_string() != id {
            return Err(BadMember::Shape);
        }
        if number != self.id {
            return Err(BadMember::OtherKey);
        }
        let mut block = [0; 16];
        block.copy_from_slice(&bytes[..16]);
        // Compared in constant time: an answer's delay must not teach how to guess a check.
        self.check_of(&block).verify_truncated_left(&bytes[16..]).map_err(|_| BadMember::Check)?;
        let mut block = Array::from(block);
        self.cipher.decrypt_block(&mut block);
        Ok(Person::from_bytes(block.into()))
    }

    /// A released value as this recipient alone knows it: 32 hex digits, the same for the same value.
    pub fn hash(&self, text: &str) -> String {
        let mut mac = self.check.clone();
        mac.update(b"value");
        mac.update(text.as_bytes());
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        hash[..16].iter().map(|b| format!("{b:02x}")).collect()
    }

    fn check_of(&self, block: &[u8; 16]) -> Hmac<Sha256> {
        let mut mac = self.check.clone();
        mac.update(&self.id.to_be_bytes());
        mac.update(block);
        mac
    }
}

impl fmt::Debug for MemberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemberKey(k{})", self.id)
    }
}

/// A key for one use: HMAC of label, recipient and id under the secret. Only the recipient's name has no fixed length,
/// and it comes last, so two inputs never make one message (a 0 byte ends the label).
fn derive(secret: &[u8], label: &str, recipient: &str, id: u32) -> [u8; 32] {
    let mut mac = keyed(secret);
    mac.update(label.as_bytes());
    mac.update(&[0]);
    mac.update(&id.to_be_bytes());
    mac.update(recipient.as_bytes());
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("hmac takes a key of any length (RFC 2104)")
}

/// RFC 4648 §5.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode(bytes: &[u8; BYTES]) -> String {
    let mut text = String::with_capacity(CHARACTERS);
    for [a, b, c] in bytes.as_chunks().0 {
        let bits = u32::from_be_bytes([0, *a, *b, *c]);
        for shift in [18, 12, 6, 0] {
            text.push(char::from(ALPHABET[(bits >> shift & 63) as usize]));
        }
    }
    text
}

fn decode(text: &str) -> Option<[u8; BYTES]> {
    if text.len() != CHARACTERS {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (from, to) in text.as_bytes().as_chunks::<4>().0.iter().zip(bytes.as_chunks_mut::<3>().0) {
        let mut bits = 0;
        for character in from {
            bits = bits << 6 | six_bits(*character)?;
        }
        let [_, a, b, c] = bits.to_be_bytes();
        *to = [a, b, c];
    }
    Some(bytes)
}

fn six_bits(character: u8) -> Option<u32> {
    let value = match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Keys;

    fn people() -> impl Iterator<Item = Person> {
        let keys = Keys::new(b"a secret of the tests, invented");
        (0..200).map(move |n| keys.person("ehr", &n.to_string())).chain([Person::from_bytes([0; 16]), Person::from_bytes([255; 16])])
    }

    #[test]
    fn a_member_leads_back_to_the_person_and_stays_the_same() {
        let (key, again) = (MemberKey::new("crm", 1, b"secret"), MemberKey::new("crm", 1, b"secret"));
        for person in people() {
            let member = key.member(person);
            assert_eq!(key.person(&member), Ok(person));
            assert_eq!(again.member(person), member);
            assert_eq!(member.len(), 35);
            assert!(member.starts_with("k1."));
        }
    }

    #[test]
    fn keys_of_two_recipients_secrets_or_rotations_share_nothing() {
        let keys = [
            MemberKey::new("crm", 1, b"secret"),
            MemberKey::new("crm", 2, b"secret"),
            MemberKey::new("mail", 1, b"secret"),
            MemberKey::new("crm", 1, b"another"),
        ];
        for person in people() {
            for (i, one) in keys.iter().enumerate() {
                for other in &keys[i + 1..] {
                    let (a, b) = (one.member(person), other.member(person));
                    assert_ne!(a[3..], b[3..]);
                    let refusal = if one.id() == other.id() { BadMember::Check } else { BadMember::OtherKey };
                    assert_eq!(other.person(&a), Err(refusal));
                    // Nor does another number in front help.
                    assert_eq!(other.person(&format!("k{}{}", other.id(), &a[2..])), Err(BadMember::Check));
                }
            }
        }
    }

    #[test]
    fn a_member_with_any_character_changed_added_or_lost_is_refused() {
        let key = MemberKey::new("crm", 1, b"secret");
        for person in people().take(10) {
            let member = key.member(person);
            for at in 0..member.len() {
                for other in "Az09-_ .+=/k2\u{e9}".chars() {
                    let changed = format!("{}{other}{}", &member[..at], &member[at + 1..]);
                    let added = format!("{}{other}{}", &member[..at], &member[at..]);
                    assert!(changed == member || key.person(&changed).is_err(), "changed at {at}");
                    assert!(key.person(&added).is_err(), "added at {at}");
                }
                assert!(key.person(&format!("{}{}", &member[..at], &member[at + 1..])).is_err(), "lost at {at}");
            }
        }
    }

    #[test]
    fn every_bit_of_block_and_check_counts() {
        let key = MemberKey::new("crm", 1, b"secret");
        let member = key.member(Person::from_bytes([7; 16]));
        let bytes = decode(&member[3..]).expect("just made");
        for bit in 0..BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.person(&format!("k1.{}", encode(&flipped))), Err(BadMember::Check), "bit {bit}");
        }
    }

    #[test]
    fn what_has_not_the_shape_of_a_member_is_refused_as_such() {
        let key = MemberKey::new("crm", 1, b"secret");
        let text = key.member(Person::from_bytes([7; 16]))[3..].to_string();
        for bad in [
            String::new(),
            "k1".into(),
            "k1.".into(),
            format!("k01.{text}"),
            format!("k+1.{text}"),
            format!("K1.{text}"),
            format!("k1.{text}="),
            text.clone(),
        ] {
            assert_eq!(key.person(&bad), Err(BadMember::Shape), "{bad}");
        }
        assert_eq!(key.person(&format!("k2.{text}")), Err(BadMember::OtherKey));
    }

    #[test]
    fn base64url_is_that_of_rfc_4648() {
        let mut bytes = [0; BYTES];
        bytes[..6].copy_from_slice(b"foobar");
        bytes[6..9].copy_from_slice(&[0xfb, 0xff, 0xfe]);
        assert_eq!(encode(&bytes), "Zm9vYmFy-__-AAAAAAAAAAAAAAAAAAAA");
        assert_eq!(decode("Zm9vYmFy-__-AAAAAAAAAAAAAAAAAAAA"), Some(bytes));
    }
}
