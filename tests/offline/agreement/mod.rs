//! The agreement of compiled admission with the core: random policies, namespaces and requests, judged by the expressions
//! that an API server is given and by the core, which must refuse the same and say the same.
//!
//! The expressions are parsed by `kube-cel` and evaluated here ([`program`]); which of them a request meets, and what comes
//! of it, follows the API server's code ([`api_server`]). What a real API server alone can show, the types and the cost of
//! an expression, the tests of `tests/cluster` show.

mod api_server;
mod kube_cel;
mod library;
mod program;
mod value;

use std::{cell::RefCell, collections::BTreeMap};

use proptest::{collection as many, prelude::*, test_runner::TestCaseError};
use rempart::{
    admission::{
        AdmissionSettings,
        review::{self, CompletingPolicy},
    },
    api::{PlacementPolicy, PolicyMode},
    convert,
    operator::reconcile::admission::objects_of,
};

use rempart_core::{policy::Policy, sensitivity::SensitivityStatement};
use serde_json::{Value, json};

use self::api_server::{AdmissionChain, Outcome, ProgramCache, Ruling};
use crate::{
    property_runner::SeededProperty,
    random_requests::{
        drafts::{Change, NamespaceDraft, PolicyDraft, UserDraft, changes, namespaces, policies},
        expected::{Oracle, Refusal},
        requests::{Drafter, Request},
    },
};

/// How many policies each seed is good for, and each of them for how many namespaces and requests.
const POLICIES: u32 = 1250;
const NAMESPACES: usize = 4;
const CHANGES: usize = 10;

/// Room for the parser and for expressions within each other, without optimisation.
const STACK: usize = 64 << 20;

/// How often each thing has come about.
#[derive(Default)]
struct Coverage(RefCell<BTreeMap<String, usize>>);

impl Coverage {
    fn count(&self, what: impl Into<String>) {
        *self.0.borrow_mut().entry(what.into()).or_default() += 1;
    }

    fn of(&self, what: &str) -> usize {
        self.0.borrow().get(what).copied().unwrap_or_default()
    }
}

/// What must not go unseen, each at least once in so many judgements.
const SEEN: [(&str, usize); 43] = [
    ("not governed", 10),
    ("skipped by a match condition", 10),
    ("passes the validation", 10),
    ("AnnotationTooLong", 200),
    ("LevelUnknown", 20),
    ("CategoryUnknown", 20),
    ("AnnotationMisplaced", 500),
    ("AnnotationTooLate", 1000),
    ("NodeNameSet", 150),
    ("SelectorMissing", 300),
    ("AnnotationChanged", 60),
    ("GateOfIncomplete", 1000),
    ("GateOfUnknown", 200),
    ("BinderUnlisted", 100),
    ("OutOfScope", 2000),
    ("LevelLowered", 300),
    ("CategoryDropped", 300),
    ("Enforce passes", 6),
    ("Enforce fails", 10),
    ("Warn passes", 15),
    ("Warn fails", 30),
    ("Audit passes", 15),
    ("Audit fails", 30),
    ("CREATE pods", 6),
    ("UPDATE pods", 15),
    ("UPDATE pods/status", 50),
    ("CREATE pods/binding", 100),
    ("CREATE bindings", 100),
    ("CREATE namespaces", 50),
    ("UPDATE namespaces", 50),
    ("UPDATE namespaces/status", 150),
    ("UPDATE namespaces/finalize", 150),
    ("CREATE deployments", 300),
    ("UPDATE deployments", 150),
    ("UPDATE statefulsets", 150),
    ("UPDATE daemonsets", 150),
    ("UPDATE replicasets", 150),
    ("CREATE jobs", 100),
    ("UPDATE jobs", 50),
    ("CREATE cronjobs", 150),
    ("UPDATE cronjobs", 80),
    ("completed", 50),
    ("nothing to complete", 50),
];

