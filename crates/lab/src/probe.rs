//! Probes of the health and metrics endpoints of processes on the loopback interface.
//!
//! A probe is made for one server and takes a path; it returns the body of a successful answer. It presents no identity
//! and never retries.

use http::{Request, Uri};
use kube::{Client, Config};

use super::{LabError, Result};

/// A client of one server that trusts the lab's authority and presents no identity.
pub(super) struct EndpointProbe(Client);

impl EndpointProbe {
    /// A probe of the server at this URL; `admin` has the certificate of the lab's authority.
    pub(super) fn new(server: &str, admin: &Config) -> Result<Self> {
        let uri: Uri =
            server.parse().map_err(|error| LabError::Unsupported(format!("{server} is not a URL: {error}")))?;
        let mut config = Config::new(uri);
        config.root_cert.clone_from(&admin.root_cert);
        config.default_retry = false;
        Client::try_from(config).map(Self).map_err(LabError::api(format!("make a client for {server}")))
    }

    /// The body of a successful answer.
    pub(super) async fn get(&self, path: &str) -> Result<String> {
        let request = Request::get(path)
            .body(Vec::new())
            .map_err(|error| LabError::Unsupported(format!("{path} is not a path: {error}")))?;
        self.0.request_text(request).await.map_err(LabError::api(format!("get {path}")))
    }
}
