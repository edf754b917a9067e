//! Report of the benchmarks: all figures, as JSON and as tables for people.

use comfy_table::{Cell, CellAlignment, Color, Table, presets::ASCII_MARKDOWN};
use serde::Serialize;

use super::{
    admission::{self, AdmissionFigures, AdmissionRound},
    figures::{AimLimit, PerformanceAim},
    fleet::{self, FleetFigures},
    load::PodVariant,
    machine::{MachineInfo, mib},
    offline::OfflineFigures,
    preference::{PreferenceFigures, PreferenceRun},
    restamp::{self, RestampFigures},
};

/// All figures of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BenchReport {
    pub(super) machine: MachineInfo,
    pub(super) load_after: String,
    pub(super) quick: bool,
    pub(super) offline: Option<OfflineFigures>,
    pub(super) admission: Option<AdmissionFigures>,
    pub(super) restamp: Option<RestampFigures>,
    pub(super) fleet: Option<FleetFigures>,
    pub(super) preference: Option<PreferenceFigures>,
    pub(super) aims: Vec<PerformanceAim>,
}

impl BenchReport {
    /// Everything, for standard output.
    pub(super) fn text(&self) -> String {
        let Self { machine, quick, load_after, offline, admission, restamp, fleet, preference, aims } = self;
        let cluster = admission.is_some() || restamp.is_some() || fleet.is_some() || preference.is_some();
        let mut text = heading(machine, load_after, *quick, cluster);
        if let Some(offline) = offline {
            text.push_str(&of_offline(offline));
        }
        if let Some(admission) = admission {
            text.push_str(&of_admission(admission));
        }
        if let Some(restamp) = restamp {
            text.push_str(&of_restamp(restamp));
        }
        if let Some(fleet) = fleet {
            text.push_str(&of_fleet(fleet));
        }
        if let Some(preference) = preference {
            text.push_str(&of_preference(preference));
        }
        text.push_str(&of_aims(aims));
        text
    }
}

fn heading(machine: &MachineInfo, load_after: &str, quick: bool, cluster: bool) -> String {
    let MachineInfo { processor, cores, memory_mib, kernel, load_before } = machine;
    let kind = if quick { "\nA quick run, to see that everything works: its figures mean little.\n" } else { "" };
    let kubernetes = if cluster { format!("; Kubernetes {}", crate::KUBERNETES_VERSION) } else { String::new() };
    format!(
        "\n{cores} × {processor}, {:.1} GiB, Linux {kernel}{kubernetes}; load {load_before} before, {load_after} \
         after\n{kind}",
        mib(*memory_mib),
    )
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header.iter().map(Cell::new));
    table
}

fn right(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn of_offline(offline: &OfflineFigures) -> String {
    let mut figures = table(&[
        "workloads",
        "as",
        "read MB",
        "written MB",
        "wall s",
        "CPU s",
        "reading s",
        "deciding s",
        "saying s",
        "peak MiB",
    ]);
    for measured in &offline.measured {
        let megabytes = |bytes: u64| right(format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10));
        figures.add_row([
            right(measured.workloads),
            Cell::new(measured.format.name()),
            megabytes(measured.input_bytes),
            megabytes(measured.output_bytes),
            right(measured.spread(|run| run.wall_seconds).show(2)),
            right(measured.spread(|run| run.processor_seconds).show(2)),
            right(measured.spread(|run| run.reading_seconds).show(3)),
            right(measured.spread(|run| run.deciding_seconds).show(3)),
            right(measured.spread(|run| run.saying_seconds).show(3)),
            right(measured.spread(|run| run.peak_mib).show(0)),
        ]);
    }
    format!(
        "\nPlans from files, of 200 pools and 10 policies, on one processor. Median of {} rounds (lowest–highest).\nOther \
         processes kept {:.2} processors busy.\n\n{figures}\n",
        offline.rounds, offline.bystanders,
    )
}

