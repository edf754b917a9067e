//! What is wrong with an object, and where.

use std::fmt;

/// A field whose value cannot be used, with what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is, as `spec.offers[0].zones[1].country`.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// What could be read of an object, and what could not.
#[derive(Clone, Debug)]
pub struct Read<T> {
    /// What could be read; `None` when the object means nothing without what could not.
    pub value: Option<T>,
    /// What could not, in the order of the fields.
    pub problems: Vec<Problem>,
}

/// Collects problems under a path of fields.
pub(super) struct Reader<'a> {
    path: String,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(path: &str, problems: &'a mut Vec<Problem>) -> Self {
        Self { path: path.to_owned(), problems }
    }

    /// A reader of a field of this one's.
    pub(super) fn field(&mut self, name: &str) -> Reader<'_> {
        Reader { path: format!("{}.{name}", self.path), problems: self.problems }
    }

    /// A reader of an entry of this one's list.
    pub(super) fn entry(&mut self, index: usize) -> Reader<'_> {
        Reader { path: format!("{}[{index}]", self.path), problems: self.problems }
    }

    pub(super) fn refuse(&mut self, message: impl fmt::Display) {
        self.problems.push(Problem { field: self.path.clone(), message: message.to_string() });
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
