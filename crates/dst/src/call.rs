//! Calls: what a request of a client asks of the API server.

use http::{Method, request::Parts};

use crate::server::{ObjectKey, ResourceKind, kind_of};

/// What is asked.
#[derive(Debug)]
pub(crate) enum Call {
    /// The version of the API server.
    Version,
    /// Which admission resources it serves.
    AdmissionResources,
    /// A list, from where it goes on.
    List { kind: &'static ResourceKind, go_on: Option<String> },
    /// A watch, from which version.
    Watch { kind: &'static ResourceKind, from: u64, seconds: u64 },
    /// An object.
    Get { key: ObjectKey },
    /// A new object.
    Create { kind: &'static ResourceKind, namespace: String },
    /// A subresource by which a pod is removed.
    Evict { key: ObjectKey },
    /// An object in the place of another.
    Replace { key: ObjectKey },
    /// A change of an object; whether it is an apply, and whether it is of the status alone.
    Patch { key: ObjectKey, kind: &'static ResourceKind, apply: bool, status: bool },
    /// A deletion.
    Delete { key: ObjectKey },
    /// What it does not serve.
    Unknown(String),
}

impl Call {
    /// Reads the head of a request.
    pub(crate) fn read(parts: &Parts) -> Self {
        let path = parts.uri.path();
        let unknown = || Self::Unknown(format!("{} {}", parts.method, parts.uri));
        if path == "/version" {
            return Self::Version;
        }
        if path == "/apis/admissionregistration.k8s.io/v1" {
            return Self::AdmissionResources;
        }
        let mut segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let of_group = match segments.first() {
            Some(&"api") => 2,
            Some(&"apis") => 3,
            _ => return unknown(),
        };
        segments.drain(..of_group.min(segments.len()));
        let namespace = match segments[..] {
            ["namespaces", namespace, _, ..] if namespace != "status" && segments.len() > 2 => {
                segments.drain(..2);
                namespace.to_owned()
            }
            _ => String::new(),
        };
        let Some(kind) = segments.first().and_then(|plural| kind_of(plural)) else { return unknown() };
        let key = |name: &str| (kind.plural, namespace.clone(), name.to_owned());
        let parameter = |name: &str| {
            let query = parts.uri.query().unwrap_or_default();
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
        };
        let is_apply = || {
            let kind = parts.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            kind.is_some_and(|kind| kind.starts_with("application/apply-patch"))
        };
        match (&parts.method, &segments[1..]) {
            (&Method::GET, []) if parameter("watch").as_deref() == Some("true") => Self::Watch {
                kind,
                from: parameter("resourceVersion").and_then(|from| from.parse().ok()).unwrap_or_default(),
                seconds: parameter("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(300),
            },
            (&Method::GET, []) => Self::List { kind, go_on: parameter("continue") },
            (&Method::GET, [name]) => Self::Get { key: key(name) },
            (&Method::POST, []) => Self::Create { kind, namespace },
            (&Method::POST, [name, "eviction"]) => Self::Evict { key: key(name) },
            (&Method::PUT, [name]) => Self::Replace { key: key(name) },
            (&Method::PATCH, [name]) => Self::Patch { key: key(name), kind, apply: is_apply(), status: false },
            (&Method::PATCH, [name, "status"]) => Self::Patch { key: key(name), kind, apply: is_apply(), status: true },
            (&Method::DELETE, [name]) => Self::Delete { key: key(name) },
            _ => unknown(),
        }
    }

    /// What a write is called, as `patch nodes n1`; nothing for what only reads.
    pub(crate) fn write(&self) -> Option<String> {
        let named = |verb: &str, key: &ObjectKey| Some(format!("{verb} {} {}/{}", key.0, key.1, key.2));
        match self {
            Self::Version
            | Self::AdmissionResources
            | Self::List { .. }
            | Self::Watch { .. }
            | Self::Get { .. }
            | Self::Unknown(_) => None,
            Self::Create { kind, namespace } => Some(format!("create {} {namespace}/", kind.plural)),
            Self::Evict { key } => named("evict", key),
            Self::Replace { key } => named("replace", key),
            Self::Patch { key, status, .. } => named(if *status { "patch status of" } else { "patch" }, key),
            Self::Delete { key } => named("delete", key),
        }
    }

    /// Whether it is about a lease: what decides who leads.
    pub(crate) fn is_about_leases(&self) -> bool {
        match self {
            Self::Create { kind, .. } => kind.plural == "leases",
            Self::Get { key } | Self::Replace { key } => key.0 == "leases",
            _ => false,
        }
    }
}
