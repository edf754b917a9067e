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
    kustomization::{self, KustomizationRoot, KustomizedFiles},
    stream::StreamError,
    syntax,
    walk::{FileExclusions, WalkedDirectory, walk},
};
use crate::diagnostic::{
    Diagnostic, Severity,
    source::{FileId, SourceMap, SourceSpan},
};
use rempart_core::{name::quoted, text::FewDisplay};

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
    /// What else may hold manifests and was not read, one by one.
    pub not_read: Vec<UnreadPath>,
}

/// A path at which manifests may stand that nobody has judged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnreadPath {
    /// The path, as it was named.
    pub path: String,
    /// Why, in a few words.
    pub reason: String,
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
    /// What it puts together and was not read, as it is written there.
    pub unread: Vec<String>,
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
    /// That it is not judged, and why.
    #[must_use]
    pub fn unread_path(&self) -> UnreadPath {
        let reason = match self.tool {
            RenderTool::Helm => "a Helm chart that was not rendered".to_owned(),
            RenderTool::Kustomize => format!("a kustomization that was not rendered{}", self.names_unread()),
        };
        UnreadPath { path: as_written(&self.path), reason }
    }

    /// What of it was not read, to go on a sentence; nothing where all of it was.
    fn names_unread(&self) -> String {
        if self.unread.is_empty() {
            return String::new();
        }
        format!(", of which {} was not read", FewDisplay(self.unread.iter().map(|name| quoted(name))))
    }

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
    let (seen, rendered) = (HashSet::new(), HashSet::new());
    let mut collector = FileCollector { gathered, sources, exclusions, stream, seen, rendered, kept };
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
    /// The directories to be rendered, likewise.
    rendered: HashSet<PathBuf>,
    kept: usize,
}

impl FileCollector<'_, '_> {
    fn named(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.directory(path),
            Ok(_) if self.exclusions.leave_out(path, false) => {
                self.gathered.left_out.excluded = self.gathered.left_out.excluded.saturating_add(1);
            }
            Ok(_) if kustomization::is_named_so(path) => self.manifests(&[path.to_owned()], FileOrigin::Named),
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
        let LeftOut { others: all_others, ignored: all_ignored, excluded: all_excluded, .. } =
            &mut self.gathered.left_out;
        *all_others = all_others.saturating_add(others);
        *all_ignored = all_ignored.saturating_add(ignored);
        *all_excluded = all_excluded.saturating_add(excluded);
        let nothing = !found && charts.is_empty() && ignored == 0 && excluded == 0;
        for path in charts.into_iter().filter(|path| !is_library(path)) {
            self.unrendered(UnrenderedDirectory { path, tool: RenderTool::Helm, unread: Vec::new() });
        }
        for (path, error) in unreadable {
            if fs::symlink_metadata(&path).is_ok_and(|path| path.is_symlink()) {
                self.leads_nowhere(&path);
            } else {
                self.unreadable(&path, &error);
            }
        }
        self.manifests(&manifests, FileOrigin::Directory);
        if nothing {
            let message = format!("{}: there is no manifest in this directory", top.display());
            let hint = "manifests are files whose names end in .yaml, .yml or .json";
            self.gathered.diagnostics.push(Diagnostic::error("NoManifests", message).hint(hint));
        }
    }

    /// Reads those of `manifests` that stand as they are, and tells of kustomizations among them.
    fn manifests(&mut self, manifests: &[PathBuf], origin: FileOrigin) {
        let KustomizedFiles { parts, roots, components, unreadable, plain } = kustomization::sort_out(manifests);
        let count = &mut self.gathered.left_out.plain_kustomizations;
        *count = count.saturating_add(plain);
        for KustomizationRoot { path, unread } in roots {
            self.unrendered(UnrenderedDirectory { path, tool: RenderTool::Kustomize, unread });
        }
        for path in components {
            let name = as_written(&path);
            let message =
                format!("{name} is a component of kustomizations, and nothing that was read uses it: not judged");
            let hint = "name the kustomization that uses it too, or render that";
            self.gathered.diagnostics.push(Diagnostic::warning(NOT_RENDERED, message).hint(hint));
            let reason = "a component of kustomizations, none of which was read".to_owned();
            self.gathered.not_read.push(UnreadPath { path: name, reason });
        }
        for (path, fault) in unreadable {
            self.broken_kustomization(&path, fault);
        }
        for path in manifests {
            if !fs::canonicalize(path).is_ok_and(|path| parts.contains(&path)) {
                self.file(path, origin);
            }
        }
    }

    /// Notes that `directory` is to be rendered, once however it was come to.
    fn unrendered(&mut self, directory: UnrenderedDirectory) {
        let known = fs::canonicalize(&directory.path).map_or(true, |path| self.rendered.insert(path));
        if known {
            self.gathered.unrendered.push(directory);
        }
    }

