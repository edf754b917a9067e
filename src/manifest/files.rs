//! File collection: from paths named on the command line to texts.
//!
//! What cannot be read costs one diagnostic and nothing else. Every file is read once, however often and by whatever
//! links it is named. A directory may be a repository that holds more than manifests: what of it is not judged as it
//! stands is counted, or told with what to run first.

use std::{
    collections::HashSet,
    fs,
    io::{self, BufRead, Read},
    path::{Path, PathBuf},
};

use super::{
    decode::decode,
    kustomization,
    stream::StreamError,
    syntax,
    walk::{FileExclusions, WalkedDirectory, walk},
};
use crate::diagnostic::{
    Diagnostic, Severity,
    source::{FileId, SourceMap},
};
use rempart_core::text::FewDisplay;

/// How somebody came to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileOrigin {
    /// It was named: it is meant to hold objects.
    Named,
    /// It is in a directory that was named: it may be anything.
    Directory,
}

/// What was gathered.
#[derive(Debug, Default)]
pub struct FileSet {
    /// The texts, in the order in which they were named; those of a directory by name.
    pub files: Vec<(FileId, FileOrigin)>,
    /// What could not be read, and what is not judged as it stands.
    pub diagnostics: Vec<Diagnostic>,
    /// What was left out.
    pub left_out: LeftOut,
    /// The directories that are to be rendered before they can be judged.
    pub unrendered: Vec<UnrenderedDirectory>,
}

/// What of directories was left out without having been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many files are no manifests by their names.
    pub others: usize,
    /// How many files and directories `.gitignore` leaves out.
    pub ignored: usize,
    /// How many files and directories the command line leaves out.
    pub excluded: usize,
    /// How many files hold no object, for they never say a kind: where that is, of the first few.
    pub without_kind: Vec<PathBuf>,
    /// How many kustomizations alter nothing that decides where pods run: what they list is judged as it stands.
    pub plain_kustomizations: usize,
}

/// A directory whose manifests are made by a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnrenderedDirectory {
    /// Where.
    pub path: PathBuf,
    /// By which.
    pub tool: RenderTool,
}

/// A program that makes manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderTool {
    /// Of a chart.
    Helm,
    /// Of a kustomization.
    Kustomize,
}

impl UnrenderedDirectory {
    /// The command line that makes its manifests, word by word.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let path = as_written(&self.path);
        match self.tool {
            RenderTool::Helm => {
                let name = fs::canonicalize(&self.path).ok().and_then(|path| Some(path.file_name()?.to_owned()));
                let name = name.map_or_else(|| "release".to_owned(), |name| name.to_string_lossy().into_owned());
                vec!["helm".to_owned(), "template".to_owned(), name, path]
            }
            RenderTool::Kustomize => vec!["kubectl".to_owned(), "kustomize".to_owned(), path],
        }
    }
}

/// `path` as people write it: without the directory that one is in, but where it is that directory.
#[must_use]
pub fn as_written(path: &Path) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    if path.as_os_str().is_empty() { ".".to_owned() } else { path.display().to_string() }
}

/// The name under which standard input is shown.
pub const STANDARD_INPUT: &str = "<stdin>";

/// Reads `paths` into `sources`: files whatever their names, directories with all that is in them but what `exclusions`
/// leave out, and `-` for `stdin`.
///
/// Of a directory, only `.yaml`, `.yml` and `.json` files are read, nothing whose name begins with a point and nothing that
/// a `.gitignore` leaves out. Charts, and the parts of kustomizations, are not.
///
/// A text that is too large to be kept is given to `stream`, with its name, and not read here.
pub fn gather(
    paths: &[PathBuf],
    exclusions: &FileExclusions,
    stdin: &mut dyn Read,
    stream: TextStream<'_>,
    sources: &mut SourceMap,
) -> FileSet {
    gather_up_to(KEPT, paths, exclusions, stdin, stream, sources)
}

/// Who reads a text as it comes.
pub type TextStream<'s> = &'s mut dyn FnMut(&str, &mut dyn BufRead, &mut SourceMap) -> Result<(), StreamError>;

