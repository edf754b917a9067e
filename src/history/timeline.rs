//! Timeline: from when until when each pod stood where, and each exception held, replayed from the chains.
//!
//! Takes a [`HistoryLog`] and gives spans. One ends with the chain that told of it, whatever came after: what another chain tells
//! of the same pod is joined to it only where nothing lies between the two.

use std::collections::BTreeMap;

use super::{
    entry::{ExceptionState, HistoryEvent, PodPlacement},
    log::{HistoryChain, HistoryLog, TimeSpan},
};

/// Why a span ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpanEnd {
    /// The pod was gone or had ended, or the exception held no more.
    Over,
    /// Something else was told of it from then on.
    Changed,
    /// No policy governed the pod any more.
    Ungoverned,
    /// Nothing more was told: it may have gone on.
    Untold,
}

impl SpanEnd {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Over => "Over",
            Self::Changed => "Changed",
            Self::Ungoverned => "Ungoverned",
            Self::Untold => "Untold",
        }
    }
}

/// Something that held for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSpan<T> {
    /// What.
    pub what: T,
    /// From when until when, as far as it was told.
    pub span: TimeSpan,
    /// Whether it held before already: it was told at the beginning of a chain.
    pub since_before: bool,
    /// Why it ends.
    pub end: SpanEnd,
    /// Whether nothing is missing that could tell otherwise.
    pub certain: bool,
}

/// What held when.
#[derive(Debug, Default)]
pub struct Timeline {
    /// Pods on their nodes, in the order of their beginnings.
    pub placements: Vec<HeldSpan<PodPlacement>>,
    /// Exceptions that were in force.
    pub exceptions: Vec<HeldSpan<ExceptionState>>,
}

/// What a chain tells of things that are told from each other by `K`.
struct OpenSpans<'c, K, T> {
    chain: &'c HistoryChain,
    open: BTreeMap<K, (T, jiff::Timestamp, bool)>,
    closed: Vec<HeldSpan<T>>,
}

impl<'c, K: Ord, T> OpenSpans<'c, K, T> {
    fn of(chain: &'c HistoryChain) -> Self {
        Self { chain, open: BTreeMap::new(), closed: Vec::new() }
    }

    fn begin(&mut self, key: K, what: T, at: jiff::Timestamp, since_before: bool) {
        if let Some(before) = self.open.insert(key, (what, at, since_before)) {
            self.close(before, at, SpanEnd::Changed);
        }
    }

    fn end(&mut self, key: &K, at: jiff::Timestamp, end: SpanEnd) {
        if let Some(before) = self.open.remove(key) {
            self.close(before, at, end);
        }
    }

    fn close(&mut self, (what, from, since_before): (T, jiff::Timestamp, bool), until: jiff::Timestamp, end: SpanEnd) {
        let certain = self.chain.partial.is_none_or(|partial| until <= partial.from);
        self.closed.push(HeldSpan {
            what,
            span: TimeSpan { from, until: until.max(from) },
            since_before,
            end,
            certain,
        });
    }

    fn finish(mut self) -> Vec<HeldSpan<T>> {
        let until = self.chain.end();
        for (_, left) in std::mem::take(&mut self.open) {
            let until = until.unwrap_or(left.1);
            self.close(left, until, SpanEnd::Untold);
        }
        self.closed
    }
}

impl Timeline {
    /// Replays `log`.
    #[must_use]
    pub fn replay(log: &HistoryLog) -> Self {
        let mut timeline = Self::default();
        for chain in &log.chains {
            let completed = chain.completed_at();
            let begins_whole = chain.entries.first().is_some_and(|entry| entry.seq == 0);
            let mut pods: OpenSpans<'_, String, PodPlacement> = OpenSpans::of(chain);
            let mut exceptions: OpenSpans<'_, (String, String), ExceptionState> = OpenSpans::of(chain);
            for entry in &chain.entries {
                let since_before = completed.map_or(begins_whole, |completed| entry.seq < completed);
                match &entry.event {
                    HistoryEvent::PodPlaced(pod) => {
                        pods.begin(pod.uid.clone(), pod.clone(), entry.at, since_before);
                    }
                    HistoryEvent::PodLeft { uid, ungoverned } => {
                        let end = if *ungoverned { SpanEnd::Ungoverned } else { SpanEnd::Over };
                        pods.end(uid, entry.at, end);
                    }
                    HistoryEvent::ExceptionChanged(exception) => {
                        let key = (exception.policy.clone(), exception.name.clone());
                        if exception.in_force {
                            exceptions.begin(key, exception.clone(), entry.at, since_before);
                        } else {
                            exceptions.end(&key, entry.at, SpanEnd::Over);
                        }
                    }
                    _ => {}
                }
            }
            let begins = chain.whole.first().map(|span| span.from);
            // Facts may have changed without changing what is told of the pod, and what makes it may be gone.
            let told = |pod: &PodPlacement| {
                let PodPlacement { uid, node, place, policies, .. } = pod;
                format!("{uid} {node} {place:?} {policies:?}")
            };
            join(&mut timeline.placements, pods.finish(), begins, told);
            join(&mut timeline.exceptions, exceptions.finish(), begins, Clone::clone);
        }
        let order = |pod: &HeldSpan<PodPlacement>| {
            let PodPlacement { namespace, workload, pod: name, uid, .. } = &pod.what;
            (pod.span, namespace.clone(), workload.clone(), name.clone(), uid.clone())
        };
        timeline.placements.sort_by_cached_key(order);
        timeline.exceptions.sort_by(|a, b| (a.span, &a.what).cmp(&(b.span, &b.what)));
        timeline
    }
}

/// Adds what a chain tells that `begins` then to what those before told: to the same thing where nothing lies between them.
fn join<T, K: Ord>(
    known: &mut Vec<HeldSpan<T>>,
    told: Vec<HeldSpan<T>>,
    begins: Option<jiff::Timestamp>,
    identity: impl Fn(&T) -> K,
) {
    // Only those that end just where this chain begins can go on in it: one that overlaps tells for itself.
    let ends =
        known.iter().enumerate().filter(|(_, known)| known.end == SpanEnd::Untold && begins == Some(known.span.until));
    let mut ends: BTreeMap<K, usize> = ends.map(|(at, known)| (identity(&known.what), at)).collect();
    for span in told {
        let found = if span.since_before { ends.remove(&identity(&span.what)) } else { None };
        match found.and_then(|at| known.get_mut(at)) {
            Some(before) => {
                before.span.until = before.span.until.max(span.span.until);
                before.end = span.end;
                before.certain &= span.certain;
            }
            None => known.push(span),
        }
    }
}
