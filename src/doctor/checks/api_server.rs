//! Checks of the API server: its version, its plugins, and its clock.

use serde_json::Value;

use super::{Check, CheckResults, Examined, ExaminedKind, FindingCode};
use crate::{
    doctor::examined::{Fact, NodeRestrictionProbe, named},
    operator::clock_skew::TOLERANCE,
};

pub(super) const VERSION: Check = Check {
    name: "APIServerVersion",
    asks: "whether the API server is new enough for the rule to hold",
    needs: &[],
    live: false,
    examine: version,
};

pub(super) const NODE_RESTRICTION: Check = Check {
    name: "NodeRestriction",
    asks: "whether a kubelet can stamp its own node",
    needs: &[],
    live: false,
    examine: node_restriction,
};

pub(super) const CLOCK: Check = Check {
    name: "APIServerClock",
    asks: "whether this machine's clock agrees with the API server's",
    needs: &[],
    live: true,
    examine: clock,
};

/// The oldest version by which the rule holds: `ValidatingAdmissionPolicy` is stable since, as the chart's `kubeVersion` has it.
const OLDEST: (u32, u32) = (1, 30);

/// Major and minor version of `v1.36.3-gke.100`.
fn parsed(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix('v').unwrap_or(version).split('.');
    let minor: String = numbers.nth(1)?.chars().take_while(char::is_ascii_digit).collect();
    let major = version.strip_prefix('v').unwrap_or(version).split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The API server's pods, as kubeadm and others make them from files.
fn static_pods(examined: &Examined) -> impl Iterator<Item = &Value> {
    examined.known(ExaminedKind::Pod).iter().filter(|pod| {
        pod.pointer("/metadata/namespace").is_some_and(|namespace| namespace == "kube-system")
            && pod.pointer("/metadata/labels/component").is_some_and(|component| component == "kube-apiserver")
    })
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten()
}

/// The versions in the images of the API server's pods.
fn image_versions(examined: &Examined) -> Vec<String> {
    let images = static_pods(examined).flat_map(containers).filter_map(|container| container.get("image")?.as_str());
    let tags = images.filter_map(|image| Some(image.split('@').next()?.rsplit_once(':')?.1));
    tags.filter(|tag| parsed(tag).is_some()).map(str::to_owned).collect()
}

fn version(examined: &Examined, results: &mut CheckResults) {
    let versions = match &examined.api_server.version {
        Fact::Known(version) => vec![version.clone()],
        Fact::Unknown(why) => {
            return results.leave(
                VERSION.name,
                format!("the API server's version is not known: {why}"),
                "see `kubectl version`",
            );
        }
        Fact::NotAsked => image_versions(examined),
    };
    if versions.is_empty() {
        let message = "the API server's version is not known: no pod of kube-apiserver is among what was read";
        return results.leave(VERSION.name, message, "see `kubectl version`, or give --cluster");
    }
    for version in versions {
        match parsed(&version) {
            None => results.leave(
                VERSION.name,
                format!("the API server calls itself {version:?}, which is no version of Kubernetes"),
                "see `kubectl version`",
            ),
            Some(known) if known < OLDEST => results.find(
                FindingCode::ApiServerTooOld,
                "kube-apiserver",
                "version",
                format!("the API server is {version}, and ValidatingAdmissionPolicy is stable since Kubernetes 1.30"),
                "every pod to be created anywhere: no rule holds inside this API server",
                "upgrade the control plane to Kubernetes 1.30 or newer",
            ),
            Some(_) => {}
        }
    }
}

/// What the flag `name`, a list, says in all containers of `pod`, as kube-apiserver reads it: `--name=a,b` and `--name a,b`,
/// what is given again added to what was before, `_` for `-`. Nothing where it is not given.
fn flag<'a>(pod: &'a Value, name: &str) -> Option<Vec<&'a str>> {
    let mut said: Option<Vec<&str>> = None;
    for container in containers(pod) {
        let words = ["command", "args"].iter().filter_map(|field| container.get(field)?.as_array()).flatten();
        let mut words = words.filter_map(Value::as_str);
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--") else { continue };
            let (called, value) = flag.split_once('=').map_or((flag, None), |(called, value)| (called, Some(value)));
            if called.replace('_', "-") == name
                && let Some(value) = value.or_else(|| words.next())
            {
                said.get_or_insert_default().extend(value.split(','));
            }
        }
    }
    said
}

