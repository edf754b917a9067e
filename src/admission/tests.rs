use kube_cel::cel::parser::Parser;

use super::*;
use crate::{api::PlacementPolicySpec, convert};

fn compiled(spec: &str) -> AdmissionObjects {
    let spec: PlacementPolicySpec = serde_saphyr::from_str(spec).unwrap();
    let policy = convert::policy_of_admission("state", &spec).unwrap();
    let settings = AdmissionSettings {
        exempt: vec!["kube-system".to_owned()],
        schedulers: vec!["system:kube-scheduler".to_owned()],
        ..AdmissionSettings::default()
    };
    compile(&policy, None, spec.namespace_selector.as_ref(), &settings)
}

fn validations(objects: &AdmissionObjects) -> impl Iterator<Item = &ValidatingAdmissionPolicy> {
    objects.values().filter_map(|object| match object {
        AdmissionObject::Validation(validation) => Some(validation),
        AdmissionObject::MutatingBinding(_) | AdmissionObject::ValidatingBinding(_) | AdmissionObject::Webhook(_) => {
            None
        }
    })
}

const STATE: &str = "{mode: Enforce, defaultLevel: internal, levels: [{name: public}, {name: internal, require: {}}, \
    {name: secret, require: {}}], categories: [{name: health, require: {}}, {name: open}], \
    namespaceSelector: {matchLabels: {}, matchExpressions: [{key: team, operator: Exists, values: []}]}}";

#[test]
fn every_name_says_its_policy() {
    let objects = compiled(STATE);
    for (_, name) in objects.keys() {
        assert_eq!(policy_of(name), Some("state"), "{name}");
    }
    for other in ["rempart-stamps", "rempart.state", "rempart..pods", "rempart.state.x", "state.pods"] {
        assert_eq!(policy_of(other), None, "{other}");
    }
}

#[test]
fn nothing_is_written_that_would_read_back_otherwise() {
    let objects = compiled(STATE);
    for ValidatingAdmissionPolicy { spec, .. } in validations(&objects) {
        let selector = spec
            .as_ref()
            .unwrap()
            .match_constraints
            .as_ref()
            .and_then(|found| found.namespace_selector.as_ref())
            .unwrap();
        assert_eq!(selector.match_labels, None);
        assert!(selector.match_expressions.iter().flatten().all(|found| found.values != Some(vec![])), "{selector:?}");
    }
}

#[test]
fn expressions_are_cel() {
    for ValidatingAdmissionPolicy { metadata, spec, .. } in validations(&compiled(STATE)) {
        let spec = spec.as_ref().unwrap();
        let conditions = spec.match_conditions.iter().flatten().map(|found| &found.expression);
        let variables = spec.variables.iter().flatten().map(|found| &found.expression);
        let validations = spec.validations.iter().flatten();
        let validations =
            validations.flat_map(|found| [&found.expression].into_iter().chain(&found.message_expression));
        for expression in conditions.chain(variables).chain(validations) {
            if let Err(error) = Parser::default().enable_optional_syntax(true).parse(expression) {
                panic!("{:?}: {error}\n{expression}", metadata.name);
            }
        }
    }
}
