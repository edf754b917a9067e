//! Directory walk: which files of a directory are manifests by their names, and which are left out.
//!
//! Takes a directory, and returns the paths of its manifests in order, with a count of what was left out and why. Nothing
//! is read here but `.gitignore`, and no link is followed for ever.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    rc::Rc,
};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};

/// What is left out of what was named.
#[derive(Clone, Debug, Default)]
pub struct FileExclusions {
    /// By `--exclude`.
    globs: Option<Gitignore>,
}

impl FileExclusions {
    /// Leaves out what one of `globs` matches, which are written as the lines of a `.gitignore`.
    ///
    /// # Errors
    /// The glob that is none, and why.
    pub fn new(globs: &[String]) -> Result<Self, String> {
        let mut builder = GitignoreBuilder::new("");
        for glob in globs {
            // As a shell completes it: a line of a .gitignore knows no `./`.
            let line = glob.strip_prefix("./").map_or_else(|| glob.clone(), |rest| format!("/{rest}"));
            builder.add_line(None, &line).map_err(|error| format!("--exclude {glob:?}: {error}"))?;
        }
        let globs = builder.build().map_err(|error| format!("--exclude: {error}"))?;
        Ok(Self { globs: Some(globs).filter(|globs| !globs.is_empty()) })
    }

    /// Whether `path`, or a directory that it is in, is left out.
    pub(super) fn leave_out(&self, path: &Path, is_directory: bool) -> bool {
        let Some(globs) = &self.globs else { return false };
        let path = path.strip_prefix("./").unwrap_or(path);
        path.ancestors()
            .enumerate()
            .filter(|(_, part)| !part.as_os_str().is_empty())
            .any(|(up, part)| matches!(globs.matched(part, is_directory || up > 0), Match::Ignore(_)))
    }
}

/// What a directory holds.
#[derive(Debug, Default)]
pub(super) struct WalkedDirectory {
    /// The manifests by name, in order.
    pub(super) manifests: Vec<PathBuf>,
    /// The directories with a `Chart.yaml`, of which what Helm reads was not walked.
    pub(super) charts: Vec<PathBuf>,
    /// Whether there was anything by the name of a manifest, here or already seen.
    pub(super) found: bool,
    /// What could not be read.
    pub(super) unreadable: Vec<(PathBuf, io::Error)>,
    /// How many files are no manifests by their names.
    pub(super) others: usize,
    /// How many files and directories `.gitignore` leaves out.
    pub(super) ignored: usize,
    /// How many files and directories the command line leaves out.
    pub(super) excluded: usize,
}

/// The `.gitignore` files that hold for a directory, the nearest first.
struct IgnoreChain {
    globs: Gitignore,
    above: Option<Rc<IgnoreChain>>,
}

impl IgnoreChain {
    /// That of `directory` before those `above`, where it has one.
    fn of(directory: &Path, above: Option<Rc<Self>>) -> Option<Rc<Self>> {
        let file = directory.join(".gitignore");
        if !file.is_file() {
            return above;
        }
        // A line that is no glob is none for git either.
        let (globs, _) = Gitignore::new(file);
        Some(Rc::new(Self { globs, above }))
    }

    /// Those of the directories above `top`, up to the root of its repository.
    fn above(top: &Path) -> Option<Rc<Self>> {
        let directories: Vec<&Path> = top.ancestors().collect();
        let root = directories.iter().position(|directory| directory.join(".git").exists())?;
        let above = directories.get(1..=root).unwrap_or_default();
        above.iter().rev().fold(None, |chain, directory| Self::of(directory, chain))
    }

    fn leaves_out(&self, path: &Path, is_directory: bool) -> bool {
        match self.globs.matched(path, is_directory) {
            Match::Ignore(_) => true,
            Match::Whitelist(_) => false,
            Match::None => self.above.as_ref().is_some_and(|above| above.leaves_out(path, is_directory)),
        }
    }
}

/// A directory that is still to be walked.
struct PendingEntry {
    /// As it was named.
    path: PathBuf,
    /// Without links on the way to the top.
    real: PathBuf,
    is_directory: bool,
    ignores: Option<Rc<IgnoreChain>>,
}

/// What of a chart Helm reads whatever its templates say, beside files of values.
const OF_CHART: [&str; 7] =
    ["templates", "crds", "charts", "Chart.yaml", "Chart.lock", "requirements.yaml", "values.schema.json"];

/// What Helm reads of the chart in a directory. The rest of it may be manifests like any others, as the policies of a
/// repository whose root is a chart.
struct ChartContents {
    /// The texts of its templates, where one of them reads further files.
    reading: String,
}

