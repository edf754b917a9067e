//! Exploration: every order of events in small worlds, by the code that decides about moves.
//!
//! The operator's side is the core's own; the controllers, the scheduler, the kubelets and the API server are models of a
//! few lines each. In each state that is reached and wherever a run stays, what must hold is held against it.

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
        let Exploration { states, steps, endings, counterexample } = search::explore(scenario)?;
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
