//! Capped lists of diagnostics: so many of each file that somebody may read them.
//!
//! Takes diagnostics one by one, and returns those that fit with a count of the rest. Errors are never counted as warnings.

use std::collections::BTreeMap;

use super::{
    Diagnostic, Severity,
    position::{TextPosition, TextSpan},
    source::FileId,
};

/// How much is told of one file. A file of a million wrong values is one mistake, and must not fill the memory.
const MOST: usize = 1000;

/// Diagnostics, at most [`MOST`] of a file; the rest is counted.
#[derive(Clone, Debug, Default)]
pub struct CappedDiagnostics {
    kept: Vec<Diagnostic>,
    /// How many there are of each file, and the worst of those that are only counted.
    counted: BTreeMap<FileId, (usize, Option<Severity>)>,
}

impl CappedDiagnostics {
    /// Takes in `diagnostic`.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let Some(place) = diagnostic.place else { return self.kept.push(diagnostic) };
        let (count, worst) = self.counted.entry(place.file).or_default();
        *count = count.saturating_add(1);
        if *count <= MOST {
            self.kept.push(diagnostic);
        } else {
            // Of the two, an error sorts first.
            *worst = Some(worst.map_or(diagnostic.severity, |worst| worst.min(diagnostic.severity)));
        }
    }

    /// Takes in all that `other` has told and counted.
    pub fn append(&mut self, other: Self) {
        let Self { kept, mut counted } = other;
        for diagnostic in kept {
            if let Some((count, _)) = diagnostic.place.and_then(|place| counted.get_mut(&place.file)) {
                *count = count.saturating_sub(1);
            }
            self.push(diagnostic);
        }
        for (file, (rest, worst)) in counted.into_iter().filter(|(_, (rest, _))| *rest > 0) {
            let (known, known_worst) = self.counted.entry(file).or_default();
            *known = known.saturating_add(rest);
            *known_worst = (*known_worst).into_iter().chain(worst).min();
        }
    }

    /// How many are told.
    #[must_use]
    pub fn told(&self) -> usize {
        self.kept.len()
    }

    /// Those that are told after the first `told`, which are told no more.
    pub fn take_back(&mut self, told: usize) -> Vec<Diagnostic> {
        let taken = self.kept.split_off(told.min(self.kept.len()));
        for file in taken.iter().filter_map(|diagnostic| Some(diagnostic.place?.file)) {
            if let Some((count, _)) = self.counted.get_mut(&file) {
                *count = count.saturating_sub(1);
            }
        }
        taken
    }

    /// All of them, and of each file with more than are told, how many more.
    #[must_use]
    pub fn into_vec(self) -> Vec<Diagnostic> {
        let Self { mut kept, counted } = self;
        for (file, (count, worst)) in counted {
            let Some(severity) = worst else { continue };
            let message = format!("{} more of this file are not told", count.saturating_sub(MOST));
            let rest = Diagnostic::new(severity, "AndMore", message).at(file, TextSpan::at(TextPosition::START));
            kept.push(rest.hint("correct what is told, and look again"));
        }
        kept
    }
}

impl Extend<Diagnostic> for CappedDiagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: I) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::source::SourceMap;

    #[test]
    fn what_is_taken_back_is_not_counted() {
        let file = SourceMap::default().add("f", String::new());
        let place = TextSpan::at(TextPosition::START);
        let wrong = |number: usize| Diagnostic::warning("Wrong", number.to_string()).at(file, place);
        let mut told = CappedDiagnostics::default();
        told.extend((0..10).map(wrong));
        let before = told.told();
        told.extend((0..MOST).map(wrong));
        assert_eq!(told.take_back(before).len(), MOST - 10);
        told.push(wrong(0));
        assert_eq!(told.told(), 11);
    }

    #[test]
    fn a_file_of_a_million_mistakes_is_told_in_part() {
        let file = SourceMap::default().add("f", String::new());
        let place = TextSpan::at(TextPosition::START);
        let mut told = CappedDiagnostics::default();
        told.extend((0..5000).map(|_| Diagnostic::warning("Wrong", "wrong").at(file, place)));
        told.push(Diagnostic::error("Wrong", "wrong").at(file, place));
        told.push(Diagnostic::error("NotFound", "elsewhere"));
        let told = told.into_vec();
        assert_eq!(told.len(), MOST + 2);
        let rest = told.last().unwrap();
        assert_eq!((rest.severity, rest.message.as_str()), (Severity::Error, "4001 more of this file are not told"));
    }
}
