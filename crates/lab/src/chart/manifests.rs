//! Plain manifests: what the chart renders to, for `kubectl apply -k`.
//!
//! Takes a [`ChartRenderer`] and returns the files of `deploy/manifests`: the definitions, and a kustomization for each way in
//! which pods are completed. Hooks are left out, since nobody would run them, and so are the labels by which Helm knows its
//! own.

use std::path::Path;

use super::{ChartRenderer, GeneratedFile};
use crate::{LabError, Result};

/// Directories of the manifests.
pub(super) const DIRECTORIES: [&str; 3] = [DEFINITIONS, POLICIES, WEBHOOK];
const DEFINITIONS: &str = "deploy/manifests/definitions";
const POLICIES: &str = "deploy/manifests/policies";
const WEBHOOK: &str = "deploy/manifests/webhook";

/// What stands first in every file.
const HEADER: &str = "# Generated from charts/rempart by `make manifests`. Do not edit.\n";

/// Labels and annotations that mean something to Helm alone.
const OF_HELM: [&str; 3] = ["app.kubernetes.io/managed-by: Helm", "helm.sh/chart: ", "helm.sh/resource-policy: "];

/// The operator's own namespace. Its pods keep to the strictest standard that Kubernetes has for them.
const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: rempart-system\n  labels:\n    \
                         app.kubernetes.io/name: rempart\n    pod-security.kubernetes.io/enforce: restricted\n";

/// A way in which pods are completed, with the version of Kubernetes that it is rendered for.
struct Variant {
    directory: &'static str,
    version: &'static str,
    about: &'static str,
}

const VARIANTS: [Variant; 2] = [
    Variant {
        directory: POLICIES,
        version: "1.36.0",
        about: "# Kubernetes 1.36 or newer: mutating admission policies complete pods.\n",
    },
    Variant {
        directory: WEBHOOK,
        version: "1.30.0",
        about: "# Kubernetes 1.30 to 1.35: a webhook of rempart-admission completes pods.\n",
    },
];

/// The files, each with its text.
pub(super) fn generated(renderer: &ChartRenderer) -> Result<Vec<GeneratedFile>> {
    let mut files = Vec::new();
    for Variant { directory, version, about } in VARIANTS {
        let text = renderer.template(["--no-hooks", "--kube-version", version])?;
        let (mut objects, mut definitions) = (String::new(), Vec::new());
        for document in documents(&text) {
            if let Some(name) = definition_name(&document) {
                definitions.push((name.to_owned(), format!("{HEADER}{document}")));
            } else {
                objects.push_str("---\n");
                objects.push_str(&document);
            }
        }
        if definitions.is_empty() || objects.is_empty() {
            return Err(LabError::Unsupported(format!("the chart renders to too little for Kubernetes {version}")));
        }
        if directory == POLICIES {
            let names: Vec<_> = definitions.iter().map(|(name, _)| name.as_str()).collect();
            files.push(file(DEFINITIONS, "kustomization.yaml", kustomization("# The kinds of Rempart.\n", &names)));
            files.extend(definitions.into_iter().map(|(name, text)| file(DEFINITIONS, &name, text)));
        }
        let resources = ["../definitions", "namespace.yaml", "rempart.yaml"];
        files.push(file(directory, "kustomization.yaml", kustomization(about, &resources)));
        files.push(file(directory, "namespace.yaml", format!("{HEADER}{NAMESPACE}")));
        files.push(file(directory, "rempart.yaml", format!("{HEADER}{objects}")));
    }
    Ok(files)
}

fn file(directory: &str, name: &str, text: String) -> GeneratedFile {
    GeneratedFile { path: Path::new(directory).join(name), text }
}

fn kustomization(about: &str, resources: &[&str]) -> String {
    let list = resources.join("\n- ");
    format!("{HEADER}{about}apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- {list}\n")
}

/// The documents of `rendered`, without what is Helm's.
fn documents(rendered: &str) -> impl Iterator<Item = String> {
    let texts = rendered.split("\n---\n").map(|text| text.trim_start_matches("---\n"));
    texts.map(without_helm).filter(|text| text.lines().any(|line| line.starts_with("kind: ")))
}

fn without_helm(text: &str) -> String {
    let is_of_helm = |line: &&str| {
        line.starts_with("# Source: ") || OF_HELM.iter().any(|start| line.trim_start().starts_with(start))
    };
    let kept: Vec<_> = text.lines().filter(|line| !is_of_helm(line)).map(str::trim_end).collect();
    format!("{}\n", kept.join("\n").trim_matches('\n'))
}

/// The file's name for a definition, as `crds` has it; `None` for any other object.
fn definition_name(document: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 4] = [
        ("  name: cloudproviders.rempart.dev", "cloudproviders.yaml"),
        ("  name: placementpolicies.rempart.dev", "placementpolicies.yaml"),
        ("  name: placementpools.rempart.dev", "placementpools.yaml"),
        ("  name: workloadplacements.rempart.dev", "workloadplacements.yaml"),
    ];
    let is_definition = document.lines().any(|line| line == "kind: CustomResourceDefinition");
    let named = |name: &str| document.lines().any(|line| line == name);
    NAMES.into_iter().find(|(name, _)| is_definition && named(name)).map(|(_, file)| file)
}
