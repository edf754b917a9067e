//! Search: every state that a scenario reaches, breadth first, and what must hold in each and at the end.
//!
//! States are kept as 128-bit hashes with the way that led to them; only those that are still to be followed are kept
//! whole. A run ends where it stays once nothing goes wrong any more: in a component of states, strongly connected by what
//! is no fault, that no such step leaves.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher},
};

use anyhow::bail;
use petgraph::{
    algo::kosaraju_scc,
    graph::{Graph, NodeIndex},
};

use super::{
    action::{Step, steps},
    ending::{Ending, wrong_at_the_end},
    objects::SharedObjects,
    scenario::Scenario,
    script::PathStep,
    world::World,
};

/// More states than this, and a scenario is too large to be explored whole.
const MOST_STATES: usize = 3_000_000;

/// What was found.
#[derive(Debug)]
pub(super) struct Exploration {
    pub(super) states: usize,
    pub(super) steps: usize,
    /// Components in which a run stays.
    pub(super) endings: usize,
    pub(super) counterexample: Option<Counterexample>,
    /// The shortest run to the ending that is the furthest away.
    pub(super) example: Vec<PathStep>,
}

/// A run that ends in what must not be.
#[derive(Debug)]
pub(super) struct Counterexample {
    pub(super) breach: String,
    pub(super) path: Vec<PathStep>,
}

/// How a state was first reached: from which other, by which of its steps.
#[derive(Clone, Copy)]
struct Origin {
    from: u32,
    step: u16,
}

/// Explores `scenario` whole, or to the first breach.
///
/// # Errors
/// When it has too many states.
pub(super) fn explore(scenario: &Scenario) -> anyhow::Result<Exploration> {
    let shared = SharedObjects::new(scenario)?;
    let first = World::initial(scenario);
    let mut search = Search {
        known: HashMap::from([(fingerprint(&first), 0)]),
        origins: vec![Origin { from: 0, step: 0 }],
        endings: vec![Ending::of(&first, scenario)],
        graph: Graph::new(),
    };
    search.graph.add_node(());
    let mut todo = VecDeque::from([(0_u32, first)]);
    let mut taken = 0_usize;
    while let Some((at, world)) = todo.pop_front() {
        for (number, step) in steps(&world, scenario, &shared).into_iter().enumerate() {
            taken = taken.saturating_add(1);
            let origin = Origin { from: at, step: u16::try_from(number).unwrap_or(u16::MAX) };
            if let Some(breach) = step.breach.clone() {
                let mut path = search.path(at, scenario, &shared)?;
                path.push(path_step(step));
                return Ok(search.found(taken, 0, Some(Counterexample { breach, path })));
            }
            let Step { action, world, moves, .. } = step;
            let next = fingerprint(&world);
            let to = if let Some(known) = search.known.get(&next) {
                *known
            } else {
                if search.origins.len() >= MOST_STATES {
                    bail!("{}: more than {MOST_STATES} states", scenario.name);
                }
                let new = u32::try_from(search.origins.len())?;
                search.known.insert(next, new);
                search.origins.push(origin);
                search.endings.push(Ending::of(&world, scenario));
                search.graph.add_node(());
                todo.push_back((new, world));
                new
            };
            if !action.is_fault() {
                search.graph.add_edge(NodeIndex::new(at as usize), NodeIndex::new(to as usize), moves);
            }
        }
    }
    search.judge_endings(taken, scenario, &shared)
}

struct Search {
    known: HashMap<u128, u32>,
    origins: Vec<Origin>,
    endings: Vec<Ending>,
    /// The states, with what is no fault between them, and whether it moves anything.
    graph: Graph<(), bool>,
}

impl Search {
    fn found(&self, steps: usize, endings: usize, counterexample: Option<Counterexample>) -> Exploration {
        Exploration { states: self.origins.len(), steps, endings, counterexample, example: Vec::new() }
    }

    /// The shortest way to the state `at`.
    fn path(&self, at: u32, scenario: &Scenario, shared: &SharedObjects) -> anyhow::Result<Vec<PathStep>> {
        let mut numbers = Vec::new();
        let mut state = at;
        while state != 0 {
            let Some(origin) = self.origins.get(state as usize) else { bail!("no state {state}") };
            numbers.push(usize::from(origin.step));
            state = origin.from;
        }
        let mut world = World::initial(scenario);
        let mut path = Vec::new();
        for number in numbers.into_iter().rev() {
            let Some(step) = steps(&world, scenario, shared).into_iter().nth(number) else { bail!("no step {number}") };
            world = step.world.clone();
            path.push(path_step(step));
        }
        Ok(path)
    }

    /// Judges every component of states in which a run may stay.
    fn judge_endings(&self, taken: usize, scenario: &Scenario, shared: &SharedObjects) -> anyhow::Result<Exploration> {
        let mut component_of = vec![0_u32; self.graph.node_count()];
        let components = kosaraju_scc(&self.graph);
        for (number, component) in components.iter().enumerate() {
            for node in component {
                component_of[node.index()] = u32::try_from(number)?;
            }
        }
        let (mut endings, mut furthest) = (0_usize, 0_usize);
        for component in &components {
            let inside = component_of[component[0].index()];
            let leaves = |node: &NodeIndex| self.graph.neighbors(*node).any(|to| component_of[to.index()] != inside);
            if component.iter().any(leaves) {
                continue;
            }
            endings = endings.saturating_add(1);
            furthest = furthest.max(component.iter().map(|node| node.index()).min().unwrap_or_default());
            let states = component.iter().map(|node| &self.endings[node.index()]);
            let moves = component.iter().any(|node| self.graph.edges(*node).any(|edge| *edge.weight()));
            if let Some(breach) = wrong_at_the_end(states, moves, scenario) {
                let first = component.iter().map(|node| node.index()).min().unwrap_or_default();
                let path = self.path(u32::try_from(first)?, scenario, shared)?;
                return Ok(self.found(taken, endings, Some(Counterexample { breach, path })));
            }
        }
        let example = self.path(u32::try_from(furthest)?, scenario, shared)?;
        Ok(Exploration { example, ..self.found(taken, endings, None) })
    }
}

fn path_step(step: Step) -> PathStep {
    let Step { action, elapsed, refused, world, .. } = step;
    PathStep { action, elapsed, refused, world }
}

/// The hash of a state: two of 64 bits that differ in their beginning.
fn fingerprint(world: &World) -> u128 {
    let hash = |salt: u64| {
        let mut hasher = BuildHasherDefault::<DefaultHasher>::default().build_hasher();
        salt.hash(&mut hasher);
        world.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    (hash(1) << 64) | hash(2)
}
