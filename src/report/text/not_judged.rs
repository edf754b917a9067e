//! Section of what was not judged: objects and paths of which nothing is known.
//!
//! Takes what was passed over, and names each thing that somebody might take for placeable.

use super::few;
use crate::report::location::{IgnoredKinds, UnreadPath};
use crate::terminal::{TextPage, Tone};
use rempart_core::text::counted;

/// How many entries the list has at most.
const MOST: usize = 50;

/// How many levels and categories an entry names.
const NAMED: usize = 6;

/// Names each object and path that was not judged.
pub(super) fn print(page: &mut TextPage, ignored: &IgnoredKinds) {
    if ignored.is_all_judged() {
        return;
    }
    page.ruled_heading("Not judged");
    let objects = ignored.unjudged.iter().map(|object| match object.says.as_slice() {
        [] => object.to_string(),
        says => format!("{object} ({})", few(says.iter(), NAMED)),
    });
    let paths = ignored.unread.iter().map(|UnreadPath { path, reason }| format!("{path}: {reason}"));
    for line in objects.chain(paths).take(MOST) {
        page.item("·", &line, Tone::Plain);
    }
    let all = ignored.unjudged.len().saturating_add(ignored.unread.len());
    let left_out = all.saturating_sub(MOST);
    if left_out > 0 {
        page.say(&format!("And {left_out} more; -o json lists each."), Tone::Faint);
    }
}

/// `3 objects not judged`, `1 path not read`; nothing where there is none.
pub(super) fn summary(ignored: &IgnoredKinds) -> impl Iterator<Item = String> + use<> {
    let IgnoredKinds { kinds: _, unjudged, unread } = ignored;
    let objects =
        (!unjudged.is_empty()).then(|| format!("{} not judged", counted(unjudged.len(), "object", "objects")));
    let paths = (!unread.is_empty()).then(|| format!("{} not read", counted(unread.len(), "path", "paths")));
    objects.into_iter().chain(paths)
}
