//! The webhook's configuration for a policy, where no mutating admission policy adds what pods need.
//!
//! One webhook for each binding that a mutation would have, with the same namespaces and objects, so that nobody is asked about
//! what the policy does not govern or what is marked as complete. Nothing rests on it: while it is away, validations refuse
//! what it would have completed, and nothing else.

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ServiceReference, WebhookClientConfig,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use super::{
    AdmissionObject, WebhookAddress, WebhookSettings,
    matching::{Target, condition},
    metadata,
    mutation_bindings::BoundMutation,
    object_name,
    statements::{TEMPLATE_OF_ITS_OWN, TOUCHED},
};

/// How long an API server waits for an answer. What is not answered in time is refused, or has no need of it.
const TIMEOUT_SECONDS: i32 = 3;

/// Annotation by which the admissions enforcer of AKS leaves a webhook's namespaces as they are, which it would narrow otherwise,
/// as often as they are put right.
const LEFT_BY_ENFORCER: (&str, &str) = ("admissions.enforcer/disabled", "true");

/// Where the webhook answers for the policy of this name.
#[must_use]
pub fn path(policy: &str) -> String {
    format!("/complete/{policy}")
}

/// The configuration for the policy `policy`, which the `ClusterRole` `owner` owns.
pub(super) fn configuration(
    policy: &str,
    bound: Vec<BoundMutation>,
    settings: &WebhookSettings,
    owner: Option<(&str, &str)>,
) -> AdmissionObject {
    // Each of them holds what the policy selects by: all change with it.
    let scope = bound.first().map_or(0, BoundMutation::scope);
    let name = format!("{}.{scope:08x}", object_name(policy, "mutations"));
    let description = "Gives pods and pod templates what they need, where the API server does not do so by itself.";
    // An answer holds the keys and the wishes of a pod: where there are wishes every pod is asked for, marked or not.
    let has_wishes = bound.iter().any(BoundMutation::is_of_wishes);
    let bound = bound
        .into_iter()
        .filter(|bound| !bound.is_of_wishes())
        .map(|bound| if has_wishes { BoundMutation { objects: LabelSelector::default(), ..bound } } else { bound });
    let webhooks = bound.map(|bound| webhook(policy, bound, settings)).collect();
    let mut metadata = metadata(&name, policy, Some(description), owner);
    let (key, value) = LEFT_BY_ENFORCER;
    metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
    AdmissionObject::Webhook(MutatingWebhookConfiguration { metadata, webhooks: Some(webhooks) })
}

fn webhook(policy: &str, bound: BoundMutation, settings: &WebhookSettings) -> MutatingWebhook {
    let (target, conditions) = if bound.completes_templates() {
        let conditions = vec![condition("template-of-its-own", TEMPLATE_OF_ITS_OWN), condition("touched", TOUCHED)];
        (Target::templates(), Some(conditions))
    } else {
        (Target::new(&["CREATE"], &[("", &["pods"])]), None)
    };
    let rules = target.rules().map(|rule| RuleWithOperations {
        api_groups: rule.api_groups.clone(),
        api_versions: rule.api_versions.clone(),
        operations: rule.operations.clone(),
        resources: rule.resources.clone(),
        scope: rule.scope.clone(),
    });
    let (service, url) = match &settings.address {
        WebhookAddress::Service { namespace, name } => {
            let service = ServiceReference {
                namespace: namespace.clone(),
                name: name.clone(),
                path: Some(path(policy)),
                port: Some(443),
            };
            (Some(service), None)
        }
        WebhookAddress::Url(url) => (None, Some(format!("{}{}", url.trim_end_matches('/'), path(policy)))),
    };
    MutatingWebhook {
        name: format!("{}.{policy}.rempart.dev", bound.end),
        admission_review_versions: vec!["v1".to_owned()],
        client_config: WebhookClientConfig {
            ca_bundle: settings.authorities.clone().map(|authorities| ByteString(authorities.into_bytes())),
            service,
            url,
        },
        failure_policy: Some("Ignore".to_owned()),
        match_conditions: conditions,
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: Some(bound.namespaces),
        object_selector: Some(bound.objects),
        // Another webhook may take away what this one gave.
        reinvocation_policy: Some("IfNeeded".to_owned()),
        rules: Some(rules.collect()),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(TIMEOUT_SECONDS),
    }
}
