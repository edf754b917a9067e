//! Counts and lists as sentences have them.

use std::fmt::Display;

/// `1 workload`, `2 workloads`.
pub(super) fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `a, b, c`; or `a, b and 3 more` where there are more than `most`.
pub(super) fn few<T: Display>(items: impl IntoIterator<Item = T>, most: usize) -> String {
    let mut items = items.into_iter();
    let shown: Vec<String> = items.by_ref().take(most).map(|item| item.to_string()).collect();
    match items.count() {
        0 => shown.join(", "),
        rest => format!("{} and {rest} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_counted() {
        assert_eq!(few(["a", "b", "c"], 3), "a, b, c");
        assert_eq!(few(["a", "b", "c", "d", "e"], 3), "a, b, c and 2 more");
        assert_eq!(few([""; 0], 3), "");
        assert_eq!((counted(1, "node"), counted(0, "node")), ("1 node".into(), "0 nodes".into()));
    }
}
