//! Plain requests to the health and metrics endpoints of processes on the loopback interface.

use http::{Request, Uri};
use kube::{Client, Config};

use super::{Error, Result};

/// A client of one server that trusts the lab's authority and proves nothing about itself.
pub(super) fn client(server: &str, admin: &Config) -> Result<Client> {
    let uri: Uri = server.parse().map_err(|error| Error::Unsupported(format!("{server} is not a URL: {error}")))?;
    let mut config = Config::new(uri);
    config.root_cert.clone_from(&admin.root_cert);
    config.default_retry = false;
    Client::try_from(config).map_err(Error::api(format!("make a client for {server}")))
}

/// The body of a successful answer.
pub(super) async fn get(client: &Client, path: &str) -> Result<String> {
    let request = Request::get(path)
        .body(Vec::new())
        .map_err(|error| Error::Unsupported(format!("{path} is not a path: {error}")))?;
    client.request_text(request).await.map_err(Error::api(format!("get {path}")))
}
