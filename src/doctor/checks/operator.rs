//! Checks of the operator: whether both halves are set up alike, and whether they are at work.

use k8s_openapi::api::coordination::v1::Lease;

use super::{Check, CheckResults, Examined, ExaminedKind, FindingCode};
use crate::{
    admission::{MutationMode, WebhookAddress, WebhookSettings},
    doctor::release,
    operator::{clock_skew::TOLERANCE, component::OperatorComponent},
};
use rempart_core::instant::Timestamp;

pub(super) const RELEASE: Check = Check {
    name: "Release",
    asks: "whether both halves of the operator are installed, and were told the same",
    needs: &[ExaminedKind::Deployment],
    live: false,
    examine: installed,
};

pub(super) const REPLICAS: Check = Check {
    name: "Operator",
    asks: "whether a replica of each half writes",
    needs: &[ExaminedKind::Lease],
    live: false,
    examine: replicas,
};

/// Who completes pods, as the argument says it, and where a webhook is.
fn completer(mutation: &MutationMode) -> String {
    match mutation {
        MutationMode::Policies => "policies".to_owned(),
        MutationMode::Webhook(WebhookSettings { address: WebhookAddress::Url(url), authorities: _ }) => {
            format!("webhook at {url}")
        }
        MutationMode::Webhook(WebhookSettings {
            address: WebhookAddress::Service { namespace, name },
            authorities: _,
        }) => {
            format!("webhook by Service {namespace}/{name}")
        }
        MutationMode::None => "none".to_owned(),
    }
}

const REINSTALL: &str = "upgrade the release: `helm upgrade rempart … --reset-then-reuse-values`";

fn installed(examined: &Examined, results: &mut CheckResults) {
    let found = release::found(examined.known(ExaminedKind::Deployment), &examined.release);
    for component in OperatorComponent::ALL {
        if found.halves.iter().any(|(of, ..)| of == component) {
            continue;
        }
        let name = component.name();
        let allows = match component {
            OperatorComponent::Placement => {
                "stamps to stay when certificates end, and nobody notices what admission lacks"
            }
            OperatorComponent::Admission => {
                "edits of policies to stay without effect, and what somebody lifts to stay lifted"
            }
        };
        let message =
            format!("no Deployment runs as the ServiceAccount {name}, so that it is not known how it is set up");
        results.find(FindingCode::ReleaseMissing, format!("Deployment {name}"), "", message, allows, REINSTALL);
    }
    let [(_, one, first), (_, other, second)] = found.halves.as_slice() else { return };
    let sets = [
        ("--exempt-namespaces", first.exempt.join(","), second.exempt.join(",")),
        ("--schedulers", first.schedulers.join(","), second.schedulers.join(",")),
        ("--mutation", completer(&first.mutation), completer(&second.mutation)),
    ];
    for (argument, one_says, other_says) in sets.into_iter().filter(|(_, one, other)| one != other) {
        results.find(
            FindingCode::SettingsDiffer,
            other,
            argument,
            format!("{one} is told {argument} {one_says}, and {other} {other_says}"),
            "what admission lets pass to be told as enforced, or what it holds as altered",
            REINSTALL,
        );
    }
}

fn replicas(examined: &Examined, results: &mut CheckResults) {
    let release = release::found(examined.known(ExaminedKind::Deployment), &examined.release).release;
    let (leases, undecodable) = examined.decoded::<Lease>(ExaminedKind::Lease);
    for message in undecodable {
        results.leave(REPLICAS.name, message, "correct the object, or export it anew");
    }
    let Some(now) = examined.at else {
        return results.leave(REPLICAS.name, "what time it is is not known", "give --at, or the leases of nodes too");
    };
    for component in OperatorComponent::ALL {
        let name = component.name();
        let lease = leases.iter().find(|lease| {
            lease.metadata.name.as_deref() == Some(name)
                && lease.metadata.namespace.as_deref() == Some(release.namespace.as_str())
        });
        let spec = lease.and_then(|lease| lease.spec.as_ref());
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
        let renewed = spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| Timestamp::from(time.0));
        let said = match (holder, renewed) {
            (None, _) => "nobody holds its lease".to_owned(),
            (Some(holder), None) => format!("{holder} holds its lease, and has never renewed it"),
            (Some(holder), Some(renewed)) => {
                let age = now.timestamp().as_second().saturating_sub(renewed.timestamp().as_second());
                if age.unsigned_abs() <= TOLERANCE.as_secs() {
                    continue;
                }
                format!("{holder} holds its lease, and renewed it {}", ago(age))
            }
        };
        let allows = match component {
            OperatorComponent::Placement => {
                "nodes to keep their stamps when certificates end, and rules to be lifted unnoticed"
            }
            OperatorComponent::Admission => {
                "edits of policies to stay without effect, and rules that somebody lifts to stay lifted"
            }
        };
        let namespace = &release.namespace;
        results.find(
            FindingCode::OperatorSilent,
            format!("Lease {namespace}/{name}"),
            "spec.renewTime",
            format!("no replica of {name} writes: {said}"),
            allows,
            format!("`kubectl get pods,leases -n {namespace}`, and its log"),
        );
    }
}

/// `90 s ago`, or `90 s in the future`.
pub(super) fn ago(seconds: i64) -> String {
    let number = seconds.unsigned_abs();
    if seconds >= 0 { format!("{number} s ago") } else { format!("{number} s in the future") }
}