fn of_preference(preference: &PreferenceFigures) -> String {
    let mut figures = table(&["scores", "steps", "best with room", "regret", "pods of each pool at half"]);
    for (steps, scores) in PreferenceFigures::kinds() {
        let kind = (steps, scores);
        let runs = preference.of(steps, scores);
        let at_half = |run: &&PreferenceRun| run.at_half.iter().map(ToString::to_string).collect::<Vec<_>>().join("/");
        figures.add_row([
            Cell::new(scores),
            Cell::new(steps),
            right(preference.spread(kind, |run| run.best).show(2)),
            right(preference.spread(kind, |run| run.regret).show(1)),
            Cell::new(runs.iter().map(at_half).collect::<Vec<_>>().join(" ")),
        ]);
    }
    format!(
        "\nWhich of four pools the scheduler chooses for 200 pods. Median of {} rounds (lowest–highest).\n\n{figures}\n",
        preference.rounds
    )
}

fn of_admission(admission: &AdmissionFigures) -> String {
    let admission::AdmissionSize { rounds, paced_turns, paced_turn, saturated_turns, saturated_turn } = admission.size;
    let turns = |turns: usize, turn: std::time::Duration| format!("{turns} turns of {:.1} s", turn.as_secs_f32());
    let mut figures = table(&["pods", "p50 ms", "p99 ms", "pods/s", "API server, CPU ms/pod"]);
    for measured in &admission.variants {
        figures.add_row([
            Cell::new(measured.variant.name()),
            right(measured.spread(|round| round.p50_ms).show(2)),
            right(measured.spread(|round| round.p99_ms).show(2)),
            right(measured.spread(|round| round.pods_per_second).show(0)),
            right(measured.spread(|round| round.processor_ms_per_pod).show(2)),
        ]);
    }
    let mut differences = table(&["against bare", "p50 ms", "p99 ms", "pods/s", "API server, CPU ms/pod"]);
    if let Some(bare) = admission.of(PodVariant::Bare) {
        for measured in admission.variants.iter().filter(|measured| measured.variant != PodVariant::Bare) {
            let more = |of: fn(&AdmissionRound) -> f64| measured.against(bare, |with, without| of(with) - of(without));
            let share = measured.against(bare, |with, without| with.pods_per_second / without.pods_per_second);
            differences.add_row([
                Cell::new(measured.variant.name()),
                right(more(|round| round.p50_ms).show_signed(2)),
                right(more(|round| round.p99_ms).show_signed(2)),
                right(format!("× {}", share.show(2))),
                right(more(|round| round.processor_ms_per_pod).show_signed(2)),
            ]);
        }
    }
    format!(
        "\nCreating pods. Median of {rounds} rounds (lowest–highest). Latency at {} pods a second, {} of each kind a \
         round;\nthroughput with {} at a time, {}. Other processes kept {:.2} processors busy.\n\n{figures}\n\n{differences}\n",
        admission::RATE,
        turns(paced_turns, paced_turn),
        admission::CONCURRENCY,
        turns(saturated_turns, saturated_turn),
        admission.bystanders,
    )
}

