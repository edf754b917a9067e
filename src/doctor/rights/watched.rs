//! Watched rights: a table of the rights by which the rule could be weakened, and what each would allow.
//!
//! [`WatchedRight::ways`] takes a rule, and returns the requests among those of the right that it lets through.

use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::doctor::finding::FindingCode;

/// Where a right matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchedPlace {
    /// Given in the whole cluster, of objects without a namespace.
    Cluster,
    /// In any namespace.
    Anywhere,
    /// In the namespaces of accounts that Rempart rests on: its own, listed schedulers and node labelers.
    Accounts,
    /// In the namespaces that no policy governs, and in those of accounts that Rempart rests on: whoever makes pods there has
    /// their tokens.
    Unguarded,
    /// In Rempart's own namespace.
    Own,
}

/// Which objects of a right matter, where a rule names them.
#[derive(Clone, Copy, Debug)]
pub enum NamedObjects {
    /// Every one.
    All,
    /// Those of such names.
    Called(fn(&str) -> bool),
    /// Whoever Rempart rests on: its own accounts, listed schedulers, node labelers, officers, kubelets, and who may do
    /// everything.
    Trusted,
}

/// What keeps a right from being used while a policy is in `Enforce`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdmissionGuard {
    /// Nothing.
    None,
    /// Any policy in `Enforce`, in the whole cluster.
    AnyPolicy,
    /// A policy in `Enforce`, in the namespaces that it governs.
    GoverningPolicy,
}

/// A right by which the rule could be weakened.
#[derive(Clone, Copy, Debug)]
pub struct WatchedRight {
    /// What its findings are called.
    pub code: FindingCode,
    /// The resources, each with its group; a subresource as `nodes/proxy`.
    pub resources: &'static [(&'static str, &'static str)],
    /// The verbs, any of which matters.
    pub verbs: &'static [&'static str],
    /// Where it matters.
    pub place: WatchedPlace,
    /// Which objects matter, where a rule names them.
    pub matters: NamedObjects,
    /// What refuses its use, so that the right alone is no finding.
    pub guard: AdmissionGuard,
    /// What it would allow.
    pub allows: &'static str,
    /// What to do, beside taking the right away.
    pub remedy: &'static str,
}

const OWN: &str = "rempart.dev";
const ADMISSION: &str = "admissionregistration.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const CERTIFICATES: &str = "certificates.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";
const UNGUARDED: &str = "to run pods where no policy holds, on any node, or to run as an account there: the operator, a listed scheduler or \
     a node labeler";
/// The signers whose certificates kubelets authenticate by, and what stands for them.
const SIGNERS: [&str; 3] =
    ["kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kube-apiserver-client", "kubernetes.io/*"];
const WRITE: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];

