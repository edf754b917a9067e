//! Stranding reasons: why a pod finds no node when a place goes away.
//!
//! Takes what no remaining node meets, and gives a stable code and a sentence with the remedy.

use alloc::{boxed::Box, string::String, string::ToString as _, sync::Arc};
use core::fmt;

use crate::migration::{NoFit, NodeRefusal, Unplaced};

/// Why a pod finds no node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StrandReason {
    /// Admission would refuse it when it is made anew.
    Refused(String),
    /// No pool that remains is cleared for it.
    NoClearedPool,
    /// The pools that remain and are cleared have no node: which, in words.
    NoNode(String),
    /// Its own node selector or affinity asks for no cleared node that remains.
    OwnRequirements,
    /// The cleared nodes that remain have taints that it does not tolerate.
    Taints,
    /// The cleared nodes that remain are cordoned or not ready.
    NodesClosed,
    /// Its volume cannot be reached from any cleared node that remains.
    Volume {
        /// The claim.
        claim: Arc<str>,
        /// The volume.
        volume: Arc<str>,
        /// Whether a node that goes away reaches it: it lies there.
        lost: bool,
    },
    /// A claim or a volume of its own is being deleted, in words.
    ClaimEnding(String),
    /// It claims devices, of which nodes do not say how many they have left.
    DevicesUnknown,
    /// The nodes that could take it have pods of its own workload, from which it must be apart.
    Apart,
    /// A topology spread constraint keeps it off every node that has room.
    Spread,
    /// The nodes that would accept it have less of a resource than it requests, even when they are empty.
    TooSmall {
        /// The resource.
        resource: Box<str>,
    },
    /// The nodes that could take it are full.
    Full {
        /// The resource that ran out first: of which most of them have too little left.
        resource: Box<str>,
    },
}

impl StrandReason {
    /// That of a pod for which `unplaced` holds. `lies_in` tells whether what goes away reaches a volume.
    pub(super) fn of(unplaced: Unplaced, lies_in: impl FnOnce(&str) -> bool) -> Self {
        let Unplaced { no_fit, lacking, refusal, by_spread } = unplaced;
        if by_spread {
            return Self::Spread;
        }
        let resource = || lacking.unwrap_or_else(|| "room".into());
        match no_fit {
            NoFit::NoPool => Self::NoClearedPool,
            NoFit::EmptyPool(which) => Self::NoNode(which),
            NoFit::NoNode => match refusal {
                Some(NodeRefusal::Taints) => Self::Taints,
                Some(NodeRefusal::Closed) => Self::NodesClosed,
                Some(NodeRefusal::OwnRequirements) | None => Self::OwnRequirements,
            },
            NoFit::TooSmall => Self::TooSmall { resource: resource() },
            NoFit::Volume { claim, volume } => {
                let lost = lies_in(&volume);
                Self::Volume { claim, volume, lost }
            }
            NoFit::SingleWriter { .. } | NoFit::Ending { .. } => Self::ClaimEnding(no_fit.to_string()),
            NoFit::Devices => Self::DevicesUnknown,
            NoFit::AntiAffinity => Self::Apart,
            NoFit::Full => Self::Full { resource: resource() },
        }
    }

    /// A stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "Refused",
            Self::NoClearedPool => "NoClearedPool",
            Self::NoNode(_) => "NoClearedNode",
            Self::OwnRequirements => "OwnRequirements",
            Self::Taints => "Taints",
            Self::NodesClosed => "NodesClosed",
            Self::Volume { lost: true, .. } => "VolumeLost",
            Self::Volume { lost: false, .. } => "VolumePinned",
            Self::ClaimEnding(_) => "ClaimEnding",
            Self::DevicesUnknown => "DevicesUnknown",
            Self::Apart => "NodesTaken",
            Self::Spread => "Spread",
            Self::TooSmall { .. } => "NodesTooSmall",
            Self::Full { .. } => "NoCapacity",
        }
    }

    /// The resource that there is too little of, where it is that.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        match self {
            Self::TooSmall { resource } | Self::Full { resource } => Some(resource),
            _ => None,
        }
    }
}

impl fmt::Display for StrandReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "admission would refuse its pods: {why}"),
            Self::NoClearedPool => f.write_str("no pool is cleared for it: clear another one"),
            Self::NoNode(which) => write!(f, "{which}: add nodes to it"),
            Self::OwnRequirements => f.write_str(
                "its own nodeSelector or node affinity asks for none of the cleared nodes: correct it, or label one",
            ),
            Self::Taints => f.write_str("the cleared nodes have taints that it does not tolerate: let it tolerate one, or add nodes without"),
            Self::NodesClosed => f.write_str("the cleared nodes are cordoned or not ready: open one"),
            Self::Volume { claim, volume, lost: true } => {
                write!(f, "its claim {claim} is bound to volume {volume}, which lies in what goes away: restore it elsewhere")
            }
            Self::Volume { claim, volume, lost: false } => {
                write!(f, "its claim {claim} is bound to volume {volume}, which no cleared node can reach: restore it elsewhere")
            }
            Self::ClaimEnding(why) => f.write_str(why),
            Self::DevicesUnknown => {
                f.write_str("it claims devices by resource claims, and nodes do not say how many of them they have left")
            }
            Self::Apart => f.write_str(
                "the cleared nodes that could take it have pods of its own workload, from which its podAntiAffinity or \
                 its hostPort keeps it apart: add nodes",
            ),
            Self::Spread => f.write_str(
                "nodes have room for it, and a topology spread constraint (whenUnsatisfiable: DoNotSchedule) keeps it off \
                 them: add nodes in another domain",
            ),
            Self::TooSmall { resource } => {
                write!(f, "the cleared nodes have less {resource} than it requests even when they are empty: add larger ones")
            }
            Self::Full { resource } => write!(f, "the cleared nodes are full: {resource} runs out first"),
        }
    }
}
