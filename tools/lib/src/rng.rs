//! Seeded random numbers: the same seed makes the same choices on every machine and in every version.

use rand::SeedableRng;
pub use rand::seq::{IndexedRandom, SliceRandom};
pub use rand::{Rng, RngExt};
/// PCG XSL RR 128/64 (O'Neill 2014): fixed by its paper, so that a seed in an old history still means the same.
pub use rand_pcg::Pcg64;

use crate::environment::variable;
use crate::exit::{Error, Result};

/// The seed of this run: the flag, else `$BREAKIT_SEED`, else one drawn from the system.
///
/// # Errors
/// 64 where `$BREAKIT_SEED` is no number.
pub fn seed(flag: Option<u64>) -> Result<u64> {
    if let Some(seed) = flag {
        return Ok(seed);
    }
    match variable("BREAKIT_SEED") {
        Some(text) => text.trim().parse().map_err(|_| {
            Error::usage(format!(
                "BREAKIT_SEED={text:?} is no seed; set it to a whole number below 2^64"
            ))
        }),
        // Below 2^53, so that every JSON reader brings the seed back whole.
        None => Ok(rand::random::<u64>() >> 11),
    }
}

/// The generator for one purpose within a run: `purpose` keeps two users of one seed apart.
pub fn generator(seed: u64, purpose: &str) -> Pcg64 {
    // FNV-1a of the purpose becomes the stream: two purposes never share one sequence.
    let stream = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    Pcg64::seed_from_u64(seed ^ stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let mut rng = generator(7, "grudge");
        let drawn: Vec<u32> = (0..4).map(|_| rng.random_range(0..1000)).collect();
        assert_eq!(drawn, GOLDEN);
    }

    #[test]
    fn purposes_do_not_share_a_sequence() {
        let (mut a, mut b) = (generator(7, "a"), generator(7, "b"));
        assert_ne!(a.random::<u64>(), b.random::<u64>());
    }

    const GOLDEN: [u32; 4] = [282, 254, 426, 206];
}
