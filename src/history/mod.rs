//! History: what ran where, by which facts, as the operator told it line by line, and the answers from it.
//!
//! The operator appends [`entry`]s to standard output, each sealed into a [`chain`]. [`lines`] finds them again in whatever a
//! log system kept, [`log`] says of each chain whether it is whole and what time it covers, [`timeline`] replays it, and
//! [`answer`] holds it against a question and the API server's audit log ([`audit_events`]). What is not in the log is told as
//! that, and never filled in.

pub mod answer;
pub mod audit_events;
pub mod chain;
pub mod entry;
pub mod join;
pub mod lines;
pub mod log;
pub mod timeline;
