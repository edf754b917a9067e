//! The components of a control plane and their command lines.

use std::{fmt, path::Path};

use tokio::process::Command;

use super::{Options, binaries::Program, layout::Layout, pki::Credentials};

/// Requests a second that the components may send: enough never to be what a benchmark measures.
const CLIENT_QPS: &str = "--kube-api-qps=5000";
const CLIENT_BURST: &str = "--kube-api-burst=10000";

/// Nodes only pretend and write a heartbeat every half hour, to spare 5,000 of them the work.
const NODE_GRACE: &str = "--node-monitor-grace-period=3h";

/// A process of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controllers.
    ControllerManager,
    /// The scheduler.
    Scheduler,
    /// The kubelets of all nodes.
    Kwok,
}

impl Component {
    /// All, in the order in which they start.
    pub const ALL: [Self; 5] = [Self::Etcd, Self::ApiServer, Self::ControllerManager, Self::Scheduler, Self::Kwok];

    pub(super) const fn program(self) -> Program {
        match self {
            Self::Etcd => Program::Etcd,
            Self::ApiServer => Program::KubeApiserver,
            Self::ControllerManager => Program::KubeControllerManager,
            Self::Scheduler => Program::KubeScheduler,
            Self::Kwok => Program::Kwok,
        }
    }

    /// The user as whom it talks to the API server, and that user's group.
    pub(super) const fn user(self) -> Option<(&'static str, Option<&'static str>)> {
        match self {
            Self::Etcd | Self::ApiServer => None,
            Self::ControllerManager => Some(("system:kube-controller-manager", None)),
            Self::Scheduler => Some(("system:kube-scheduler", None)),
            // It plays every kubelet at once, which no single node's identity may.
            Self::Kwok => Some(("rempart-lab:kwok", Some("system:masters"))),
        }
    }

    /// The server that says whether it is ready, and the path to ask.
    pub(super) fn readiness(self, layout: &Layout) -> (String, &'static str) {
        let (scheme, path) = match self {
            Self::Etcd => ("http", "/readyz"),
            Self::ApiServer | Self::Scheduler => ("https", "/readyz"),
            Self::ControllerManager => ("https", "/healthz"),
            Self::Kwok => ("http", "/healthz"),
        };
        (format!("{scheme}://127.0.0.1:{}", layout.ports.of(self)), path)
    }

    pub(super) fn command(self, layout: &Layout, options: &Options) -> Command {
        let arguments = match self {
            Self::Etcd => etcd(layout),
            Self::ApiServer => api_server(layout, options),
            Self::ControllerManager => controller_manager(layout, options),
            Self::Scheduler => scheduler(layout, options),
            Self::Kwok => kwok(layout),
        };
        let mut command = Command::new(layout.binaries.path(self.program()));
        command.args(arguments).current_dir(&layout.dir);
        command
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program().name())
    }
}

/// `--name=value` where the value is a path.
fn path(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

fn serving(pair: &Credentials) -> [String; 2] {
    [path("tls-cert-file", &pair.certificate), path("tls-private-key-file", &pair.key)]
}

fn etcd(layout: &Layout) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", layout.ports.of(Component::Etcd));
    let peer = format!("http://127.0.0.1:{}", layout.ports.etcd_peer);
    vec![
        "--name=lab".to_owned(),
        path("data-dir", &layout.dir.join("etcd")),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=lab={peer}"),
        // What a killed process has written stays in the page cache; only a crash of the machine
        // would lose it, and then the lab is lost anyway.
        "--unsafe-no-fsync".to_owned(),
        "--quota-backend-bytes=4294967296".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn api_server(layout: &Layout, options: &Options) -> Vec<String> {
    let ca = layout.authority.credentials();
    let tokens = layout.authority.service_accounts();
    let mut arguments = vec![
        format!("--etcd-servers=http://127.0.0.1:{}", layout.ports.of(Component::Etcd)),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", layout.ports.of(Component::ApiServer)),
        path("client-ca-file", &ca.certificate),
        // Nobody aggregates APIs here, but without this every component complains at its start.
        path("requestheader-client-ca-file", &ca.certificate),
        "--requestheader-allowed-names=rempart-lab:front-proxy".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        path("service-account-key-file", &tokens.certificate),
        path("service-account-signing-key-file", &tokens.key),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        // The endpoints of the `kubernetes` Service may not be loopback addresses, and nobody in
        // the lab dials that Service.
        "--endpoint-reconciler-type=none".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--profiling=false".to_owned(),
    ];
    arguments.extend(serving(&layout.serving));
    if let Some(log) = &options.audit_log {
        arguments.push(path("audit-log-path", log));
        arguments.push(path("audit-policy-file", &layout.audit_policy()));
        // In one file, however long it gets: a run is bounded.
        arguments.push("--audit-log-maxsize=4096".to_owned());
    }
    arguments.extend(options.api_server_arguments.iter().cloned());
    arguments
}

/// What the controller manager and the scheduler have in common.
fn client_arguments(component: Component, layout: &Layout) -> Vec<String> {
    let kubeconfig = layout.kubeconfig(component);
    let mut arguments = vec![
        path("kubeconfig", &kubeconfig),
        path("authentication-kubeconfig", &kubeconfig),
        path("authorization-kubeconfig", &kubeconfig),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", layout.ports.of(component)),
        // There is one of each, and an election would only slow the start.
        "--leader-elect=false".to_owned(),
        CLIENT_QPS.to_owned(),
        CLIENT_BURST.to_owned(),
        "--profiling=false".to_owned(),
    ];
    arguments.extend(serving(&layout.serving));
    arguments
}

fn controller_manager(layout: &Layout, options: &Options) -> Vec<String> {
    let ca = layout.authority.credentials();
    let mut arguments = client_arguments(Component::ControllerManager, layout);
    arguments.extend([
        path("service-account-private-key-file", &layout.authority.service_accounts().key),
        path("root-ca-file", &ca.certificate),
        path("cluster-signing-cert-file", &ca.certificate),
        path("cluster-signing-key-file", &ca.key),
        "--use-service-account-credentials=true".to_owned(),
        NODE_GRACE.to_owned(),
        // It tells kubelets how long to cache, by an annotation that it writes to every node again
        // and again while their number grows. Nobody here reads it.
        "--controllers=*,-ttl-controller".to_owned(),
    ]);
    arguments.extend(options.controller_manager_arguments.iter().cloned());
    arguments
}

fn scheduler(layout: &Layout, options: &Options) -> Vec<String> {
    let mut arguments = client_arguments(Component::Scheduler, layout);
    arguments.extend(options.scheduler_arguments.iter().cloned());
    arguments
}

fn kwok(layout: &Layout) -> Vec<String> {
    vec![
        path("kubeconfig", &layout.kubeconfig(Component::Kwok)),
        path("config", &layout.kwok_config()),
        "--v=WARN".to_owned(),
        format!("--server-address=127.0.0.1:{}", layout.ports.of(Component::Kwok)),
    ]
}
