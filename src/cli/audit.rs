//! `rempart audit`: what ran where, who lowered what, which exceptions held, from the log that the operator writes.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum, builder::NonEmptyStringValueParser};

use super::{
    FOUND,
    failure::{self, FailureFormat},
    input, output,
};
use crate::{
    history::{
        answer::{HistoryQuestion, answer, told_span},
        audit_events::AuditEvents,
        entry::HistoryEvent,
        lines::FoundLines,
        log::{HistoryLog, TimeSpan},
    },
    report,
    terminal::{ColourChoice, layout_of_output},
};
use rempart_core::instant::{CalendarDay, Timestamp};

/// Answers from the log of what ran where: where a level's pods ran between two days, which stood where they were not cleared to be,
/// which exceptions held, who lowered what, which facts changed
///
/// Reads what the operator wrote to standard output, as a log system kept it: among other lines, with the timestamps of
/// `kubectl logs` or of a container runtime before it, within JSON, in several files in any order. Says first what the log
/// cannot answer: times of which nothing is told, and entries that are missing, altered or unreadable.
///
/// With --audit-log it says who lowered a level and who changed a fact, and holds placements against the bindings of pods.
///
/// Exit code: 0 when nothing that was read is missing or altered, 1 when something is, 2 when it could not be judged. Times of
/// which nothing is told are no fault of the log, and are told.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  kubectl logs -n rempart-system -l app.kubernetes.io/component=operator --tail=-1 | rempart audit -\n  rempart audit rempart-*.log --from 2026-09-01 --to 2026-09-30 --level restricted\n  rempart audit rempart.log --audit-log kube-apiserver-audit.log -o markdown > september.md\n  rempart audit rempart.log --namespace claims -o csv > claims.csv"
)]
pub(super) struct AuditCommand {
    /// Files that the operator's log was kept in; - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// From when on, as 2026-09-01 or 2026-09-01T08:00:00Z (UTC); from the first entry when absent
    #[arg(long, value_name = "INSTANT", value_parser = input::instant)]
    from: Option<Timestamp>,

    /// Until when, as 2026-09-30, which is included, or 2026-09-30T18:00:00Z (UTC); until the last entry when absent
    #[arg(long, value_name = "INSTANT", value_parser = end)]
    to: Option<Timestamp>,

    /// Of what this PlacementPolicy governs alone
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    policy: Option<String>,

    /// Of this level alone
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    level: Option<String>,

    /// Of this namespace alone
    #[arg(short, long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    namespace: Option<String>,

    /// Files of the API server's audit log (audit.k8s.io/v1, a JSON object a line)
    #[arg(long, value_name = "FILE")]
    audit_log: Vec<PathBuf>,

    /// How to say it
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: AuditFormat,

