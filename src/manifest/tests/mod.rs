//! The reader as a whole: what it makes of texts, what it says of broken ones, and what it finds in directories.

mod directories;
mod documents;
mod faults;
mod lists;
mod nodes;
mod rendering;

use super::{node::ManifestNode, read::read};
use crate::{diagnostic::source::SourceMap, terminal::TextLayout};

/// Each object of `text` as JSON, or what is wrong in its stead.
fn outcomes(text: &str) -> Vec<String> {
    let mut sources = SourceMap::default();
    let file = sources.add("f", text.to_owned());
    let mut outcomes = Vec::new();
    read(file, sources.text(file), &mut |read| {
        outcomes.push(match read {
            Ok(node) => node.to_json().to_string(),
            Err(diagnostic) => diagnostic.one_line(&sources),
        });
    });
    outcomes
}

/// The one object of `text`.
fn only(text: &str) -> ManifestNode<'_> {
    let file = SourceMap::default().add("f", String::new());
    let mut nodes = Vec::new();
    read(file, text, &mut |node| nodes.push(node.unwrap()));
    assert_eq!(nodes.len(), 1, "{nodes:?}");
    nodes.remove(0).node
}

/// What is wrong with `text`, as people see it.
fn complaints(text: &str) -> String {
    let mut sources = SourceMap::default();
    let file = sources.add("dir/file.yaml", text.to_owned());
    let mut complaints = String::new();
    read(file, sources.text(file), &mut |read| {
        if let Err(diagnostic) = read {
            complaints += &diagnostic.render(&sources, TextLayout::default());
        }
    });
    complaints
}
