//! Marks: where quotes, brackets and the like stand in 64 bytes of JSON at a time.
//!
//! In: bytes. Out: one bit a byte, the first byte lowest; which of them lie in strings.
//! Never here: what the marks mean, or a claim that they make JSON.

use wide::u8x16;

pub struct Marks {
    pub quotes: u64,
    backslashes: u64,
    /// `{`, `}`, `[` and `]`; and `Y`, `_`, `y` and DEL, which stand in strings only and are refused elsewhere.
    pub brackets: u64,
    /// `,` and `:`.
    pub between: u64,
}

/// The marks of the 64 bytes from `base`; past the end there are none.
#[inline(always)]
pub fn marks_at(bytes: &[u8], base: usize) -> Marks {
    match bytes[base..].first_chunk::<64>() {
        Some(whole) => marks(whole),
        None => {
            let part = &bytes[base..];
            let mut block = [b' '; 64];
            block[..part.len()].copy_from_slice(part);
            marks(&block)
        }
    }
}

#[inline(always)]
fn marks(block: &[u8; 64]) -> Marks {
    let mut marks = Marks { quotes: 0, backslashes: 0, brackets: 0, between: 0 };
    for (i, part) in block.as_chunks::<16>().0.iter().enumerate() {
        let part = u8x16::new(*part);
        let bits = |hits: u8x16| u64::from(hits.to_bitmask()) << (16 * i);
        let is = |b: u8| part.simd_eq(u8x16::splat(b));
        marks.quotes |= bits(is(b'"'));
        marks.backslashes |= bits(is(b'\\'));
        marks.brackets |= bits((part | u8x16::splat(0x26)).simd_eq(u8x16::splat(0x7f)));
        marks.between |= bits(is(b',') | is(b':'));
    }
    marks
}

/// Carries from one block to the next what is open at its end.
#[derive(Default)]
pub struct Strings {
    /// All ones within a string.
    open: u64,
    escape: bool,
}

impl Strings {
    /// The bytes that lie in strings, their opening quote included.
    #[inline(always)]
    pub fn inside(&mut self, marks: &Marks) -> u64 {
        let mut quotes = marks.quotes;
        if marks.backslashes != 0 || self.escape {
            quotes &= !escaped(marks.backslashes, &mut self.escape);
        }
        let inside = until_closed(quotes) ^ self.open;
        self.open = if inside >> 63 == 1 { u64::MAX } else { 0 };
        inside
    }
}

/// Which bytes a backslash before them escapes. `ahead` carries over to the next block.
fn escaped(backslashes: u64, ahead: &mut bool) -> u64 {
    let mut out = u64::from(*ahead);
    let mut rest = backslashes & !out;
    *ahead = false;
    while rest != 0 {
        let i = rest.trailing_zeros();
        rest &= rest - 1;
        if i == 63 {
            *ahead = true;
            break;
        }
        out |= 2 << i;
        rest &= !(2 << i);
    }
    out
}

/// From each odd bit (inclusive) to the next even one (exclusive): the inside of strings, their opening quote included.
fn until_closed(quotes: u64) -> u64 {
    [1, 2, 4, 8, 16, 32].into_iter().fold(quotes, |bits, shift| bits ^ bits << shift)
}
