//! Manifests: from bytes in files to trees of nodes that know where they stand.
//!
//! An edge without any knowledge of Kubernetes kinds beyond the `List` that `kubectl get` prints. It reads what kubectl
//! would read and makes of it what kubectl would send; what is broken costs one diagnostic, never the rest.
//!
//! The way through it: [`files::gather`] fills [`Sources`](crate::diagnostic::source::SourceMap), [`read::read`] turns each
//! text into [`node::ManifestNode`]s, and whoever finds fault with one answers with a
//! [`Diagnostic`](crate::diagnostic::Diagnostic).

mod anchors;
mod compose;
mod decode;
mod document;
mod entries;
mod envelope;
pub mod files;
mod json;
mod kustomization;
pub mod node;
pub mod path;
pub mod read;
pub mod scalar;
pub mod stream;
mod syntax;
#[cfg(test)]
mod tests;
mod value;
pub mod walk;
mod yaml;
