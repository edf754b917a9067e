//! Simulation of the operator from a script: every write that it would make, without a cluster.
//!
//! Takes the text of a script and returns what happened, line by line. The same script gives the same text, so that it can
//! be compared with one that was kept.

mod script;

use std::fmt::Write as _;

use anyhow::{Context, bail};
use rempart::{
    admission::{AdmissionSettings, installed::InstalledAdmission},
    history::chain::unseal,
    operator::{
        HistorySettings, MoveLimits, Settings,
        component::OperatorComponent,
        simulation::{SimulatedCluster, SimulatedWrite},
    },
};
use rempart_core::instant::Timestamp;
use serde_json::Value;

use self::script::{Expectation, HistoryFormat, ObjectField, ReportFormat, ScriptCommand, ScriptStep};

/// When every simulation begins, in seconds of Unix time: 2026-03-01T12:00:00Z.
const BEGIN: i64 = 1_772_366_400;
/// How many nodes the simulated operator writes to at a time.
const CONCURRENCY: usize = 4;

/// Runs the script `text`, and returns what happened.
///
/// # Errors
/// When a step cannot be read or taken, or when an expectation does not hold; with what happened until then.
pub fn simulate(text: &str) -> anyhow::Result<String> {
    let exempt = vec!["kube-system".to_owned(), "rempart-system".to_owned()];
    let admission = AdmissionSettings {
        exempt,
        schedulers: vec!["system:kube-scheduler".to_owned()],
        ..AdmissionSettings::default()
    };
    let components = OperatorComponent::ALL;
    let (concurrency, limits) = (CONCURRENCY, MoveLimits::default());
    let installed = InstalledAdmission::of_release("rempart-system", &admission.exempt, &admission.mutation)?;
    let history = Some(HistorySettings { replica: "simulated".to_owned() });
    let settings = Settings { components, admission, installed, concurrency, limits, history };
    let mut cluster = SimulatedCluster::new(settings, Timestamp::from_seconds(BEGIN));
    let mut output = String::new();
    for step in script::read(text)? {
        take(&mut cluster, step, &mut output).with_context(|| format!("after\n{output}"))?;
    }
    Ok(output)
}

fn take(cluster: &mut SimulatedCluster, step: ScriptStep, output: &mut String) -> anyhow::Result<()> {
    match step {
        ScriptStep::Put(object) => {
            let key = cluster.put(&object)?;
            writeln!(output, "> put {key}")?;
        }
        ScriptStep::Run(ScriptCommand::Advance(length)) => {
            writeln!(output, "> advance {length}")?;
            for write in cluster.advance(script::duration(&length)?) {
                writeln!(output, "{}", line(&write))?;
            }
        }
        ScriptStep::Run(ScriptCommand::Delete(name)) => {
            let key = name.key();
            if !cluster.delete(&key) {
                bail!("{key} is not there to be deleted");
            }
            writeln!(output, "> delete {key}")?;
        }
        ScriptStep::Run(ScriptCommand::Lead(leads)) => {
            cluster.lead(leads);
            writeln!(output, "> {}", if leads { "lead" } else { "follow" })?;
        }
        ScriptStep::Run(ScriptCommand::Fail(failure)) => {
            writeln!(output, "> fail {} with {} times {}", failure.write, failure.failure(), failure.times)?;
            cluster.fail(failure.write.clone(), failure.failure(), failure.times);
        }
        ScriptStep::Run(ScriptCommand::Show(ObjectField { object, at })) => {
            let key = object.key();
            let found = cluster.get(&key).and_then(|object| object.pointer(&at)).unwrap_or(&Value::Null);
            writeln!(output, "> show {key} {at}\n{found:#}")?;
        }
        ScriptStep::Run(ScriptCommand::Report(ReportFormat::Json)) => {
            writeln!(output, "> report\n{:#}", cluster.report().to_json())?;
        }
        ScriptStep::Run(ScriptCommand::Report(ReportFormat::Held)) => {
            writeln!(output, "> report")?;
            held(&cluster.report().to_json(), output)?;
        }
        ScriptStep::Run(ScriptCommand::History(format)) => {
            writeln!(output, "> history")?;
            let mut quiet = 0_u32;
            for told in cluster.take_history() {
                match format {
                    HistoryFormat::Lines => writeln!(output, "{told}")?,
                    // Of a long time in which nothing happens one line is enough.
                    HistoryFormat::Told if told.contains("\"kind\":\"Alive\"") => quiet = quiet.saturating_add(1),
                    HistoryFormat::Told => {
                        quiet_times(&mut quiet, output)?;
                        writeln!(output, "  {}", entry(&told)?)?;
                    }
                }
            }
            quiet_times(&mut quiet, output)?;
        }
        ScriptStep::Run(ScriptCommand::Expect(Expectation { object, at, value })) => {
            let key = object.key();
            let found = cluster.get(&key).and_then(|object| object.pointer(&at));
            if found != value.as_ref() {
                bail!("{key} {at} is {found:?}, and should be {value:?}");
            }
            writeln!(output, "> expect {key} {at}")?;
        }
    }
    Ok(())
}

/// One line for each reason for which something is held back.
fn held(report: &Value, output: &mut String) -> std::fmt::Result {
    for (stage, reasons) in report.get("held").and_then(Value::as_object).into_iter().flatten() {
        for (reason, held) in reasons.as_object().into_iter().flatten() {
            let examples = held.get("examples").and_then(Value::as_array).into_iter().flatten();
            let examples: Vec<_> = examples.filter_map(Value::as_str).collect();
            let count = held.get("count").unwrap_or(&Value::Null);
            let named = if examples.is_empty() { String::new() } else { format!(": {}", examples.join(", ")) };
            writeln!(output, "  {stage}: {reason} ({count}){named}")?;
        }
    }
    Ok(())
}

/// How often it was told that nothing has changed.
fn quiet_times(quiet: &mut u32, output: &mut String) -> std::fmt::Result {
    match std::mem::take(quiet) {
        0 => Ok(()),
        times => writeln!(output, "  Alive, {times} times"),
    }
}

/// When an entry of history was told, and what it says.
fn entry(told: &str) -> anyhow::Result<String> {
    let found = unseal(told).map_err(anyhow::Error::msg)?;
    let event = found.event.map_err(anyhow::Error::msg)?;
    let time = found.link.at.strftime("%H:%M:%S%.3f");
    Ok(format!("{time} {}", serde_json::to_string(&event)?))
}

fn line(write: &SimulatedWrite) -> String {
    let SimulatedWrite { at, write, change, failure } = write;
    let time = at.timestamp().strftime("%H:%M:%S%.3f");
    let failure = failure.map(|reason| format!(" failed: {reason}")).unwrap_or_default();
    let change = if change.is_empty() { String::new() } else { format!(": {change}") };
    format!("  {time} {write}{failure}{change}")
}
