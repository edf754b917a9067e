//! `rempart check`: whether Rempart works in a cluster, as `helm test` asks.
//!
//! Takes the namespace and the settings of a release, looks at leases, admission objects and policies, and says what is amiss.
//! Nothing is written. The chart's admission objects are compared by content, with the operator's own code.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::{Parser, value_parser};
use k8s_openapi::{
    api::{
        admissionregistration::v1::{
            MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
            ValidatingAdmissionPolicyBinding,
        },
        coordination::v1::Lease,
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams},
};

use super::{
    FOUND, cluster, output,
    run::{MutationArgument, ReleaseArguments},
};
use crate::{
    admission::{AdmissionKind, MutationMode, digest, exempt_namespaces, installed::InstalledAdmission},
    api::{PlacementPolicy, conditions},
    operator::component::OperatorComponent,
    terminal::visible,
};
use rempart_core::text::counted;

/// How often the cluster is looked at until all is well.
const LOOK: Duration = Duration::from_secs(1);

/// Says whether Rempart works in a cluster: a replica of each half of the operator writes, what the chart installs for
/// admission is as it must be, and each policy in Enforce is enforced
///
/// Looks until all of it holds, for a while: replicas that have just begun need some seconds. Reads, and writes nothing.
/// Namespace, exempt namespaces and mutation are those that the operator was told.
///
/// Exit code: 0 when it works, 1 when something is amiss, 2 when the cluster could not be asked.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  rempart check\n  rempart check --exempt-namespaces kube-system,kube-public,kube-node-lease,cilium --mutation webhook"
)]
pub(super) struct CheckCommand {
    #[command(flatten)]
    release: ReleaseArguments,

    /// For how many seconds it may take until all is well
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = value_parser!(u64).range(1..=3600))]
    timeout: u64,

    /// The kubeconfig context to take instead of the current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// What a lease has shown since it was first looked at.
#[derive(Debug, Default)]
struct ObservedLease {
    holder: Option<String>,
    /// The time in it when this holder was first seen. It is the holder's clock, and is compared with nothing but itself.
    first: Option<MicroTime>,
    /// Whether this holder has renewed it since.
    renewed: bool,
}

impl ObservedLease {
    /// The lease as it is now.
    fn saw(&mut self, lease: Option<Lease>) {
        let spec = lease.and_then(|lease| lease.spec).unwrap_or_default();
        let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
        if holder == self.holder {
            self.renewed = self.holder.is_some() && (self.renewed || spec.renew_time != self.first);
        } else {
            *self = Self { holder, first: spec.renew_time, renewed: false };
        }
    }

    /// What is amiss with it, as the lease of `component` in `namespace`.
    fn fault(&self, component: OperatorComponent, namespace: &str) -> Option<String> {
        let name = component.name();
        let said = match &self.holder {
            None => "nobody holds the lease".to_owned(),
            Some(holder) if !self.renewed => format!("{holder} holds the lease, and does not renew it"),
            Some(_) => return None,
        };
        Some(format!("no replica of {name} writes: {said}; see `kubectl get pods,leases -n {namespace}` and its log"))
    }
}

/// The digests of admission objects, as the API server has them.
type FoundAdmission = BTreeMap<(AdmissionKind, String), u64>;

/// What is amiss with the chart's admission objects.
fn admission_faults(expected: &InstalledAdmission, found: &FoundAdmission) -> Vec<String> {
    let faults = expected.iter().filter_map(|(kind, name, digest)| {
        let fault = match found.get(&(kind, name.to_owned())) {
            None => "missing",
            Some(there) if *there != digest => "not as this version installs it",
            Some(_) => return None,
        };
        let kind = kind.as_str();
        Some(format!("{kind} {name} is {fault}: delete it if it is there, and upgrade the release to its own version"))
    });
    faults.collect()
}

/// What is amiss with policies in `Enforce`, and how many of these there are.
fn policy_faults(policies: &[DynamicObject]) -> (Vec<String>, usize) {
    let enforced = policies.iter().filter(|policy| {
        policy.metadata.deletion_timestamp.is_none()
            && policy.data.pointer("/spec/mode").is_some_and(|mode| mode == "Enforce")
    });
    let (mut faults, mut number) = (Vec::new(), 0_usize);
    for policy in enforced {
        number = number.saturating_add(1);
        let conditions = policy.data.pointer("/status/conditions").and_then(serde_json::Value::as_array);
        let condition = conditions.into_iter().flatten().find(|one| one["type"] == conditions::ENFORCED);
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        let said = match condition {
            None => "nobody has said yet whether it is".to_owned(),
            Some(one) if one["observedGeneration"].as_i64() != policy.metadata.generation => {
                "its latest edit has not been looked at".to_owned()
            }
            Some(one) if one["status"] == "True" => continue,
            Some(one) => one["message"].as_str().unwrap_or_default().to_owned(),
        };
        faults.push(format!("PlacementPolicy {name} is not enforced: {said}"));
    }
    (faults, number)
}

