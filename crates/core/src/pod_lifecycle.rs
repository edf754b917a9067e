//! Pod lifecycle: how a pod ends, what becomes of it then, and who says that it is not to be disturbed.

use alloc::{boxed::Box, string::String};
use core::fmt;

use super::{instant::Timestamp, keys, text::QuotedDisplay};

/// How a pod ends, and what becomes of it then.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodLifecycle {
    /// How long its containers may take to end, in seconds.
    pub grace_seconds: u32,
    /// How often its index has failed, of a Job that counts failures by index.
    pub index_failures: u32,
    /// Whether its containers are not begun again once they have ended: its `restartPolicy` is not `Always`.
    pub runs_once: bool,
    /// What says that it is not to be disturbed now.
    pub not_now: Option<Box<NotNow>>,
}

/// A mark by which somebody says of a pod that it is not to be disturbed now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotNow {
    /// An annotation of another project, by its key, for as long as it is there.
    Marked(&'static str),
    /// Not before this instant.
    Until(Timestamp),
    /// Not before an instant that cannot be read: what is written instead.
    Unread(String),
}

impl NotNow {
    /// The annotations of other projects, with the value that says so: of Karpenter, and of the Cluster Autoscaler.
    pub const MARKS: [(&str, &str); 2] =
        [("karpenter.sh/do-not-disrupt", "true"), ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false")];

    /// Whether it says so at `now`.
    #[must_use]
    pub fn holds_at(&self, now: Timestamp) -> bool {
        match self {
            Self::Marked(_) | Self::Unread(_) => true,
            Self::Until(then) => now < *then,
        }
    }
}

impl fmt::Display for NotNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Marked(key) => write!(f, "its annotation {key} says not now"),
            Self::Until(then) => write!(f, "its annotation {} says not before {then}", keys::NOT_BEFORE),
            Self::Unread(value) => {
                write!(
                    f,
                    "its annotation {} is {}, which is no instant such as 2026-03-01T12:00:00Z",
                    keys::NOT_BEFORE,
                    QuotedDisplay(value)
                )
            }
        }
    }
}
