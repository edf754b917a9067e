//! Watch renewal: when each watch was last heard of, or asked for anew.
//!
//! Wraps a client and tells the metrics of each watch that the API server answers. Watches of what seldom changes say
//! nothing for hours, and are asked for anew every few minutes all the same.

use http::{Request, Response};
use kube::{Client, client::Body};
use tower::service_fn;

use crate::operator::metrics::Metrics;

/// A client that tells `metrics` of each watch that the API server has answered.
#[must_use]
pub fn heard(client: Client, metrics: Metrics) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let (client, metrics) = (client.clone(), metrics.clone());
        async move {
            let watched = watched(request.uri()).map(str::to_owned);
            let response: Response<Body> = client.send(request).await?;
            if let Some(kind) = watched.filter(|_| response.status().is_success()) {
                metrics.watch_renewed(&kind);
            }
            Ok::<_, kube::Error>(response)
        }
    });
    Client::new(service, namespace)
}

/// The plural name of what a request watches.
fn watched(uri: &http::Uri) -> Option<&str> {
    let watches = uri.query()?.split('&').any(|parameter| parameter == "watch=true");
    uri.path().rsplit('/').next().filter(|_| watches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_are_told_from_lists() {
        for (uri, kind) in [
            ("/api/v1/pods?&watch=true&timeoutSeconds=200", Some("pods")),
            ("/apis/apps/v1/deployments?watch=true", Some("deployments")),
            ("/api/v1/namespaces/a/configmaps?fieldSelector=a&watch=true", Some("configmaps")),
            ("/api/v1/pods?limit=100", None),
            ("/api/v1/pods", None),
        ] {
            assert_eq!(watched(&uri.parse().unwrap()), kind, "{uri}");
        }
    }
}
