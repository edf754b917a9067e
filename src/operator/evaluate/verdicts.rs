//! Verdicts: those on a pool as its status lists them, for every level and category of every policy.
//!
//! Takes the clearance of a pool and returns the verdicts with as many reasons as find room; what is left out is counted.

use super::{cut, time};
use crate::api::{self, limits};
use rempart_core::{clearance::PoolClearance, reason::Reason, validity::ClearanceValidity};

/// The verdicts on a pool, for every level and category of every policy.
pub(super) fn verdicts(clearance: &PoolClearance<'_>) -> Vec<api::PoolVerdict> {
    let mut verdicts = Vec::new();
    for found in &clearance.policies {
        let policy = found.policy();
        for (rank, level) in policy.levels.iter().enumerate() {
            verdicts.push(api::PoolVerdict {
                policy: policy.name.to_string(),
                level: Some(level.name.to_string()),
                category: None,
                cleared: found.cleared(rank),
                leaving: matches!(found.validity(rank), ClearanceValidity::Withdrawn(_)),
                ends: found.validity(rank).end().map(|end| time(end.at)),
                score: found.score(rank).map(i32::from),
                reasons: reasons(found.reasons(rank).chain(found.ending(rank))),
            });
        }
        for category in policy.categories.keys() {
            verdicts.push(api::PoolVerdict {
                policy: policy.name.to_string(),
                level: None,
                category: Some(category.to_string()),
                cleared: found.cleared_category(category),
                leaving: false,
                ends: None,
                score: None,
                reasons: reasons(found.category_reasons(category)),
            });
        }
    }
    fit(&mut verdicts);
    // The rejected first where not all find room: a verdict that is missing must not be taken for one.
    if verdicts.len() > limits::STATUS_LIST {
        verdicts.sort_by_key(|verdict| (verdict.cleared, verdict.reasons.is_empty()));
        verdicts.truncate(limits::STATUS_LIST);
    }
    verdicts
}

fn reasons<'a>(found: impl Iterator<Item = Reason<'a>>) -> Vec<api::VerdictReason> {
    let mut reasons: Vec<_> = found
        .map(|reason| api::VerdictReason {
            code: reason.code().to_string(),
            message: cut(reason.to_string(), limits::MESSAGE),
        })
        .collect();
    if reasons.len() > limits::REASONS {
        shorten(&mut reasons, limits::REASONS.saturating_sub(1));
    }
    reasons
}

/// How many bytes the verdicts of a status may take. etcd refuses objects of 1.5 MiB, and every reader pays for each byte.
const VERDICTS_SIZE: usize = 256 * 1024;

/// Shortens the reasons, the same way for all, until the verdicts find room. What is left out is counted.
fn fit(verdicts: &mut [api::PoolVerdict]) {
    let size = |verdicts: &[api::PoolVerdict]| -> usize {
        let reasons = verdicts.iter().flat_map(|verdict| &verdict.reasons);
        reasons.map(|reason| reason.code.len().saturating_add(reason.message.len()).saturating_add(32)).sum()
    };
    for kept in [16, 4, 1] {
        if size(verdicts) <= VERDICTS_SIZE {
            return;
        }
        for verdict in verdicts.iter_mut() {
            shorten(&mut verdict.reasons, kept);
        }
    }
}

/// Keeps the first `kept` of `reasons`, and counts the rest.
fn shorten(reasons: &mut Vec<api::VerdictReason>, kept: usize) {
    // A count that an earlier round left stands for more than one.
    let counted = reasons.iter().position(|reason| reason.code == MORE).and_then(|at| {
        let count = reasons.remove(at);
        count.message.split_ascii_whitespace().nth(1).and_then(|number| number.parse::<usize>().ok())
    });
    let left = reasons.len().saturating_sub(kept).saturating_add(counted.unwrap_or(0));
    reasons.truncate(kept);
    if left > 0 {
        reasons.push(api::VerdictReason { code: MORE.to_owned(), message: format!("and {left} further reasons") });
    }
}

/// The code that stands for reasons that did not find room.
pub(in crate::operator) const MORE: &str = "More";

/// The exceptions that let pods onto a pool.
pub(super) fn exceptions_of_pool(clearance: &PoolClearance<'_>) -> Vec<api::PoolException> {
    let policies = clearance.policies.iter().flat_map(|found| found.let_in().map(|let_in| (found.policy(), let_in)));
    policies
        .map(|(policy, (name, exception))| api::PoolException {
            policy: policy.name.to_string(),
            name: name.to_string(),
            level: policy.levels.at(exception.rank).map(|level| level.name.to_string()).unwrap_or_default(),
            until: exception.until.to_string(),
        })
        .take(limits::STATUS_LIST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_find_no_room_are_counted() {
        let reason = |i: usize| api::VerdictReason { code: format!("Code{i}"), message: "x".repeat(1000) };
        let verdict = api::PoolVerdict { reasons: (0..40).map(reason).collect(), ..api::PoolVerdict::default() };
        let mut few = vec![verdict.clone(); 2];
        fit(&mut few);
        assert_eq!(few[0].reasons.len(), 40, "what finds room stays whole");
        let mut many = vec![verdict; 100];
        fit(&mut many);
        for verdict in &many {
            assert_eq!(verdict.reasons.last().unwrap().message, "and 39 further reasons");
            assert_eq!(verdict.reasons.first().unwrap().code, "Code0");
        }
        assert!(serde_json::to_string(&many).unwrap().len() < 2 * VERDICTS_SIZE);
    }
}
