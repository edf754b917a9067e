//! Run statistics: the seconds and the memory that a command took, for whoever asks with `--stats`.
//!
//! Takes the end of each stage, and writes one line to standard error.

use std::{
    fmt::{self, Write as _},
    fs,
    time::{Duration, Instant},
};

use super::output;

/// A stopwatch that runs from stage to stage.
pub(super) struct RunStatistics {
    stages: Vec<(&'static str, Duration)>,
    since: Instant,
}

impl RunStatistics {
    /// The first stage begins.
    pub(super) fn begin() -> Self {
        Self { stages: Vec::new(), since: Instant::now() }
    }

    /// What was done until now was `stage`, and the next one begins.
    pub(super) fn done(&mut self, stage: &'static str) {
        let now = Instant::now();
        self.stages.push((stage, now.duration_since(self.since)));
        self.since = now;
    }

    /// Tells it: `stats: reading 0.301 s, deciding 0.004 s, saying 0.052 s; peak memory 41.7 MiB`.
    pub(super) fn tell(&self) {
        let peak = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(peak);
        output::complain(&format!("{}\n", StatsLine { stages: &self.stages, peak }));
    }
}

/// The line that is told. `peak` is in KiB.
struct StatsLine<'s> {
    stages: &'s [(&'static str, Duration)],
    peak: Option<u64>,
}

impl fmt::Display for StatsLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stats:")?;
        for (index, (stage, took)) in self.stages.iter().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            write!(f, " {stage} {:.3} s", took.as_secs_f64())?;
        }
        let Some(kib) = self.peak else { return Ok(()) };
        // Tenths, so that no float is needed.
        let tenths = kib.saturating_mul(10) / 1024;
        write!(f, "; peak memory {}.{} MiB", tenths / 10, tenths % 10)
    }
}

/// The most memory that was ever resident, in KiB, by `status`, which Linux has of every process.
fn peak(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_told_in_order_and_memory_where_it_is_known() {
        let stages = [("reading", Duration::from_millis(1301)), ("saying", Duration::from_micros(2499))];
        let told = |peak| StatsLine { stages: &stages, peak }.to_string();
        assert_eq!(told(Some(42_700)), "stats: reading 1.301 s, saying 0.002 s; peak memory 41.6 MiB");
        assert_eq!(told(None), "stats: reading 1.301 s, saying 0.002 s");
    }

    #[test]
    fn the_peak_is_found_as_linux_writes_it() {
        assert_eq!(peak("Name:\trempart\nVmPeak:\t   99 kB\nVmHWM:\t   35568 kB\nThreads:\t1\n"), Some(35_568));
        assert_eq!(peak("Name:\trempart\n"), None);
    }
}
