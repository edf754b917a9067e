//! Generators of policies, namespaces and requests, small, so that what is said is often known, and often nearly.
//!
//! A draft says what is drawn, as `the third level`; only with a policy it becomes an object. So a draft shrinks without
//! losing its meaning.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use proptest::{collection as many, option, prelude::*, sample::Index, sample::select};
use rempart::api::{PlacementPolicySpec, PolicyMode};
use serde_json::json;

/// The name of a policy, and what it says.
#[derive(Clone, Debug)]
pub(crate) struct PolicyDraft {
    pub(crate) name: String,
    pub(crate) spec: PlacementPolicySpec,
}

/// How a policy calls what it has.
#[derive(Clone, Copy, Debug)]
enum Naming {
    Plain,
    /// As words of CEL, numbers and beginnings of each other.
    Odd,
    /// As long as a name may be.
    Longest,
}

const NAMINGS: [Naming; 4] = [Naming::Plain, Naming::Plain, Naming::Odd, Naming::Longest];

impl Naming {
    fn pick(self, plain: &[&str], odd: &[&str], place: usize) -> String {
        match self {
            Self::Plain => plain[place].to_owned(),
            Self::Odd => odd[place].to_owned(),
            Self::Longest => format!("{}{:x<27}", plain[place].chars().next().unwrap_or('l'), place),
        }
    }

    fn level(self, place: usize) -> String {
        let plain = ["public", "internal", "restricted", "secret", "secret-2", "top"];
        self.pick(&plain, &["0", "true", "in", "null", "a", "a-1"], place)
    }

    fn category(self, place: usize) -> String {
        self.pick(&["health", "personal", "defence"], &["h", "0", "all"], place)
    }

    fn exception(self, place: usize) -> String {
        self.pick(&["legacy", "pilot"], &["e", "0"], place)
    }
}

/// The names of namespaces. The last is exempt.
pub(crate) const NAMESPACES: [&str; 4] = ["claims", "billing", "lab", "kube-system"];

pub(crate) fn policies() -> impl Strategy<Value = PolicyDraft> {
    let modes = select(&[PolicyMode::Enforce, PolicyMode::Enforce, PolicyMode::Warn, PolicyMode::Audit][..]);
    let exception = (select(vec![0..1, 0..2, 1..2, 2..4]), any::<Index>());
    (
        modes,
        select(&NAMINGS[..]),
        many::vec(any::<bool>(), 1..7),
        any::<Index>(),
        many::vec(any::<bool>(), 0..4),
        many::vec(exception, 0..3),
        (option::weighted(0.25, selectors()), option::weighted(0.3, any::<Index>()), any::<bool>()),
    )
        .prop_map(
            |(mode, naming, levels, default, categories, exceptions, (selector, minimum, asks_namespaces))| {
                let require = |asks: bool| if asks { json!({"maxPUE": 1.5}) } else { json!(null) };
                let mut taken: Vec<&str> = Vec::new();
                let exceptions: Vec<_> = (0..)
                    .zip(exceptions)
                    .filter_map(|(place, (namespaces, level))| {
                        let free: Vec<_> =
                            NAMESPACES[namespaces].iter().copied().filter(|name| !taken.contains(name)).collect();
                        taken.extend(&free);
                        let level = naming.level(level.index(levels.len()));
                        (!free.is_empty()).then(|| {
                            json!({
                                "name": naming.exception(place), "namespaces": free, "level": level, "pools": ["p"],
                                "until": "2027-03-31", "reason": "migration", "approvedBy": "CISO",
                            })
                        })
                    })
                    .collect();
                let named = |name: String, asks: bool| json!({"name": name, "require": require(asks)});
                let spec = json!({
                    "mode": mode,
                    "namespaceSelector": selector,
                    "defaultLevel": naming.level(default.index(levels.len())),
                    "minimumLevel": minimum.map(|minimum| naming.level(minimum.index(default.index(levels.len()) + 1))),
                    "requireNamespaceLevel": asks_namespaces,
                    "levels": (0..).zip(&levels).map(|(i, asks)| named(naming.level(i), *asks)).collect::<Vec<_>>(),
                    "categories":
                        (0..).zip(&categories).map(|(i, asks)| named(naming.category(i), *asks)).collect::<Vec<_>>(),
                    "exceptions": exceptions,
                });
                let name = match naming {
                    Naming::Plain => "state".to_owned(),
                    Naming::Odd => "0".to_owned(),
                    Naming::Longest => "p".repeat(28),
                };
                PolicyDraft { name, spec: serde_json::from_value(spec).expect("it has the form of a spec") }
            },
        )
}

