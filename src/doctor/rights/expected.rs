//! Expected rights: a table of who has a watched right without being a finding.
//!
//! Kubernetes' own identities, as its source has them (`plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go` and
//! `controller_policy.go`, `cmd/kubeadm/app/phases/kubeconfig/kubeconfig.go`), and the roles of the chart
//! (`charts/rempart/templates/rbac-people.yaml`, `rbac-operator.yaml`), each for what it is meant for and no more.

use super::Subject;
use crate::{doctor::finding::FindingCode, doctor::release::Release, operator::component::OperatorComponent};

/// Why a right is as it is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Kubernetes gives it to a part of its own.
    Kubernetes,
    /// The group of those who may do everything, by Kubernetes or by kubeadm.
    Administrators,
    /// The chart gives it by a role that is for it.
    Chart,
    /// The chart gives it to a half of the operator.
    Operator,
}

/// Groups whose members may do everything, by whoever set the cluster up: guarded by who signs certificates.
const ADMINISTRATORS: [&str; 2] = ["system:masters", "kubeadm:cluster-admins"];

/// Users of Kubernetes' own components, with the `ClusterRole` that each has by default.
const COMPONENTS: [(&str, &str); 4] = [
    ("system:kube-scheduler", "system:kube-scheduler"),
    ("system:kube-controller-manager", "system:kube-controller-manager"),
    ("system:kube-proxy", "system:node-proxier"),
    ("system:kube-scheduler", "system:volume-scheduler"),
];

/// Roles of Kubernetes whose holders are controllers of kube-controller-manager, each with the `ServiceAccount` of the rest of
/// its name.
const CONTROLLER: &str = "system:controller:";

/// The chart's roles for people, and what each is for.
const PEOPLE: [(&str, &[FindingCode]); 4] = [
    ("rempart-security-officer", &[FindingCode::PoliciesWritable, FindingCode::ProvidersWritable]),
    ("rempart-platform-engineer", &[FindingCode::PoolsWritable]),
    ("rempart-declassifier", &[FindingCode::DeclassifyGranted]),
    ("rempart-node-labeler", &[FindingCode::NodeLabelsGranted]),
];

/// The chart's roles for the halves of the operator, and what each is for.
const OPERATOR: [(&str, OperatorComponent, &[FindingCode]); 4] = [
    (
        "rempart",
        OperatorComponent::Placement,
        // In exempt namespaces admission (rempart-operator) lets it put nothing into a template.
        &[FindingCode::NodesWritable, FindingCode::ExemptWorkloadsWritable],
    ),
    (
        "rempart-admission",
        OperatorComponent::Admission,
        &[FindingCode::PoliciesWritable, FindingCode::AdmissionWritable],
    ),
    ("rempart-mutation-policies", OperatorComponent::Admission, &[FindingCode::AdmissionWritable]),
    (
        "rempart-mutation-webhook",
        OperatorComponent::Admission,
        &[FindingCode::AdmissionWritable, FindingCode::SecretsReadable],
    ),
];

/// Whether `role` is one of the chart's for people and for what labels nodes.
#[must_use]
pub fn is_of_people(role: &str) -> bool {
    PEOPLE.iter().any(|(of, _)| *of == role)
}

/// Why `subject` may have the right `code` by the role `role`, if it is meant to.
#[must_use]
pub fn expectation(code: FindingCode, role: &str, subject: &Subject, release: &Release) -> Option<Expectation> {
    if let Subject::Group(name) = subject
        && ADMINISTRATORS.contains(&name.as_str())
    {
        return Some(Expectation::Administrators);
    }
    let is_component = |(user, of): &(&str, &str)| *of == role && *subject == Subject::User((*user).to_owned());
    let is_controller = role.strip_prefix(CONTROLLER).is_some_and(|controller| {
        *subject == Subject::ServiceAccount { namespace: "kube-system".to_owned(), name: controller.to_owned() }
    });
    if COMPONENTS.iter().any(is_component) || is_controller {
        return Some(Expectation::Kubernetes);
    }
    if PEOPLE.iter().any(|(of, codes)| *of == role && codes.contains(&code)) {
        return Some(Expectation::Chart);
    }
    let is_operator = OPERATOR.iter().any(|(of, component, codes)| {
        *of == role && codes.contains(&code) && Subject::of_user(&release.user_of(*component)) == *subject
    });
    is_operator.then_some(Expectation::Operator)
}
