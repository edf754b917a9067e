//! Checks of rights: who may do what would let a pod run where it may not.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::Value;

use super::{Check, CheckResults, Examined, ExaminedKind, FindingCode, namespaces::governed_unenforced, unread};
use crate::{
    doctor::{
        examined::named,
        finding::DeclaredRight,
        release::{self, Release},
        rights::{
            Grant, GrantScope, RbacObjects, Subject,
            expected::{Expectation, expectation, is_of_people},
            watched::{AdmissionGuard, WATCHED, WatchedPlace, WatchedRight},
        },
    },
    operator::component::OperatorComponent,
};

pub(super) const RIGHTS: Check = Check {
    name: "Rights",
    asks: "who may alter policies, nodes, admission or rights, act as others, or run pods where no policy holds",
    needs: &[ExaminedKind::ClusterRole, ExaminedKind::ClusterRoleBinding],
    live: false,
    examine: rights,
};

/// Where rights matter.
struct GuardedPlaces<'a> {
    release: &'a Release,
    /// The namespaces of accounts that Rempart rests on.
    accounts: BTreeSet<String>,
    /// Whether some policy is in `Enforce`.
    is_enforced: bool,
    /// The namespaces that policies govern and none in `Enforce` does, where that is known.
    unenforced: Option<BTreeSet<String>>,
    /// Whom Rempart rests on, beside kubelets.
    trusted: BTreeSet<Subject>,
}

/// What is found of one right by one binding.
#[derive(Default)]
struct FoundRight {
    role: String,
    subjects: BTreeSet<Subject>,
    requests: Vec<String>,
    names: BTreeSet<String>,
    is_unlimited: bool,
    place: String,
    /// Whether others have it by the same binding who are meant to.
    shares: bool,
}

/// A right by the place of its entry in the table, so that entries of one code are told apart.
type RightKey = (usize, String);

fn rights(examined: &Examined, results: &mut CheckResults) {
    for kind in [ExaminedKind::Role, ExaminedKind::RoleBinding] {
        if let Err(why) = examined.read(kind) {
            results.unchecked.push(unread(RIGHTS.name, kind, &why));
        }
    }
    let (objects, undecodable) = RbacObjects::of(examined);
    for message in undecodable {
        results.leave(RIGHTS.name, message, "correct the object, or export it anew");
    }
    let release = release::found(examined.known(ExaminedKind::Deployment), &examined.release).release;
    let mut accounts = objects.namespaces_bound_to("rempart-node-labeler");
    accounts.insert(release.namespace.clone());
    accounts.extend(release.schedulers.iter().filter_map(|user| match Subject::of_user(user) {
        Subject::ServiceAccount { namespace, .. } => Some(namespace),
        Subject::User(_) | Subject::Group(_) => None,
    }));
    let is_enforced = examined
        .known(ExaminedKind::PlacementPolicy)
        .iter()
        .any(|policy| policy.pointer("/spec/mode").is_some_and(|mode| mode == "Enforce"));
    let grants = objects.grants();
    let mut places = GuardedPlaces {
        release: &release,
        accounts,
        is_enforced,
        unenforced: governed_unenforced(examined, &release),
        trusted: BTreeSet::new(),
    };
    places.trusted = places.rested_on(&grants);
    let of_all: BTreeSet<&str> =
        grants.iter().filter(|grant| is_of_all(grant)).map(|grant| grant.binding.as_str()).collect();
    administrators(&grants, examined, &release, results);
    labelers_on_nodes(&grants, examined, results);
    let mut found: BTreeMap<RightKey, FoundRight> = BTreeMap::new();
    for grant in grants.iter().filter(|grant| !of_all.contains(grant.binding.as_str())) {
        for (entry, right) in WATCHED.iter().enumerate() {
            places.look(entry, right, grant, examined, &mut found, results);
        }
    }
    for ((entry, binding), right) in found {
        if let Some(watched) = WATCHED.get(entry) {
            tell(watched, &binding, &right, results);
        }
    }
}

