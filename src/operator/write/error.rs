//! Write errors: why a request was not carried out, classified by what was asked.
//!
//! A [`WriteError`] is what the client returned. [`WriteError::classify`] takes the [`WriteTarget`] with it, because one
//! answer means different things: a webhook's 429 to an eviction refuses that eviction, and says nothing of the API server.

use super::WriteTarget;
use crate::operator::lease::{NotLeading, WRITE_DEADLINE};

/// A write that failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server refused or could not be reached.
    #[error(transparent)]
    Api(kube::Error),
    /// It was not sent: another replica may lead.
    #[error(transparent)]
    NotLeading(NotLeading),
    /// No answer in time.
    #[error("the API server did not answer within {} s", WRITE_DEADLINE.as_secs())]
    Deadline,
}

impl From<kube::Error> for WriteError {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Service(cause) => match cause.downcast_ref::<NotLeading>() {
                Some(refusal) => Self::NotLeading(*refusal),
                None => Self::Api(error),
            },
            _ => Self::Api(error),
        }
    }
}

/// What a failed write means for what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteFailure {
    /// Somebody else was faster: the next observation tells what is left to do.
    Conflict,
    /// The object is gone, so that nothing is left to write.
    Gone,
    /// Something else was not found: its namespace, or, while an API server starts, its whole kind.
    NotFound,
    /// The request was understood and refused, by a disruption budget or by somebody's admission, who said this. Nothing
    /// but another time will help.
    Refused(String),
    /// A disruption budget refuses to let the pod go, as it says.
    OverBudget(String),
    /// The operator's permissions do not allow it.
    Forbidden,
    /// The API server does not take what was sent.
    Invalid,
    /// The API server is away or has too much to do, so that other writes will fare no better.
    Unreachable,
    /// The API server did not answer in time. So it is when a webhook takes its time, too.
    Timeout,
    /// It was not sent, because this replica does not lead.
    NotLeading,
    /// None of these.
    Other,
}

impl WriteFailure {
    /// The stable word for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Gone | Self::NotFound => "not_found",
            Self::Refused(_) | Self::OverBudget(_) => "refused",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::NotLeading => "not_leading",
            Self::Other => "other",
        }
    }
}

impl WriteError {
    /// What failed, as it is told to people: what the API server said, where it said something.
    #[must_use]
    pub fn cause(&self) -> &(dyn std::error::Error + 'static) {
        match self {
            Self::Api(error) => error,
            Self::NotLeading(error) => error,
            Self::Deadline => self,
        }
    }

    /// What it means for a request about `target`.
    #[must_use]
    pub fn classify(&self, target: &WriteTarget) -> WriteFailure {
        match self {
            Self::NotLeading(_) => WriteFailure::NotLeading,
            Self::Deadline => WriteFailure::Timeout,
            Self::Api(kube::Error::Api(status)) => of_status(status, target),
            Self::Api(kube::Error::Service(_) | kube::Error::HyperError(_)) => WriteFailure::Unreachable,
            Self::Api(_) => WriteFailure::Other,
        }
    }
}

fn of_status(status: &kube::core::Status, target: &WriteTarget) -> WriteFailure {
    let is_gone = || status.details.as_ref().is_some_and(|details| details.name == target.name());
    if let Some(refused) = refusal(status, target) {
        return refused;
    }
    match status.code {
        404 if is_gone() => WriteFailure::Gone,
        404 => WriteFailure::NotFound,
        409 => WriteFailure::Conflict,
        401 | 403 => WriteFailure::Forbidden,
        400 | 422 => WriteFailure::Invalid,
        429 | 503 | 504 => WriteFailure::Unreachable,
        _ => WriteFailure::Other,
    }
}

