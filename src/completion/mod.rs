//! Completion of manifests: what admission would add to pod templates, written into the texts themselves.
//!
//! Takes texts and what was gathered, and returns the texts with the mirror annotations, marks and selectors that admission
//! would give each template if its object were created now. What is to change is asked of [`review::complete`], which answers
//! for the webhook too; how it is written is [`edit`]'s. A text that is complete comes back as it is.

mod edit;

use serde_json::{Value, json};

use crate::{
    admission::review::{self, CompletingPolicy},
    api::validate::ResourceKind,
    diagnostic::{Diagnostic, source::FileId},
    gather::{LocatedInventory, PodTemplateKinds},
    manifest::{node::ManifestNode, read::read},
};
use rempart_core::{inventory::PlanInventory, name::quoted, policy::EnforcementMode, workload::WorkloadKind};

/// What stands for each entry of a list or map in the way to a template.
const EACH: &str = "[*]";

/// What decides about completion.
#[derive(Debug)]
pub struct ManifestCompleter<'a> {
    inventory: &'a PlanInventory,
    policies: Vec<CompletingPolicy>,
    templates: PodTemplateKinds,
    default_namespace: &'a str,
}

/// A text, with what was missing in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedText {
    /// The text as it must be.
    pub text: String,
    /// The objects that differ from what was read, as `Deployment claims/api`.
    pub objects: Vec<String>,
}

impl<'a> ManifestCompleter<'a> {
    /// Completes by the policies of `located` in `Enforce`, or by all of them where they are taken to be `enforced`. Objects
    /// that name no namespace belong to `default_namespace`.
    #[must_use]
    pub fn new(
        located: &'a LocatedInventory<'_>,
        templates: PodTemplateKinds,
        default_namespace: &'a str,
        enforced: bool,
    ) -> Self {
        let uid = |name: &str| {
            let own = located.own.get(&(ResourceKind::PlacementPolicy, name.to_owned()))?;
            Some(own.node.get("metadata")?.get("uid")?.text().ok()?.to_owned())
        };
        let policies = located.inventory.world.policies.values();
        let completing = policies.filter(|policy| enforced || policy.mode == EnforcementMode::Enforce);
        let policies = completing
            .map(|policy| CompletingPolicy { policy: policy.clone(), uid: uid(policy.name.as_str()) })
            .collect();
        Self { inventory: &located.inventory, policies, templates, default_namespace }
    }

    /// The text of `file`, completed.
    ///
    /// # Errors
    /// Where it cannot be written down, or an object is not as an API server takes one.
    pub fn complete(&self, file: FileId, text: &str) -> Result<CompletedText, Diagnostic> {
        let mut objects = Vec::new();
        let mut failed = None;
        read(file, text, &mut |found| {
            let Ok(object) = found else { return };
            let before = object.node.to_json();
            match self.completed(&before) {
                Ok(after) => objects.push((object.node, before, after)),
                Err(error) => {
                    let message = format!("the object cannot be completed: {error}");
                    failed.get_or_insert(Diagnostic::error("NotCompleted", message).at(file, object.node.span));
                }
            }
        });
        if let Some(failed) = failed {
            return Err(failed);
        }
        let changed: Vec<_> = objects.iter().filter(|(_, before, after)| before != after).collect();
        let names = changed.iter().map(|(_, before, _)| self.named(before)).collect();
        let Some((first, ..)) = changed.first() else {
            return Ok(CompletedText { text: text.to_owned(), objects: Vec::new() });
        };
        let wanted = changed.iter().map(|(node, _, after)| (node, after));
        let written = edit::rewrite(text, wanted).filter(|written| says(file, written, &objects));
        let written = written.ok_or_else(|| {
            let message = "what is to be added cannot be written here without changing something else";
            let hint = "write out what anchors, aliases and merge keys repeat in this file";
            Diagnostic::error("NotWritable", message).at(file, first.span).hint(hint)
        })?;
        Ok(CompletedText { text: written, objects: names })
    }

    /// `object`, as admission would have it if it were created now.
    fn completed(&self, object: &Value) -> Result<Value, serde_json::Error> {
        let mut after = object.clone();
        let namespace = self.namespace(object);
        let facts = self.inventory.namespace(namespace);
        for completing in &self.policies {
            if !facts.governed_by(&completing.policy, namespace) {
                continue;
            }
            for (group, kind, pointer) in self.targets(object) {
                let Some(part) = after.pointer_mut(&pointer) else { continue };
                let request = json!({"request": {
                    "uid": "", "namespace": namespace, "operation": "CREATE",
                    "kind": {"group": group, "kind": kind}, "object": &*part,
                }})
                .to_string();
                let patch = review::complete(&review::read(request.as_bytes())?, completing, facts.statement())?;
                json_patch::patch(part, &patch).map_err(serde::ser::Error::custom)?;
            }
        }
        Ok(after)
    }

    /// What admission completes of `object`: itself, by its template; or of a kind of others each template, as the pods are
    /// that come of it. By group, kind and where it is.
    fn targets(&self, object: &Value) -> Vec<(&'static str, &'static str, String)> {
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
        let (version, name) = (text("apiVersion"), text("kind"));
        let group = |version: &'static str| version.split_once('/').map_or("", |(group, _)| group);
        let known = WorkloadKind::ALL.into_iter().find(|kind| (kind.api_version(), kind.as_str()) == (version, name));
        if let Some(kind) = known {
            return vec![(group(kind.api_version()), kind.as_str(), String::new())];
        }
        let of = version.split_once('/').map_or("", |(group, _)| group);
        let templates = self.templates.of(of, name).iter();
        templates
            .flat_map(|template| pointers(object, &template.template))
            .map(|pointer| ("", WorkloadKind::Pod.as_str(), pointer))
            .collect()
    }

    fn namespace<'o>(&'o self, object: &'o Value) -> &'o str {
        let named = object.pointer("/metadata/namespace").and_then(Value::as_str).filter(|name| !name.is_empty());
        named.unwrap_or(self.default_namespace)
    }

    fn named(&self, object: &Value) -> String {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let name = text("/metadata/name").or_else(|| text("/metadata/generateName")).unwrap_or_default();
        let kind = text("/kind").unwrap_or_default();
        format!("{} {}/{}", quoted(kind), quoted(self.namespace(object)), quoted(name))
    }
}

/// Whether `text` says of each object what it must, and nothing of any other.
fn says(file: FileId, text: &str, wanted: &[(ManifestNode<'_>, Value, Value)]) -> bool {
    let mut wanted = wanted.iter();
    let mut good = true;
    read(file, text, &mut |found| {
        if let Ok(object) = found {
            good &= wanted.next().is_some_and(|(_, _, after)| object.node.to_json() == *after);
        }
    });
    good && wanted.next().is_none()
}

/// The JSON pointers to the templates at `path` of `object`, those that are there.
fn pointers(object: &Value, path: &str) -> Vec<String> {
    let step = |at: &str, key: &str| format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
    let mut found = vec![String::new()];
    for part in path.split('.') {
        let (key, each) = part.strip_suffix(EACH).map_or((part, false), |key| (key, true));
        found = found
            .iter()
            .flat_map(|at| {
                let at = step(at, key);
                match object.pointer(&at) {
                    Some(Value::Array(items)) if each => (0..items.len()).map(|i| format!("{at}/{i}")).collect(),
                    Some(Value::Object(entries)) if each => entries.keys().map(|key| step(&at, key)).collect(),
                    Some(Value::Object(_)) => vec![at],
                    _ => Vec::new(),
                }
            })
            .collect();
    }
    found
}

#[cfg(test)]
mod tests;
