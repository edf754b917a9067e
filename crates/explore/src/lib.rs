//! Exploration: every order of events in small worlds, by the code that decides about moves.
//!
//! The operator's side is the core's own; the controllers, the scheduler, the kubelets and the API server are models of a
//! few lines each. In each state that is reached and wherever a run stays, what must hold is held against it.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::struct_excessive_bools,
    reason = "nodes, workloads and pods are numbered by the world that they are taken from; what is said of them are facts of a world"
)]

mod action;
mod controllers;
mod ending;
mod objects;
mod scenario;
mod script;
mod search;
mod world;

use std::fmt::Write as _;

use anyhow::bail;

use self::{scenario::SCENARIOS, search::Exploration};

/// A run of a world, from its beginning to where it stays.
#[derive(Clone, Debug)]
pub struct ExampleRun {
    /// The world.
    pub name: &'static str,
    /// The run as a script for `rempart-lab simulate`.
    pub script: String,
    /// What the operator asked for in it, in order: the kind of write and its object.
    pub writes: Vec<String>,
}

/// A long run of the world `name`.
///
/// # Errors
/// When there is no such world, or it cannot be explored.
pub fn example(name: &str) -> anyhow::Result<ExampleRun> {
    let Some(scenario) = SCENARIOS.iter().find(|scenario| scenario.name == name) else { bail!("no world {name:?}") };
    let path = search::explore(scenario)?.example;
    let script = script::script(scenario, "a run to where it stays", &path);
    Ok(ExampleRun { name: scenario.name, script, writes: script::writes(scenario, &path) })
}

/// The names of all worlds.
pub fn worlds() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name)
}

/// What must not happen and can.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{told}")]
pub struct Breach {
    /// In which world, what, and the shortest way to it, step by step.
    pub told: String,
    /// The same as a script for `rempart-lab simulate`.
    pub script: String,
}

/// Explores the worlds whose names contain `filter`, and tells of each how many states it has and how its runs end: a
/// line each, and one of all.
///
/// # Errors
/// The first [`Breach`]; or that no world has such a name.
pub fn explore(filter: &str, tell: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    let (mut all_states, mut all_steps, mut worlds) = (0_usize, 0_usize, 0_usize);
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.name.contains(filter)) {
        let Exploration { states, steps, endings, counterexample, example: _ } = search::explore(scenario)?;
        if let Some(found) = counterexample {
            let mut told = format!("{}: {}\n", scenario.name, found.breach);
            for (number, step) in found.path.iter().enumerate() {
                writeln!(told, "{:>4}. {}", number.saturating_add(1), step.action)?;
            }
            let script = script::script(scenario, &found.breach, &found.path);
            bail!(Breach { told, script });
        }
        tell(&format!("{states:>9} states {steps:>9} steps {endings:>6} endings  {}", scenario.name));
        worlds = worlds.saturating_add(1);
        (all_states, all_steps) = (all_states.saturating_add(states), all_steps.saturating_add(steps));
    }
    if worlds == 0 {
        bail!("no world has a name with {filter:?}");
    }
    tell(&format!("{all_states:>9} states {all_steps:>9} steps in {worlds} worlds"));
    Ok(())
}
