//! Command output: standard output, standard error and files.
//!
//! Takes text that is laid out already, and writes it. A reader that has had enough is no error.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Context;

use crate::{
    diagnostic::{Diagnostic, source::SourceMap},
    terminal::{ColourChoice, StyledText, TextLayout, TextPage, layout_of_errors},
};

/// Writes `text` to standard output.
///
/// # Errors
/// When standard output cannot be written, as on a full disk.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    written(io::stdout().lock().write_all(text.as_bytes()))
}

/// Writes to standard output, a part at a time.
///
/// # Errors
/// When standard output cannot be written, as on a full disk.
pub(super) fn stream(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    written(write(&mut out).and_then(|()| out.flush()))
}

/// A reader that has had enough, as `head`, is no error.
fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context(UNWRITABLE),
    }
}

const UNWRITABLE: &str = "standard output cannot be written";

/// Whether `error` is that standard output cannot be written.
pub(super) fn is_unwritable(error: &anyhow::Error) -> bool {
    error.to_string() == UNWRITABLE
}

/// Writes `text` to standard error. When that fails too, there is nobody left to tell.
pub(super) fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Notes on standard error what nobody has to mend.
pub(super) fn note(message: &str) {
    paragraph("note", message);
}

/// Warns on standard error.
pub(super) fn warn(message: &str) {
    paragraph("warning", message);
}

/// Writes a paragraph to standard error, in lines that are as long as a line may be, and an empty line.
fn paragraph(what: &str, message: &str) {
    let mut page = TextPage::new(layout_of_errors(ColourChoice::Never));
    page.line(0, StyledText::of(format!("{what}: {message}")));
    complain(&format!("{}\n", page.into_text()));
}

/// Tells `diagnostics` on standard error, each with its line of the file.
pub(super) fn diagnose(diagnostics: &[Diagnostic], sources: &SourceMap, layout: TextLayout) {
    let mut err = io::BufWriter::new(io::stderr().lock());
    for diagnostic in diagnostics {
        // As above.
        let _ = writeln!(err, "{}", diagnostic.render(sources, layout));
    }
}

/// Prints `files`, each a name and a text, one after the other, or writes them into each of `directories`.
///
/// # Errors
/// When something cannot be written. A file is written whole or not at all.
pub(super) fn print_or_write(files: &[(String, String)], between: &str, directories: &[PathBuf]) -> anyhow::Result<()> {
    if directories.is_empty() {
        let all: Vec<_> = files.iter().map(|(_, text)| text.as_str()).collect();
        return print(&all.join(between));
    }
    for directory in directories {
        std::fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
        for (name, text) in files {
            let path = directory.join(name);
            // Whole or not at all: whoever reads it may be reading now.
            let unfinished = directory.join(format!(".{name}.unfinished"));
            std::fs::write(&unfinished, text)
                .and_then(|()| std::fs::rename(&unfinished, &path))
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
    }
    Ok(())
}
