//! The source of random numbers.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// A random number generator that starts from `seed`.
///
/// The same seed gives the same numbers on every machine for a version of wengert. Whatever
/// implements [`rand::Rng`] serves where wengert asks for a generator; this one saves a program the
/// dependency.
///
/// ```
/// use wengert::prelude::*;
/// let draw = |seed| Tensor::<f32>::uniform([3], -1.0, 1.0, &mut wengert::rng(seed));
/// assert_eq!(draw(7), draw(7));
/// assert_ne!(draw(7), draw(8));
/// ```
pub fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    #[test]
    fn a_seed_names_one_sequence() {
        let words = |seed| {
            let mut rng = super::rng(seed);
            [rng.next_u64(), rng.next_u64()]
        };
        assert_eq!(words(0), words(0));
        assert_ne!(words(0), words(1));
        assert_ne!(words(0)[0], words(0)[1]);
    }
}
