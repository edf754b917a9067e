//! Kubeconfig files for the components, and for whoever a test authenticates as.
//!
//! [`write()`] takes a server, the certificate authority and an identity; [`config`] reads such a file back as the
//! configuration of a client. Every file has one context and is readable by its owner alone.

use std::path::{Path, PathBuf};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

use super::{
    LabError, Result,
    pki::{TlsCredentials, write_private},
};

/// With what a client proves who it is.
#[derive(Debug)]
pub(super) enum ClientIdentity<'a> {
    Certificate(&'a TlsCredentials),
    Token(&'a str),
}

/// Writes a kubeconfig with one context. JSON is YAML, so every client reads it.
pub(super) fn write(path: &Path, server: &str, authority: &Path, identity: &ClientIdentity<'_>) -> Result<()> {
    let user = match identity {
        ClientIdentity::Certificate(credentials) => json!({
            "client-certificate": credentials.certificate,
            "client-key": credentials.key,
        }),
        ClientIdentity::Token(token) => json!({ "token": token }),
    };
    let name = "rempart-lab";
    let content = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority": authority}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    });
    write_private(path, &format!("{content:#}\n"))
}

/// Reads a kubeconfig back as the configuration of a client.
pub(super) async fn config(path: &Path) -> Result<Config> {
    let failed = |error: kube::config::KubeconfigError| client_error(path, &error);
    let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(failed)
}

/// A client of a configuration that came from `path`.
pub(super) fn client(path: &Path, config: Config) -> Result<Client> {
    Client::try_from(config).map_err(|error| client_error(path, &error))
}

fn client_error(path: &Path, error: &dyn std::error::Error) -> LabError {
    LabError::Client { kubeconfig: PathBuf::from(path), reason: error.to_string() }
}
