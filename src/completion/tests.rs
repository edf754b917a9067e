//! Texts before and after, and that whatever is written says what admission would make of it.

use super::*;
use crate::{
    diagnostic::source::SourceMap,
    gather::{GatherSettings, GatheredObjects},
};

const POLICY: &str = "apiVersion: rempart.dev/v1alpha1\nkind: PlacementPolicy\nmetadata: {name: state, uid: 0a1b2c3d-0000}\nspec:\n  \
                      mode: Enforce\n  defaultLevel: public\n  levels: [{name: public}, {name: secret, require: {qualifications: [hds]}}]\n  \
                      categories: [{name: health, require: {qualifications: [hds]}}]\n";
const KEY: &str = "clearance.rempart.node-restriction.kubernetes.io/state.secret";

/// `text` completed.
fn complete(text: &str) -> Result<CompletedText, String> {
    let mut sources = SourceMap::default();
    let (policy, file) = (sources.add("policy", POLICY.to_owned()), sources.add("f", text.to_owned()));
    let mut gathered = GatheredObjects::new("shop");
    for file in [policy, file] {
        read(file, sources.text(file), &mut |found| gathered.take(file, found));
    }
    let located = gathered.into_inventory(&GatherSettings::default());
    let completer = ManifestCompleter::new(&located, PodTemplateKinds::default(), "shop", false);
    completer.complete(file, text).map_err(|diagnostic| diagnostic.message)
}

/// What `text` becomes, and becomes again.
fn completed(text: &str) -> String {
    let CompletedText { text: once, .. } = complete(text).unwrap();
    let again = complete(&once).unwrap();
    assert_eq!((again.text.as_str(), again.objects.len()), (once.as_str(), 0), "not complete:\n{once}");
    once
}

#[test]
fn a_template_gets_mirror_mark_and_selector_and_nothing_else_changes() {
    let before = "# The api.\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: api # its name\n  annotations:\n    \
                  rempart.dev/sensitivity: secret\nspec:\n  replicas: 02\n  template:\n    metadata:\n      labels: {app: api}\n    \
                  spec:\n      containers:\n      - name: api\n        image: 'api:1'   # pinned\n        args:\n        - |\n          \
                  two\n          lines\n\n---\n# Another.\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
    let after = format!(
        "# The api.\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: api # its name\n  annotations:\n    \
         rempart.dev/sensitivity: secret\nspec:\n  replicas: 02\n  template:\n    metadata:\n      \
         labels: {{app: api, \"completed.rempart.dev/state\": \"0a1b2c3d.secret\"}}\n      annotations:\n        \
         rempart.dev/workload-sensitivity: \"secret\"\n    \
         spec:\n      containers:\n      - name: api\n        image: 'api:1'   # pinned\n        args:\n        - |\n          \
         two\n          lines\n      nodeSelector:\n        {KEY}: \"true\"\n\n---\n# Another.\napiVersion: v1\nkind: ConfigMap\n\
         metadata: {{name: c}}\n"
    );
    assert_eq!(completed(before), after);
}

#[test]
fn what_is_not_needed_any_more_goes() {
    // A level that was lowered: of a policy that is here the key goes, and the mirror with the annotation.
    let before = format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: db}}\nspec:\n  template:\n    metadata:\n      annotations:\n        \
         rempart.dev/workload-sensitivity: secret\n        mine: stays\n      labels:\n        \
         completed.rempart.dev/state: 0a1b2c3d.secret\n    spec:\n      nodeSelector:\n        {KEY}: \"true\"\n      containers: []\n"
    );
    let after = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  template:\n    metadata:\n      annotations:\n        \
                 mine: stays\n      labels:\n        \
                 completed.rempart.dev/state: \"0a1b2c3d.public_default_keyless\"\n    spec:\n      nodeSelector: {}\n      containers: []\n";
    assert_eq!(completed(&before), after);
}