impl ChartContents {
    /// Of the chart in `directory`, if there is one.
    fn of(directory: &Path) -> Option<Self> {
        if !directory.join("Chart.yaml").is_file() {
            return None;
        }
        let mut reading = String::new();
        let mut ahead = vec![directory.join("templates")];
        while let Some(path) = ahead.pop() {
            // A link may lead in a circle, and Helm's own walk is of no help where it does.
            let Ok(entries) = fs::read_dir(&path) else { continue };
            for entry in entries.flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => ahead.push(entry.path()),
                    Ok(kind) if kind.is_file() => {
                        let text = fs::read_to_string(entry.path()).unwrap_or_default();
                        if text.contains(".Files") {
                            reading.push_str(&text);
                        }
                    }
                    _ => {}
                }
            }
        }
        Some(Self { reading })
    }

    /// Whether Helm reads the file or directory `name` of the chart.
    fn has(&self, name: &str, is_directory: bool) -> bool {
        let is_values = name.starts_with("values") && !is_directory;
        let after = if is_directory { "/" } else { "\"" };
        let named = ['"', '`'].iter().any(|quote| self.reading.contains(&format!("{quote}{name}{after}")));
        OF_CHART.contains(&name) || is_values || named
    }
}

/// Walks `top`. What is among `seen` is not walked again.
///
/// With a list instead of recursion, because directories can be nested without end.
pub(super) fn walk(top: &Path, exclusions: &FileExclusions, seen: &mut HashSet<PathBuf>) -> WalkedDirectory {
    let mut walked = WalkedDirectory::default();
    let real = fs::canonicalize(top).unwrap_or_else(|_| top.to_owned());
    let ignores = IgnoreChain::above(&real);
    let mut ahead = vec![PendingEntry { path: top.to_owned(), real, is_directory: true, ignores }];
    while let Some(entry) = ahead.pop() {
        if !entry.is_directory {
            walked.found = true;
            walked.manifests.push(entry.path);
            continue;
        }
        // What has no real path, as a pipe may, is always new.
        if !fs::canonicalize(&entry.path).map_or(true, |path| seen.insert(path)) {
            // Not empty: its files are read already.
            walked.found = true;
            continue;
        }
        let chart = ChartContents::of(&entry.path);
        if chart.is_some() {
            walked.charts.push(entry.path.clone());
        }
        match children(top, &entry, chart.as_ref(), exclusions, &mut walked) {
            Ok(mut children) => {
                children.sort_by(|one, other| other.path.cmp(&one.path));
                ahead.append(&mut children);
            }
            Err(error) => {
                walked.found = true;
                walked.unreadable.push((entry.path, error));
            }
        }
    }
    walked
}

/// What of a directory is to be looked at.
fn children(
    top: &Path,
    parent: &PendingEntry,
    chart: Option<&ChartContents>,
    exclusions: &FileExclusions,
    walked: &mut WalkedDirectory,
) -> io::Result<Vec<PendingEntry>> {
    let ignores = IgnoreChain::of(&parent.real, parent.ignores.clone());
    let mut children = Vec::new();
    for entry in fs::read_dir(&parent.path)? {
        let path = entry?.path();
        let Some(name) = path.file_name().filter(|name| !name.as_encoded_bytes().starts_with(b".")) else { continue };
        let real = parent.real.join(name);
        let metadata = fs::metadata(&path);
        let is_directory = metadata.as_ref().is_ok_and(fs::Metadata::is_dir);
        if chart.is_some_and(|chart| chart.has(&name.to_string_lossy(), is_directory)) {
            continue;
        }
        if !is_directory && !is_manifest(&path) {
            walked.others = walked.others.saturating_add(1);
            continue;
        }
        if ignores.as_ref().is_some_and(|ignores| ignores.leaves_out(&real, is_directory)) {
            walked.ignored = walked.ignored.saturating_add(1);
            continue;
        }
        let below = path.strip_prefix(top).unwrap_or(&path);
        if exclusions.leave_out(below, is_directory) || exclusions.leave_out(&path, is_directory) {
            walked.excluded = walked.excluded.saturating_add(1);
            continue;
        }
        match metadata {
            Ok(metadata) if metadata.is_dir() || metadata.is_file() => {
                children.push(PendingEntry { path, real, is_directory, ignores: ignores.clone() });
            }
            Ok(_) => walked.others = walked.others.saturating_add(1),
            // A link that leads nowhere is worth a word when it is named like a manifest.
            Err(error) => walked.unreadable.push((path, error)),
        }
    }
    Ok(children)
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        || path.file_name().is_some_and(|name| name == "Kustomization")
}
