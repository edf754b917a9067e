//! Cost of `rempart plan`, from manifests on a disk to a whole report, on one processor.
//!
//! Each run is a process of its own, as people start it, pinned to one processor; sizes and formats take turns within a
//! round, so that whatever else happens on the machine hits all alike. The wall clock is read outside; how the time is
//! split comes from the command itself, by `--stats`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::{
        resource::{UsageWho, getrusage},
        time::TimeVal,
    },
    unistd::Pid,
};
use serde::Serialize;

use super::{
    figures::{AimLimit, FigureSpread, PerformanceAim},
    machine::BackgroundLoad,
};
use crate::{ProgressDisplay, operator, synthetic::SyntheticOrganisation};

/// The instant of every judgement: within the terms of most certificates.
const AT: &str = "2026-11-22";

/// The numbers of workloads, each twice the one before.
pub(super) const WORKLOADS: [usize; 4] = [2_500, 5_000, 10_000, 20_000];

/// The number that aims are set for.
const AIMED: usize = 10_000;

/// Output format of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PlanFormat {
    Json,
    Text,
}

impl PlanFormat {
    const ALL: [Self; 2] = [Self::Json, Self::Text];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

/// One run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlanRun {
    /// From the start of the process to its end.
    pub(super) wall_seconds: f64,
    /// Processor time, in the kernel on its behalf included.
    pub(super) processor_seconds: f64,
    pub(super) reading_seconds: f64,
    pub(super) deciding_seconds: f64,
    pub(super) saying_seconds: f64,
    pub(super) peak_mib: f64,
}

/// All runs of one size and format.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlanFigures {
    pub(super) workloads: usize,
    pub(super) format: PlanFormat,
    /// Bytes read, and bytes written.
    pub(super) input_bytes: u64,
    pub(super) output_bytes: u64,
    pub(super) runs: Vec<PlanRun>,
}

/// All sizes and formats.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfflineFigures {
    pub(super) rounds: usize,
    pub(super) measured: Vec<PlanFigures>,
    /// Processors that were busy with something else meanwhile.
    pub(super) bystanders: f64,
}

impl PlanFigures {
    pub(super) fn spread(&self, of: fn(&PlanRun) -> f64) -> FigureSpread {
        FigureSpread::of(self.runs.iter().map(of))
    }
}

impl OfflineFigures {
    fn of(&self, workloads: usize, format: PlanFormat) -> Option<&PlanFigures> {
        self.measured.iter().find(|measured| measured.workloads == workloads && measured.format == format)
    }

    /// Factor by which twice the workloads take longer, from the number that aims are set for.
    fn twice(&self, format: PlanFormat) -> Option<FigureSpread> {
        let (half, whole) = (self.of(AIMED, format)?, self.of(2 * AIMED, format)?);
        Some(FigureSpread::of(
            half.runs.iter().zip(&whole.runs).map(|(half, whole)| whole.wall_seconds / half.wall_seconds),
        ))
    }

    pub(super) fn aims(&self) -> Vec<PerformanceAim> {
        let aims = PlanFormat::ALL.into_iter().flat_map(|format| {
            let what = |rest: &str| format!("plan of {AIMED} workloads as {}: {rest}", format.name());
            let measured = self.of(AIMED, format);
            let wall = measured.map(|measured| measured.spread(|run| run.wall_seconds));
            let peak = measured.map(|measured| measured.spread(|run| run.peak_mib));
            [
                wall.map(|wall| PerformanceAim::new(what("wall"), "s", wall, AimLimit::AtMost(0.5))),
                peak.map(|peak| PerformanceAim::new(what("peak memory"), "MiB", peak, AimLimit::AtMost(200.0))),
                // A tenth more than twice is noise; what grows faster than the number shows as far more.
                self.twice(format).map(|twice| {
                    PerformanceAim::new(what("twice as many"), "times as long", twice, AimLimit::AtMost(2.2))
                }),
            ]
        });
        aims.flatten().collect()
    }
}

