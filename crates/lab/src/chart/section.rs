//! Generated sections: a part of a text that people write, between two lines.
//!
//! Takes the text, the line that begins the section and what is to stand in it, and returns the text with that in it.

use crate::{LabError, Result};

/// The line that ends every section.
const END: &str = "<!-- Generated until here. -->\n";

/// `text` with `generated` in the section that begins with the line `begin`.
///
/// # Errors
/// When there is no such section.
pub(super) fn replace(text: &str, begin: &str, generated: &str) -> Result<String> {
    let parts = text.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| {
        LabError::Unsupported(format!("there is no place for what is generated, between {begin:?} and {END:?}"))
    })?;
    Ok(format!("{before}{begin}\n{generated}\n{END}{after}"))
}
