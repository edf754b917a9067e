//! What the author probably meant.

use std::fmt::Display;

use serde_json::Value;

use rempart_core::{name::quoted, text::Few};

/// How alike two names must be for one to be meant by the other.
const ALIKE: f64 = 0.85;

/// The candidate that `given` is most like, when one is near: first by its letters alone, whatever their case.
pub(super) fn nearest<'c>(given: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    // A name far longer than any of ours is near none of them, and need not be compared.
    let given = (given.len() <= 64).then(|| given.to_lowercase())?;
    let likeness = |candidate: &str| strsim::jaro_winkler(&candidate.to_lowercase(), &given);
    let scored = candidates.map(|candidate| (likeness(candidate), candidate));
    let (best, candidate) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best > ALIKE).then_some(candidate)
}

/// The hint that `candidate` is meant.
pub(super) fn meant(candidate: impl Display) -> String {
    format!("perhaps {candidate} is meant")
}

/// The nearest of the names, or else all of them, as what `kind` of thing they are.
pub(super) fn nearest_or_all<'c>(
    given: &str,
    names: impl Iterator<Item = &'c str> + Clone,
    kind: &str,
) -> Option<String> {
    nearest(given, names.clone())
        .map(meant)
        .or_else(|| names.clone().next().map(|_| format!("the {kind} are {}", Few(names.map(quoted)))))
}

/// Of a `defaultLevel` that is no level: the levels that there are, and the nearest.
pub(super) fn default_level(spec: Option<&Value>) -> Option<String> {
    let spec = spec?;
    let names: Vec<_> =
        spec.get("levels")?.as_array()?.iter().filter_map(|level| level.get("name")?.as_str()).collect();
    let given = spec.get("defaultLevel")?.as_str()?;
    if names.is_empty() || names.contains(&given) {
        return None;
    }
    let all = format!("the levels are {}", Few(names.iter().map(|name| quoted(name))));
    Some(match nearest(given, names.iter().copied()) {
        Some(near) => format!("{}; {all}", meant(quoted(near))),
        None => all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_meant() {
        let near = |given| nearest(given, ["qualifications", "maxPUE", "notExposedTo", "Enforce"].into_iter());
        assert_eq!(near("qualification"), Some("qualifications"));
        assert_eq!(near("maxPue"), Some("maxPUE"));
        assert_eq!(near("enforce"), Some("Enforce"));
        assert_eq!(near("colour"), None);
        assert_eq!(near(&"q".repeat(1000)), None);
        assert_eq!(nearest("a", [].into_iter()), None);
    }

    #[test]
    fn the_levels_are_listed() {
        let spec =
            serde_json::json!({"defaultLevel": "restricte", "levels": [{"name": "public"}, {"name": "restricted"}]});
        assert_eq!(
            default_level(Some(&spec)).unwrap(),
            "perhaps restricted is meant; the levels are public, restricted"
        );
    }
}