/// The same, where texts of more than `kept` bytes are given to `stream`.
pub(super) fn gather_up_to(
    kept: usize,
    paths: &[PathBuf],
    exclusions: &FileExclusions,
    stdin: &mut dyn Read,
    stream: TextStream<'_>,
    sources: &mut SourceMap,
) -> FileSet {
    let gathered = FileSet::default();
    let mut collector = FileCollector { gathered, sources, exclusions, seen: HashSet::new(), kept, stream };
    let mut stdin = Some(stdin);
    for path in paths {
        if path.as_os_str() == "-" {
            if let Some(stdin) = stdin.take() {
                collector.add(STANDARD_INPUT, FileOrigin::Named, stdin);
            }
        } else {
            collector.named(path);
        }
    }
    let mut gathered = collector.gathered;
    let told = unrendered(&gathered.unrendered);
    gathered.diagnostics.extend(told);
    gathered
}

struct FileCollector<'s, 'r> {
    gathered: FileSet,
    sources: &'s mut SourceMap,
    exclusions: &'s FileExclusions,
    stream: TextStream<'r>,
    /// What was read or walked, by its path without links: links may lead in circles.
    seen: HashSet<PathBuf>,
    kept: usize,
}

impl FileCollector<'_, '_> {
    fn named(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.directory(path),
            Ok(_) if self.exclusions.leave_out(path, false) => {
                self.gathered.left_out.excluded = self.gathered.left_out.excluded.saturating_add(1);
            }
            Ok(_) => self.file(path, FileOrigin::Named),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("{}: there is no such file or directory", path.display());
                self.gathered.diagnostics.push(Diagnostic::error("NotFound", message));
            }
            Err(error) => self.unreadable(path, &error),
        }
    }

    /// Reads all manifests beneath `top`, in the order of their paths.
    fn directory(&mut self, top: &Path) {
        let walked = walk(top, self.exclusions, &mut self.seen);
        let WalkedDirectory { manifests, charts, found, unreadable, others, ignored, excluded } = walked;
        let kustomized = kustomization::sort_out(&manifests);
        let FileSet { left_out, unrendered, .. } = &mut self.gathered;
        left_out.others = left_out.others.saturating_add(others);
        left_out.ignored = left_out.ignored.saturating_add(ignored);
        left_out.excluded = left_out.excluded.saturating_add(excluded);
        left_out.plain_kustomizations = left_out.plain_kustomizations.saturating_add(kustomized.plain);
        let nothing = !found && charts.is_empty() && ignored == 0 && excluded == 0;
        let charts = charts.into_iter().filter(|path| !is_library(path));
        unrendered.extend(charts.map(|path| UnrenderedDirectory { path, tool: RenderTool::Helm }));
        let roots = kustomized.roots.into_iter();
        unrendered.extend(roots.map(|path| UnrenderedDirectory { path, tool: RenderTool::Kustomize }));
        for (path, error) in unreadable {
            self.unreadable(&path, &error);
        }
        for path in manifests {
            if !fs::canonicalize(&path).is_ok_and(|path| kustomized.parts.contains(&path)) {
                self.file(&path, FileOrigin::Directory);
            }
        }
        if nothing {
            let message = format!("{}: there is no manifest in this directory", top.display());
            let hint = "manifests are files whose names end in .yaml, .yml or .json";
            self.gathered.diagnostics.push(Diagnostic::error("NoManifests", message).hint(hint));
        }
    }

    fn file(&mut self, path: &Path, origin: FileOrigin) {
        // What has no real path, as a pipe may, is always new.
        if !fs::canonicalize(path).map_or(true, |path| self.seen.insert(path)) {
            return;
        }
        let name = as_written(path);
        match fs::File::open(path) {
            Ok(file) => self.add(&name, origin, file),
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn add(&mut self, name: &str, origin: FileOrigin, mut from: impl Read) {
        let mut bytes = Vec::new();
        let limit = u64::try_from(self.kept).unwrap_or(u64::MAX).saturating_add(1);
        let diagnostic = match from.by_ref().take(limit).read_to_end(&mut bytes) {
            Err(error) => unreadable(name, &error),
            Ok(length) if length > self.kept => {
                let mut whole = io::BufReader::with_capacity(BUFFER, io::Cursor::new(bytes).chain(from));
                match (self.stream)(name, &mut whole, self.sources) {
                    Ok(()) => return,
                    Err(error) => Diagnostic::error("Unreadable", format!("{name}: {error}")),
                }
            }
            // Whatever it is written in, an object says its kind.
            Ok(_) if origin == FileOrigin::Directory && !says_kind(&bytes) => {
                return self.gathered.left_out.without_kind.push(name.into());
            }
            Ok(_) => match decode(bytes, name, self.sources) {
                Ok((file, warning)) => {
                    self.gathered.files.push((file, origin));
                    self.gathered.diagnostics.extend(warning);
                    return;
                }
                Err(diagnostic) if origin == FileOrigin::Directory => left_out_by(diagnostic, name),
                Err(diagnostic) => diagnostic,
            },
        };
        self.gathered.diagnostics.push(diagnostic);
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.gathered.diagnostics.push(unreadable(&path.display().to_string(), error));
    }
}

/// The largest text that is kept, in bytes. Of a larger one, objects are read as they come, and no line can be shown.
const KEPT: usize = 64 << 20;

/// How many bytes of a stream are read at once.
const BUFFER: usize = 256 << 10;

fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::error("Unreadable", format!("{name}: {error}"))
}