/// Selectors of namespaces by two labels, one of which is their name.
fn selectors() -> impl Strategy<Value = LabelSelector> {
    let term = prop_oneof![
        (select(&["In", "NotIn"][..]), many::vec(select(&["a", "b"][..]), 1..3))
            .prop_map(|(operator, values)| { ("team", operator, values) }),
        select(&["Exists", "DoesNotExist"][..]).prop_map(|operator| ("team", operator, vec![])),
        (select(&["In", "NotIn"][..]), many::vec(select(&NAMESPACES[..3]), 1..3)).prop_map(|(operator, values)| (
            "kubernetes.io/metadata.name",
            operator,
            values
        )),
    ];
    let same = option::weighted(0.3, select(&["a", "b"][..]));
    (same, many::vec(term, 0..3)).prop_map(|(same, terms)| LabelSelector {
        match_labels: same.map(|team| [("team".to_owned(), team.to_owned())].into()),
        match_expressions: Some(
            terms
                .into_iter()
                .map(|(key, operator, values)| LabelSelectorRequirement {
                    key: key.to_owned(),
                    operator: operator.to_owned(),
                    values: (!values.is_empty()).then(|| values.into_iter().map(str::to_owned).collect()),
                })
                .collect(),
        ),
    })
}

/// What somebody writes for a level or for categories.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    /// A name that the policy has, by its place.
    Known(Index),
    Odd(&'static str),
    /// So many of a character.
    Repeated(char, usize),
    Joined(Vec<Text>),
}

/// What nobody should write.
pub(crate) const ODD: [&str; 22] = [
    "",
    " ",
    "cosmic",
    "Secret",
    "secret ",
    "s\u{435}cret",
    "it's \"quoted\" \\ twice",
    "\\",
    "line\nbreak",
    "\tindented\r",
    "\u{0}",
    "\u{7}\u{8}\u{b}\u{c}",
    "\u{1b}[31mred",
    "\u{7f}\u{85}\u{9f}",
    "\u{202e}terces",
    "e\u{301}\u{300}",
    "\u{200b}\u{feff}",
    "\u{1f512}\u{1f468}\u{200d}\u{1f469}",
    "\u{e000}\u{10ffff}",
    "\u{2028}\u{2029}",
    "public,internal",
    "health.personal",
];

/// About the lengths at which a message cuts and an annotation is too long.
const LENGTHS: [usize; 8] = [33, 63, 64, 65, 1023, 1024, 1025, 2000];

fn word() -> impl Strategy<Value = Text> + Clone {
    prop_oneof![
        14 => any::<Index>().prop_map(Text::Known),
        2 => select(&ODD[..]).prop_map(Text::Odd),
        1 => (select(&['x', '\u{e9}', '\u{1f512}', '"', ','][..]), select(&LENGTHS[..]))
            .prop_map(|(character, times)| Text::Repeated(character, times)),
    ]
}

/// What one object says, or nothing: a level and categories.
pub(crate) type Said = (Option<Text>, Option<Text>);

fn said() -> impl Strategy<Value = Said> + Clone {
    let joined = many::vec(word(), 1..4).prop_map(Text::Joined);
    (option::weighted(0.45, word()), option::weighted(0.35, joined))
}

/// What becomes of one of them: nothing, or what it is then.
pub(crate) type Edit = Option<Option<Text>>;