/// Measures. Blocks, and pins the calling thread to one processor for good.
pub(super) fn measure(rounds: usize, progress: ProgressDisplay) -> Result<OfflineFigures> {
    let binary = operator::binary()?;
    let step = progress.step("plans: writing manifests");
    let dir = tempfile::tempdir().context("cannot make a directory for manifests")?;
    let mut measured = Vec::new();
    for workloads in WORKLOADS {
        let input_bytes = write(SyntheticOrganisation::of(workloads), &dir.path().join(workloads.to_string()))?;
        measured.extend(PlanFormat::ALL.map(|format| PlanFigures {
            workloads,
            format,
            input_bytes,
            output_bytes: 0,
            runs: Vec::new(),
        }));
    }
    step.done();
    pin()?;
    // Once for nothing: the files, and the binary itself, are to be in the kernel's memory.
    for measured in &measured {
        run(&binary, dir.path(), measured)?;
    }
    let bystanders = BackgroundLoad::watch([])?;
    let before = processor_seconds()?;
    for round in 0..rounds {
        let step = progress.step(format!("plans: round {} of {rounds}", round + 1));
        for measured in &mut measured {
            step.note(&format!("{} workloads, {}", measured.workloads, measured.format.name()));
            let (run, output_bytes) = run(&binary, dir.path(), measured)?;
            measured.runs.push(run);
            measured.output_bytes = output_bytes;
        }
        step.done();
    }
    let own = (processor_seconds()? - before) / bystanders.elapsed().as_secs_f64();
    Ok(OfflineFigures { rounds, measured, bystanders: (bystanders.processors()? - own).max(0.0) })
}

/// Writes the manifests of `synthetic` into `dir`; how many bytes they are.
fn write(synthetic: SyntheticOrganisation, dir: &Path) -> Result<u64> {
    fs::create_dir(dir)?;
    let mut bytes = 0;
    for file in synthetic.facts().into_iter().chain(synthetic.workloads()) {
        let path = dir.join(&file.name);
        fs::write(&path, &file.text).with_context(|| format!("cannot write {}", path.display()))?;
        bytes += file.text.len() as u64;
    }
    Ok(bytes)
}

/// Has this thread, and whatever it starts, run on one processor: the last one that it may use, because the first one
/// serves most interrupts.
fn pin() -> Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let last = (0..CpuSet::count()).rev().find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(last.context("this process may use no processor")?)?;
    sched_setaffinity(this, &one).context("cannot stay on one processor")
}

/// Plans once; how that went, and how many bytes were said.
fn run(binary: &PathBuf, dir: &Path, measured: &PlanFigures) -> Result<(PlanRun, u64)> {
    let output = dir.join("output");
    let processor = processor_seconds()?;
    let begun = Instant::now();
    let ended = Command::new(binary)
        .arg("plan")
        .arg(dir.join(measured.workloads.to_string()))
        .args(["--stats", "--at", AT, "-o", measured.format.name()])
        .stdin(Stdio::null())
        .stdout(File::create(&output)?)
        .output()
        .with_context(|| format!("cannot run {}", binary.display()))?;
    let wall_seconds = begun.elapsed().as_secs_f64();
    let processor_seconds = processor_seconds()? - processor;
    let told = String::from_utf8_lossy(&ended.stderr);
    // Some workloads are refused, and some have nowhere to run: that is what it is to find.
    ensure!(ended.status.code() == Some(i32::from(rempart::cli::FOUND)), "{} failed: {told}", binary.display());
    Ok((split(&told, PlanRun { wall_seconds, processor_seconds, ..PlanRun::default() })?, fs::metadata(&output)?.len()))
}

/// `run`, with what `told` says of it: a line of `--stats`.
fn split(told: &str, run: PlanRun) -> Result<PlanRun> {
    let Some(line) = told.lines().find_map(|line| line.strip_prefix("stats: ")) else {
        bail!("--stats told nothing: {told}");
    };
    let figure = |name: &str| {
        let mut parts = line.split([',', ';']);
        let found = parts.find_map(|part| part.trim().strip_prefix(name)?.split_whitespace().next()?.parse().ok());
        found.with_context(|| format!("--stats does not tell {name}: {line}"))
    };
    Ok(PlanRun {
        reading_seconds: figure("reading")?,
        deciding_seconds: figure("deciding")?,
        saying_seconds: figure("saying")?,
        peak_mib: figure("peak memory")?,
        ..run
    })
}

/// The time that the processes started by this one, and ended, have had on the processors.
fn processor_seconds() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a benchmark, far below 2^52")]
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_read_as_the_command_tells_it() {
        let told =
            "warning: a word\n\nstats: reading 0.301 s, deciding 0.004 s, saying 0.052 s; peak memory 41.7 MiB\n";
        let expected = PlanRun {
            wall_seconds: 0.4,
            reading_seconds: 0.301,
            deciding_seconds: 0.004,
            saying_seconds: 0.052,
            peak_mib: 41.7,
            ..PlanRun::default()
        };
        assert_eq!(split(told, PlanRun { wall_seconds: 0.4, ..PlanRun::default() }).unwrap(), expected);
        assert!(split("stats: reading 0.301 s", PlanRun::default()).is_err());
        assert!(split("", PlanRun::default()).is_err());
    }
}
