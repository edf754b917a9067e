//! Sentences for people: lists that read the same everywhere.

use std::fmt;

/// Writes `a, b, c`.
pub(crate) fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: impl IntoIterator<Item = T>) -> fmt::Result {
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

/// An iterator that displays as `a, b, c`, or as `none` when it is empty.
pub(crate) struct Listed<I>(pub(crate) I);

impl<I: Iterator<Item: fmt::Display> + Clone> fmt::Display for Listed<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.clone().next().is_none() {
            return f.write_str("none");
        }
        list(f, self.0.clone())
    }
}