/// Who refused the request that the API server understood, and what it said; nothing where nobody did.
fn refusal(status: &kube::core::Status, target: &WriteTarget) -> Option<WriteFailure> {
    let said = status.message.as_str();
    let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
    if let Some(budget) = causes.iter().find(|cause| cause.reason == "DisruptionBudget") {
        return Some(WriteFailure::OverBudget(budget.message.clone()));
    }
    // A webhook answers with whatever code it likes; the API server says whose answer it is.
    let by_admission = said.starts_with("admission webhook ") && said.contains("denied the request")
        || said.contains("ValidatingAdmissionPolicy") && said.contains("denied request");
    let refused = match status.code {
        // An API server that has just come refuses by policies whose parameters it does not know yet; it soon does.
        _ if said.contains("failed to configure") => false,
        409 | 404 => false,
        _ if by_admission => true,
        400 | 403 | 422 => target.moves_pods(),
        // More than one budget over one pod is told as a fault of the server, and so is a webhook that does not answer;
        // a store that is away is one.
        500 if target.moves_pods() && said.contains("PodDisruptionBudget") => {
            return Some(WriteFailure::OverBudget(said.to_owned()));
        }
        500 => target.moves_pods() && said.contains("failed calling webhook"),
        _ => false,
    };
    refused.then(|| WriteFailure::Refused(said.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn classify(target: &WriteTarget, code: u16, message: &str, details: &serde_json::Value) -> &'static str {
        let status =
            json!({"status": "Failure", "code": code, "reason": "any", "message": message, "details": details});
        WriteError::Api(kube::Error::Api(serde_json::from_value(status).unwrap())).classify(target).reason()
    }

    #[test]
    fn what_was_refused_is_told_from_what_failed_for_now() {
        let eviction = WriteTarget::Eviction("n/p".into());
        let declined = |code: u16, message: &str| classify(&eviction, code, message, &json!(null)) == "refused";
        assert!(declined(403, "admission webhook \"a\" denied the request: not on Fridays"));
        assert!(declined(422, "spec.template: Invalid value"));
        assert!(declined(500, "This pod has more than one PodDisruptionBudget"));
        assert!(!declined(403, "policy \"rempart-templates\" denied request: failed to configure policy: not found"));
        assert!(!declined(500, "etcdserver: request timed out"));
        assert!(!declined(503, "the server is not able to"));
    }

    #[test]
    fn an_answer_is_classified_by_what_was_asked() {
        let eviction = WriteTarget::Eviction("n/p".into());
        let node = WriteTarget::NodeLabels("p".into());
        let budget = json!({"causes": [{"reason": "DisruptionBudget", "message": "needs 2 healthy pods and has 2"}]});
        let here = json!({"name": "p"});
        let nothing = json!(null);
        let webhook = "admission webhook \"drain.example\" denied the request: later";
        for (target, code, message, details, expected) in [
            (&eviction, 429, "Cannot evict pod as it would violate the pod's disruption budget.", &budget, "refused"),
            (&eviction, 429, webhook, &nothing, "refused"),
            (&eviction, 503, webhook, &nothing, "refused"),
            (&eviction, 429, "Too many requests, please try again later.", &nothing, "unreachable"),
            (
                &eviction,
                500,
                "Internal error occurred: failed calling webhook \"a\": deadline exceeded",
                &nothing,
                "refused",
            ),
            (&node, 429, webhook, &nothing, "refused"),
            (&node, 429, "Too many requests, please try again later.", &nothing, "unreachable"),
            (&node, 500, "Internal error occurred: failed calling webhook \"a\": deadline exceeded", &nothing, "other"),
            (&node, 403, "nodes \"p\" is forbidden: User \"x\" cannot patch resource \"nodes\"", &here, "forbidden"),
            (&node, 422, "metadata.labels: Invalid value", &here, "invalid"),
            (&node, 409, "the object has been modified", &here, "conflict"),
            (&node, 404, "nodes \"p\" not found", &here, "not_found"),
            (&node, 504, "request did not complete within the allotted timeout", &nothing, "unreachable"),
        ] {
            assert_eq!(classify(target, code, message, details), expected, "{target:?} {code} {message}");
        }
        assert_eq!(WriteError::Deadline.classify(&node).reason(), "timeout");
        assert_eq!(WriteError::NotLeading(NotLeading).classify(&node).reason(), "not_leading");
    }

    #[test]
    fn what_is_not_found_is_gone_only_when_it_is_the_object() {
        let node = WriteTarget::NodeLabels("p".into());
        let of = |name: &str| {
            let status = json!({"status": "Failure", "code": 404, "reason": "NotFound", "message": "not found",
                "details": {"name": name}});
            WriteError::Api(kube::Error::Api(serde_json::from_value(status).unwrap())).classify(&node)
        };
        assert_eq!((of("p"), of("")), (WriteFailure::Gone, WriteFailure::NotFound));
    }
}
