//! Contacts: a telephone number or an e-mail address as a hash, the same however it is written.
//!
//! In: a contact as a person, an EHR or a CRM writes it. Out: a key that tells whether two of them may be one.
//! Never here: a way back from a key to a contact, or a guess at what is no contact.

use super::{Keys, Use, first};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;

/// What a contact is of; the two never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactKind {
    Phone,
    Email,
}

/// One contact: 64 bits of HMAC-SHA256 each. Of an address one; of a number those of its last 7, 8, 9 and 10 digits, as
/// far as it has them. Without any: a contact of which nobody can tell what it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContactKey(SmallVec<[Tail; 4]>);

// Fixed width: a hash as a variable-length integer would take up to 10 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Tail(#[serde(with = "postcard::fixint::le")] u64);

impl ContactKey {
    pub fn unknown() -> ContactKey {
        ContactKey(SmallVec::new())
    }

    /// Whether both may be one contact. Of two numbers as many digits are compared, from the end, as the shorter one has,
    /// ten at most: country and trunk prefixes stand in front, and one of them may be left out. What nobody can tell may
    /// be any contact.
    pub fn meets(&self, other: &ContactKey) -> bool {
        let digits = self.0.len().min(other.0.len());
        digits == 0 || self.0[digits - 1] == other.0[digits - 1]
    }

    /// Contacts that meet have the same, but for those that nobody can tell.
    pub fn bucket(&self) -> u64 {
        self.0.first().map_or(0, |tail| tail.0)
    }

    /// Tells this contact from all others. `None`: nobody can tell it.
    pub fn whole(&self) -> Option<u64> {
        self.0.last().map(|tail| tail.0)
    }

    pub fn is_unknown(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for ContactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "contact:{:08x}", self.whole().unwrap_or(0) >> 32)
    }
}

/// Fewer digits are no number that anybody could be called on; more than ten add only a country.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=10;
/// E.164 has 15 at most, and an international prefix stands in front of them.
const DIGITS_MAX: usize = 18;

impl Keys {
    /// `None`: the text is no number or no address.
    pub fn contact(&self, kind: ContactKind, text: &str) -> Option<ContactKey> {
        let tail = |form: &str| Tail(u64::from_be_bytes(first(&self.hash(Use::Contact, &[&[kind as u8], form.as_bytes()]))));
        match kind {
            ContactKind::Email => Some(ContactKey([tail(&address(text)?)].into_iter().collect())),
            ContactKind::Phone => {
                let digits = digits(text)?;
                let tails = DIGITS.filter(|count| *count <= digits.len()).map(|count| tail(&digits[digits.len() - count..]));
                Some(ContactKey(tails.collect()))
            }
        }
    }
}

/// The digits of a number, without an extension, a trunk zero, or the zeros of an international prefix.
fn digits(text: &str) -> Option<String> {
    if text.contains('@') {
        return None;
    }
    // A trunk zero that is written for those who call from inside the country.
    let text = text.replace("(0)", "");
    let mut digits = String::new();
    for c in text.chars() {
        match digit(c) {
            Some('0') if digits.is_empty() => {}
            Some(digit) => digits.push(digit),
            // An extension, a parameter or another number; a word in front of the number says nothing.
            None if digits.len() >= *DIGITS.start() && (c.is_alphabetic() || ";,/#".contains(c)) => break,
            None => {}
        }
    }
    (DIGITS.start()..=&DIGITS_MAX).contains(&&digits.len()).then_some(digits)
}

/// Digits of the scripts in which numbers are written on keyboards.
fn digit(c: char) -> Option<char> {
    let zero = match c {
        '0'..='9' => '0',
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        '\u{ff10}'..='\u{ff19}' => '\u{ff10}',
        _ => return None,
    };
    char::from_digit(u32::from(c) - u32::from(zero), 10)
}