fn edit() -> impl Strategy<Value = Edit> + Clone {
    option::weighted(0.12, option::weighted(0.75, word()))
}

/// The labels of a namespace.
#[derive(Clone, Debug)]
pub(crate) struct NamespaceDraft {
    pub(crate) name: String,
    pub(crate) team: Option<&'static str>,
    pub(crate) said: Said,
}

pub(crate) fn namespaces() -> impl Strategy<Value = NamespaceDraft> {
    let label = prop_oneof![
        6 => any::<Index>().prop_map(Text::Known),
        1 => select(&["", "cosmic", "Secret", "a.b", "h..h"][..]).prop_map(Text::Odd),
        1 => Just(Text::Repeated('x', 63)),
    ];
    let joined = many::vec(label.clone(), 1..3).prop_map(Text::Joined);
    let said = (option::weighted(0.5, label), option::weighted(0.3, joined));
    let name = select(
        &[
            "claims",
            "claims",
            "claims",
            "claims",
            "billing",
            "billing",
            "billing",
            "lab",
            "lab",
            "lab",
            "lab",
            "kube-system",
        ][..],
    );
    let team = option::of(select(&["a", "b"][..]));
    (name, team, said).prop_map(|(name, team, said)| NamespaceDraft { name: name.to_owned(), team, said })
}

/// The node selector of a pod.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SelectorDraft {
    Absent,
    /// What admission makes of it.
    Complete,
    /// That, and keys of ours and of others beside it.
    Surplus,
    /// That without one of its keys.
    Lacking(Index),
    /// That with another value for one of its keys.
    Wrong(Index),
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
pub(crate) struct PodDraft {
    /// What is said of its workload, and of itself.
    pub(crate) mirror: Said,
    pub(crate) own: Said,
    pub(crate) selector: SelectorDraft,
    pub(crate) node_name: Option<Text>,
    pub(crate) is_static: bool,
    pub(crate) is_gated: bool,
    pub(crate) has_name: bool,
    pub(crate) has_owner: bool,
}

fn pods() -> impl Strategy<Value = PodDraft> {
    let selector = prop_oneof![
        1 => Just(SelectorDraft::Absent),
        5 => Just(SelectorDraft::Complete),
        1 => Just(SelectorDraft::Surplus),
        1 => any::<Index>().prop_map(SelectorDraft::Lacking),
        1 => any::<Index>().prop_map(SelectorDraft::Wrong),
    ];
    let node = prop_oneof![6 => Just(Text::Odd("node-7")), 1 => Just(Text::Repeated('n', 253))];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (said(), said(), selector, option::weighted(0.25, node), flags).prop_map(
        |(mirror, own, selector, node_name, (is_static, is_gated, has_name, has_owner))| PodDraft {
            mirror,
            own,
            selector,
            node_name,
            is_static,
            is_gated,
            has_name,
            has_owner,
        },
    )
}