#[test]
fn compiled_admission_and_the_core_refuse_and_say_the_same() {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(check_agreement).unwrap();
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn check_agreement() {
    let property = SeededProperty {
        path: concat!(module_path!(), "::compiled_admission_and_the_core_refuse_and_say_the_same"),
        inputs: "(policy, namespaces, changes)",
        cases: POLICIES,
    };
    let settings = AdmissionSettings {
        exempt: vec!["kube-system".to_owned()],
        schedulers: vec!["system:kube-scheduler".to_owned(), "it's \\ \"mine\"".to_owned()],
        ..AdmissionSettings::default()
    };
    let (programs, coverage) = (ProgramCache::default(), Coverage::default());
    let worlds = (policies(), many::vec(namespaces(), NAMESPACES), many::vec(changes(), CHANGES));
    property.check(&worlds, |(policy, namespaces, changes)| {
        agree(&policy, &namespaces, &changes, &settings, &programs, &coverage)
    });
    let judged = coverage.of("judged");
    for (what, rarity) in SEEN {
        let (found, least) = (coverage.of(what), judged / rarity);
        assert!(found >= least, "{what}: seen {found} times in {judged} judgements, less than {least}");
    }
}

fn agree(
    draft: &PolicyDraft,
    namespaces: &[NamespaceDraft],
    changes: &[(UserDraft, Change)],
    settings: &AdmissionSettings,
    programs: &ProgramCache,
    coverage: &Coverage,
) -> Result<(), TestCaseError> {
    let PolicyDraft { name, spec } = draft;
    let objects = objects_of(name, &PlacementPolicy::new(name, spec.clone()), settings).expect("its names can be used");
    let chain = AdmissionChain::new(&objects, programs);
    let read = convert::policy(name, spec);
    let policy = &read.value.unwrap_or_else(|| panic!("{:?}", read.problems));
    let oracle = Oracle { policy, exempt: &settings.exempt, schedulers: &settings.schedulers };
    for namespace in namespaces {
        for (user, change) in changes {
            let request = Drafter(policy).request(*user, change, namespace);
            let expected = oracle.refusals(&request);
            let rulings = chain.ask(&request);
            compare(spec.mode, &request, &expected, &rulings)?;
            coverage.count("judged");
            match &expected[..] {
                [] => coverage.count(answer(&oracle, &request, &rulings)),
                refusals => refusals.iter().for_each(|refusal| coverage.count(refusal.code)),
            }
            coverage.count(format!("{} {}", request.operation, request.resource));
            coverage.count(format!("{} {}", spec.mode, if expected.is_empty() { "passes" } else { "fails" }));
            if spec.mode == PolicyMode::Enforce && oracle.governs(&request) {
                completed_passes(policy, &request, &oracle, &chain, coverage)?;
            }
        }
    }
    Ok(())
}

/// Has the webhook complete the request: validations then miss nothing that it could add, and it has nothing more to add.
fn completed_passes(
    policy: &Policy,
    request: &Request,
    oracle: &Oracle<'_>,
    chain: &AdmissionChain,
    coverage: &Coverage,
) -> Result<(), TestCaseError> {
    let completing = CompletingPolicy { policy: policy.clone(), uid: Some("0a1b2c3d-0000".to_owned()) };
    let spoken = SensitivityStatement::of(&request.labels);
    let asked = |request: &Request| {
        let review = review_of(request);
        let read = review::read(review.as_bytes()).expect("it is a review");
        review::complete(&read, &completing, &spoken).expect("its objects are as an API server writes them")
    };
    let patch = asked(request);
    if patch.is_empty() {
        let expected = oracle.refusal(request);
        let lacks = request.operation == "CREATE" && expected.is_some_and(|refusal| refusal.code == "SelectorMissing");
        prop_assert!(!lacks, "nothing is added to {request:#?}");
        coverage.count("nothing to complete");
        return Ok(());
    }
    let mut completed = request.clone();
    json_patch::patch(&mut completed.object, &patch).expect("it is a patch of this object");
    let again = asked(&completed);
    prop_assert!(again.is_empty(), "{patch} and then {again} of {request:#?}");
    let expected = oracle.refusal(&completed);
    let is_new = request.operation == "CREATE";
    prop_assert!(
        !is_new || expected.as_ref().is_none_or(|refusal| refusal.code != "SelectorMissing"),
        "{completed:#?}"
    );
    compare(PolicyMode::Enforce, &completed, &oracle.refusals(&completed), &chain.ask(&completed))?;
    coverage.count("completed");
    Ok(())
}

/// The request as an API server asks a webhook about it.
fn review_of(request: &Request) -> String {
    let (resource, _) = request.resource.split_once('/').unwrap_or((request.resource, ""));
    let object = |object: &Value| if object.is_object() { object.clone() } else { Value::Null };
    let asked = json!({"request": {
        "uid": "0", "kind": {"group": request.group, "version": "v1", "kind": request.kind},
        "resource": {"group": request.group, "version": "v1", "resource": resource},
        "namespace": request.namespace, "operation": request.operation,
        "userInfo": {"username": request.user, "groups": request.groups},
        "object": object(&request.object), "oldObject": object(&request.old),
    }});
    asked.to_string()
}

/// Says in what the rulings are not what is expected.
fn compare(mode: PolicyMode, request: &Request, expected: &[Refusal], rulings: &[Ruling]) -> Result<(), TestCaseError> {
    let action = if mode == PolicyMode::Enforce { "Deny" } else { mode.as_str() };
    let mut told = Vec::new();
    for Ruling { action: found, outcome } in rulings {
        prop_assert_eq!(found, action);
        match outcome {
            Outcome::Skipped | Outcome::Passes => {}
            Outcome::Fails(message) => told.push(message.as_str()),
            Outcome::Errs(error) => prop_assert!(false, "{error}, of {request:#?}"),
        }
    }
    told.sort_unstable();
    // Of several that deny, the API server tells one; of several that warn, all.
    if mode == PolicyMode::Enforce {
        told.dedup();
    }
    let mut expected: Vec<_> = expected.iter().map(|refusal| refusal.message.as_str()).collect();
    expected.sort_unstable();
    prop_assert_eq!(told, expected, "of {:#?}", request);
    Ok(())
}

/// A word for what became of a request that passes.
fn answer(oracle: &Oracle<'_>, request: &Request, rulings: &[Ruling]) -> &'static str {
    if !oracle.governs(request) {
        "not governed"
    } else if rulings.iter().any(|ruling| ruling.outcome == Outcome::Passes) {
        "passes the validation"
    } else {
        "skipped by a match condition"
    }
}
