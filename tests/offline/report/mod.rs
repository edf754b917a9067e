//! Reports of the offline commands: whole outputs, held against snapshots and against the public schemas of their formats.

mod data;
mod junit;
mod sarif;
mod text;
mod world;
