//! Runs seeds, and says which break what must hold.

use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use clap::Parser;
use rempart_dst::run_seed;
use tracing_subscriber::filter::LevelFilter;

/// Deterministic simulation testing of the operator.
#[derive(Debug, Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// Tell what happened in each run.
    #[arg(long)]
    story: bool,
    /// How many run side by side.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> ExitCode {
    // What the operator logs is of use for one seed alone: RUST_LOG=debug.
    let filter =
        tracing_subscriber::EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).from_env_lossy();
    tracing_subscriber::fmt().with_env_filter(filter).without_time().init();
    let Arguments { from, seeds, story, threads } = Arguments::parse();
    let (next, broken, writes) = (AtomicU64::new(from), Mutex::new(Vec::new()), AtomicU64::new(0));
    let end = from.saturating_add(seeds);
    let breaks = |seed: u64| broken.lock().unwrap_or_else(PoisonError::into_inner).push(seed);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    match run_seed(seed) {
                        Ok(outcome) => {
                            writes.fetch_add(u64::try_from(outcome.writes).unwrap_or_default(), Ordering::Relaxed);
                            if story {
                                println!("seed {seed}: {} writes, digest {:016x}", outcome.writes, outcome.digest);
                                for line in &outcome.story {
                                    println!("  {line}");
                                }
                            }
                            if !outcome.violations.is_empty() {
                                breaks(seed);
                                println!("seed {seed} breaks");
                                for line in &outcome.violations {
                                    println!("  {line}");
                                }
                            }
                        }
                        Err(error) => {
                            breaks(seed);
                            println!("seed {seed} cannot be run: {error:#}");
                        }
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{seeds} seeds from {from}: {} broken, {} writes", broken.len(), writes.load(Ordering::Relaxed));
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