/// Whether `grant` is everything, everywhere.
fn is_of_all(grant: &Grant<'_>) -> bool {
    let PolicyRule { api_groups, non_resource_urls: _, resource_names, resources, verbs } = grant.rule;
    let all = |list: Option<&[String]>| list.unwrap_or_default().iter().any(|one| one == "*");
    grant.scope == GrantScope::Cluster
        && all(api_groups.as_deref())
        && all(resources.as_deref())
        && all(Some(verbs))
        && resource_names.as_deref().unwrap_or_default().is_empty()
}

/// Who may do everything.
fn administrators(grants: &[Grant<'_>], examined: &Examined, release: &Release, results: &mut CheckResults) {
    let mut told = BTreeSet::new();
    for grant in grants.iter().filter(|grant| is_of_all(grant)) {
        if !told.insert(&grant.binding) {
            continue;
        }
        let code = FindingCode::AdministratorRights;
        let subjects = unexpected(code, grant, examined, release, results);
        if !subjects.is_empty() {
            let message = format!("{} may do everything, by {}", listed(&subjects), grant.role);
            results.find(
                code,
                &grant.binding,
                "subjects",
                message,
                "to lift every rule, stamp any node and act as anybody",
                remedy(
                    &grant.binding,
                    &grant.role,
                    &subjects,
                    subjects.len() < grant.subjects.len(),
                    "give it what they need and no more",
                ),
            );
        }
    }
}

/// The subjects of `grant` who are not meant to have the right `code`. Of those who are, it is told why.
fn unexpected(
    code: FindingCode,
    grant: &Grant<'_>,
    examined: &Examined,
    release: &Release,
    results: &mut CheckResults,
) -> BTreeSet<Subject> {
    let mut unexpected = BTreeSet::new();
    for subject in &grant.subjects {
        let why = match expectation(code, grant.role_name, subject, release) {
            // Kubernetes' own parts are in every cluster, and nobody can do without them.
            Some(Expectation::Kubernetes) => continue,
            Some(Expectation::Administrators) => "who may do everything; guarded by who gives out certificates",
            Some(Expectation::Chart) => "as the chart's values say",
            Some(Expectation::Operator) => "the operator itself",
            None if examined.trusted.contains(subject) => "trusted, as --trust says",
            None => {
                unexpected.insert(subject.clone());
                continue;
            }
        };
        let by = format!("{} to {} ({why})", grant.binding, grant.role);
        results.declared.push(DeclaredRight { code, subject: subject.to_string(), by });
    }
    unexpected
}

/// Who may change the labels that pools select by, and has its token on nodes: whoever has one of these has it too.
fn labelers_on_nodes(grants: &[Grant<'_>], examined: &Examined, results: &mut CheckResults) {
    let Some(right) = WATCHED.iter().find(|right| right.code == FindingCode::NodeLabelsGranted) else { return };
    let allows = "whoever controls one node to take the token there, and to put that node and any other into any pool";
    let granting = grants.iter().filter(|grant| {
        grant.scope == GrantScope::Cluster && !is_of_all(grant) && right.ways(grant.rule, |_| true).is_some()
    });
    let labelers: BTreeMap<&Subject, &Grant<'_>> =
        granting.flat_map(|grant| grant.subjects.iter().map(move |subject| (subject, grant))).collect();
    for (subject, grant) in &labelers {
        if let Subject::Group(group) = subject
            && (group == "system:serviceaccounts" || group.starts_with("system:serviceaccounts:"))
        {
            results.find(
                FindingCode::NodeLabelerOnNodes,
                &grant.binding,
                "subjects",
                format!(
                    "{subject} may change the labels that pools select by, by {}, and with it every account there",
                    grant.role
                ),
                allows,
                "name the accounts in admission.nodeLabelers of the chart's values, and none that runs on nodes",
            );
        }
    }
    if labelers.keys().any(|subject| matches!(subject, Subject::ServiceAccount { .. }))
        && let Err(why) = examined.read(ExaminedKind::DaemonSet)
    {
        results.unchecked.push(unread(RIGHTS.name, ExaminedKind::DaemonSet, &why));
    }
    for set in examined.known(ExaminedKind::DaemonSet) {
        let text = |path: &str| set.pointer(path).and_then(Value::as_str);
        let account = ["serviceAccountName", "serviceAccount"]
            .iter()
            .find_map(|field| text(&format!("/spec/template/spec/{field}")).filter(|name| !name.is_empty()));
        let subject = Subject::ServiceAccount {
            namespace: text("/metadata/namespace").unwrap_or_default().to_owned(),
            name: account.unwrap_or("default").to_owned(),
        };
        if let Some(grant) = labelers.get(&subject)
            && !examined.trusted.contains(&subject)
        {
            results.find(
                FindingCode::NodeLabelerOnNodes,
                named(set),
                "spec.template.spec.serviceAccountName",
                format!("it runs on nodes as {subject}, which may change the labels that pools select by, by {}", grant.role),
                allows,
                format!(
                    "take {subject} out of admission.nodeLabelers of the chart's values, or have labels written by a controller that \
                     runs on nodes of its own"
                ),
            );
        }
    }
}

impl GuardedPlaces<'_> {
    /// Where `grant` gives `right`, in words; nothing where that is nowhere that matters.
    fn place(&self, right: &WatchedRight, grant: &Grant<'_>) -> Option<String> {
        let namespace = match &grant.scope {
            GrantScope::Cluster if right.is_of_namespaces() => return Some(" in every namespace".to_owned()),
            GrantScope::Cluster => return Some(String::new()),
            GrantScope::Namespace(namespace) => namespace,
        };
        let matters = match right.place {
            WatchedPlace::Cluster => false,
            WatchedPlace::Anywhere => true,
            WatchedPlace::Accounts => self.accounts.contains(namespace),
            WatchedPlace::Unguarded => self.release.exempt.contains(namespace) || self.accounts.contains(namespace),
            WatchedPlace::Own => self.release.namespace == *namespace,
        };
        matters.then(|| format!(" in namespace {namespace}"))
    }

    /// Whom Rempart rests on: its own accounts, listed schedulers, who has a role of the chart for people, and who has any of the
    /// rights that are watched. Who acts as one of them has what they have.
    fn rested_on(&self, grants: &[Grant<'_>]) -> BTreeSet<Subject> {
        let halves = OperatorComponent::ALL.iter().map(|component| self.release.user_of(*component));
        let own = halves.chain(self.release.schedulers.iter().cloned()).map(|user| Subject::of_user(&user));
        let is_watched = |grant: &Grant<'_>| {
            WATCHED.iter().any(|right| self.place(right, grant).is_some() && right.ways(grant.rule, |_| true).is_some())
        };
        let by_role = grants.iter().filter(|grant| is_of_people(grant.role_name) || is_watched(grant));
        own.chain(by_role.flat_map(|grant| grant.subjects.iter().cloned())).collect()
    }

    /// Whether admission refuses what `right` would do in `scope`.
    fn is_guarded(&self, right: &WatchedRight, scope: &GrantScope) -> bool {
        match right.guard {
            AdmissionGuard::None => false,
            AdmissionGuard::AnyPolicy => self.is_enforced,
            AdmissionGuard::GoverningPolicy => match (&self.unenforced, scope) {
                // What is not known is not taken for guarded, unless nothing says otherwise.
                (None, GrantScope::Cluster | GrantScope::Namespace(_)) => self.is_enforced,
                (Some(unenforced), GrantScope::Cluster) => unenforced.is_empty(),
                (Some(unenforced), GrantScope::Namespace(namespace)) => !unenforced.contains(namespace),
            },
        }
    }

    /// Whether Rempart rests on whom `right` calls `name` in `scope`.
    fn is_trusted(&self, name: &str, right: &WatchedRight, scope: &GrantScope) -> bool {
        let is_account = right.resources.iter().any(|(_, resource)| resource.starts_with("serviceaccounts"));
        self.trusted.iter().any(|trusted| match (trusted, scope) {
            (Subject::ServiceAccount { name: of, .. }, GrantScope::Cluster) if is_account => of == name,
            (Subject::ServiceAccount { namespace, name: of }, GrantScope::Namespace(granted)) if is_account => {
                of == name && namespace == granted
            }
            (Subject::User(of) | Subject::Group(of), _) => !is_account && of == name,
            (Subject::ServiceAccount { namespace, name: of }, _) => {
                !is_account && name == format!("system:serviceaccount:{namespace}:{of}")
            }
        }) || (!is_account && (name.starts_with("system:node:") || ["system:nodes", "system:masters"].contains(&name)))
    }

    fn look(
        &self,
        entry: usize,
        right: &WatchedRight,
        grant: &Grant<'_>,
        examined: &Examined,
        found: &mut BTreeMap<RightKey, FoundRight>,
        results: &mut CheckResults,
    ) {
        if self.is_guarded(right, &grant.scope) {
            return;
        }
        let Some(place) = self.place(right, grant) else { return };
        let Some(ways) = right.ways(grant.rule, |name| self.is_trusted(name, right, &grant.scope)) else { return };
        let subjects = unexpected(right.code, grant, examined, self.release, results);
        if subjects.is_empty() {
            return;
        }
        let known = found.entry((entry, grant.binding.clone())).or_default();
        known.role.clone_from(&grant.role);
        known.subjects.extend(subjects);
        known.is_unlimited = known.is_unlimited || ways.names.is_empty();
        known.shares = known.subjects.len() < grant.subjects.len();
        known.place = place;
        known.names.extend(ways.names);
        for request in ways.requests {
            if !known.requests.contains(&request) {
                known.requests.push(request);
            }
        }
    }
}

fn tell(watched: &WatchedRight, binding: &str, right: &FoundRight, results: &mut CheckResults) {
    let FoundRight { role, subjects, requests, names, is_unlimited, place, shares } = right;
    let requests = requests.join("; ");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let limit = if *is_unlimited || names.is_empty() { String::new() } else { format!(" (of {})", names.join(", ")) };
    let message = format!("{} may {requests}{limit}{place}, by {role}", listed(subjects));
    results.find(
        watched.code,
        binding,
        format!("{role}: {requests}"),
        message,
        watched.allows,
        remedy(binding, role, subjects, *shares, watched.remedy),
    );
}

/// How many subjects a sentence names.
const NAMED: usize = 5;

fn listed(subjects: &BTreeSet<Subject>) -> String {
    let named: Vec<String> = subjects.iter().take(NAMED).map(ToString::to_string).collect();
    match subjects.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// What to do about `subjects`, who have a right by `binding` and `role`: `shares` says whether others have it by the same
/// binding who are meant to.
fn remedy(binding: &str, role: &str, subjects: &BTreeSet<Subject>, shares: bool, otherwise: &str) -> String {
    let object = arguments(binding);
    let first = if shares {
        format!("`kubectl edit {object}`, and take {} out of its subjects", listed(subjects))
    } else {
        format!("`kubectl delete {object}`")
    };
    // Kubernetes puts its own roles back as they were, and others rest on them.
    if is_of_kubernetes(role) {
        format!("{first}; bind a role of their own in its place, and {otherwise}")
    } else {
        format!("{first}, or edit {role}: {otherwise}")
    }
}

/// Whether `role` is one of those that every API server makes.
fn is_of_kubernetes(role: &str) -> bool {
    role.strip_prefix("ClusterRole ")
        .is_some_and(|name| name.starts_with("system:") || ["cluster-admin", "admin", "edit", "view"].contains(&name))
}

/// An object as arguments of kubectl.
pub(super) fn arguments(object: &str) -> String {
    let Some((kind, name)) = object.split_once(' ') else { return object.to_owned() };
    let kind = kind.to_lowercase();
    match name.split_once('/') {
        Some((namespace, name)) => format!("{kind} -n {namespace} {name}"),
        None => format!("{kind} {name}"),
    }
}
