//! Rights: who may do what, by the roles and bindings of RBAC.
//!
//! [`RbacObjects`] takes roles and bindings, and [`RbacObjects::grants`] returns each rule with whom it is given to, and where.
//! Rights add up and none takes another away, so that each is looked at by itself. What other authorizers grant (Node,
//! webhooks), and what membership of `system:masters` does, stands in no object and is not here.

pub mod expected;
pub mod watched;

use std::{collections::BTreeSet, fmt, str::FromStr};

use k8s_openapi::{
    api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject as RbacSubject},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use super::examined::{Examined, ExaminedKind};

/// Who is given rights.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A user by name.
    User(String),
    /// The members of a group.
    Group(String),
    /// A `ServiceAccount`.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl Subject {
    /// That of a binding in `namespace`, if it is in one.
    fn of(subject: &RbacSubject, namespace: Option<&str>) -> Option<Self> {
        let name = subject.name.clone();
        match subject.kind.as_str() {
            "User" => Some(Self::of_user(&name)),
            "Group" => Some(Self::Group(name)),
            "ServiceAccount" => {
                let namespace = subject.namespace.as_deref().or(namespace).unwrap_or_default().to_owned();
                Some(Self::ServiceAccount { namespace, name })
            }
            // The API server knows no other.
            _ => None,
        }
    }

    /// The user `name`, which may be a `ServiceAccount` by the name that it has as a user.
    #[must_use]
    pub fn of_user(name: &str) -> Self {
        let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
        match account {
            Some((namespace, name)) => Self::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() },
            None => Self::User(name.to_owned()),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "User {name}"),
            Self::Group(name) => write!(f, "Group {name}"),
            Self::ServiceAccount { namespace, name } => write!(f, "ServiceAccount {namespace}/{name}"),
        }
    }
}

impl FromStr for Subject {
    type Err = String;

    /// As `User:ada`, `Group:admins` or `ServiceAccount:argocd/argocd-application-controller`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write User:NAME, Group:NAME or ServiceAccount:NAMESPACE/NAME".to_owned();
        let (kind, name) = text.split_once(':').filter(|(_, name)| !name.is_empty()).ok_or_else(wrong)?;
        match kind {
            "User" => Ok(Self::of_user(name)),
            "Group" => Ok(Self::Group(name.to_owned())),
            "ServiceAccount" => {
                let (namespace, name) = name.split_once('/').ok_or_else(wrong)?;
                Ok(Self::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(wrong()),
        }
    }
}

/// Where a grant holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantScope {
    /// In every namespace, and for what has none.
    Cluster,
    /// In one namespace.
    Namespace(String),
}

/// A rule that somebody is given.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// Which binding gives it, as `ClusterRoleBinding ci`.
    pub binding: String,
    /// Which role it is of, as `ClusterRole ci`.
    pub role: String,
    /// The role's name.
    pub role_name: &'a str,
    /// To whom.
    pub subjects: Vec<Subject>,
    /// Where.
    pub scope: GrantScope,
    /// What.
    pub rule: &'a PolicyRule,
}

/// The roles and bindings of a cluster.
#[derive(Clone, Debug, Default)]
pub struct RbacObjects {
    cluster_roles: Vec<ClusterRole>,
    cluster_role_bindings: Vec<ClusterRoleBinding>,
    roles: Vec<Role>,
    role_bindings: Vec<RoleBinding>,
}

impl RbacObjects {
    /// Those of `examined`, and which of them cannot be read.
    #[must_use]
    pub fn of(examined: &Examined) -> (Self, Vec<String>) {
        let (cluster_roles, mut undecodable) = examined.decoded(ExaminedKind::ClusterRole);
        let (cluster_role_bindings, more) = examined.decoded(ExaminedKind::ClusterRoleBinding);
        undecodable.extend(more);
        let (roles, more) = examined.decoded(ExaminedKind::Role);
        undecodable.extend(more);
        let (role_bindings, more) = examined.decoded(ExaminedKind::RoleBinding);
        undecodable.extend(more);
        (Self { cluster_roles, cluster_role_bindings, roles, role_bindings }, undecodable)
    }