#[test]
fn every_style_is_written_in_its_own() {
    let annotated = "metadata: {name: x, annotations: {rempart.dev/sensitivity: secret}}";
    let json = r#"{"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "x", "annotations": {"rempart.dev/sensitivity": "secret"}},
 "spec": {"template": {"spec": {"containers": [], "nodeSelector": {"disk": "ssd"}}}}}"#;
    for (before, expected) in [
        // JSON, and flow style.
        (json.to_owned(), format!("\"nodeSelector\": {{\"disk\": \"ssd\", \"{KEY}\": \"true\"}}")),
        (
            format!("apiVersion: apps/v1\nkind: Deployment\n{annotated}\nspec: {{template: {{spec: {{containers: []}}}}}}\n"),
            format!("{{containers: [], \"nodeSelector\": {{\"{KEY}\": \"true\"}}}}"),
        ),
        // A map that is left out, and one that is empty, and one that is null.
        (
            format!("apiVersion: apps/v1\nkind: Deployment\n{annotated}\nspec:\n  template:\n    metadata: # none\n    spec:\n      nodeSelector: {{}}\n"),
            format!("    metadata: # none\n      annotations:\n        rempart.dev/workload-sensitivity: \"secret\"\n      labels:\n        completed.rempart.dev/state: \"0a1b2c3d.secret\"\n    spec:\n      nodeSelector: {{\"{KEY}\": \"true\"}}\n"),
        ),
        (
            format!("apiVersion: apps/v1\nkind: Deployment\n{annotated}\nspec:\n  template:\n    spec:\n      nodeSelector: null\n      containers: []\n"),
            format!("nodeSelector: {{\"{KEY}\": \"true\"}}\n      containers: []\n"),
        ),
        // A pod, the items of a List, a template of a CronJob, and no line break at the end.
        (
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  annotations: {rempart.dev/sensitivity: secret}\nspec:\n  containers: []".to_owned(),
            format!("containers: []\n  nodeSelector:\n    {KEY}: \"true\""),
        ),
        (
            format!("apiVersion: v1\nkind: List\nitems:\n- apiVersion: batch/v1\n  kind: CronJob\n  {annotated}\n  spec:\n    jobTemplate:\n      spec:\n        template:\n          spec:\n            restartPolicy: Never\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: s}}\n"),
            format!("            restartPolicy: Never\n            nodeSelector:\n              {KEY}: \"true\"\n          metadata:\n"),
        ),
        // Windows' line breaks, a mark of the order of bytes, and letters of more than a byte before what changes.
        (
            "\u{feff}apiVersion: v1\r\nkind: Pod\r\nmetadata:\r\n  name: x\r\n  annotations: {é: ü, rempart.dev/sensitivity: secret}\r\nspec:\r\n  containers: []\r\n".to_owned(),
            format!("  containers: []\r\n  nodeSelector:\r\n    {KEY}: \"true\"\r\n"),
        ),
        // The templates of kinds of others, as their pods will be.
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: x}\nspec:\n  template:\n    metadata:\n      annotations: {rempart.dev/sensitivity: secret}\n    spec:\n      containers: []\n".to_owned(),
            format!("      containers: []\n      nodeSelector:\n        {KEY}: \"true\"\n"),
        ),
    ] {
        let after = completed(&before);
        assert!(after.contains(&expected), "{before}\n became\n{after}\n without\n{expected}");
    }
}

#[test]
fn what_admission_leaves_alone_is_left_alone() {
    for text in [
        // Of another's template its owner says it; what is not known is refused, not completed.
        "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata:\n  name: x\n  annotations: {rempart.dev/sensitivity: secret}\n  \
         ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: x, uid: \"1\", controller: true}]\nspec: {template: {spec: {}}}\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x, annotations: {rempart.dev/sensitivity: odd}}\nspec: {}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: {rempart.dev/sensitivity: secret}}\n",
        "",
        "# nothing\n",
    ] {
        assert_eq!(complete(text).unwrap(), CompletedText { text: text.to_owned(), objects: Vec::new() });
    }
}

#[test]
fn what_cannot_be_written_without_changing_more_is_told() {
    // Two templates share one map.
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: x, annotations: {rempart.dev/sensitivity: secret}}\n  \
                spec: &spec\n    containers: []\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: y}\n  spec: *spec\n";
    assert_eq!(
        complete(text),
        Err("what is to be added cannot be written here without changing something else".to_owned())
    );
}
