//! Seeds that are run with every test, and some that nobody has run before.
//!
//! A seed that fails is named, and `cargo run -p rempart-dst -- --from SEED --seeds 1 --story` runs it again, with all that
//! happened. Ten thousand are run by `make seeds`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use rempart_dst::run_seed;

/// How many of each are run here, where nothing is optimized.
const KNOWN: u64 = 16;
const FRESH: u64 = 8;

/// Runs the seeds of `range` on every core, and returns what each that breaks something breaks.
fn broken(range: std::ops::Range<u64>) -> Vec<String> {
    let next = AtomicU64::new(range.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let run = || {
        let mut broken = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !range.contains(&seed) {
                return broken;
            }
            let violations = run_seed(seed).unwrap().violations;
            broken.extend(violations.into_iter().map(|violation| format!("seed {seed}: {violation}")));
        }
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn known_seeds_break_nothing() {
    assert_eq!(broken(0..KNOWN), Vec::<String>::new());
}

#[test]
fn seeds_that_nobody_has_run_break_nothing() {
    let from = RandomState::new().hash_one("seeds") >> 16;
    println!("seeds from {from}");
    assert_eq!(broken(from..from.saturating_add(FRESH)), Vec::<String>::new());
}

#[test]
fn a_seed_decides_everything() {
    let (first, again, other) = (run_seed(3).unwrap(), run_seed(3).unwrap(), run_seed(4).unwrap());
    assert_eq!(first.story, again.story);
    assert_eq!(first.digest, again.digest);
    assert_ne!(first.digest, other.digest);
}
