//! Command lines of the components, and the endpoints that tell whether they are ready.
//!
//! They follow from the [layout](ControlPlaneLayout) and the [options](ControlPlaneOptions) alone, so that a component
//! that was killed starts again on the same port and data.

use std::path::Path;

use tokio::process::Command;

use super::{component::Component, layout::ControlPlaneLayout, options::ControlPlaneOptions, pki::TlsCredentials};

/// Requests a second that the components may send: enough never to be what a benchmark measures.
const CLIENT_QPS: &str = "--kube-api-qps=5000";
const CLIENT_BURST: &str = "--kube-api-burst=10000";

/// How much garbage a component may gather, in percent of what it uses, before it collects: by the default of 100 the API
/// server spends a quarter of its time on that, where two cores are shared by all.
const GARBAGE: (&str, &str) = ("GOGC", "400");
/// Above so much memory it collects all the same.
const MEMORY: (&str, &str) = ("GOMEMLIMIT", "2GiB");

/// Nodes only pretend and write a heartbeat every half hour, to spare 5,000 of them the work.
const NODE_GRACE: &str = "--node-monitor-grace-period=3h";

impl Component {
    /// The server that says whether it is ready, and the path to ask.
    pub(super) fn readiness(self, layout: &ControlPlaneLayout) -> (String, &'static str) {
        let (scheme, path) = match self {
            Self::Etcd => ("http", "/readyz"),
            Self::ApiServer | Self::Scheduler => ("https", "/readyz"),
            Self::ControllerManager => ("https", "/healthz"),
            Self::Kwok => ("http", "/healthz"),
        };
        (format!("{scheme}://127.0.0.1:{}", layout.ports.of(self)), path)
    }

    pub(super) fn command(self, layout: &ControlPlaneLayout, options: &ControlPlaneOptions) -> Command {
        let arguments = match self {
            Self::Etcd => etcd(layout),
            Self::ApiServer => api_server(layout, options),
            Self::ControllerManager => controller_manager(layout, options),
            Self::Scheduler => scheduler(layout, options),
            Self::Kwok => kwok(layout),
        };
        let mut command = Command::new(layout.binaries.path(self.program()));
        command.args(arguments).current_dir(&layout.dir).envs([GARBAGE, MEMORY]);
        command
    }
}

/// `--name=value` where the value is a path.
fn path(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

fn serving(pair: &TlsCredentials) -> [String; 2] {
    [path("tls-cert-file", &pair.certificate), path("tls-private-key-file", &pair.key)]
}

fn etcd(layout: &ControlPlaneLayout) -> Vec<String> {
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

fn api_server(layout: &ControlPlaneLayout, options: &ControlPlaneOptions) -> Vec<String> {
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

/// Arguments that the controller manager and the scheduler share.
fn client_arguments(component: Component, layout: &ControlPlaneLayout) -> Vec<String> {
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

fn controller_manager(layout: &ControlPlaneLayout, options: &ControlPlaneOptions) -> Vec<String> {
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

fn scheduler(layout: &ControlPlaneLayout, options: &ControlPlaneOptions) -> Vec<String> {
    let mut arguments = client_arguments(Component::Scheduler, layout);
    arguments.extend(options.scheduler_arguments.iter().cloned());
    arguments
}

fn kwok(layout: &ControlPlaneLayout) -> Vec<String> {
    vec![
        path("kubeconfig", &layout.kubeconfig(Component::Kwok)),
        path("config", &layout.kwok_config()),
        "--v=WARN".to_owned(),
        format!("--server-address=127.0.0.1:{}", layout.ports.of(Component::Kwok)),
    ]
}
