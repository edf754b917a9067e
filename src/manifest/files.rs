//! File collection: from paths named on the command line to texts.
//!
//! What cannot be read costs one diagnostic and nothing else. Every file is read once, however often and by whatever
//! links it is named.

use std::{
    collections::HashSet,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::decode::{decode, too_large};
use crate::diagnostic::{
    Diagnostic,
    source::{FileId, SourceMap},
};

/// What was gathered.
#[derive(Debug, Default)]
pub struct FileSet {
    /// The texts, in the order in which they were named; those of a directory by name.
    pub files: Vec<FileId>,
    /// What could not be read.
    pub diagnostics: Vec<Diagnostic>,
    /// How many files of directories are no manifests by their names, and were not read.
    pub passed_over: usize,
}

/// The name under which standard input is shown.
pub const STANDARD_INPUT: &str = "<stdin>";

/// Reads `paths` into `sources`: files whatever their names, directories with all that is in them, and `-` for `stdin`.
///
/// Of a directory, only `.yaml`, `.yml` and `.json` files are read, and nothing whose name begins with a point.
pub fn gather(paths: &[PathBuf], stdin: &mut dyn Read, sources: &mut SourceMap) -> FileSet {
    gather_up_to(LARGEST, paths, stdin, sources)
}

/// The same, with files of at most `largest` bytes.
pub(super) fn gather_up_to(
    largest: usize,
    paths: &[PathBuf],
    stdin: &mut dyn Read,
    sources: &mut SourceMap,
) -> FileSet {
    let before = sources.files().count();
    let mut gatherer = FileCollector { gathered: FileSet::default(), sources, seen: HashSet::new(), largest };
    let mut stdin = Some(stdin);
    for path in paths {
        if path.as_os_str() == "-" {
            if let Some(stdin) = stdin.take() {
                gatherer.add(STANDARD_INPUT, stdin);
            }
        } else {
            gatherer.named(path);
        }
    }
    let FileCollector { gathered, sources, .. } = gatherer;
    FileSet { files: sources.files().skip(before).collect(), ..gathered }
}

struct FileCollector<'s> {
    gathered: FileSet,
    sources: &'s mut SourceMap,
    /// What was read or walked, by its path without links: links may lead in circles.
    seen: HashSet<PathBuf>,
    largest: usize,
}

impl FileCollector<'_> {
    fn named(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.directory(path),
            Ok(_) => self.file(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("{}: there is no such file or directory", path.display());
                self.gathered.diagnostics.push(Diagnostic::error("NotFound", message));
            }
            Err(error) => self.unreadable(path, &error),
        }
    }

    /// Reads all manifests beneath `top`, in the order of their paths. With a list instead of recursion, because
    /// directories can be nested without end.
    fn directory(&mut self, top: &Path) {
        let mut found = false;
        let mut ahead = vec![(top.to_owned(), true)];
        while let Some((path, is_directory)) = ahead.pop() {
            if !is_directory {
                found = true;
                self.file(&path);
                continue;
            }
            if !self.first_time(&path) {
                // Not empty: its files are read already.
                found = true;
                continue;
            }
            match self.children(&path) {
                Ok(mut children) => {
                    children.sort_by(|one, other| other.0.cmp(&one.0));
                    ahead.append(&mut children);
                }
                Err(error) => {
                    found = true;
                    self.unreadable(&path, &error);
                }
            }
        }
        if !found {
            let message = format!("{}: there is no manifest in this directory", top.display());
            let hint = "manifests are files whose names end in .yaml, .yml or .json";
            self.gathered.diagnostics.push(Diagnostic::error("NoManifests", message).hint(hint));
        }
    }

    /// What of a directory is to be looked at, and whether that is a directory itself.
    fn children(&mut self, path: &Path) -> io::Result<Vec<(PathBuf, bool)>> {
        let mut children = Vec::new();
        for entry in fs::read_dir(path)? {
            let path = entry?.path();
            if path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => children.push((path, true)),
                Ok(metadata) if metadata.is_file() && is_manifest(&path) => children.push((path, false)),
                // A link that leads nowhere is worth a word when it is named like a manifest.
                Err(error) if is_manifest(&path) => self.unreadable(&path, &error),
                _ => self.gathered.passed_over += 1,
            }
        }
        Ok(children)
    }

    fn file(&mut self, path: &Path) {
        if !self.first_time(path) {
            return;
        }
        // Of the directory that one is in, nobody writes the name.
        let name = path.strip_prefix("./").unwrap_or(path).display().to_string();
        match fs::File::open(path) {
            Ok(file) => self.add(&name, file),
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn add(&mut self, name: &str, from: impl Read) {
        let mut bytes = Vec::new();
        let limit = u64::try_from(self.largest).unwrap_or(u64::MAX).saturating_add(1);
        let diagnostic = match from.take(limit).read_to_end(&mut bytes) {
            Err(error) => unreadable(name, &error),
            Ok(length) if length > self.largest => too_large(name, self.largest),
            Ok(_) => match decode(bytes, name, self.sources) {
                Ok(()) => return,
                Err(diagnostic) => diagnostic,
            },
        };
        self.gathered.diagnostics.push(diagnostic);
    }

    /// Whether `path` was not seen before. What has no real path, as a pipe may, is always new.
    fn first_time(&mut self, path: &Path) -> bool {
        fs::canonicalize(path).map_or(true, |path| self.seen.insert(path))
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.gathered.diagnostics.push(unreadable(&path.display().to_string(), error));
    }
}

/// The largest file that is read, in bytes.
const LARGEST: usize = 256 << 20;

fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::error("Unreadable", format!("{name}: {error}"))
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}