fn of_restamp(restamp: &RestampFigures) -> String {
    let restamp::RestampSize { nodes, rounds, rest } = restamp.size;
    let mut times = table(&["restamping", "s", "API server, CPU s", "its own CPU s"]);
    let own = restamp.operator(|run| run.client_processor_seconds.unwrap_or(f64::NAN));
    times.add_row([
        Cell::new("operator"),
        right(restamp.operator(|run| run.seconds).show(2)),
        right(restamp.operator(|run| run.api_server_processor_seconds).show(2)),
        right(own.show(2)),
    ]);
    times.add_row([
        Cell::new("bare client"),
        right(restamp.bare(|run| run.seconds).show(2)),
        right(restamp.bare(|run| run.api_server_processor_seconds).show(2)),
        right("–"),
    ]);
    times.add_row([
        Cell::new("operator : bare client"),
        right(restamp.ratio(|run| run.seconds).show(2)),
        right(restamp.ratio(|run| run.api_server_processor_seconds).show(2)),
        right("–"),
    ]);
    let mut memory = table(&["operator", "resident MiB", "peak MiB"]);
    let footprint = &restamp.footprint;
    for (when, resident, peak) in [
        ("without a node", footprint.empty.resident_kib, footprint.empty.peak_kib),
        ("with all nodes", footprint.rest.resident_kib, footprint.peak_kib),
    ] {
        memory.add_row([Cell::new(when), right(format!("{:.1}", mib(resident))), right(format!("{:.1}", mib(peak)))]);
    }
    format!(
        "\nGiving {nodes} nodes another stamp, {} patches at a time. Median of {rounds} rounds, both directions \
         (lowest–highest).\nOther processes kept {:.2} processors busy. Stamping all of them for the first time took \
         {:.1} s from the operator's start.\n\n{times}\n\n{memory}\n\n{:.0} bytes a node. Over {} s at rest it used \
         {:.2} % of a processor.\n",
        restamp::CONCURRENCY,
        restamp.bystanders,
        restamp.first_stamping_seconds,
        footprint.bytes_per_node,
        rest.as_secs(),
        footprint.processor_at_rest * 100.0,
    )
}

fn of_fleet(fleet: &FleetFigures) -> String {
    let fleet::FleetSize { nodes, pods, rest } = fleet.size;
    let mut figures =
        table(&["operator", "resident MiB", "peak MiB", "listed after s", "recorded after s", "its CPU s"]);
    for (when, memory) in [("without a node", fleet.empty), ("with the nodes", fleet.nodes_alone)] {
        figures.add_row([
            Cell::new(when),
            right(format!("{:.1}", mib(memory.resident_kib))),
            right(format!("{:.1}", mib(memory.peak_kib))),
        ]);
    }
    let loss = fleet.loss;
    for (when, start) in [("with the pods, first start", fleet.first), ("with the pods and records", fleet.again)] {
        figures.add_row([
            Cell::new(when),
            right(format!("{:.1}", mib(start.memory.resident_kib))),
            right(format!("{:.1}", mib(start.memory.peak_kib))),
            right(format!("{:.1}", start.ready_seconds)),
            right(format!("{:.1}", start.recorded_seconds)),
            right(format!("{:.1}", start.processor_seconds)),
        ]);
    }
    figures.add_row([
        Cell::new("when a certificate is lost"),
        right(format!("{:.1}", mib(loss.memory.resident_kib))),
        right(format!("{:.1}", mib(loss.memory.peak_kib))),
    ]);
    format!(
        "\nFollowing {nodes} nodes and {pods} pods of {} Deployments, which took {:.0} s to run, and recording what became \
         of them.\n\n{figures}\n\n{:.0} bytes a node, {:.0} bytes a pod, with what makes it and the record of its \
         workload. Over {} s at rest it used {:.2} % of a processor.\n\nA lost certificate hit {} pods: the first workload \
         was on the move after {:.2} s, 2 s of settling included, and the first wave, {} workloads, after {:.2} s.\n",
        fleet.workloads,
        fleet.creating_seconds,
        fleet.bytes_per_node(),
        fleet.bytes_per_pod(),
        rest.as_secs(),
        fleet.processor_at_rest * 100.0,
        loss.pods,
        loss.first_seconds,
        loss.wave,
        loss.wave_seconds,
    )
}

fn of_aims(aims: &[PerformanceAim]) -> String {
    let mut shown = table(&["aim", "measured", "", "unit", ""]);
    for PerformanceAim { what, unit, measured, limit, met } in aims {
        let limit = match limit {
            AimLimit::AtMost(limit) => format!("≤ {limit}"),
            AimLimit::AtLeast(limit) => format!("≥ {limit}"),
        };
        let (word, colour) = if *met { ("met", Color::Green) } else { ("missed", Color::Red) };
        shown.add_row([
            Cell::new(what),
            right(measured.show(2)),
            right(limit),
            Cell::new(unit),
            Cell::new(word).fg(colour),
        ]);
    }
    format!("\nAims\n\n{shown}\n")
}