    /// Tells of the kustomization at `path`, which cannot be read: what it puts together is judged as it stands, and may
    /// be altered by it.
    fn broken_kustomization(&mut self, path: &Path, fault: Diagnostic) {
        let name = as_written(path);
        let file = self.sources.add_broken(name.clone(), fs::read_to_string(path).unwrap_or_default());
        let message = format!("the kustomization cannot be read, and is not judged: {}", fault.message);
        let place = fault.place.map(|place| SourceSpan { file, ..place });
        let hint = fault.hint.or_else(|| Some("correct it, or leave its directory out with --exclude".to_owned()));
        let told = Diagnostic { place, ..Diagnostic::warning(NOT_RENDERED, message) };
        self.gathered.diagnostics.push(told.hint_of(hint));
        let reason = format!("a kustomization that cannot be read: {}", fault.message);
        self.gathered.not_read.push(UnreadPath { path: name, reason });
    }

    /// Tells of a link in a directory that leads nowhere: nobody can say what was to stand there.
    fn leads_nowhere(&mut self, path: &Path) {
        let name = as_written(path);
        let message = format!("{name} is a link that leads nowhere: what it was to hold is not judged");
        let hint = format!("mend or remove the link, or leave it out: --exclude '{name}'");
        self.gathered.diagnostics.push(Diagnostic::warning(UNREADABLE, message).hint(hint));
        self.gathered.not_read.push(UnreadPath { path: name, reason: "a link that leads nowhere".to_owned() });
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
                    Err(error) => Diagnostic::error(UNREADABLE, format!("{name}: {error}")),
                }
            }
            // Whatever it is written in, an object says its kind.
            Ok(_) if origin == FileOrigin::Directory && !says(&bytes, b"kind") && !says(&bytes, OURS) => {
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
    Diagnostic::error(UNREADABLE, format!("{name}: {error}"))
}

/// What is told of `diagnostic`, of a document in the file `name` of a directory. A template that is still to be rendered may
/// be anything, and costs no answer.
#[must_use]
pub fn in_directory(diagnostic: Diagnostic, name: &str, text: &str) -> Diagnostic {
    if syntax::is_of_template(diagnostic.hint.as_deref()) {
        let message = "passed over: this is a template, which is still to be rendered";
        return Diagnostic {
            severity: Severity::Warning,
            code: NOT_RENDERED,
            message: message.to_owned(),
            ..diagnostic
        };
    }
    let told = left_out_by(diagnostic, name);
    // What never says a kind holds no object, whatever else it is.
    let severity = if says(text.as_bytes(), b"kind") { told.severity } else { Severity::Warning };
    Diagnostic { severity, ..told }
}

/// The code of what is told of what cannot be read at all.
const UNREADABLE: &str = "Unreadable";

/// The code of what is told of templates, charts and kustomizations.
pub const NOT_RENDERED: &str = "NotRendered";

/// Whether `diagnostic` says that a directory is to be rendered: what is nowhere else is told of none.
#[must_use]
pub fn is_of_unrendered(diagnostic: &Diagnostic) -> bool {
    diagnostic.code == NOT_RENDERED && diagnostic.hint.as_deref().is_some_and(|hint| hint.ends_with(RENDER))
}

/// What does what is told of an unrendered directory.
const RENDER: &str = "or let --render do so";

/// `diagnostic`, of a file of a directory, with the way to leave that out.
fn left_out_by(diagnostic: Diagnostic, name: &str) -> Diagnostic {
    let way = format!("or leave the file out: --exclude '{name}'");
    let hint = diagnostic.hint.as_ref().map_or_else(|| way.clone(), |hint| format!("{hint}; {way}"));
    diagnostic.hint(hint)
}

/// What stands in every key that Rempart reads: what says it may be anything, and is looked into.
const OURS: &[u8] = b"rempart.dev/";

/// Whether `word` stands anywhere, in UTF-8 or in UTF-16.
fn says(bytes: &[u8], word: &[u8]) -> bool {
    let wide =
        |bytes: &[u8]| bytes.chunks_exact(2).map(|pair| pair.iter().copied().max().unwrap_or_default()).collect();
    let holds = |bytes: &[u8]| bytes.windows(word.len()).any(|window| window == word);
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
            1 => format!("{names} is {one}{}: {parts} not judged as they stand", first.names_unread()),
            more => format!("{more} {many} are not rendered: {parts} not judged as they stand ({names})"),
        };
        let each = if found.len() == 1 { "render it" } else { "render each" };
        let hint = format!("{each}: `{} | rempart plan - …`; {RENDER}", first.command().join(" "));
        Some(Diagnostic::warning(NOT_RENDERED, message).hint(hint))
    };
    let charts = of(RenderTool::Helm, "a Helm chart", "Helm charts", "templates are");
    let kustomizations = of(RenderTool::Kustomize, "a kustomization", "kustomizations", "bases and patches are");
    charts.into_iter().chain(kustomizations).collect()
}
