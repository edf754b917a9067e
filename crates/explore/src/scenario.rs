//! Scenarios: the small worlds that are explored, each with what may happen to it.
//!
//! A world has up to three nodes, each a pool of its own, and up to three workloads of one level. Its facts say which
//! nodes are cleared, and go from one to the other and back as often as the scenario allows.

/// A world as it begins, and what may happen to it.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// How many pods each node takes.
    pub(super) nodes: &'static [u8],
    /// The facts that hold in turn; the first ones hold at the beginning.
    pub(super) facts: [Facts; 2],
    pub(super) workloads: &'static [WorkloadSpec],
    /// How often facts change.
    pub(super) flips: u8,
    /// How often another replica takes over.
    pub(super) take_overs: u8,
    /// How often a deadline passes while somebody has something to do.
    pub(super) delays: u8,
    /// How often a write is not answered.
    pub(super) losses: u8,
}

/// What is recorded of pools, and demanded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Whether each node's pool is cleared for the level.
    pub(super) cleared: &'static [bool],
    /// Whether the level requires anything: otherwise its key is retired.
    pub(super) demanded: bool,
}

/// A workload.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkloadSpec {
    pub(super) kind: ModelKind,
    /// On which node each of its pods is at the beginning.
    pub(super) at: &'static [u8],
    /// Whether its template says its level at the beginning, and selects by it.
    pub(super) said: bool,
    /// Whether its owner takes the note of a move out of the template again.
    pub(super) reverts: bool,
    /// How many of its pods a disruption budget keeps.
    pub(super) budget: Option<u8>,
    /// Whether some webhook refuses every change of its template.
    pub(super) template_refused: bool,
    /// Whether its new pods never become ready.
    pub(super) sick: bool,
    /// Whether pods of it that stand wrong may stay so though there is room elsewhere, and why that is right.
    pub(super) stays: Option<&'static str>,
}

/// What makes pods, as far as it is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModelKind {
    /// A Deployment with this surge, of which so many may be missing.
    Deployment { surge: u8, unavailable: u8 },
    /// A Deployment that ends all pods before it makes new ones.
    Recreate,
    /// A Deployment with a surge whose rollout is paused.
    Paused,
    /// A `StatefulSet` that is rolled in order.
    StatefulSet,
    /// A `DaemonSet`.
    DaemonSet,
    /// A Job whose pods run without end, which bears so many failures.
    Job { failures: u8 },
    /// A controller that Rempart does not know, which makes pods anew, or does not.
    Foreign { remakes: bool },
}

const SURGING: ModelKind = ModelKind::Deployment { surge: 1, unavailable: 0 };
const IN_PLACE: ModelKind = ModelKind::Deployment { surge: 0, unavailable: 1 };

/// A workload whose template is complete, and which nobody hinders.
const fn workload(kind: ModelKind, at: &'static [u8]) -> WorkloadSpec {
    WorkloadSpec {
        kind,
        at,
        said: true,
        reverts: false,
        budget: None,
        template_refused: false,
        sick: false,
        stays: None,
    }
}

const fn cleared(cleared: &'static [bool]) -> Facts {
    Facts { cleared, demanded: true }
}

/// One that loses the clearance of its first node, twice, if its facts change as often.
const fn losing(name: &'static str, workloads: &'static [WorkloadSpec]) -> Scenario {
    Scenario {
        name,
        nodes: &[4, 4, 4],
        facts: [cleared(&[true, true, false]), cleared(&[false, true, false])],
        workloads,
        flips: 2,
        take_overs: 1,
        delays: 1,
        losses: 0,
    }
}