    /// Every rule with whom it is given to.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant<'_>> {
        let mut grants = Vec::new();
        for binding in &self.cluster_role_bindings {
            let name = binding.metadata.name.as_deref().unwrap_or_default();
            let subjects = subjects(binding.subjects.as_deref(), None);
            let role_name = binding.role_ref.name.as_str();
            for rule in self.rules_of_cluster_role(role_name) {
                grants.push(Grant {
                    binding: format!("ClusterRoleBinding {name}"),
                    role: format!("ClusterRole {role_name}"),
                    role_name,
                    subjects: subjects.clone(),
                    scope: GrantScope::Cluster,
                    rule,
                });
            }
        }
        for binding in &self.role_bindings {
            let namespace = binding.metadata.namespace.as_deref().unwrap_or_default();
            let name = binding.metadata.name.as_deref().unwrap_or_default();
            let subjects = subjects(binding.subjects.as_deref(), Some(namespace));
            let role_name = binding.role_ref.name.as_str();
            let (role, rules) = if binding.role_ref.kind == "Role" {
                (format!("Role {namespace}/{role_name}"), self.rules_of_role(namespace, role_name))
            } else {
                (format!("ClusterRole {role_name}"), self.rules_of_cluster_role(role_name))
            };
            for rule in rules {
                grants.push(Grant {
                    binding: format!("RoleBinding {namespace}/{name}"),
                    role: role.clone(),
                    role_name,
                    subjects: subjects.clone(),
                    scope: GrantScope::Namespace(namespace.to_owned()),
                    rule,
                });
            }
        }
        grants
    }

    /// The namespaces of the accounts, and of the groups of accounts, that the role `role` is bound to in the whole cluster.
    pub(super) fn namespaces_bound_to(&self, role: &str) -> BTreeSet<String> {
        let bindings = self.cluster_role_bindings.iter().filter(|binding| binding.role_ref.name == role);
        let subjects = bindings.flat_map(|binding| subjects(binding.subjects.as_deref(), None));
        subjects
            .filter_map(|subject| match subject {
                Subject::ServiceAccount { namespace, .. } => Some(namespace),
                Subject::Group(name) => name.strip_prefix("system:serviceaccounts:").map(str::to_owned),
                Subject::User(_) => None,
            })
            .collect()
    }

    fn rules_of_role(&self, namespace: &str, name: &str) -> Vec<&PolicyRule> {
        let is_it = |role: &&Role| {
            role.metadata.name.as_deref() == Some(name) && role.metadata.namespace.as_deref() == Some(namespace)
        };
        self.roles.iter().filter(is_it).flat_map(|role| role.rules.iter().flatten()).collect()
    }

    /// Those of the role, and of the roles that it aggregates: in a file these may not have been written into it yet.
    fn rules_of_cluster_role(&self, name: &str) -> Vec<&PolicyRule> {
        let mut seen = BTreeSet::new();
        let mut rules: Vec<&PolicyRule> = Vec::new();
        let mut wanted = vec![name.to_owned()];
        while let Some(name) = wanted.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            for role in self.cluster_roles.iter().filter(|role| role.metadata.name.as_deref() == Some(name.as_str())) {
                for rule in role.rules.iter().flatten() {
                    if !rules.contains(&rule) {
                        rules.push(rule);
                    }
                }
                let selectors =
                    role.aggregation_rule.iter().flat_map(|rule| rule.cluster_role_selectors.iter().flatten());
                for selector in selectors {
                    let aggregated = self.cluster_roles.iter().filter(|other| selects(selector, other));
                    wanted.extend(aggregated.filter_map(|other| other.metadata.name.clone()));
                }
            }
        }
        rules
    }
}

fn subjects(subjects: Option<&[RbacSubject]>, namespace: Option<&str>) -> Vec<Subject> {
    let mut found: Vec<Subject> =
        subjects.unwrap_or_default().iter().filter_map(|subject| Subject::of(subject, namespace)).collect();
    found.sort();
    found.dedup();
    found
}

/// Whether `selector` selects `role`. One that asks for nothing selects nothing here, as the controller has it.
fn selects(selector: &LabelSelector, role: &ClusterRole) -> bool {
    let label = |key: &str| role.metadata.labels.as_ref().and_then(|labels| labels.get(key));
    let by_labels = selector.match_labels.iter().flatten().all(|(key, value)| label(key) == Some(value));
    let by_terms = selector.match_expressions.iter().flatten().all(|term| {
        let values = term.values.as_deref().unwrap_or_default();
        match (term.operator.as_str(), label(&term.key)) {
            ("In", Some(value)) => values.contains(value),
            ("NotIn", Some(value)) => !values.contains(value),
            ("Exists", found) => found.is_some(),
            ("NotIn" | "DoesNotExist", None) => true,
            _ => false,
        }
    });
    let asks = selector.match_labels.iter().flatten().next().is_some()
        || selector.match_expressions.iter().flatten().next().is_some();
    asks && by_labels && by_terms
}
