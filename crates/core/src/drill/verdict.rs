//! Drill verdict: the one sentence that a drill comes to, and what kind of answer it is.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString as _},
};
use core::fmt;

use super::{Drill, RemovedPlace};
use crate::text::{ListDisplay, counted};

/// That it is an estimate, and of what.
pub const ESTIMATE: &str = "This is an estimate: pods are given nodes one after the other, each the cleared node with the \
                            largest share left, as kube-scheduler prefers it. Its order, priorities, preemption, affinity \
                            to other pods and what an autoscaler would add are not known here.";

/// What a drill comes to, in one sentence.
pub struct VerdictDisplay<'d>(pub &'d Drill<'d>);

impl fmt::Display for VerdictDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.room(f)?;
        let Drill { control_plane, control_plane_left, .. } = self.0;
        if control_plane.is_empty() {
            return Ok(());
        }
        let pools = ListDisplay(control_plane.iter());
        if self.0.control_plane_goes() {
            return write!(
                f,
                " The control plane (pool {pools}) goes too: until it runs elsewhere, nothing is placed anew at all. \
                 Spread it over places that do not go away together, and record each."
            );
        }
        let left = counted(*control_plane_left, "other stays", "others stay");
        write!(f, " Of the control plane pool {pools} goes too, and {left} there.")
    }
}

impl VerdictDisplay<'_> {
    /// Whether what runs would have room.
    fn room(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Drill { without, nodes, counts, .. } = self.0;
        let places = joined(without);
        let waiting = match counts.waiting {
            0 => String::new(),
            1 => "; 1 more has no node even with all that is there".to_owned(),
            more => format!("; {more} more have no node even with all that is there"),
        };
        if nodes.is_empty() {
            return write!(f, "No node belongs to {places}, so that nothing would go away{waiting}.");
        }
        let gone = counted(nodes.len(), "node", "nodes");
        match (counts.displaced, counts.stranded) {
            (0, _) => write!(f, "Without {places} ({gone}), no pod would have to find another node{waiting}."),
            (1, 0) => write!(f, "Without {places} ({gone}), the one pod that loses its node finds another{waiting}."),
            (all, 0) => {
                write!(f, "Without {places} ({gone}), all {all} pods that lose their node find another{waiting}.")
            }
            (1, _) => write!(f, "Without {places} ({gone}), the one pod that loses its node finds no other{waiting}."),
            (all, stranded) if all == stranded => {
                write!(
                    f,
                    "Without {places} ({gone}), none of the {all} pods that lose their node finds another{waiting}."
                )
            }
            (all, stranded) => {
                let find = if stranded == 1 { "finds" } else { "find" };
                write!(
                    f,
                    "Without {places} ({gone}), {stranded} of {all} pods that lose their node {find} no other{waiting}."
                )
            }
        }
    }
}

/// `provider a`, `provider a, zone b and pool c`.
fn joined(places: &[RemovedPlace]) -> String {
    match places {
        [] => "anything".to_owned(),
        [only] => only.to_string(),
        [first @ .., last] => format!("{} and {last}", ListDisplay(first.iter())),
    }
}
