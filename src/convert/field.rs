//! Converted objects, and the reader of fields that collects what cannot be converted.
//!
//! Takes fields one by one under their paths, and returns a diagnostic for each that cannot be used. No other field is lost
//! for it.

use std::{fmt, time::Duration};

use crate::diagnostic::{Diagnostic, FieldDiagnostic, FieldPath};

/// What could be read of an object, and what could not.
#[derive(Clone, Debug)]
pub struct Converted<T> {
    /// What could be read; `None` when the object means nothing without what could not.
    pub value: Option<T>,
    /// What could not, in the order of the fields; what costs nothing else comes last.
    pub problems: Vec<FieldDiagnostic>,
}

/// Collects problems under a path of fields.
pub(super) struct FieldReader<'a> {
    path: String,
    problems: &'a mut Vec<FieldDiagnostic>,
}

impl<'a> FieldReader<'a> {
    pub(super) fn new(path: &str, problems: &'a mut Vec<FieldDiagnostic>) -> Self {
        Self { path: path.to_owned(), problems }
    }

    /// A reader of a field of this one's.
    pub(super) fn field(&mut self, name: &str) -> FieldReader<'_> {
        FieldReader { path: format!("{}.{name}", self.path), problems: self.problems }
    }

    /// A reader of an entry of this one's list.
    pub(super) fn entry(&mut self, index: usize) -> FieldReader<'_> {
        FieldReader { path: format!("{}[{index}]", self.path), problems: self.problems }
    }

    /// A reader at the same place whose problems are collected in `problems`.
    pub(super) fn apart<'b>(&self, problems: &'b mut Vec<FieldDiagnostic>) -> FieldReader<'b> {
        FieldReader { path: self.path.clone(), problems }
    }

    pub(super) fn refuse(&mut self, message: impl fmt::Display) {
        let found = Diagnostic::error("Invalid", message.to_string());
        self.problems.push(found.at_place(FieldPath(self.path.clone())));
    }

    /// The value, or a problem.
    pub(super) fn take<T>(&mut self, parsed: Result<T, impl fmt::Display>) -> Option<T> {
        parsed.map_err(|error| self.refuse(error)).ok()
    }

    /// Every entry of `list` that parses into `C`, and a problem for each other one.
    pub(super) fn each<S: AsRef<str>, T, E: fmt::Display, C: FromIterator<T>>(
        &mut self,
        list: &[S],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> C {
        list.iter()
            .enumerate()
            .filter_map(|(i, text)| parse(text.as_ref()).map_err(|error| self.entry(i).refuse(error)).ok())
            .collect()
    }
}

/// The length of time that `text` says.
pub(super) fn length(text: &str) -> Option<Duration> {
    text.parse::<kube::core::Duration>().ok().filter(|length| !length.is_negative()).map(Duration::from)
}

/// A length of time of a whole second at least, such as `example`.
pub(super) fn duration(text: &str, example: &str, mut reader: FieldReader<'_>) -> Option<Duration> {
    let length = length(text).filter(|length| length.as_secs() > 0);
    if length.is_none() {
        let text = rempart_core::name::quoted(text);
        reader.refuse(format_args!("{text:?} is not a length of time: write hours, minutes or seconds, as {example}"));
    }
    length
}