/// All worlds.
pub(super) const SCENARIOS: &[Scenario] = &[
    losing("a Deployment that surges", &[workload(SURGING, &[0, 0])]),
    losing("a Deployment in place", &[workload(IN_PLACE, &[0, 0])]),
    losing("a StatefulSet", &[workload(ModelKind::StatefulSet, &[0, 0])]),
    losing(
        "a Job that bears one failure",
        &[WorkloadSpec {
            stays: Some("each move is a failure, and it bears one"),
            ..workload(ModelKind::Job { failures: 1 }, &[0, 0])
        }],
    ),
    losing("a Job that bears three failures", &[workload(ModelKind::Job { failures: 3 }, &[0, 0])]),
    losing("a DaemonSet", &[workload(ModelKind::DaemonSet, &[0, 1])]),
    losing("a controller that is not known", &[workload(ModelKind::Foreign { remakes: true }, &[0, 0])]),
    losing(
        "a controller that makes no pod anew",
        &[WorkloadSpec {
            stays: Some("nobody would make the next one anew either"),
            ..workload(ModelKind::Foreign { remakes: false }, &[0, 0])
        }],
    ),
    Scenario {
        name: "an owner that takes the note away",
        flips: 1,
        take_overs: 0,
        ..losing("", &[WorkloadSpec { reverts: true, ..workload(SURGING, &[0, 0]) }])
    },
    losing(
        "an owner that takes the note from a single pod",
        &[WorkloadSpec {
            reverts: true,
            stays: Some("no rollout can be begun, and an eviction would leave nothing"),
            ..workload(SURGING, &[0])
        }],
    ),
    losing(
        "a Deployment that recreates",
        &[WorkloadSpec {
            stays: Some("all its pods would go before any stands"),
            ..workload(ModelKind::Recreate, &[0, 0])
        }],
    ),
    losing(
        "a paused Deployment",
        &[WorkloadSpec { stays: Some("its rollout is paused"), ..workload(ModelKind::Paused, &[0, 0]) }],
    ),
    losing(
        "a budget that forbids every eviction",
        &[WorkloadSpec {
            budget: Some(2),
            stays: Some("its budget forbids it"),
            ..workload(ModelKind::Foreign { remakes: true }, &[0, 0])
        }],
    ),
    losing(
        "a budget that allows one at a time",
        &[WorkloadSpec { budget: Some(1), ..workload(ModelKind::Foreign { remakes: true }, &[0, 0]) }],
    ),
    losing(
        "a template that a webhook holds fast",
        &[WorkloadSpec {
            template_refused: true,
            stays: Some("its template cannot be changed"),
            ..workload(SURGING, &[0, 0])
        }],
    ),
    // Nobody's turn is held by who cannot go on.
    losing(
        "a broken one before a healthy one",
        &[
            WorkloadSpec {
                template_refused: true,
                stays: Some("its template cannot be changed"),
                ..workload(SURGING, &[0])
            },
            workload(SURGING, &[0]),
        ],
    ),
    losing(
        "a paused one, a reverted one and a healthy one",
        &[
            WorkloadSpec { stays: Some("its rollout is paused"), ..workload(ModelKind::Paused, &[0]) },
            WorkloadSpec {
                reverts: true,
                stays: Some("no rollout can be begun, and an eviction would leave nothing"),
                ..workload(SURGING, &[0])
            },
            workload(SURGING, &[0]),
        ],
    ),
    losing(
        "successors that never become ready",
        &[
            WorkloadSpec { sick: true, stays: Some("its successors never become ready"), ..workload(SURGING, &[0, 0]) },
            workload(SURGING, &[0]),
        ],
    ),
    losing(
        "a StatefulSet whose successors never become ready",
        &[
            WorkloadSpec {
                sick: true,
                stays: Some("its successors never become ready"),
                ..workload(ModelKind::StatefulSet, &[0, 0])
            },
            workload(SURGING, &[0]),
        ],
    ),
    losing(
        "a controller that is not known whose pods never become ready",
        &[
            WorkloadSpec {
                sick: true,
                stays: Some("its successors never become ready"),
                ..workload(ModelKind::Foreign { remakes: true }, &[0, 0])
            },
            workload(ModelKind::StatefulSet, &[0]),
        ],
    ),
    Scenario {
        name: "a DaemonSet whose template says less",
        facts: [cleared(&[true, false, false]), cleared(&[false, true, false])],
        ..losing("", &[WorkloadSpec { said: false, ..workload(ModelKind::DaemonSet, &[0, 1, 2]) }])
    },
    losing(
        "three kinds at once",
        &[
            workload(ModelKind::StatefulSet, &[0]),
            workload(ModelKind::Job { failures: 2 }, &[0]),
            workload(ModelKind::Foreign { remakes: true }, &[0]),
        ],
    ),
    losing("a StatefulSet and a Deployment", &[workload(ModelKind::StatefulSet, &[0, 0]), workload(SURGING, &[0])]),
    Scenario {
        name: "room for one more",
        nodes: &[4, 1, 4],
        take_overs: 0,
        ..losing("", &[workload(ModelKind::StatefulSet, &[0]), workload(ModelKind::Foreign { remakes: true }, &[0])])
    },
    Scenario {
        name: "no pool is left",
        facts: [cleared(&[true, false, false]), cleared(&[false, false, false])],
        ..losing("", &[workload(ModelKind::StatefulSet, &[0, 0]), workload(SURGING, &[0])])
    },
    // Annotated before it was enforced: its pods stand below its level, and its template says nothing.
    Scenario {
        name: "templates that say less",
        facts: [cleared(&[true, false, false]), cleared(&[false, true, false])],
        flips: 1,
        ..losing(
            "",
            &[
                WorkloadSpec { said: false, ..workload(ModelKind::StatefulSet, &[2, 2]) },
                WorkloadSpec { said: false, ..workload(SURGING, &[2]) },
            ],
        )
    },
    Scenario {
        name: "an answer that is lost",
        losses: 1,
        take_overs: 0,
        ..losing("", &[workload(SURGING, &[0, 0]), workload(ModelKind::Foreign { remakes: true }, &[0])])
    },
    Scenario {
        name: "an answer about a pod of another's is lost",
        losses: 1,
        take_overs: 0,
        ..losing("", &[workload(ModelKind::Foreign { remakes: true }, &[0, 0])])
    },
    // A level that requires nothing any more: its key is retired, and is demanded again.
    Scenario {
        name: "a key that is retired and comes back",
        facts: [cleared(&[true, true, false]), Facts { cleared: &[true, true, false], demanded: false }],
        ..losing("", &[workload(ModelKind::DaemonSet, &[0, 1]), workload(ModelKind::StatefulSet, &[0])])
    },
];