/// All of them.
pub const WATCHED: &[WatchedRight] = &[
    WatchedRight {
        code: FindingCode::RightsEscalatable,
        resources: &[(RBAC, "clusterroles"), (RBAC, "roles")],
        verbs: &["escalate", "bind"],
        place: WatchedPlace::Accounts,
        matters: NamedObjects::All,
        guard: AdmissionGuard::None,
        allows: "to give anybody any right, and so to become whoever Rempart trusts",
        remedy: "keep escalate and bind for those who administer the cluster",
    },
    WatchedRight {
        code: FindingCode::ImpersonationGranted,
        resources: &[("", "users"), ("", "groups"), (AUTHENTICATION, "uids"), (AUTHENTICATION, "userextras")],
        verbs: &["impersonate"],
        place: WatchedPlace::Cluster,
        matters: NamedObjects::Trusted,
        guard: AdmissionGuard::None,
        allows: "to act as an officer, as the operator, which stamps nodes, or as a kubelet",
        remedy: "name in resourceNames whom they may act as, none of whom Rempart rests on",
    },
    WatchedRight {
        code: FindingCode::ImpersonationGranted,
        resources: &[("", "serviceaccounts")],
        verbs: &["impersonate"],
        place: WatchedPlace::Accounts,
        matters: NamedObjects::Trusted,
        guard: AdmissionGuard::None,
        allows: "to act as the operator, which stamps nodes, as a listed scheduler or as a node labeler",
        remedy: "name in resourceNames whom they may act as, none of whom Rempart rests on",
    },
    WatchedRight {
        code: FindingCode::TokensCreatable,
        resources: &[("", "serviceaccounts/token")],
        verbs: &["create"],
        place: WatchedPlace::Accounts,
        matters: NamedObjects::Trusted,
        guard: AdmissionGuard::None,
        allows: "to make a token of the operator, which stamps nodes, of a listed scheduler or of a node labeler, and act by it",
        remedy: "give it by a RoleBinding in a namespace of their own, or name the accounts in resourceNames, none of which \
                 Rempart rests on",
    },
    WatchedRight {
        code: FindingCode::SecretsReadable,
        resources: &[("", "secrets")],
        verbs: &["get", "list", "watch"],
        place: WatchedPlace::Own,
        matters: NamedObjects::All,
        guard: AdmissionGuard::None,
        allows: "to read the private key of the webhook's authority, and tokens that are kept in Secrets",
        remedy: "give it by a RoleBinding in the namespaces that need it",
    },
    WatchedRight {
        code: FindingCode::ExemptPodsWritable,
        resources: &[("", "pods"), ("", "pods/exec"), ("", "pods/attach"), ("", "pods/ephemeralcontainers")],
        verbs: &["create", "update", "patch"],
        place: WatchedPlace::Unguarded,
        matters: NamedObjects::All,
        guard: AdmissionGuard::None,
        allows: UNGUARDED,
        remedy: "give it by RoleBindings in the namespaces of the workloads alone",
    },
    WatchedRight {
        code: FindingCode::ExemptWorkloadsWritable,
        resources: &[
            ("", "replicationcontrollers"),
            ("apps", "deployments"),
            ("apps", "statefulsets"),
            ("apps", "daemonsets"),
            ("apps", "replicasets"),
            ("batch", "jobs"),
            ("batch", "cronjobs"),
        ],
        verbs: &["create", "update", "patch"],
        place: WatchedPlace::Unguarded,
        matters: NamedObjects::All,
        guard: AdmissionGuard::None,
        allows: UNGUARDED,
        remedy: "give it by RoleBindings in the namespaces of the workloads alone",
    },
    WatchedRight {
        code: FindingCode::NodesProxied,
        resources: &[("", "nodes/proxy")],
        verbs: &["get", "create"],
        place: WatchedPlace::Cluster,
        matters: NamedObjects::All,
        guard: AdmissionGuard::None,
        allows: "to run commands in any container of any node by its kubelet, which no admission and no audit of pods sees",
        remedy: "grant nodes/metrics, nodes/stats, nodes/log or nodes/healthz, which monitoring needs, instead",
    },
    WatchedRight {
        code: FindingCode::NodeCertificatesSignable,
        resources: &[(CERTIFICATES, "signers")],
        verbs: &["approve", "sign"],
        place: WatchedPlace::Cluster,
        matters: NamedObjects::Called(|signer| SIGNERS.contains(&signer)),
        guard: AdmissionGuard::None,
        allows: "to give out the certificate of a kubelet, with which a machine of one's own joins and claims a pool",
        remedy: "name in resourceNames the signers that they need, and no kubernetes.io/kube-apiserver-client*",
    },
    WatchedRight {
        code: FindingCode::NodesCreatable,
        resources: &[("", "nodes")],
        verbs: &["create"],
        place: WatchedPlace::Cluster,
        matters: NamedObjects::All,
        guard: AdmissionGuard::None,
        allows: "to register a node with the labels and the providerID of a pool, which is stamped as that pool is",
        remedy: "leave registering nodes to kubelets and to what provisions them",
    },
    WatchedRight {
        code: FindingCode::NodesWritable,
        resources: &[("", "nodes"), ("", "nodes/status")],
        verbs: &["update", "patch"],
        place: WatchedPlace::Cluster,
        matters: NamedObjects::All,
        guard: AdmissionGuard::AnyPolicy,
        allows: "to put a node into a pool by its labels, as long as no policy in Enforce guards these",
        remedy: "put a policy in Enforce, which guards the labels of pools, or take the right away",
    },
    WatchedRight {
        code: FindingCode::BindingsCreatable,
        resources: &[("", "pods/binding"), ("", "bindings")],
        verbs: &["create"],
        place: WatchedPlace::Anywhere,
        matters: NamedObjects::All,
        guard: AdmissionGuard::GoverningPolicy,
        allows: "to bind a pod to a node whatever it selects, where no policy in Enforce refuses that",
        remedy: "put the policies in Enforce that govern the namespace, which refuse it, or take the right away",
    },
    WatchedRight {
        code: FindingCode::NodeLabelsGranted,
        resources: &[(OWN, "placementpools")],
        verbs: &["label-nodes"],
        place: WatchedPlace::Cluster,
        matters: NamedObjects::All,
        guard: AdmissionGuard::None,
        allows: "to change the labels that pools select by on any node, and so what it is cleared for",
        remedy: "name who provisions nodes in admission.nodeLabelers of the chart's values",
    },
    WatchedRight {
        code: FindingCode::DeclassifyGranted,
        resources: &[(OWN, "placementpolicies")],
        verbs: &["declassify"],
        place: WatchedPlace::Cluster,
        matters: NamedObjects::All,
        guard: AdmissionGuard::None,
        allows: "to lower or remove levels, and to take namespaces out of a policy",
        remedy: "name who may in people.declassifiers of the chart's values",
    },
    WatchedRight {
        code: FindingCode::PoliciesWritable,
        resources: &[(OWN, "placementpolicies")],
        verbs: WRITE,
        place: WatchedPlace::Cluster,
        matters: NamedObjects::All,
        guard: AdmissionGuard::None,
        allows: "to say which data may run where, by an exception or a lower demand",
        remedy: "name who may in people.securityOfficers of the chart's values",
    },
    WatchedRight {
        code: FindingCode::ProvidersWritable,
        resources: &[(OWN, "cloudproviders")],
        verbs: WRITE,
        place: WatchedPlace::Cluster,
        matters: NamedObjects::All,
        guard: AdmissionGuard::None,
        allows: "to record a certificate that nobody granted, by which pools are cleared",
        remedy: "name who may in people.securityOfficers of the chart's values",
    },
    WatchedRight {
        code: FindingCode::PoolsWritable,
        resources: &[(OWN, "placementpools")],
        verbs: WRITE,
        place: WatchedPlace::Cluster,
        matters: NamedObjects::All,
        guard: AdmissionGuard::None,
        allows: "to declare any nodes to be of a cleared offer",
        remedy: "name who may in people.platformEngineers of the chart's values",
    },
    WatchedRight {
        code: FindingCode::AdmissionWritable,
        resources: &[(ADMISSION, "validatingadmissionpolicies"), (ADMISSION, "validatingadmissionpolicybindings")],
        verbs: WRITE,
        place: WatchedPlace::Cluster,
        matters: NamedObjects::Called(|name| name.starts_with("rempart")),
        guard: AdmissionGuard::None,
        allows: "to lift the rules by which the API server holds pods to policies",
        remedy: "keep it for those who administer the cluster, name in resourceNames what they need, and have changes audited",
    },
    WatchedRight {
        code: FindingCode::AdmissionWritable,
        resources: &[
            (ADMISSION, "mutatingadmissionpolicies"),
            (ADMISSION, "mutatingadmissionpolicybindings"),
            (ADMISSION, "mutatingwebhookconfigurations"),
        ],
        verbs: WRITE,
        place: WatchedPlace::Cluster,
        matters: NamedObjects::All,
        guard: AdmissionGuard::None,
        allows: "to change what anybody asks the API server for, as a node when it registers",
        remedy: "keep it for those who administer the cluster, and have changes audited: any of them can change anything, whatever \
                 its name; whom you trust with that, tell by --trust",
    },
    WatchedRight {
        code: FindingCode::DefinitionsWritable,
        resources: &[("apiextensions.k8s.io", "customresourcedefinitions")],
        verbs: &["update", "patch", "delete", "deletecollection"],
        place: WatchedPlace::Cluster,
        matters: NamedObjects::Called(|definition| definition.ends_with(".rempart.dev")),
        guard: AdmissionGuard::None,
        allows: "to delete the definition of PlacementPolicy, and every policy with it",
        remedy: "name in resourceNames the definitions that they need",
    },
];