impl CheckCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        cluster::block_on(self.check())
    }

    async fn check(self) -> anyhow::Result<ExitCode> {
        let client = cluster::client(self.context.as_deref()).await?;
        let ReleaseArguments { namespace, exempt_namespaces: listed, mutation } = &self.release;
        let exempt = exempt_namespaces(listed.clone(), namespace);
        let completes = matches!(mutation, MutationArgument::Policies);
        let mutation = if completes { MutationMode::Policies } else { MutationMode::None };
        let expected = InstalledAdmission::of_release(namespace, &exempt, &mutation)?;
        let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
        let mut observed: Vec<_> =
            OperatorComponent::ALL.iter().map(|component| (*component, ObservedLease::default())).collect();

        let begun = Instant::now();
        let patience = Duration::from_secs(self.timeout);
        loop {
            let looked = self.look(&client, &leases, &mut observed, &expected, completes).await;
            let is_late = begun.elapsed() >= patience;
            match looked {
                Ok((faults, enforced)) if faults.is_empty() => return works(&observed, &expected, enforced),
                Ok((faults, _)) if is_late => {
                    for fault in faults {
                        output::complain(&format!("{}\n", visible(&fault)));
                    }
                    return Ok(ExitCode::from(FOUND));
                }
                Err(error) if is_late => return Err(error),
                Ok(_) | Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// What is amiss, and how many policies are in `Enforce`.
    async fn look(
        &self,
        client: &Client,
        leases: &Api<Lease>,
        observed: &mut [(OperatorComponent, ObservedLease)],
        expected: &InstalledAdmission,
        completes: bool,
    ) -> anyhow::Result<(Vec<String>, usize)> {
        let mut faults = Vec::new();
        for (component, lease) in observed {
            let name = component.name();
            lease.saw(leases.get_opt(name).await.with_context(|| format!("the lease {name} cannot be read"))?);
            faults.extend(lease.fault(*component, &self.release.namespace));
        }
        faults.extend(admission_faults(expected, &found_admission(client, completes).await?));
        let kind = ApiResource::erase::<PlacementPolicy>(&());
        let policies: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
        let listed = policies.list(&ListParams::default()).await.context("policies cannot be listed")?;
        let (of_policies, enforced) = policy_faults(&listed.items);
        faults.extend(of_policies);
        Ok((faults, enforced))
    }
}

/// The admission objects that there are, of the kinds that the chart installs.
async fn found_admission(client: &Client, completes: bool) -> anyhow::Result<FoundAdmission> {
    let mut found = FoundAdmission::new();
    let list = ListParams::default();
    let name = |metadata: &kube::api::ObjectMeta| metadata.name.clone().unwrap_or_default();
    let validations: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    for object in validations.list(&list).await.context("validating admission policies cannot be listed")? {
        found.insert((AdmissionKind::Validation, name(&object.metadata)), digest(&object.metadata, &object.spec));
    }
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    for object in bindings.list(&list).await.context("their bindings cannot be listed")? {
        let digest = digest(&object.metadata, &object.spec);
        found.insert((AdmissionKind::ValidatingBinding, name(&object.metadata)), digest);
    }
    if completes {
        let mutations: Api<MutatingAdmissionPolicy> = Api::all(client.clone());
        for object in mutations.list(&list).await.context("mutating admission policies cannot be listed")? {
            found.insert((AdmissionKind::Mutation, name(&object.metadata)), digest(&object.metadata, &object.spec));
        }
        let bindings: Api<MutatingAdmissionPolicyBinding> = Api::all(client.clone());
        for object in bindings.list(&list).await.context("bindings of mutating admission policies cannot be listed")? {
            let digest = digest(&object.metadata, &object.spec);
            found.insert((AdmissionKind::MutatingBinding, name(&object.metadata)), digest);
        }
    }
    Ok(found)
}

/// Says who writes, and what is in force.
fn works(
    observed: &[(OperatorComponent, ObservedLease)],
    expected: &InstalledAdmission,
    enforced: usize,
) -> anyhow::Result<ExitCode> {
    let writers = observed.iter().map(|(component, lease)| {
        let task = match component {
            OperatorComponent::Placement => "stamps, records and moves",
            OperatorComponent::Admission => "keeps admission",
        };
        format!("{} {task}\n", visible(lease.holder.as_deref().unwrap_or_default()))
    });
    output::print(&writers.collect::<String>())?;
    output::print(&format!(
        "{} of the chart as they must be, {} in Enforce, all of them enforced: Rempart works.\n",
        counted(expected.iter().count(), "admission object", "admission objects"),
        counted(enforced, "policy", "policies"),
    ))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{api::coordination::v1::LeaseSpec, jiff::Timestamp};
    use serde_json::json;

    use super::*;

    fn lease(holder: &str, second: i64) -> Lease {
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            renew_time: Some(MicroTime(Timestamp::from_second(second).unwrap())),
            ..LeaseSpec::default()
        };
        Lease { spec: Some(spec), ..Lease::default() }
    }

    /// What is said of a lease that was looked at so often.
    fn said<const LOOKS: usize>(looks: [Option<Lease>; LOOKS]) -> Option<String> {
        let mut observed = ObservedLease::default();
        for look in looks {
            observed.saw(look);
        }
        observed.fault(OperatorComponent::Admission, "rempart-system")
    }

    #[test]
    fn a_lease_that_is_renewed_has_a_writer() {
        let nobody = "no replica of rempart-admission writes: nobody holds the lease; see `kubectl get pods,leases -n \
                      rempart-system` and its log";
        let holds = |who: &str| {
            nobody.replace("nobody holds the lease", &format!("{who} holds the lease, and does not renew it"))
        };
        assert_eq!(said([None, None]), Some(nobody.to_owned()));
        assert_eq!(said([Some(lease("", 1)), Some(lease("", 2))]), Some(nobody.to_owned()), "given back");
        assert_eq!(said([Some(lease("a", 1))]), Some(holds("a")), "once is not twice");
        assert_eq!(said([Some(lease("a", 1)), Some(lease("a", 1))]), Some(holds("a")));
        assert_eq!(
            said([Some(lease("a", 1)), Some(lease("b", 2))]),
            Some(holds("b")),
            "another has taken it, and may have died"
        );
        assert_eq!(said([Some(lease("a", 1)), Some(lease("a", 3))]), None);
        assert_eq!(
            said([Some(lease("a", 1)), Some(lease("a", 3)), Some(lease("a", 3))]),
            None,
            "two looks between renewals"
        );
        assert_eq!(said([Some(lease("a", 1)), Some(lease("a", 3)), None]), Some(nobody.to_owned()));
    }

    #[test]
    fn what_is_missing_or_altered_is_named() {
        let expected = InstalledAdmission::of_release("rempart-system", &[], &MutationMode::None).unwrap();
        let mut found: FoundAdmission =
            expected.iter().map(|(kind, name, digest)| ((kind, name.to_owned()), digest)).collect();
        assert_eq!(admission_faults(&expected, &found), [""; 0]);
        found.remove(&(AdmissionKind::Validation, "rempart-stamps".to_owned()));
        found.insert((AdmissionKind::ValidatingBinding, "rempart-records".to_owned()), 0);
        let faults = admission_faults(&expected, &found);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("ValidatingAdmissionPolicy rempart-stamps is missing: "), "{faults:?}");
        let altered = "ValidatingAdmissionPolicyBinding rempart-records is not as this version installs it: ";
        assert!(faults[1].starts_with(altered), "{faults:?}");
    }

    #[test]
    fn a_policy_that_is_not_enforced_is_named() {
        let policy = |mode: &str, generation: i64, status: &str| -> DynamicObject {
            let condition = json!({"type": "Enforced", "status": status, "observedGeneration": 2, "message": "it is."});
            serde_json::from_value(json!({
                "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy",
                "metadata": {"name": "state", "generation": generation},
                "spec": {"mode": mode}, "status": {"conditions": [condition]},
            }))
            .unwrap()
        };
        let faults = |policy: DynamicObject| policy_faults(&[policy]);
        assert_eq!(faults(policy("Enforce", 2, "True")), (vec![], 1));
        assert_eq!(faults(policy("Warn", 2, "False")), (vec![], 0));
        let said = |text: &str| (vec![format!("PlacementPolicy state is not enforced: {text}")], 1);
        assert_eq!(faults(policy("Enforce", 2, "False")), said("it is."));
        assert_eq!(faults(policy("Enforce", 3, "True")), said("its latest edit has not been looked at"));
        let mut unsaid = policy("Enforce", 1, "True");
        unsaid.data["status"] = json!({});
        assert_eq!(faults(unsaid), said("nobody has said yet whether it is"));
        let mut ending = policy("Enforce", 2, "False");
        ending.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert_eq!(faults(ending), (vec![], 0), "it is let go of");
    }
}
