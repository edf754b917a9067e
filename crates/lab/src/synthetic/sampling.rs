//! Samples by index: a hash of an index and a salt in place of a random number, so that files do not depend on their
//! order.

use crate::rng::{GAMMA, mix};

/// A number below `sides`: the same for the same `index` and `salt`, and by no pattern that another salt shares.
pub(super) fn roll(sides: u64, index: usize, salt: u64) -> u64 {
    mix((index as u64).wrapping_add(salt.wrapping_mul(GAMMA))).checked_rem(sides).unwrap_or_default()
}

/// One of `options`, as [`roll`] has it.
pub(super) fn pick<T: Copy>(options: &[T], index: usize, salt: u64) -> Option<T> {
    options.get(usize::try_from(roll(options.len() as u64, index, salt)).ok()?).copied()
}
