//! Chance from a seed.
//!
//! In: a seed. Out: numbers, the same for the same seed on every machine.
//! Never here: a number that anyone must not guess.

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, and 0 where there is no choice.
    pub fn below(&mut self, end: usize) -> usize {
        let end = end.max(1) as u64;
        (self.number() % end) as usize
    }

    pub fn happens(&mut self, in_a_thousand: u32) -> bool {
        in_a_thousand > 0 && self.number() % 1000 < u64::from(in_a_thousand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_published_numbers() {
        let mut chance = Chance::new(1_234_567);
        assert_eq!([chance.number(), chance.number()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn a_thousand_in_a_thousand_always_happens_and_none_never() {
        let mut chance = Chance::new(1);
        assert!((0..100).all(|_| chance.happens(1000) && !chance.happens(0)));
    }
}
