//! Machine and process figures from Linux's /proc.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context, Result};
use serde::Serialize;

/// Linux counts the time of processes in hundredths of a second, on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// The machine on which was measured.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MachineInfo {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_mib: u64,
    pub(super) kernel: String,
    /// Of the last minute, five and fifteen, before anything was measured.
    pub(super) load_before: String,
}

impl MachineInfo {
    pub(super) fn describe() -> Result<Self> {
        let processors = read("/proc/cpuinfo")?;
        let processor = value(&processors, "model name").unwrap_or("unknown").to_owned();
        let memory = read("/proc/meminfo")?;
        Ok(Self {
            processor,
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            memory_mib: kib(&memory, "MemTotal").unwrap_or_default() / 1024,
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            load_before: load()?,
        })
    }
}

/// The load averages.
pub(super) fn load() -> Result<String> {
    Ok(read("/proc/loadavg")?.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

/// The time that a process has had on the processors, for itself and in the kernel.
pub(super) fn processor_time(pid: i32) -> Result<Duration> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    // The second field is the name, in parentheses, and may itself hold spaces and parentheses.
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>();
    Ok(TICK * ticks.with_context(|| format!("/proc/{pid}/stat is not what it should be: {stat}"))?)
}

/// The memory of a process: what is resident, and the most that ever was.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProcessMemory {
    pub(super) resident_kib: u64,
    pub(super) peak_kib: u64,
}

impl ProcessMemory {
    pub(super) fn of(pid: i32) -> Result<Self> {
        let status = read(&format!("/proc/{pid}/status"))?;
        let field = |name| kib(&status, name).with_context(|| format!("/proc/{pid}/status lacks {name}"));
        Ok(Self { resident_kib: field("VmRSS")?, peak_kib: field("VmHWM")? })
    }

    /// Bytes that are resident beyond `without`, for each of `number` objects.
    pub(super) fn growth_per(self, without: Self, number: usize) -> f64 {
        let number = u32::try_from(number).map_or(f64::NAN, f64::from);
        (mib(self.resident_kib) - mib(without.resident_kib)) * 1024.0 * 1024.0 / number
    }
}

/// KiB as MiB.
#[expect(clippy::cast_precision_loss, reason = "KiB of a process, far below 2^52")]
pub(super) fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Processor time of other processes on the machine.
pub(super) struct BackgroundLoad {
    ours: BTreeSet<i32>,
    all: Duration,
    own: Duration,
    began: std::time::Instant,
}

impl BackgroundLoad {
    /// Counts every process but these and this one.
    pub(super) fn watch(ours: impl IntoIterator<Item = i32>) -> Result<Self> {
        let this = i32::try_from(std::process::id()).unwrap_or_default();
        let ours: BTreeSet<i32> = ours.into_iter().chain([this]).collect();
        let own = Self::time_of(&ours);
        Ok(Self { own, ours, all: busy()?, began: std::time::Instant::now() })
    }

    /// The processors that were busy with others, on average.
    pub(super) fn processors(&self) -> Result<f64> {
        let all = busy()?.saturating_sub(self.all);
        let own = Self::time_of(&self.ours).saturating_sub(self.own);
        Ok(all.saturating_sub(own).div_duration_f64(self.began.elapsed()))
    }

    /// For how long it has been counted.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn time_of(processes: &BTreeSet<i32>) -> Duration {
        processes.iter().filter_map(|pid| processor_time(*pid).ok()).sum()
    }
}

/// The time that all processors have been busy since the machine started, what its host took included.
fn busy() -> Result<Duration> {
    let stat = read("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let columns = first.split_whitespace().skip(1).take(8).enumerate().filter(|(column, _)| !matches!(column, 3 | 4));
    let ticks = columns.map(|(_, ticks)| ticks.parse::<u64>()).sum::<Result<u64, _>>();
    let ticks = ticks.with_context(|| format!("/proc/stat is not what it should be: {first}"))?;
    Ok(Duration::from_millis(ticks.saturating_mul(10)))
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}, which Linux has: measure there"))
}

/// The value of the first line `name: value`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

fn kib(text: &str, name: &str) -> Option<u64> {
    value(text, name)?.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_a_machine() {
        let this = i32::try_from(std::process::id()).unwrap();
        let memory = ProcessMemory::of(this).unwrap();
        assert!(memory.resident_kib > 0 && memory.peak_kib >= memory.resident_kib, "{memory:?}");
        processor_time(this).unwrap();
        assert!(MachineInfo::describe().unwrap().cores > 0);
        assert!(BackgroundLoad::watch([]).unwrap().processors().unwrap() >= 0.0);
    }
}
