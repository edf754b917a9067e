//! Clearance matrix: which pool is cleared for which level and category, and the reasons where it is not.
//!
//! It takes a snapshot and prints the verdicts in the statuses of the pools, as tables and sentences. It judges nothing
//! itself.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::snapshot::{ClearanceSubject, ClusterSnapshot};
use crate::terminal::{TerminalOutput, TextStyle, counted, listed};
use rempart::api::{PlacementPoolSpec, QualificationInForce};

/// For each pool, for each subject, what speaks against it: nothing where it is cleared.
pub(super) type ClearanceMatrix = BTreeMap<String, BTreeMap<ClearanceSubject, BTreeSet<String>>>;

/// The matrix as the statuses have it.
pub(super) fn matrix(seen: &ClusterSnapshot) -> ClearanceMatrix {
    let row = |pool: &str| {
        let cell = |subject: ClearanceSubject| {
            let verdict = seen.verdict(pool, &subject)?;
            let codes = verdict.reasons.iter().map(|reason| reason.code.clone()).collect();
            Some((subject, codes))
        };
        seen.subjects().into_iter().filter_map(cell).collect()
    };
    seen.pools.keys().map(|pool| (pool.clone(), row(pool))).collect()
}

/// Prints the offer, zone, nodes and qualifications of each pool.
pub(super) fn print_pools(terminal: TerminalOutput, seen: &ClusterSnapshot) -> Result<()> {
    let rows = seen.pools.iter().map(|(name, pool)| {
        let PlacementPoolSpec { provider, offer, zone, .. } = &pool.spec;
        let object = seen.providers.get(provider);
        let recorded = object.and_then(|found| found.spec.offers.iter().find(|found| found.name == *offer));
        let site = recorded.and_then(|found| found.zones.iter().find(|found| found.name == *zone));
        let worth = object.and_then(|found| found.status.as_ref()?.offers.iter().find(|found| found.name == *offer));
        let covers = |found: &&QualificationInForce| {
            found.regions.is_empty() || site.is_some_and(|site| found.regions.contains(&site.region))
        };
        let in_force = worth.into_iter().flat_map(|found| found.in_force.iter().filter(covers));
        let in_force = in_force.map(|found| match &found.until {
            Some(until) => format!("{} {until}", found.scheme),
            None => format!("{} (no end)", found.scheme),
        });
        let country = site.map_or("?", |site| site.country.as_str());
        let mut row = vec![(name.clone(), TextStyle::Strong)];
        if terminal.narrow() {
            row.push((format!("{provider}/{offer}\n {zone}, {country}"), TextStyle::Plain));
        } else {
            row.push((format!("{provider}/{offer}"), TextStyle::Plain));
            row.push((format!("{zone}, {country}"), TextStyle::Plain));
        }
        row.push((seen.nodes_of(name).count().to_string(), TextStyle::Plain));
        row.push((in_force.collect::<Vec<_>>().join("\n"), TextStyle::Plain));
        row
    });
    let header: &[&str] = if terminal.narrow() {
        &["pool", "offer and zone", "nodes", "certified until"]
    } else {
        &["pool", "offer", "zone", "nodes", "certified until"]
    };
    let every: Vec<usize> = (0..header.len()).collect();
    terminal.table(header, rows.collect(), &every)?;
    let strays = seen.nodes.len().saturating_sub(seen.pools.keys().map(|pool| seen.nodes_of(pool).count()).sum());
    if strays > 0 {
        terminal.gap()?;
        terminal.say_as(
            &format!("And {} of no pool, for which nobody vouches.", counted(strays, "node")),
            TextStyle::Faint,
        )?;
    }
    Ok(())
}

