//! Release settings: how Rempart was installed, as the arguments of its two Deployments say.
//!
//! Takes Deployments as JSON, and returns a namespace, exempt namespaces, schedulers and who completes pods. Where the two
//! halves were told different things, each has its own.

use serde_json::Value;

use crate::{
    admission::{MutationMode, WebhookAddress, WebhookSettings, exempt_namespaces},
    operator::component::OperatorComponent,
};

/// The namespace that Rempart is installed into unless somebody says otherwise.
pub const NAMESPACE: &str = "rempart-system";

/// The namespaces that the chart leaves out of every policy, beside its own.
const EXEMPT: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// The scheduler that may bind where a policy applies unless somebody says otherwise.
const SCHEDULER: &str = "system:kube-scheduler";

/// What somebody says of a release; what nobody says is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseSettings {
    /// Its namespace.
    pub namespace: Option<String>,
    /// The namespaces that no policy governs.
    pub exempt: Option<Vec<String>>,
}

/// How a release, or a half of it, is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its namespace.
    pub namespace: String,
    /// The namespaces that no policy governs, its own included, in order.
    pub exempt: Vec<String>,
    /// The users that may bind pods to nodes.
    pub schedulers: Vec<String>,
    /// Who completes pods.
    pub mutation: MutationMode,
}

/// What was found of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRelease {
    /// As a whole: as the half says that keeps admission, or the other, or as the chart has it where neither is there.
    pub release: Release,
    /// Each half that is there, with the name of its Deployment.
    pub halves: Vec<(OperatorComponent, String, Release)>,
}

impl Release {
    /// The `ServiceAccount` of a half, as a user.
    #[must_use]
    pub fn user_of(&self, component: OperatorComponent) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, component.name())
    }
}

/// The release that `deployments` are of, as far as `said` does not say otherwise.
#[must_use]
pub fn found(deployments: &[Value], said: &ReleaseSettings) -> FoundRelease {
    let mut halves = Vec::new();
    for component in OperatorComponent::ALL {
        let account = component.name();
        let ours = deployments.iter().find(|object| {
            let text = |path: &str| object.pointer(path).and_then(Value::as_str);
            let namespace = text("/metadata/namespace");
            object.pointer("/metadata/labels").and_then(|labels| labels.get("app.kubernetes.io/name"))
                == Some(&Value::from("rempart"))
                && text("/spec/template/spec/serviceAccountName") == Some(account)
                && said.namespace.as_deref().is_none_or(|said| namespace == Some(said))
        });
        if let Some(deployment) = ours {
            let name = super::examined::named(deployment);
            halves.push((*component, name, of_deployment(deployment, said)));
        }
    }
    let release = halves
        .iter()
        .find(|(component, ..)| *component == OperatorComponent::Admission)
        .or(halves.first())
        .map_or_else(|| assumed(said), |(_, _, release)| release.clone());
    FoundRelease { release, halves }
}

fn assumed(said: &ReleaseSettings) -> Release {
    let namespace = said.namespace.clone().unwrap_or_else(|| NAMESPACE.to_owned());
    let exempt = said.exempt.clone().unwrap_or_else(|| EXEMPT.map(str::to_owned).to_vec());
    let exempt = exempt_namespaces(exempt, &namespace);
    Release { namespace, exempt, schedulers: vec![SCHEDULER.to_owned()], mutation: MutationMode::Policies }
}

fn of_deployment(deployment: &Value, said: &ReleaseSettings) -> Release {
    let namespace = deployment.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or(NAMESPACE).to_owned();
    let containers = deployment.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let arguments: Vec<&str> = containers
        .into_iter()
        .flatten()
        .filter_map(|container| container.get("args")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let list = |name| argument(&arguments, name).map(|text| text.split(',').map(str::to_owned).collect::<Vec<_>>());
    let defaults = assumed(&ReleaseSettings { namespace: Some(namespace.clone()), exempt: said.exempt.clone() });
    let exempt = said.exempt.clone().or_else(|| list("--exempt-namespaces"));
    let mutation = match argument(&arguments, "--mutation") {
        Some("webhook") => {
            let name = argument(&arguments, "--webhook-service").unwrap_or("rempart-webhook").to_owned();
            let service = || WebhookAddress::Service { namespace: namespace.clone(), name };
            let address = argument(&arguments, "--webhook-url").map(|url| WebhookAddress::Url(url.to_owned()));
            // Whoever only compares knows no authority.
            MutationMode::Webhook(WebhookSettings { address: address.unwrap_or_else(service), authorities: None })
        }
        Some("none") => MutationMode::None,
        _ => MutationMode::Policies,
    };
    Release {
        exempt: exempt.map_or(defaults.exempt, |listed| exempt_namespaces(listed, &namespace)),
        schedulers: list("--schedulers").unwrap_or(defaults.schedulers),
        mutation,
        namespace,
    }
}

/// The value of the argument `name`, written `--name=value` or `--name value`.
fn argument<'a>(arguments: &[&'a str], name: &str) -> Option<&'a str> {
    arguments.iter().enumerate().find_map(|(index, argument)| match argument.strip_prefix(name)? {
        "" => arguments.get(index.saturating_add(1)).copied(),
        rest => rest.strip_prefix('='),
    })
}