    /// When to colour what people read
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    color: ColourChoice,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum AuditFormat {
    /// For people
    #[default]
    Text,
    /// A report for people, to be printed
    Markdown,
    /// Placements alone, for spreadsheets: a line for each pod, policy and span
    Csv,
    /// rempart.dev/audit/v1, documented in docs/schemas/audit-v1.json
    Json,
    /// The same as YAML
    Yaml,
}

/// A day, with all of it, or an instant.
fn end(text: &str) -> Result<Timestamp, String> {
    CalendarDay::parse(text).map(CalendarDay::ends).or_else(|_| input::instant(text))
}

impl AuditCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let format = match self.output {
            AuditFormat::Json => Some(FailureFormat::Json),
            AuditFormat::Yaml => Some(FailureFormat::Yaml),
            AuditFormat::Text | AuditFormat::Markdown | AuditFormat::Csv => None,
        };
        failure::tell(format, self.judge())
    }

    fn judge(self) -> anyhow::Result<ExitCode> {
        let Self { files, from, to, policy, level, namespace, audit_log, output, color } = self;
        let mut found = FoundLines::default();
        each(&files, |name, text| found.read(name, text))?;
        let mut audit = AuditEvents::default();
        each(&audit_log, |_, text| audit.read(text))?;
        let audit = (!audit_log.is_empty()).then_some(&audit);
        let log = HistoryLog::new(&found);
        let (from, to) = (from.map(Timestamp::timestamp), to.map(Timestamp::timestamp));
        let told = told_span(&log);
        let span = from.or(told.map(|told| told.from)).zip(to.or(told.map(|told| told.until)));
        let Some((from, until)) = span.filter(|_| !log.chains.is_empty()) else {
            bail!("{}", nothing_found(&found));
        };
        for unnamed in unnamed(&log, policy.as_deref(), level.as_deref(), namespace.as_deref()) {
            output::warn(&unnamed);
        }
        if until <= from {
            bail!("nothing was judged: --to ({until}) is not after --from ({from})");
        }
        let question = HistoryQuestion { span: TimeSpan { from, until }, policy, level, namespace };
        let answer = answer(&found, &log, audit, question);
        match output {
            AuditFormat::Text => output::print(&report::history::text(&answer, layout_of_output(color))),
            AuditFormat::Markdown => output::print(&report::history::markdown(&answer)),
            AuditFormat::Csv => {
                // A spreadsheet has no room for what is missing.
                if !answer.is_whole() || !answer.gaps.is_empty() || answer.missed > 0 {
                    output::warn(&format!("{}; -o text says which", report::history::verdict(&answer)));
                }
                output::stream(|out| report::history::csv(&answer, out))
            }
            AuditFormat::Json => output::stream(|out| report::json(&report::history::HistoryReport::new(&answer), out)),
            AuditFormat::Yaml => output::stream(|out| report::yaml(&report::history::HistoryReport::new(&answer), out)),
        }?;
        Ok(if answer.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    }
}

/// That there is nothing to judge, and why, as far as the lines tell.
fn nothing_found(found: &FoundLines) -> String {
    let lines = rempart_core::text::counted(usize::try_from(found.read).unwrap_or(usize::MAX), "line", "lines");
    match found.unreadable.first() {
        Some(first) => format!(
            "nothing was judged: there is no entry of history that can be read in {lines}; {}:{} looks like one: {}",
            first.file, first.line, first.why
        ),
        None => format!(
            "nothing was judged: there is no entry of history in the {lines} that could be read; the operator writes them to \
             standard output, unless it is told --history=false"
        ),
    }
}

/// What is asked of and stands nowhere in `log`: to say that nothing of it stood anywhere would be true of a slip of the pen too.
fn unnamed(log: &HistoryLog, policy: Option<&str>, level: Option<&str>, namespace: Option<&str>) -> Vec<String> {
    let (mut policies, mut levels, mut namespaces) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for entry in log.chains.iter().flat_map(|chain| &chain.entries) {
        if let HistoryEvent::PodPlaced(pod) = &entry.event {
            namespaces.insert(pod.namespace.as_str());
            for verdict in &pod.policies {
                policies.insert(verdict.policy.as_str());
                levels.extend(verdict.level.as_deref());
            }
        }
    }
    let asked = [("policy", policy, policies), ("level", level, levels), ("namespace", namespace, namespaces)];
    let unnamed = asked.into_iter().filter_map(|(what, asked, named)| {
        let asked = asked.filter(|asked| !named.contains(asked))?;
        let few: Vec<&str> = named.iter().copied().take(10).collect();
        let named = if few.is_empty() { "names none".to_owned() } else { format!("names {}", few.join(", ")) };
        Some(format!("no pod in the log is of {what} {asked:?}: it {named}"))
    });
    unnamed.collect()
}

/// Has `read` read each of `files`, by its name.
fn each(files: &[PathBuf], mut read: impl FnMut(&str, Box<dyn BufRead>) -> io::Result<()>) -> anyhow::Result<()> {
    for path in files {
        let name = path.display().to_string();
        let text: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(BufReader::new(io::stdin().lock()))
        } else {
            Box::new(BufReader::new(File::open(path).with_context(|| format!("{name} cannot be read"))?))
        };
        read(&name, text).with_context(|| format!("{name} cannot be read"))?;
    }
    Ok(())
}
