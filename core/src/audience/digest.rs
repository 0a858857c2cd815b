//! The hash that names a definition: it changes when, and only when, something changes that decides the audience.
//!
//! In: the texts of an audience, of the policy and of the value sets, and the zone. Out: `sha256:` and 64 hex digits.
//! Never here: a file's date or name, or the order in which files were found.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// `parts` are named texts in an order that the caller fixes. Lengths are hashed too, so that no text can slip into its neighbour.
pub fn definition(parts: &[(&str, &str)]) -> String {
    let mut hash = Sha256::new();
    for (name, text) in parts {
        for bytes in [name.as_bytes(), text.as_bytes()] {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
    }
    let mut out = String::from("sha256:");
    for byte in hash.finalize() {
        write!(out, "{byte:02x}").expect("a String takes all that is written");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_do_not_slip_into_each_other() {
        let one = definition(&[("audience", "ab"), ("policy", "c")]);
        assert_eq!(one.len(), "sha256:".len() + 64);
        assert_ne!(one, definition(&[("audience", "a"), ("policy", "bc")]));
        assert_ne!(one, definition(&[("audience", "ab"), ("policy", "c"), ("", "")]));
        assert_eq!(one, definition(&[("audience", "ab"), ("policy", "c")]));
    }
}