/// What is told of `diagnostic`, of a document in the file `name` of a directory. A template that is still to be rendered may
/// be anything, and costs no answer.
#[must_use]
pub fn in_directory(diagnostic: Diagnostic, name: &str) -> Diagnostic {
    if diagnostic.hint.as_deref() == Some(syntax::TEMPLATE) {
        let message = "passed over: this is a template, which is still to be rendered";
        return Diagnostic {
            severity: Severity::Warning,
            code: NOT_RENDERED,
            message: message.to_owned(),
            ..diagnostic
        };
    }
    left_out_by(diagnostic, name)
}

/// The code of what is told of templates, charts and kustomizations.
pub const NOT_RENDERED: &str = "NotRendered";

/// `diagnostic`, of a file of a directory, with the way to leave that out.
fn left_out_by(diagnostic: Diagnostic, name: &str) -> Diagnostic {
    let way = format!("or leave the file out: --exclude '{name}'");
    let hint = diagnostic.hint.as_ref().map_or_else(|| way.clone(), |hint| format!("{hint}; {way}"));
    diagnostic.hint(hint)
}

/// Whether the word stands anywhere, in UTF-8 or in UTF-16.
fn says_kind(bytes: &[u8]) -> bool {
    const WORD: &[u8] = b"kind";
    let wide =
        |bytes: &[u8]| bytes.chunks_exact(2).map(|pair| pair.iter().copied().max().unwrap_or_default()).collect();
    let holds = |bytes: &[u8]| bytes.windows(WORD.len()).any(|window| window == WORD);
    let is_wide = bytes.iter().take(4).any(|byte| *byte == 0)
        || bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff]);
    if is_wide {
        let narrow: Vec<u8> = wide(bytes);
        return holds(&narrow);
    }
    holds(bytes)
}

/// Whether the chart at `path` is one that other charts use, which makes no manifests itself.
fn is_library(path: &Path) -> bool {
    let said = fs::read_to_string(path.join("Chart.yaml")).unwrap_or_default();
    said.lines().any(|line| {
        line.split('#').next().is_some_and(|line| line.replace(['"', '\''], "").trim_end() == "type: library")
    })
}

/// One warning for all charts and one for all kustomizations that are not judged as they stand.
fn unrendered(directories: &[UnrenderedDirectory]) -> Vec<Diagnostic> {
    let of = |tool: RenderTool, one: &str, many: &str, parts: &str| {
        let found: Vec<&UnrenderedDirectory> = directories.iter().filter(|found| found.tool == tool).collect();
        let first = found.first()?;
        let names = FewDisplay(found.iter().map(|found| as_written(&found.path)));
        let message = match found.len() {
            1 => format!("{names} is {one}: {parts} not judged as they stand"),
            more => format!("{more} {many} are not rendered: {parts} not judged as they stand ({names})"),
        };
        let each = if found.len() == 1 { "render it" } else { "render each" };
        let hint = format!("{each}: `{} | rempart plan - …`; or let --render do so", first.command().join(" "));
        Some(Diagnostic::warning(NOT_RENDERED, message).hint(hint))
    };
    let charts = of(RenderTool::Helm, "a Helm chart", "Helm charts", "templates are");
    let kustomizations = of(RenderTool::Kustomize, "a kustomization", "kustomizations", "bases and patches are");
    charts.into_iter().chain(kustomizations).collect()
}
