//! Error chains: an error with its causes as one line, in the API server's words where it spoke.

use kube::runtime::watcher;

/// An error with its causes, as one line.
pub struct ErrorChain<'a>(pub &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut said = String::new();
        let mut next = Some(self.0);
        while let Some(error) = next {
            let text = in_words(error);
            // Some errors repeat their cause in their own words.
            if said.is_empty() {
                f.write_str(&text)?;
            } else if !said.contains(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            next = error.source();
        }
        Ok(())
    }
}

/// What the API server said, without the shape in which the client holds it.
fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    let spoken = |status: &kube::core::Status| format!("{} ({} {})", status.message, status.code, status.reason);
    if let Some(error) = error.downcast_ref::<watcher::Error>() {
        return match error {
            watcher::Error::InitialListFailed(_) => "the list failed".to_owned(),
            watcher::Error::WatchStartFailed(_) => "the watch did not start".to_owned(),
            watcher::Error::WatchFailed(_) => "the watch broke off".to_owned(),
            watcher::Error::WatchError(status) => format!("the API server ended the watch: {}", spoken(status)),
            watcher::Error::NoResourceVersion => error.to_string(),
        };
    }
    match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => spoken(status),
        _ => error.to_string(),
    }
}
