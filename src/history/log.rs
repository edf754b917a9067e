//! History log: the entries that were found, chain by chain, with what is missing and what time each covers.
//!
//! Takes the lines of any number of files in any order, and gives each [`HistoryChain`] in the order of its places. An entry that
//! is not as it was written is not believed, and is as missing as one that is not there. From the first hole of a chain on nothing
//! in it is sure: what stood at that time may have been told there.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    chain::{NOTHING_BEFORE, UnsealedLine},
    entry::HistoryEvent,
    lines::FoundLines,
};

/// From an instant until another, the latter not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan {
    /// Where it begins.
    pub from: jiff::Timestamp,
    /// Where it ends.
    pub until: jiff::Timestamp,
}

/// What is wrong with a chain. Displays as a sentence without an end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum ChainProblem {
    /// Entries are not there.
    #[error("{}", missing(*.from, *.to))]
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// An entry is not as it was written.
    #[error("entry {seq} is not as it was written: its hash is another")]
    Altered {
        /// Its place.
        seq: u64,
    },
    /// An entry does not follow from the one before.
    #[error("entry {seq} does not name the hash of the entry before it: one of the two was put in its place")]
    NotLinked {
        /// Its place.
        seq: u64,
    },
    /// Two entries claim one place.
    #[error("two entries that differ claim place {seq}")]
    Conflicting {
        /// The place.
        seq: u64,
    },
    /// An entry is as it was written and says something that this command does not know.
    #[error("entry {seq} cannot be read: {why}")]
    Unreadable {
        /// Its place.
        seq: u64,
        /// Why.
        why: String,
    },
    /// The first entry does not say what it must.
    #[error("its first entry does not say who begins")]
    NoBeginning,
    /// An entry follows the one that ends the chain.
    #[error("entry {seq} follows the one that ended the chain: who wrote that did not write this")]
    AfterEnd {
        /// Its place.
        seq: u64,
    },
    /// An entry says that the chain begins, and is not the first.
    #[error("entry {seq} begins the chain a second time")]
    BegunAgain {
        /// Its place.
        seq: u64,
    },
    /// An entry is of an instant before that of the one before it.
    #[error("entry {seq} is of an instant before that of entry {}", seq.saturating_sub(1))]
    BackInTime {
        /// Its place.
        seq: u64,
    },
}

/// The longest that a chain may be silent, whatever it says of itself: what its writer promises at most.
const LONGEST_SILENCE: u64 = 600;

fn missing(from: u64, to: u64) -> String {
    if from == to { format!("entry {from} is missing") } else { format!("entries {from} to {to} are missing") }
}

/// An entry that is believed.
#[derive(Clone, Debug, PartialEq)]
pub struct BelievedEntry {
    /// Its place.
    pub seq: u64,
    /// When the operator saw it.
    pub at: jiff::Timestamp,
    /// What it says.
    pub event: HistoryEvent,
}

/// A chain.
#[derive(Clone, Debug, Default)]
pub struct HistoryChain {
    /// Its name.
    pub name: String,
    /// The replica that wrote it; nothing where its first entry is missing.
    pub replica: Option<String>,
    /// The version of the operator; likewise.
    pub version: Option<String>,
    /// Its entries, in order.
    pub entries: Vec<BelievedEntry>,
    /// What is wrong with it.
    pub problems: Vec<ChainProblem>,
    /// The place and hash of its last entry: noted elsewhere, they show a chain that was made anew.
    pub head: Option<(u64, String)>,
    /// The times of which it tells everything.
    pub whole: Vec<TimeSpan>,
    /// The time of which it tells a part: from its first hole to its end.
    pub partial: Option<TimeSpan>,
}

impl HistoryChain {
    /// Whether nothing is missing and nothing was altered.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }

    /// Until when it tells of anything.
    #[must_use]
    pub fn end(&self) -> Option<jiff::Timestamp> {
        let last = self.entries.last()?;
        Some(match last.event {
            HistoryEvent::Ended { told_until } => told_until,
            _ => last.at,
        })
    }

    /// The place at which everything that was there at its beginning had been told.
    #[must_use]
    pub fn completed_at(&self) -> Option<u64> {
        self.entries.iter().find(|entry| entry.event == HistoryEvent::Complete).map(|entry| entry.seq)
    }
}

/// All that was found.
#[derive(Debug, Default)]
pub struct HistoryLog {
    /// The chains, in the order of their beginnings.
    pub chains: Vec<HistoryChain>,
    /// How many lines were there more than once.
    pub repeated: u64,
    /// How many entries stood after one that comes later in their chain. Their places put them in order.
    pub out_of_order: u64,
}

impl HistoryLog {
    /// Of what was found.
    #[must_use]
    pub fn new(found: &FoundLines) -> Self {
        let mut log = Self::default();
        let mut chains: BTreeMap<&str, Vec<&UnsealedLine>> = BTreeMap::new();
        for entry in &found.entries {
            chains.entry(&entry.link.chain).or_default().push(entry);
        }
        for (name, lines) in chains {
            let chain = log.chain(name, lines);
            log.chains.push(chain);
        }
        log.chains.sort_by_key(|chain| chain.entries.first().map(|entry| entry.at));
        log
    }

