//! Random numbers that can be had again (splitmix64).

use std::time::Duration;

/// A generator of numbers that its seed decides.
#[derive(Clone, Debug)]
pub(crate) struct SeededRng(u64);

impl SeededRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    /// Whether something happens that does so many times in a thousand.
    pub(crate) fn happens(&mut self, permille: usize) -> bool {
        self.below(1000) < permille
    }

    /// One of these.
    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len())).cloned()
    }

    /// So many milliseconds, of these.
    pub(crate) fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        let span = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(1);
        let more = u64::try_from(self.below(span)).unwrap_or_default();
        Duration::from_millis(range.start.saturating_add(more))
    }

    /// A generator of its own, so that what one part draws leaves the others as they are.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
