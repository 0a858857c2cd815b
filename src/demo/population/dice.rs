//! `Dice`: chance that is the same everywhere for the same seed.
//!
//! In: a seed. Out: numbers.
//! Never here: a source of real randomness, or anything that must be secret.

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Dice of their own for one person, so that one more person changes nothing for the others.
    pub fn of_person(seed: u64, number: u64) -> Dice {
        let own = Dice(number).roll();
        Dice(Dice(seed).roll() ^ own)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Both ends included.
    pub fn between(&mut self, least: i64, most: i64) -> i64 {
        let width = most.abs_diff(least) + 1;
        least + i64::try_from(self.roll() % width).unwrap_or(0)
    }

    pub fn percent(&mut self, share: i64) -> bool {
        self.between(0, 99) < share
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.roll() % from.len() as u64).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_in_their_bounds_and_reach_both_ends() {
        let mut dice = Dice::new(7);
        let rolled: Vec<i64> = (0..2000).map(|_| dice.between(-3, 4)).collect();
        assert_eq!((rolled.iter().min(), rolled.iter().max()), (Some(&-3), Some(&4)));
    }

    #[test]
    fn the_first_numbers_of_seed_0_are_those_published() {
        let mut dice = Dice::new(0);
        assert_eq!([dice.roll(), dice.roll()], [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4]);
    }
}