    /// Whether nothing is missing or altered of any chain.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.chains.iter().all(HistoryChain::is_whole)
    }

    fn chain(&mut self, name: &str, lines: Vec<&UnsealedLine>) -> HistoryChain {
        let mut chain = HistoryChain { name: name.to_owned(), ..HistoryChain::default() };
        let mut problems = BTreeSet::new();
        let mut placed: BTreeMap<u64, &UnsealedLine> = BTreeMap::new();
        let (mut distrusted, mut contested, mut highest) = (BTreeSet::new(), BTreeSet::new(), None);
        for line in lines {
            let seq = line.link.seq;
            if !line.intact {
                problems.insert(ChainProblem::Altered { seq });
                distrusted.insert(seq);
                continue;
            }
            match placed.get(&seq) {
                Some(known) if known.hash == line.hash => {
                    self.repeated = self.repeated.saturating_add(1);
                    continue;
                }
                Some(_) => {
                    problems.insert(ChainProblem::Conflicting { seq });
                    contested.insert(seq);
                    continue;
                }
                None => drop(placed.insert(seq, line)),
            }
            if highest.is_some_and(|highest| seq < highest) {
                self.out_of_order = self.out_of_order.saturating_add(1);
            }
            highest = highest.max(Some(seq));
        }
        // An intact copy of what somebody altered elsewhere is as good as ever.
        distrusted.retain(|seq| !placed.contains_key(seq));
        let mut expected = 0;
        let mut previous = NOTHING_BEFORE;
        // Where the chain is not sure any more, and since when.
        let mut hole: Option<jiff::Timestamp> = None;
        for (&seq, &line) in &placed {
            let at = line.link.at;
            let before = chain.entries.last().map_or(at, |entry: &BelievedEntry| entry.at);
            if seq > expected {
                hole = hole.or(Some(before));
                gaps(expected, seq, &distrusted, &mut problems);
            } else if line.link.previous != previous {
                hole = hole.or(Some(before));
                problems.insert(ChainProblem::NotLinked { seq });
            }
            let is_over = matches!(chain.entries.last(), Some(BelievedEntry { event: HistoryEvent::Ended { .. }, .. }));
            let is_begun_again = seq > 0 && matches!(line.event, Ok(HistoryEvent::Begun { .. }));
            for (is_so, problem) in [
                (is_over, ChainProblem::AfterEnd { seq }),
                (is_begun_again, ChainProblem::BegunAgain { seq }),
                (at < before, ChainProblem::BackInTime { seq }),
            ] {
                if is_so {
                    hole = hole.or(Some(before.min(at)));
                    problems.insert(problem);
                }
            }
            // Which of them was there first nobody can tell.
            if contested.contains(&seq) {
                hole = hole.or(Some(before));
            }
            (expected, previous) = (seq.saturating_add(1), &line.hash);
            match &line.event {
                Ok(event) => {
                    if seq == 0 {
                        match event {
                            HistoryEvent::Begun { version, replica, .. } => {
                                (chain.version, chain.replica) = (Some(version.clone()), Some(replica.clone()));
                            }
                            _ => drop(problems.insert(ChainProblem::NoBeginning)),
                        }
                    }
                    chain.entries.push(BelievedEntry { seq, at, event: event.clone() });
                }
                Err(why) => {
                    hole = hole.or(Some(before));
                    problems.insert(ChainProblem::Unreadable { seq, why: why.clone() });
                }
            }
        }
        chain.head = placed.last_key_value().map(|(seq, line)| (*seq, line.hash.clone()));
        // What was altered at the end.
        if let Some(last) = distrusted.last().filter(|last| **last >= expected) {
            hole = hole.or(chain.end());
            gaps(expected, last.saturating_add(1), &distrusted, &mut problems);
        }
        chain.problems = problems.into_iter().collect();
        let (whole, partial) = coverage(&chain, hole);
        (chain.whole, chain.partial) = (whole, partial);
        chain
    }
}

/// Tells of the places from `from` to before `to` that nothing was found of, not even something that was altered.
fn gaps(from: u64, to: u64, distrusted: &BTreeSet<u64>, problems: &mut BTreeSet<ChainProblem>) {
    let mut begin = from;
    for &found in distrusted.range(from..to).chain([&to]) {
        if found > begin {
            problems.insert(ChainProblem::Missing { from: begin, to: found.saturating_sub(1) });
        }
        begin = found.saturating_add(1);
    }
}

/// The times of which `chain` tells all, and that of which it tells a part, where something is missing since `hole`.
fn coverage(chain: &HistoryChain, hole: Option<jiff::Timestamp>) -> (Vec<TimeSpan>, Option<TimeSpan>) {
    let (Some(first), Some(end)) = (chain.entries.first(), chain.end()) else { return (Vec::new(), None) };
    let HistoryEvent::Begun { silence_at_most_seconds, .. } = first.event else {
        return (Vec::new(), Some(TimeSpan { from: first.at, until: end }));
    };
    // One that was ended before it had told what was there tells a part.
    let hole = hole.or(chain.completed_at().is_none().then_some(first.at));
    let sure_until = hole.map_or(end, |hole| hole.min(end));
    let limit = i64::try_from(silence_at_most_seconds.min(LONGEST_SILENCE)).unwrap_or(i64::MAX);
    // A machine may be slow: half as much again is no silence.
    let limit = jiff::SignedDuration::from_secs(limit.saturating_add(limit / 2));
    let mut whole: Vec<TimeSpan> = Vec::new();
    let mut span = TimeSpan { from: first.at, until: first.at };
    for at in chain.entries.iter().map(|entry| entry.at).take_while(|at| *at < sure_until).chain([sure_until]) {
        if at.duration_since(span.until) > limit {
            whole.push(span);
            span.from = at;
        }
        span.until = at;
    }
    whole.push(span);
    whole.retain(|span| span.from < span.until);
    (whole, hole.map(|hole| TimeSpan { from: hole.min(end), until: end }))
}