/// An address in lower case, without what stands around it. Case tells boxes apart in theory, and nowhere in practice.
fn address(text: &str) -> Option<String> {
    let text = text.trim();
    // `Ann <ann@example.org>`
    let text = match (text.rfind('<'), text.ends_with('>')) {
        (Some(at), true) => &text[at + 1..text.len() - 1],
        _ => text,
    };
    let lower = text.trim().to_lowercase();
    let bare = lower.strip_prefix("mailto:").unwrap_or(&lower);
    let bare = bare.split('?').next().unwrap_or(bare).trim().trim_end_matches('.');
    let (local, domain) = bare.rsplit_once('@')?;
    let whole =
        !local.is_empty() && !domain.is_empty() && !bare.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;".contains(c));
    whole.then(|| bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ContactKind::{Email, Phone};

    fn key(kind: ContactKind, text: &str) -> Option<ContactKey> {
        Keys::new(b"a secret of the tests, invented").contact(kind, text)
    }

    fn meet(kind: ContactKind, one: &str, other: &str) -> bool {
        let (one, other) = (key(kind, one).expect("a contact"), key(kind, other).expect("a contact"));
        assert_eq!(one.meets(&other), other.meets(&one));
        assert!(!one.meets(&other) || one.bucket() == other.bucket(), "who meets is found in one bucket");
        one.meets(&other)
    }

    #[test]
    fn spellings_of_one_contact_meet() {
        let table: [(ContactKind, &[&str]); 8] = [
            (
                Phone,
                &[
                    "+1 312 555 0100",
                    "3125550100",
                    "(312) 555-0100",
                    "1-312-555-0100",
                    "312.555.0100",
                    "001 312 555 0100",
                    "011 1 312 555 0100",
                    "tel:+1-312-555-0100;ext=12",
                    "sms:+13125550100?body=no",
                    "312-555-0100 x12",
                    "312-555-0100 ext. 12",
                    "312-555-0100 / 312-555-0199",
                    " mobile: 312\u{2011}555\u{a0}0100 ",
                    "\u{ff13}\u{ff11}\u{ff12}5550100",
                ],
            ),
            (Phone, &["+1 312 555 0100", "555-0100"]),
            (Phone, &["+44 20 7946 0958", "020 7946 0958", "0044 20 7946 0958", "+44 (0)20 7946 0958", "(020) 7946-0958"]),
            (Phone, &["+33 1 42 34 56 78", "01 42 34 56 78", "0033142345678"]),
            (Phone, &["+49 30 123456-7", "030/1234567", "+49 (0) 30 1234567", "0049 30 1234567"]),
            (Phone, &["+47 22 33 44 55", "22334455"]),
            (Phone, &["+91 98765 43210", "09876543210", "98765 43210"]),
            (
                Email,
                &[
                    "ann@example.org",
                    " Ann@EXAMPLE.org ",
                    "mailto:ann@example.org?subject=no",
                    "MAILTO:ann@example.org",
                    "Ann <ann@example.org>",
                    "ann@example.org.",
                ],
            ),
        ];
        for (kind, spellings) in table {
            for one in spellings {
                for other in spellings {
                    assert!(meet(kind, one, other), "{one} and {other}");
                }
            }
        }
    }

    #[test]
    fn different_contacts_do_not_meet() {
        let table = [
            (Phone, "+1 312 555 0100", "+1 312 555 0101"),
            (Phone, "+1 312 555 0100", "+1 872 555 0100"),
            (Phone, "312 555 0100", "212 555 0100"),
            (Phone, "+33 1 42 34 56 78", "02 42 34 56 78"),
            (Phone, "555-0100", "555-0101"),
            (Email, "ann@example.org", "anne@example.org"),
            (Email, "ann@example.org", "ann@example.com"),
            (Email, "ann+news@example.org", "ann@example.org"),
        ];
        for (kind, one, other) in table {
            assert!(!meet(kind, one, other), "{one} and {other}");
        }
        let (number, address) = (key(Phone, "3125550100").expect("a number"), key(Email, "3125550100@example.org").expect("an address"));
        assert!(!number.meets(&address));
        assert_ne!(number, Keys::new(b"another").contact(Phone, "3125550100").expect("a number"));
    }

    #[test]
    fn what_is_no_contact_has_no_key() {
        let numbers = ["", "none", "1-800-FLOWERS", "0000000000", "555-010", "3125550100@example.org", "1234567890123456789"];
        numbers.iter().for_each(|text| assert_eq!(key(Phone, text), None, "{text}"));
        let addresses = ["", "none", "@example.org", "ann@", "ann example@example.org", "a@b.org, c@d.org", "<>", "3125550100"];
        addresses.iter().for_each(|text| assert_eq!(key(Email, text), None, "{text}"));
    }

    #[test]
    fn what_nobody_can_tell_may_be_any_contact() {
        let ann = key(Email, "ann@example.org").expect("an address");
        let unknown = ContactKey::unknown();
        assert!(unknown.meets(&ann) && ann.meets(&unknown) && unknown.is_unknown() && !ann.is_unknown());
        assert_eq!((unknown.whole(), unknown.bucket()), (None, 0));
    }

    #[test]
    fn a_key_prints_short_and_takes_few_bytes() {
        let key = key(Phone, "3125550100").expect("a number");
        assert_eq!(format!("{key:?}").len(), "contact:01234567".len());
        let bytes = postcard::to_stdvec(&key).expect("plain data");
        assert_eq!(bytes.len(), 33);
        assert_eq!(postcard::from_bytes::<ContactKey>(&bytes).expect("what was written"), key);
    }
}
