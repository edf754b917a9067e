//! An API server's part in validation: which compiled validations match a request, and what comes of each.
//!
//! Takes the objects of one policy, as they are written to an API server, and a [`Request`]; gives a [`Ruling`] for each
//! validation and binding that matches. Written after `k8s.io/apiserver` 0.36: selectors first, then rules, then match
//! conditions, then the validation and its message.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use k8s_openapi::{
    api::admissionregistration::v1::{MatchResources, ValidatingAdmissionPolicySpec},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use rempart::admission::{AdmissionObject, AdmissionObjects};
use rempart_core::selector::Labels;
use serde_json::Value;

use super::{
    program::{Inputs, Program},
    value::CelValue,
};
use crate::random_requests::requests::Request;

/// Longer messages are dropped, in bytes.
const LONGEST_MESSAGE: usize = 5 * 1024;

/// What one validation makes of a request, for one binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ruling {
    pub(super) action: String,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A match condition is false.
    Skipped,
    Passes,
    /// With the message.
    Fails(String),
    /// An expression errs. The request is refused, with jargon.
    Errs(String),
}

/// The validations of one policy, ready to be asked.
pub(super) struct AdmissionChain(Vec<LoadedValidation>);

struct LoadedValidation {
    constraints: MatchResources,
    conditions: Vec<Rc<Program>>,
    variables: BTreeMap<String, Rc<Program>>,
    validations: Vec<LoadedExpression>,
    audits: Vec<Rc<Program>>,
    bindings: Vec<(Vec<String>, Option<MatchResources>)>,
}

struct LoadedExpression {
    expression: Rc<Program>,
    message: String,
    message_expression: Option<Rc<Program>>,
}

/// The expressions that are parsed already, by their text: policies share most of theirs.
#[derive(Default)]
pub(super) struct ProgramCache(RefCell<HashMap<String, Rc<Program>>>);

impl ProgramCache {
    fn get(&self, text: &str) -> Rc<Program> {
        if let Some(known) = self.0.borrow().get(text) {
            return known.clone();
        }
        let program = Rc::new(Program::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}")));
        self.0.borrow_mut().insert(text.to_owned(), program.clone());
        program
    }
}

impl AdmissionChain {
    pub(super) fn new(objects: &AdmissionObjects, programs: &ProgramCache) -> Self {
        let bindings = |policy: &str| {
            let of_policy = objects.values().filter_map(|object| match object {
                AdmissionObject::ValidatingBinding(binding) if binding.spec.policy_name == policy => {
                    Some((binding.spec.validation_actions.clone(), binding.spec.match_resources.clone()))
                }
                _ => None,
            });
            of_policy.collect()
        };
        let validations = objects.values().filter_map(|object| match object {
            AdmissionObject::Validation(policy) => {
                let spec = policy.spec.as_ref().expect("every validation has a spec");
                Some(LoadedValidation::new(spec, bindings(object.name()), programs))
            }
            AdmissionObject::MutatingBinding(_)
            | AdmissionObject::ValidatingBinding(_)
            | AdmissionObject::Webhook(_) => None,
        });
        Self(validations.collect())
    }

    /// What is made of `request` by all that matches it.
    pub(super) fn ask(&self, request: &Request) -> Vec<Ruling> {
        let mut names = names(request);
        let mut rulings = Vec::new();
        for validation in &self.0 {
            if !matches(&validation.constraints, request) {
                continue;
            }
            for (actions, resources) in &validation.bindings {
                if resources.as_ref().is_none_or(|resources| matches(resources, request)) {
                    let outcome = validation.judge(&mut names, request);
                    rulings.extend(
                        actions.iter().map(|action| Ruling { action: action.clone(), outcome: outcome.clone() }),
                    );
                }
            }
        }
        rulings
    }
}

impl LoadedValidation {
    fn new(
        spec: &ValidatingAdmissionPolicySpec,
        bindings: Vec<(Vec<String>, Option<MatchResources>)>,
        programs: &ProgramCache,
    ) -> Self {
        assert_eq!(spec.failure_policy.as_deref(), Some("Fail"));
        let conditions = spec.match_conditions.iter().flatten().map(|found| programs.get(&found.expression));
        let variables = spec.variables.iter().flatten();
        let validations = spec.validations.iter().flatten().map(|found| LoadedExpression {
            expression: programs.get(&found.expression),
            message: found.message.clone().expect("every validation has a message"),
            message_expression: found.message_expression.as_ref().map(|text| programs.get(text)),
        });
        Self {
            constraints: spec.match_constraints.clone().expect("every validation says what it matches"),
            conditions: conditions.collect(),
            variables: variables.map(|found| (found.name.clone(), programs.get(&found.expression))).collect(),
            validations: validations.collect(),
            audits: (spec.audit_annotations.iter().flatten())
                .map(|found| programs.get(&found.value_expression))
                .collect(),
            bindings,
        }
    }

