//! Suggestions: the name that was probably meant by one that does not exist.
//!
//! Takes a name that somebody wrote and the names that there are, and returns the nearest or a sentence about it. Case does
//! not count, and a name is near only when it differs by a slip or two, so that a name of something else is left alone.

use std::fmt::Display;

use rempart_core::{name::quoted, text::FewDisplay};

/// The one of `known` that is nearly `written`, and not exactly.
pub fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = quoted(written).to_lowercase();
    let length = lower.chars().count();
    let slips = |candidate: &str| {
        let allowed = slips_allowed(candidate);
        // Nearly all that is written differs by more in its length alone, and is not compared.
        let near = candidate.chars().count().abs_diff(length) <= allowed;
        let slips = near.then(|| strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()));
        slips.filter(|slips| *slips <= allowed)
    };
    let near = known.into_iter().filter(|candidate| *candidate != written);
    let best = near.filter_map(|candidate| Some((slips(candidate)?, candidate))).min_by_key(|(slips, _)| *slips);
    best.map(|(_, candidate)| candidate)
}

/// Two slips of the pen, fewer in short words: `Node` is not meant by `Role`.
fn slips_allowed(known: &str) -> usize {
    match known.len() {
        0..=3 => 0,
        4..=5 => 1,
        _ => 2,
    }
}

/// The hint that `candidate` is meant.
pub fn meant(candidate: impl Display) -> String {
    format!("perhaps {candidate} is meant")
}

/// The hint that the nearest of `known` is meant, or else which there are, as what `kind` of thing they are.
pub fn nearest_or_all<'k>(
    written: &str,
    known: impl IntoIterator<Item = &'k str, IntoIter: Clone>,
    kind: &str,
) -> Option<String> {
    let known = known.into_iter();
    nearest(written, known.clone())
        .map(meant)
        .or_else(|| known.clone().next().map(|_| format!("the {kind} are {}", FewDisplay(known.map(quoted)))))
}

/// Sorts `known` by likeness to `written`, the most alike first, and leaves each out but once.
pub fn sort_by_likeness(written: &str, known: &mut Vec<String>) {
    let written = quoted(written);
    let unlike = |name: &str| -strsim::jaro_winkler(name, &written);
    known.sort_by(|a, b| unlike(a).total_cmp(&unlike(b)).then_with(|| a.cmp(b)));
    known.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_meant() {
        let near = |written| nearest(written, ["qualifications", "maxPUE", "notExposedTo", "Enforce"]);
        assert_eq!(near("qualification"), Some("qualifications"));
        assert_eq!(near("maxPue"), Some("maxPUE"));
        assert_eq!(near("enforce"), Some("Enforce"));
        assert_eq!(near("colour"), None);
        assert_eq!(near(&"q".repeat(1000)), None);
        assert_eq!(nearest("a", []), None);
    }

    #[test]
    fn a_name_of_something_else_is_left_alone() {
        let near = |written| nearest(written, ["Node", "Pod", "Deployment", "StatefulSet"]);
        for other in ["Role", "Job", "NodePool", "PodMonitor", "Service"] {
            assert_eq!(near(other), None, "{other}");
        }
        assert_eq!(near("Deploymnet"), Some("Deployment"));
        assert_eq!(near("Statefulset"), Some("StatefulSet"));
    }

    #[test]
    fn what_is_most_alike_comes_first() {
        let mut known = ["zone", "region", "zones", "zone"].map(str::to_owned).to_vec();
        sort_by_likeness("zon", &mut known);
        assert_eq!(known, ["zone", "zones", "region"]);
    }
}