/// The table of pools and subjects.
pub(super) fn print(terminal: TerminalOutput, seen: &ClusterSnapshot) -> Result<()> {
    let subjects = seen.subjects();
    let header: Vec<String> = std::iter::once("pool".to_owned())
        .chain(subjects.iter().map(|subject| match subject {
            ClearanceSubject::Level(name) => name.clone(),
            ClearanceSubject::Category(name) => format!("+ {name}"),
        }))
        .collect();
    let found = matrix(seen);
    let rows = found.iter().map(|(pool, row)| {
        let cells = subjects.iter().map(|subject| match row.get(subject) {
            Some(codes) if codes.is_empty() => {
                let score = seen.verdict(pool, subject).and_then(|verdict| verdict.score);
                (score.map_or_else(|| "✔".to_owned(), |score| format!("✔ {score}")), TextStyle::Good)
            }
            Some(codes) => {
                (codes.iter().map(|code| shown(terminal, code)).collect::<Vec<_>>().join("\n"), TextStyle::Bad)
            }
            None => ("?".to_owned(), TextStyle::Bad),
        });
        std::iter::once((pool.clone(), TextStyle::Strong)).chain(cells).collect()
    });
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let every: Vec<usize> = (0..header.len()).collect();
    terminal.table(&header, rows.collect(), &every)?;
    Ok(())
}

/// When a verdict next changes by itself, and which pools have a certificate that ends then.
pub(super) fn print_next_change(terminal: TerminalOutput, seen: &ClusterSnapshot) -> Result<()> {
    let Some(next) = seen.policy.status.as_ref().and_then(|status| status.next_change.as_ref()) else {
        return Ok(());
    };
    let ends = |pool: &&String| {
        let status = seen.pools.get(*pool).and_then(|pool| pool.status.as_ref());
        status.and_then(|status| status.next_expiry.as_ref()).is_some_and(|end| end == next)
    };
    let pools: Vec<&String> = seen.pools.keys().filter(ends).collect();
    let why = if pools.is_empty() { String::new() } else { format!(", when a certificate of {} ends", listed(pools)) };
    terminal.gap()?;
    terminal.say(&format!("The next of these verdicts changes by itself at {}{why}.", next.0))?;
    Ok(())
}

/// A code as it fits: with a break in its middle where it is long and the terminal narrow.
fn shown(terminal: TerminalOutput, code: &str) -> String {
    let longest = if terminal.narrow() { 12 } else { 20 };
    let humps = code.char_indices().skip(1).filter(|(_, character)| character.is_ascii_uppercase());
    let middle = humps.map(|(at, _)| at).min_by_key(|at| at.abs_diff(code.len() / 2));
    match middle.filter(|_| code.len() > longest).and_then(|at| code.split_at_checked(at)) {
        Some((front, back)) => format!("{front}\n {back}"),
        None => code.to_owned(),
    }
}

/// Every reason once, in full, with the pools that it is about.
pub(super) fn print_reasons(terminal: TerminalOutput, seen: &ClusterSnapshot) -> Result<()> {
    let mut pools_of: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for pool in seen.pools.keys() {
        for subject in seen.subjects() {
            for reason in seen.verdict(pool, &subject).into_iter().flat_map(|verdict| &verdict.reasons) {
                pools_of.entry((&reason.code, &reason.message)).or_default().insert(pool);
            }
        }
    }
    let mut last = "";
    for ((code, message), pools) in pools_of {
        if code != last {
            terminal.say_as(code, TextStyle::Bad)?;
            last = code;
        }
        terminal.item("  ·", &format!("{}: {message}", listed(pools)))?;
    }
    Ok(())
}

/// Prints the differences between two matrices, a line each, and returns their number.
pub(super) fn print_difference(
    terminal: TerminalOutput,
    before: &ClearanceMatrix,
    after: &ClearanceMatrix,
) -> Result<usize> {
    let nothing = BTreeMap::new();
    let mut rows = Vec::new();
    for (pool, now) in after {
        let then = before.get(pool).unwrap_or(&nothing);
        for (subject, codes) in now {
            let earlier = then.get(subject);
            if earlier != Some(codes) {
                let said = |codes: Option<&BTreeSet<String>>| match codes {
                    Some(codes) if codes.is_empty() => ("✔".to_owned(), TextStyle::Good),
                    Some(codes) => (listed(codes), TextStyle::Bad),
                    None => ("?".to_owned(), TextStyle::Bad),
                };
                let (pool, subject) = ((pool.clone(), TextStyle::Strong), (subject.to_string(), TextStyle::Plain));
                rows.push(vec![pool, subject, said(earlier), said(Some(codes))]);
            }
        }
    }
    let number = rows.len();
    terminal.table(&["pool", "for", "before", "now"], rows, &[0, 1])?;
    Ok(number)
}