/// Who controls a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnerDraft {
    Nobody,
    /// Listed, but no controller.
    Listed(&'static str),
    Controller(&'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct WorkloadDraft {
    pub(crate) kind: &'static str,
    pub(crate) owner: OwnerDraft,
    pub(crate) own: Said,
    pub(crate) template: Said,
    /// The mirror that its template carries.
    pub(crate) mirror: Said,
    /// Of a `CronJob`: what is said where it reaches no pod.
    pub(crate) job_template: Said,
    pub(crate) is_suspended: bool,
    pub(crate) has_started: bool,
    pub(crate) ended_by: Option<(&'static str, &'static str)>,
}

fn workloads() -> impl Strategy<Value = WorkloadDraft> {
    let kinds = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Job", "Job", "CronJob", "CronJob"];
    let kind = select(kinds.to_vec());
    let owners = [
        OwnerDraft::Nobody,
        OwnerDraft::Nobody,
        OwnerDraft::Listed("CronJob"),
        OwnerDraft::Controller("Deployment"),
        OwnerDraft::Controller("CronJob"),
    ];
    let conditions = [("Complete", "True"), ("Failed", "True"), ("Complete", "False"), ("FailureTarget", "True")];
    let ended_by = option::weighted(0.2, select(conditions.to_vec()));
    let job = (option::weighted(0.2, said()), any::<bool>(), any::<bool>(), ended_by);
    (kind, select(owners.to_vec()), said(), said(), said(), job).prop_map(
        |(kind, owner, own, template, mirror, (job_template, is_suspended, has_started, ended_by))| WorkloadDraft {
            kind,
            owner,
            own,
            template,
            mirror,
            job_template: job_template.unwrap_or_default(),
            is_suspended,
            has_started,
            ended_by,
        },
    )
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserDraft {
    Alice,
    /// Who may declassify.
    Officer,
    Scheduler,
    /// The kubelet of a node.
    Kubelet(&'static str),
    /// A user called as a kubelet.
    Impostor,
}

fn users() -> impl Strategy<Value = UserDraft> {
    use UserDraft::{Alice, Impostor, Kubelet, Officer, Scheduler};
    select(&[Alice, Officer, Scheduler, Kubelet("node-7"), Kubelet("node-7"), Kubelet("node-8"), Impostor][..])
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    PodCreated(PodDraft),
    PodUpdated {
        pod: PodDraft,
        /// Of the mirror's level and categories, and of its own.
        edits: [Edit; 4],
        /// Whether its last scheduling gate goes; its selector stays.
        opens_gate: bool,
        note: bool,
        status: bool,
    },
    WorkloadCreated(WorkloadDraft),
    WorkloadUpdated {
        workload: WorkloadDraft,
        /// Of its level and categories, wherever they are said.
        own: [Edit; 2],
        template: [Edit; 2],
        /// Of the mirror of its own.
        mirror: [Edit; 2],
        job_template: [Edit; 2],
        image: bool,
        status: bool,
    },
    PodBound {
        legacy: bool,
        to: Option<&'static str>,
    },
    NamespaceCreated,
    NamespaceUpdated {
        edits: [Edit; 2],
        #[allow(clippy::option_option, reason = "a label that is left alone, taken away, or given a value")]
        team: Option<Option<&'static str>>,
        subresource: Option<&'static str>,
    },
}

pub(crate) fn changes() -> impl Strategy<Value = (UserDraft, Change)> {
    let edits = || [edit(), edit(), edit(), edit()];
    let pod_updated = (pods(), edits(), [any::<bool>(), any::<bool>(), any::<bool>()]);
    let both = || [edit(), edit()];
    let flags = (any::<bool>(), any::<bool>());
    let workload_updated = (workloads(), both(), both(), both(), both(), flags);
    let subresource = option::weighted(0.4, select(&["status", "finalize"][..]));
    let label = || option::weighted(0.5, option::weighted(0.8, any::<Index>().prop_map(Text::Known).boxed()));
    let label =
        prop_oneof![3 => label(), 1 => Just(Some(Some(Text::Odd("cosmic")))), 1 => Just(Some(Some(Text::Odd(""))))];
    let change = prop_oneof![
        6 => pods().prop_map(Change::PodCreated),
        4 => pod_updated.prop_map(|(pod, edits, [opens_gate, note, status])| Change::PodUpdated {
            pod, edits, opens_gate, note, status,
        }),
        2 => workloads().prop_map(Change::WorkloadCreated),
        4 => workload_updated.prop_map(|(workload, own, template, mirror, job_template, (image, status))| {
            Change::WorkloadUpdated { workload, own, template, mirror, job_template, image, status }
        }),
        1 => (any::<bool>(), option::weighted(0.8, Just("node-7")))
            .prop_map(|(legacy, to)| Change::PodBound { legacy, to }),
        1 => Just(Change::NamespaceCreated),
        2 => ([label.clone(), label], option::of(select(&[Some("a"), Some("b"), None][..])), subresource)
            .prop_map(|(edits, team, subresource)| Change::NamespaceUpdated { edits, team, subresource }),
    ];
    (users(), change)
}