const OFF: &str = "a kubelet, or who has its credential, to label its node as any pool's or with a stamp, where admission does not refuse it";

fn node_restriction(examined: &Examined, results: &mut CheckResults) {
    let mut is_told = false;
    for pod in static_pods(examined) {
        is_told = true;
        let has = |name, value: &str| flag(pod, name).is_some_and(|list| list.contains(&value));
        let object = named(pod);
        if !has("enable-admission-plugins", "NodeRestriction") || has("disable-admission-plugins", "NodeRestriction") {
            results.find(
                FindingCode::NodeRestrictionOff,
                &object,
                "--enable-admission-plugins",
                "kube-apiserver runs without the admission plugin NodeRestriction",
                OFF,
                "add NodeRestriction to --enable-admission-plugins of every API server",
            );
        }
        for plugin in ["ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"] {
            if has("disable-admission-plugins", plugin) {
                results.find(
                    FindingCode::AdmissionPluginOff,
                    &object,
                    "--disable-admission-plugins",
                    format!("kube-apiserver runs without the admission plugin {plugin}"),
                    "pods to be created as if no policy were there",
                    format!("take {plugin} out of --disable-admission-plugins of every API server"),
                );
            }
        }
        // Without a flag a file says who authorizes, which nobody sees here.
        let Some(modes) = flag(pod, "authorization-mode") else { continue };
        if modes.contains(&"AlwaysAllow") || !modes.contains(&"Node") {
            results.find(
                FindingCode::NodeAuthorizationOff,
                &object,
                "--authorization-mode",
                format!("kube-apiserver authorizes by {}", modes.join(",")),
                "a kubelet to do more than what its own node and pods need",
                "set --authorization-mode=Node,RBAC on every API server",
            );
        }
    }
    match &examined.api_server.node_restriction {
        Fact::Known(NodeRestrictionProbe::Refused) => {}
        Fact::Known(NodeRestrictionProbe::LetThrough) => results.find(
            FindingCode::NodeRestrictionOff,
            "kube-apiserver",
            "--enable-admission-plugins",
            "the API server would let a kubelet give its node a label under node-restriction.kubernetes.io, in a trial that wrote \
             nothing",
            OFF,
            "add NodeRestriction to --enable-admission-plugins of every API server, or ask the provider to",
        ),
        // Flags of every API server tell as much.
        Fact::Unknown(_) | Fact::NotAsked if is_told => {}
        Fact::Unknown(why) => results.leave(NODE_RESTRICTION.name, format!("whether NodeRestriction is on is not known: {why}"), PROBE),
        Fact::NotAsked => {
            let message = "whether NodeRestriction is on is not known: no pod of kube-apiserver is among what was read";
            results.leave(NODE_RESTRICTION.name, message, PROBE);
        }
    }
}

/// How somebody with the right to act as a node finds out.
const PROBE: &str = "with the right to impersonate users and groups, give --cluster; or ask: `kubectl create --dry-run=server \
                     --as=system:node:probe --as-group=system:nodes -f -` of a Node probe with the label \
                     probe.node-restriction.kubernetes.io/x must be refused";

fn clock(examined: &Examined, results: &mut CheckResults) {
    match &examined.api_server.skew_seconds {
        Fact::Known(seconds) if seconds.unsigned_abs() > TOLERANCE.as_secs() => {
            let side = if *seconds > 0 { "ahead of" } else { "behind" };
            results.find(
                FindingCode::ClockSkew,
                "kube-apiserver",
                "Date",
                format!("this machine's clock is {} s {side} the API server's", seconds.unsigned_abs()),
                "certificates to begin and end at the wrong time; an operator by such a clock writes nothing",
                "correct the clock that is wrong, by NTP",
            );
        }
        Fact::Unknown(why) => {
            results.leave(CLOCK.name, format!("the API server's clock is not known: {why}"), "compare `date -u` there");
        }
        // What is read from files has no clock.
        Fact::Known(_) | Fact::NotAsked => {}
    }
}
