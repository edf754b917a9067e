//! Hints of a kind's own: what the author of an object probably meant.
//!
//! Takes the object, and returns a sentence where one of its names is none of those that it lists itself.

use serde_json::Value;

use crate::diagnostic::suggest::{meant, nearest};
use rempart_core::{name::quoted, text::FewDisplay};

/// Of a `field` that names a level and names none of the policy's: the levels that there are, and the nearest.
pub(super) fn level(spec: Option<&Value>, field: &str) -> Option<String> {
    let spec = spec?;
    let names: Vec<_> =
        spec.get("levels")?.as_array()?.iter().filter_map(|level| level.get("name")?.as_str()).collect();
    let given = spec.get(field)?.as_str()?;
    if names.is_empty() || names.contains(&given) {
        return None;
    }
    let all = format!("the levels are {}", FewDisplay(names.iter().map(|name| quoted(name))));
    Some(match nearest(given, names.iter().copied()) {
        Some(near) => format!("{}; {all}", meant(quoted(near))),
        None => all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_are_listed() {
        let spec =
            serde_json::json!({"defaultLevel": "restricte", "levels": [{"name": "public"}, {"name": "restricted"}]});
        assert_eq!(
            level(Some(&spec), "defaultLevel").unwrap(),
            "perhaps restricted is meant; the levels are public, restricted"
        );
    }
}