impl WatchedRight {
    /// Whether every API server grants it in one namespace as well as in all: what has no namespace is given by bindings of
    /// the cluster alone.
    #[must_use]
    pub fn is_of_namespaces(&self) -> bool {
        match self.place {
            WatchedPlace::Cluster => false,
            WatchedPlace::Anywhere | WatchedPlace::Accounts | WatchedPlace::Unguarded | WatchedPlace::Own => true,
        }
    }

    /// The requests of this right that `rule` lets through, as `create serviceaccounts/token`, and the names that they are
    /// limited to; nothing where it lets none through. Rempart rests on what `is_trusted` says of a resource and a name.
    #[must_use]
    pub fn ways(&self, rule: &PolicyRule, is_trusted: impl Fn(&str) -> bool) -> Option<RightWays> {
        let listed = rule.resource_names.as_deref().unwrap_or_default();
        let matters = |name: &str| match self.matters {
            NamedObjects::All => true,
            NamedObjects::Called(is_called) => is_called(name),
            NamedObjects::Trusted => is_trusted(name),
        };
        let names: Vec<String> = listed.iter().filter(|name| matters(name)).cloned().collect();
        if !listed.is_empty() && names.is_empty() {
            return None;
        }
        let has = |list: Option<&[String]>, wanted: &str| {
            list.unwrap_or_default().iter().any(|one| one == "*" || one == wanted)
        };
        // The resources of the same verbs, in the order of the table.
        let mut granted: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
        for (group, resource) in self.resources {
            let on = |wanted: &str| {
                let resources = rule.resources.as_deref().unwrap_or_default();
                let subresource = wanted.split_once('/').map(|(_, sub)| format!("*/{sub}"));
                resources.iter().any(|one| one == "*" || one == wanted || Some(one) == subresource.as_ref())
            };
            if !has(rule.api_groups.as_deref(), group) || !on(resource) {
                continue;
            }
            let verbs = self.verbs.iter().filter(|verb| {
                // Who creates an object names it in its body, where no rule looks; of a subresource the path does.
                let is_unnamed = matches!(**verb, "create" | "deletecollection") && !resource.contains('/');
                has(Some(&rule.verbs), verb) && (names.is_empty() || !is_unnamed)
            });
            let verbs: Vec<&str> = verbs.copied().collect();
            match granted.iter_mut().find(|(known, _)| *known == verbs) {
                _ if verbs.is_empty() => {}
                Some((_, resources)) => resources.push(resource),
                None => granted.push((verbs, vec![resource])),
            }
        }
        let request =
            |(verbs, resources): &(Vec<&str>, Vec<&str>)| format!("{} {}", verbs.join(", "), resources.join(", "));
        let requests: Vec<String> = granted.iter().map(request).collect();
        (!requests.is_empty()).then_some(RightWays { requests, names })
    }
}

/// What of a right a rule grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RightWays {
    /// The requests, as `create serviceaccounts/token`.
    pub requests: Vec<String>,
    /// The names that they are limited to; all where there is none.
    pub names: Vec<String>,
}