    fn judge(&self, names: &mut BTreeMap<&'static str, CelValue>, request: &Request) -> Outcome {
        // No match condition sees the namespace, and no variable exists there.
        let namespace = names.remove("namespaceObject");
        let none = BTreeMap::new();
        let mut error = None;
        for condition in &self.conditions {
            let inputs = Inputs { names, variables: &none, evaluated: RefCell::default() };
            match condition.evaluate(&inputs) {
                Ok(CelValue::Bool(true)) => {}
                // One that is false decides, whatever becomes of the others.
                Ok(CelValue::Bool(false)) => {
                    names.extend(namespace.map(|namespace| ("namespaceObject", namespace)));
                    return Outcome::Skipped;
                }
                Ok(other) => error = Some(format!("a match condition gives {other:?}")),
                Err(found) => error = Some(found),
            }
        }
        names.extend(namespace.map(|namespace| ("namespaceObject", namespace)));
        if let Some(error) = error {
            return Outcome::Errs(error);
        }
        let inputs = Inputs { names, variables: &self.variables, evaluated: RefCell::default() };
        // No message knows the authorizer, nor a variable that it reads. What the audit log is given does not ask it either.
        let without_authorizer = |program: &Rc<Program>| {
            let names = inputs.names.iter().filter(|(name, _)| **name != "authorizer");
            let names = names.map(|(name, value)| (*name, value.clone())).collect();
            program.evaluate(&Inputs { names: &names, variables: &self.variables, evaluated: RefCell::default() })
        };
        let mut audited = Vec::new();
        for audit in &self.audits {
            match without_authorizer(audit) {
                Ok(CelValue::Text(text)) => audited.push(text),
                Ok(other) => return Outcome::Errs(format!("an audit annotation gives {other:?}")),
                Err(error) => return Outcome::Errs(format!("{error} in an audit annotation for {request:?}")),
            }
        }
        for validation in &self.validations {
            let said = validation.message_expression.as_ref().map(&without_authorizer);
            match validation.expression.evaluate(&inputs) {
                // It is evaluated then as well, and an error would be logged for every pod.
                Ok(CelValue::Bool(true)) => {
                    if let Some(Err(error)) = said {
                        return Outcome::Errs(format!("{error} in the message for {request:?}"));
                    }
                }
                Ok(CelValue::Bool(false)) => {
                    let message = message(said.as_ref(), &validation.message);
                    // The audit log tells what the user is told.
                    if audited.iter().any(|text| text.is_empty() || !message.starts_with(&**text)) {
                        return Outcome::Errs(format!("{message} is refused, and the audit log says {audited:?}"));
                    }
                    return Outcome::Fails(message);
                }
                Ok(other) => return Outcome::Errs(format!("the validation gives {other:?}")),
                Err(error) => return Outcome::Errs(error),
            }
        }
        Outcome::Passes
    }
}

/// What is said of a failure: what its message expression gives, or else its message.
fn message(said: Option<&Result<CelValue, String>>, otherwise: &str) -> String {
    let said = match said {
        Some(Ok(CelValue::Text(text))) => text.trim(),
        _ => "",
    };
    let told = !said.is_empty() && said.len() <= LONGEST_MESSAGE && !said.contains('\n');
    if told { said } else { otherwise.trim() }.to_owned()
}

/// What expressions call the parts of a request.
fn names(request: &Request) -> BTreeMap<&'static str, CelValue> {
    let mut user = serde_json::json!({"username": request.user});
    if !request.groups.is_empty() {
        user["groups"] = request.groups.clone().into();
    }
    let told = serde_json::json!({
        "kind": {"group": request.group, "version": "v1", "kind": request.kind},
        "namespace": request.namespace,
        "operation": request.operation,
        "userInfo": user,
    });
    let mut metadata = serde_json::json!({"name": request.namespace});
    if !request.labels.is_empty() {
        metadata["labels"] = serde_json::json!(request.labels);
    }
    let namespace = match request.kind {
        "Namespace" => Value::Null,
        _ => serde_json::json!({"metadata": metadata}),
    };
    [("object", &request.object), ("oldObject", &request.old), ("request", &told), ("namespaceObject", &namespace)]
        .map(|(name, value)| (name, CelValue::of_json(value)))
        .into_iter()
        .chain([("authorizer", authorizer(request))])
        .collect()
}

/// Of a user who may declassify by any policy, or may not by one.
fn authorizer(request: &Request) -> CelValue {
    let granted =
        request.may_declassify.iter().map(|policy| format!("rempart.dev/placementpolicies/{policy}/declassify"));
    let granted = granted.map(|grant| CelValue::text(&grant)).collect();
    CelValue::List([CelValue::List(granted)].into())
}

fn matches(resources: &MatchResources, request: &Request) -> bool {
    let MatchResources { exclude_resource_rules, match_policy: _, namespace_selector, object_selector, resource_rules } =
        resources;
    assert!(
        exclude_resource_rules.is_none() && object_selector.as_ref().is_none_or(|all| *all == LabelSelector::default())
    );
    let listed = |values: &Option<Vec<String>>, value: &str| values.iter().flatten().any(|found| found == value);
    let rules = resource_rules.as_ref().is_none_or(|rules| {
        rules.iter().any(|rule| {
            listed(&rule.api_groups, request.group)
                && listed(&rule.operations, request.operation)
                && listed(&rule.resources, request.resource)
        })
    });
    rules && namespace_selector.as_ref().is_none_or(|selector| selects(selector, &request.labels))
}

fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    let same = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    same && selector.match_expressions.iter().flatten().all(|term| {
        let (found, values) = (labels.get(&term.key), term.values.as_deref().unwrap_or_default());
        match term.operator.as_str() {
            "In" => found.is_some_and(|found| values.contains(found)),
            "NotIn" => found.is_none_or(|found| !values.contains(found)),
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            other => panic!("no such operator: {other}"),
        }
    })
}
