//! `rempart doctor`: what in a cluster would weaken the rule?

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::{Parser, ValueEnum};
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::Value;

use super::{
    COULD_NOT_JUDGE, FOUND, doctor_cluster,
    failure::{self, FailureFormat},
    input::{self, InputOptions, namespace},
    output,
};
use crate::{
    diagnostic::source::SourceMap,
    doctor::{Examined, ExaminedKind, Fact, ReleaseSettings, Subject, examine},
    manifest::read::read,
    report::{self, text},
    terminal::{ColourChoice, layout_of_output},
};
use rempart_core::instant::Timestamp;

/// Finds what would weaken the rule in a cluster: altered admission, rights to evade it, exempt namespaces with sensitive
/// workloads, nodes that cannot be told, an API server without NodeRestriction
///
/// Reads, and writes nothing: with --cluster one request is a trial (dry run) as a node that does not exist, and is left out
/// where you may not impersonate. What could not be looked at is told, each with how it can be, and never taken for good. From
/// files, give what the example exports; an export says neither the API server's version, which the output of `kubectl version
/// -o yaml` does, nor whether NodeRestriction is on, which pods of kube-apiserver do.
///
/// An error lets the rule be evaded as things stand; a warning is a right or a fact by which somebody could. Rights that the
/// chart gives to whom its values name, and those of Kubernetes' own parts, are no findings.
///
/// Exit code: 0 when all was looked at and nothing was found, 1 when something was found, 2 when nothing was found and not
/// all could be looked at, or the cluster could not be asked.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  rempart doctor --cluster\n  rempart doctor --cluster --trust Group:platform-admins --trust ServiceAccount:flux-system/kustomize-controller\n  kubectl get clusterroles,clusterrolebindings,roles,rolebindings,ns,nodes,leases,deploy,sts,ds,jobs,cronjobs,pods,validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,mutatingadmissionpolicybindings,placementpolicies,placementpools -A -o yaml | rempart doctor -\n  rempart doctor --cluster -o json | jq '.found[] | .code'"
)]
pub(super) struct DoctorCommand {
    /// Files and directories; - for standard input
    #[arg(value_name = "FILE|DIR", conflicts_with = "cluster")]
    files: Vec<PathBuf>,

    /// Looks at the cluster of the current kubeconfig context
    #[arg(long)]
    cluster: bool,

    /// The kubeconfig context to take instead of the current one
    #[arg(long, value_name = "NAME", requires = "cluster")]
    context: Option<String>,

    /// The namespace of the operator, where several look like it; otherwise that of its Deployments
    #[arg(short, long, value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,

    /// Namespaces that no policy governs, instead of those that the operator's Deployments are told
    #[arg(long, value_delimiter = ',', value_name = "NAME,…", value_parser = namespace)]
    exempt_namespaces: Option<Vec<String>>,

    /// Who is trusted with all that they may: told, and no finding
    #[arg(long, value_name = "User:NAME|Group:NAME|ServiceAccount:NAMESPACE/NAME")]
    trust: Vec<Subject>,

    /// When the files were exported, as 2026-11-30T12:00:00Z; the time of their latest lease when absent
    #[arg(long, value_name = "INSTANT", value_parser = input::instant, conflicts_with = "cluster")]
    at: Option<Timestamp>,

    /// Leaves out files and directories that match, written as a line of a .gitignore
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,

    /// When to colour
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    color: ColourChoice,

    /// How to say it
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: DoctorFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum DoctorFormat {
    /// For people
    #[default]
    Text,
    /// rempart.dev/doctor/v1, documented in docs/schemas/doctor-v1.json
    Json,
    /// The same as YAML
    Yaml,
}

impl DoctorFormat {
    /// How a failure is said as well.
    fn of_failure(self) -> Option<FailureFormat> {
        match self {
            Self::Text => None,
            Self::Json => Some(FailureFormat::Json),
            Self::Yaml => Some(FailureFormat::Yaml),
        }
    }
}

impl DoctorCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let format = self.output.of_failure();
        failure::tell(format, self.judge())
    }

    fn judge(self) -> anyhow::Result<ExitCode> {
        if self.files.is_empty() && !self.cluster {
            bail!("nothing to look at: name files or directories, - for standard input, or --cluster");
        }
        let said = ReleaseSettings { namespace: self.namespace.clone(), exempt: self.exempt_namespaces.clone() };
        let mut examined =
            if self.cluster { doctor_cluster::examined(self.context.as_deref(), said)? } else { self.of_files(said)? };
        examined.trusted = self.trust.iter().cloned().collect();
        let examination = examine(&examined);
        match self.output {
            DoctorFormat::Text => output::print(&text::doctor(&examination, layout_of_output(self.color))),
            DoctorFormat::Json => output::stream(|out| report::json(&report::DoctorReport::new(&examination), out)),
            DoctorFormat::Yaml => output::stream(|out| report::yaml(&report::DoctorReport::new(&examination), out)),
        }?;
        Ok(if examination.is_clean() {
            ExitCode::SUCCESS
        } else if examination.found.is_empty() {
            ExitCode::from(COULD_NOT_JUDGE)
        } else {
            ExitCode::from(FOUND)
        })
    }

    /// What the files hold.
    fn of_files(&self, release: ReleaseSettings) -> anyhow::Result<Examined> {
        let reading = InputOptions {
            cluster: false,
            context: None,
            namespace: "default".to_owned(),
            exempt_namespaces: None,
            exclude: self.exclude.clone(),
            render: false,
            pod_template: Vec::new(),
            color: self.color,
            with_pods: false,
        };
        let mut sources = SourceMap::default();
        let named = reading.read_texts(&self.files, &mut sources)?;
        let Some(files) = named.kept() else {
            bail!("nothing was looked at: one of the texts is larger than 64 MiB; give it in parts, or --cluster");
        };
        let mut examined = Examined::of_release(release);
        let mut diagnostics = named.diagnostics().to_vec();
        for file in files {
            read(file, sources.text(file), &mut |found| match found {
                Ok(object) => take(&mut examined, object.to_json()),
                Err(diagnostic) => diagnostics.push(diagnostic),
            });
        }
        reading.report(&diagnostics, &sources)?;
        // Whoever exports pods exports what makes them, where there is any; what runs is among the pods in any case.
        if examined.read(ExaminedKind::Pod).is_ok() {
            ExaminedKind::ALL.into_iter().filter(|kind| kind.is_workload()).for_each(|kind| examined.complete(kind));
        }
        examined.at = self.at.or_else(|| latest(&examined));
        Ok(examined)
    }
}

/// Takes what a file says: an object, or what `kubectl version` says.
fn take(examined: &mut Examined, said: Value) {
    if let Some(version) = said.pointer("/serverVersion/gitVersion").and_then(Value::as_str) {
        examined.api_server.version = Fact::Known(version.to_owned());
    }
    examined.add(said);
}

/// The time of the latest lease, which is when the cluster was read at the earliest.
fn latest(examined: &Examined) -> Option<Timestamp> {
    let (leases, _) = examined.decoded::<Lease>(ExaminedKind::Lease);
    leases.into_iter().filter_map(|lease| Some(Timestamp::from(lease.spec?.renew_time?.0))).max()
}
