//! Endings: what must hold where a run stays, once nothing goes wrong any more.

use super::{
    scenario::{ModelKind, Scenario},
    world::{PodState, World, workload_uid},
};

/// What there is to judge of one state at the end of a run, as bits by workload.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ending {
    /// Workloads of which a pod stands or waits wrong though there is a place for it.
    wrong: u8,
    /// Workloads that hold a turn.
    moving: u8,
    /// Workloads that have fewer ready pods than they should have, though there is a place for more.
    missing: u8,
    /// Whether a node has, or lacks, what it should not.
    is_stamped_wrong: bool,
}

impl Ending {
    /// What there is to judge of `world`.
    pub(super) fn of(world: &World, scenario: &Scenario) -> Self {
        let facts = world.facts(scenario);
        let has_room = world.room(scenario).next().is_some();
        let moving: Vec<_> = world.memory.moving().map(|(owner, _)| owner).collect();
        let mut ending = Self::default();
        for (index, (state, spec)) in world.workloads.iter().zip(scenario.workloads).enumerate() {
            let bit = 1_u8 << index;
            let stands_wrong =
                |pod: &PodState| facts.demanded && pod.node.is_some_and(|node| !facts.cleared[usize::from(node)]);
            // It waits for what no node has, and would not be given it now.
            let waits_in_vain = |pod: &PodState| pod.node.is_none() && pod.selects && !facts.demanded;
            let is_wrong = |pod: &PodState| has_room && (stands_wrong(pod) || waits_in_vain(pod));
            if state.pods.iter().any(is_wrong) {
                ending.wrong |= bit;
            }
            if moving.contains(&workload_uid(index)) {
                ending.moving |= bit;
            }
            let ready = state.pods.iter().filter(|pod| pod.is_ready()).count();
            let wanted = match spec.kind {
                // What went stays gone, by nobody's fault but its owner's.
                ModelKind::Foreign { remakes: false } => spec.at.len().saturating_sub(1),
                _ => world.wanted(scenario, index),
            };
            if ready < wanted && has_room && !spec.sick {
                ending.missing |= bit;
            }
        }
        ending.is_stamped_wrong =
            (0..world.stamped.len()).any(|node| world.stamped[node] != world.should_be_stamped(scenario, node));
        ending
    }
}

/// What is wrong where a run stays in `states`, in which something is moved over and over where `moves` says so.
pub(super) fn wrong_at_the_end<'e>(
    states: impl Iterator<Item = &'e Ending>,
    moves: bool,
    scenario: &Scenario,
) -> Option<String> {
    let nothing = Ending { wrong: u8::MAX, moving: u8::MAX, missing: u8::MAX, is_stamped_wrong: true };
    let always = states.fold(nothing, |all, state| Ending {
        wrong: all.wrong & state.wrong,
        moving: all.moving & state.moving,
        missing: all.missing & state.missing,
        is_stamped_wrong: all.is_stamped_wrong && state.is_stamped_wrong,
    });
    if moves {
        return Some("pods are moved, or templates changed, over and over".to_owned());
    }
    if always.is_stamped_wrong {
        return Some("a node keeps a stamp that it should not have, or lacks one".to_owned());
    }
    let named = |bits: u8| (0..scenario.workloads.len()).find(|index| bits & (1 << index) != 0);
    if let Some(index) = named(always.moving) {
        return Some(format!("w{index} holds its turn for ever"));
    }
    if let Some(index) = named(always.missing) {
        return Some(format!("w{index} stays without a pod though a node has room for it"));
    }
    let stays = |index: &usize| scenario.workloads[*index].stays.is_none();
    let wrong = (0..scenario.workloads.len()).filter(|index| always.wrong & (1 << index) != 0).find(stays);
    wrong.map(|index| format!("a pod of w{index} stands or waits wrong for ever, though a node has room for it"))
}
