//! Seeded dice: the same overlay on every machine.
//!
//! In: a seed and what is thrown for. Out: numbers. Never here: a clock or an address in memory.

/// SplitMix64.
pub struct Dice(u64);

impl Dice {
    /// Dice of its own for each name: inventing more for one patient moves nothing for another.
    pub fn of(seed: u64, name: &str) -> Dice {
        let mixed = name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |sum, b| (sum ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Dice(mixed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        let place = self.below(from.len() as u64);
        &from[usize::try_from(place).expect("a place in a slice")]
    }
}
