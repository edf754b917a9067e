//! Leader election: which of several replicas writes, as the holder of one `Lease` of `coordination.k8s.io`.
//!
//! Every replica watches, judges and serves. A [`LeaseCandidate`] competes for the lease and tells a [`Leadership`] when the
//! API server confirmed it; that is asked again right before each request that writes ([`guarded`]). Losing the lease is
//! no failure: a replica stops writing, goes on watching and competes again.
//!
//! Of our own, because nobody else's gives what is needed here: kube 5 has no leader election, and `kube-lease-manager`
//! 0.13 tells only whether the lease is held, not until when, so that a process that was stopped writes before it
//! notices; it takes an expired lease by a patch without a version, which two replicas may both believe in; it compares
//! the wall clocks of different machines; it sees a released lease only when it would have expired; and its requests
//! have no deadline.
//!
//! What the durations have to do with each other where the lease is the shortest, counted from the moment before a request that the API server
//! confirmed was sent:
//!
//! ```text
//! 0 s          2 s                            7 s                    11 s     12 s
//! ├─ renewed ──┼─ renewed again, or tried ────┼──────────────────────┼────────┤
//!              │ every half second            │ nothing is begun     │        │ another takes over
//!                                             │                      │ what was begun has ended
//! ```
//!
//! A follower counts the seconds that the holder has written by its own clock, from when it saw the lease change, which is later. It looks
//! every second: so a follower writes at most a second more than the lease lasts after a leader was killed, and a second after one has stopped.
//!
//! What a check cannot do is call back what has left it. A process stopped just between the check and the socket, or
//! with requests waiting for a connection, sends those when it goes on, and an API server may hold a request back for
//! longer than its sender waits. They are few, and each one is harmless or is refused: stamps and statuses are what
//! was right some seconds ago, and the new leader, which watches, corrects them; finalizers and bindings carry the
//! version that they follow from. A virtual machine that is frozen together with its clocks sees no time pass, and is not
//! covered until it tries to renew, [`RENEW`] later at most. Whoever may write the lease by hand can make two lead for as
//! long.

mod claim;
mod leadership;
#[cfg(test)]
mod simulation;

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio_util::sync::CancellationToken;

use super::{clock::Clock, clock_skew::ClockSkew, error_chain::ErrorChain, metrics::Metrics, names::FIELD_MANAGER};
use claim::{ClaimStep, LeaseClaim};
pub use leadership::{Leadership, NotLeading, guarded};

/// For how long the lease is its holder's after it was renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseDuration(Duration);

impl LeaseDuration {
    /// The shortest, in seconds: below it, two attempts to renew that fail in full would be too many.
    pub const SHORTEST: u64 = 12;
    /// The longest, in seconds: for as long nobody writes when the holder is lost.
    pub const LONGEST: u64 = 120;

    /// So many seconds; `None` where that is too short or too long.
    #[must_use]
    pub fn from_secs(seconds: u64) -> Option<Self> {
        (Self::SHORTEST..=Self::LONGEST).contains(&seconds).then(|| Self(Duration::from_secs(seconds)))
    }

    /// For how long after a renewal its holder begins writes.
    fn begins_writes(self) -> Duration {
        self.0.saturating_sub(MARGIN)
    }
}

impl Default for LeaseDuration {
    /// Short enough that a follower, which sees a renewal up to [`LOOK`] later, writes within 15 seconds of a kill.
    fn default() -> Self {
        Self(Duration::from_secs(Self::SHORTEST))
    }
}

/// How long before its end the holder begins no more writes: longer than any write takes, by a second for clocks that
/// do not run alike and for a request that its sender has given up.
const MARGIN: Duration = Duration::from_secs(5);
/// How often the lease is renewed. Two attempts may fail in full before writing stops.
const RENEW: Duration = Duration::from_secs(2);
/// How often a follower looks at the lease. A released one is taken that soon.
const LOOK: Duration = Duration::from_secs(1);
/// How long a write may take: longer than any answer of an API server that is well, and shorter than what is left of the
/// lease when it begins.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(4);
/// How long one request about the lease may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// How soon after a request that failed the next one is made.
const RETRY: Duration = Duration::from_millis(500);
/// How soon a lease that turned out to be another than the one known is looked at.
const AGAIN: Duration = Duration::from_millis(50);
/// How often a lease that cannot be read or written is told of.
const COMPLAINT_PACE: Duration = Duration::from_secs(10);

const _: () = assert!(WRITE_DEADLINE.as_millis() < MARGIN.as_millis(), "a write must end while the lease is held");
const _: () = assert!(
    RENEW.as_millis() + 2 * DEADLINE.as_millis() < (LeaseDuration::SHORTEST as u128 * 1000 - MARGIN.as_millis()),
    "two attempts to renew may fail before writing stops"
);

/// A request about the lease that failed.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Deadline,
}

impl LeaseError {
    /// In the API server's words, without the shape in which the client holds them.
    fn words(&self) -> ErrorChain<'_> {
        match self {
            Self::Api(error) => ErrorChain(error),
            Self::Deadline => ErrorChain(self),
        }
    }

    fn code(&self) -> Option<u16> {
        match self {
            Self::Api(kube::Error::Api(status)) => Some(status.code),
            _ => None,
        }
    }
}

/// Competes for the lease, renews it and gives it back.
pub struct LeaseCandidate {
    api: Api<Lease>,
    /// The lease, in the operator's own namespace.
    name: &'static str,
    namespace: String,
    duration: LeaseDuration,
    claim: LeaseClaim,
    clock: Arc<dyn Clock>,
    leadership: Leadership,
    skew: ClockSkew,
    metrics: Metrics,
    leads: bool,
    /// Who led when that was last told.
    followed: Option<String>,
    complained: Option<Duration>,
}

impl LeaseCandidate {
    /// A candidate for the lease `namespace/name` under the name `identity`, which no other replica may have. It holds it for
    /// `duration` after each renewal; other replicas go by what the holder says.
    #[must_use]
    pub fn new(
        client: Client,
        (namespace, name): (&str, &'static str),
        (identity, duration): (String, LeaseDuration),
        clock: Arc<dyn Clock>,
        leadership: Leadership,
        skew: ClockSkew,
        metrics: Metrics,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name,
            namespace: namespace.to_owned(),
            duration,
            claim: LeaseClaim::new(identity, duration),
            clock,
            leadership,
            skew,
            metrics,
            leads: false,
            followed: None,
            complained: None,
        }
    }

    /// Competes until `resign` is cancelled, and then gives the lease back, so that nobody waits for its end.
    pub async fn run(mut self, resign: CancellationToken) {
        while !resign.is_cancelled() {
            let wait = self.round().await;
            self.tell();
            tokio::select! {
                biased;
                () = resign.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        // First nothing more is begun, then another may begin.
        self.leadership.resign();
        self.tell();
        self.release().await;
    }

    /// Looks at the lease where that is needed, does what follows, and says how long to wait until the next round. By a
    /// clock that is wrong it holds nothing, and looks again: another replica leads when the lease has ended.
    async fn round(&mut self) -> Duration {
        let was_wrong = self.skew.is_wrong(&*self.clock);
        if was_wrong {
            self.leadership.resign();
        }
        if (!self.claim.ours() || was_wrong)
            && let Err(error) = self.look().await
        {
            self.complain("read", &error);
            return RETRY;
        }
        self.metrics.clock_is_ahead(self.skew.seconds(&*self.clock));
        if self.skew.is_wrong(&*self.clock) {
            self.leadership.resign();
            self.complain_of_clock();
            return LOOK;
        }
        match self.claim.step(self.clock.uptime()) {
            ClaimStep::Hold => self.hold().await,
            ClaimStep::Wait(left) => {
                self.leadership.resign();
                left.min(LOOK)
            }
        }
    }

    async fn look(&mut self) -> Result<(), LeaseError> {
        let found = request(self.api.get_opt(self.name)).await?;
        self.claim.saw(found, self.clock.uptime());
        Ok(())
    }

    /// Takes the lease, or renews it. It is confirmed from before the request was sent: the API server counted no
    /// earlier.
    async fn hold(&mut self) -> Duration {
        let sent = self.clock.uptime();
        let spec = self.claim.held(MicroTime(self.clock.now().timestamp()));
        match self.put(spec).await {
            Ok(lease) => {
                self.claim.wrote(lease, sent);
                self.leadership.confirm(sent, self.duration);
                self.complained = None;
                RENEW
            }
            // Somebody else was faster, or has removed it, or the answer to our last request was lost: look.
            Err(error) if matches!(error.code(), Some(404 | 409)) => {
                tracing::debug!(error = %error.words(), "the lease is not what it was");
                self.claim.doubt();
                AGAIN
            }
            Err(error) => {
                self.complain("write", &error);
                RETRY
            }
        }
    }

    /// Makes the lease this, if it is still what was seen of it.
    async fn put(&self, spec: LeaseSpec) -> Result<Lease, LeaseError> {
        let seen = self.claim.version();
        let metadata =
            ObjectMeta { name: Some(self.name.to_owned()), resource_version: seen.clone(), ..ObjectMeta::default() };
        let lease = Lease { metadata, spec: Some(spec) };
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match seen {
            Some(_) => request(self.api.replace(self.name, &params, &lease)).await,
            None => request(self.api.create(&params, &lease)).await,
        }
    }

    /// Gives the lease back where it is ours.
    async fn release(&mut self) {
        for _ in 0..2 {
            if !self.claim.ours() && self.look().await.is_err() {
                break;
            }
            let Some(spec) = self.claim.released(MicroTime(self.clock.now().timestamp())) else { return };
            match self.put(spec).await {
                Ok(_) => return tracing::info!("the lease is given back"),
                Err(error) => {
                    tracing::debug!(error = %error.words(), "the lease was not given back");
                    self.claim.doubt();
                }
            }
        }
        tracing::warn!("the lease could not be given back; another replica takes it over when it ends");
    }

    /// Says what has changed: whether this replica leads, or whom it follows.
    fn tell(&mut self) {
        let leads = self.leadership.may_write(self.clock.uptime());
        let holder = self.claim.holder().map(str::to_owned);
        if leads != self.leads {
            self.leads = leads;
            self.metrics.leads(leads);
            match (leads, &holder) {
                (true, _) => tracing::info!(identity = self.claim.identity(), "leading: this replica writes"),
                (false, Some(holder)) if holder != self.claim.identity() => {
                    tracing::warn!(holder, "no longer leading: another replica holds the lease");
                }
                (false, _) => tracing::info!("no longer leading: this replica writes nothing"),
            }
            if !leads {
                // It is told of at once, to whoever waits for a change.
                self.leadership.resign();
            }
        } else if !leads && holder != self.followed {
            tracing::info!(holder = holder.as_deref().unwrap_or("nobody"), "following: this replica writes nothing");
        }
        self.followed = holder;
    }

    /// Whether it has not complained for a while; from now on it has.
    fn may_complain(&mut self) -> bool {
        let now = self.clock.uptime();
        let may = self.complained.is_none_or(|last| now.saturating_sub(last) >= COMPLAINT_PACE);
        if may {
            self.complained = Some(now);
        }
        may
    }

    fn complain_of_clock(&mut self) {
        if !self.may_complain() {
            return;
        }
        tracing::error!(
            ahead_seconds = self.skew.seconds(&*self.clock),
            "this machine's clock and the API server's differ by more than a minute, so this replica writes nothing: \
             certificates would begin and end at the wrong time; correct the clock"
        );
    }

    fn complain(&mut self, verb: &'static str, error: &LeaseError) {
        if !self.may_complain() {
            return;
        }
        let (namespace, name) = (&self.namespace, self.name);
        if error.code() == Some(403) {
            tracing::warn!(
                error = %error.words(),
                "may not {verb} the lease {namespace}/{name}, so this replica writes nothing; its Role in {namespace} \
                 must allow create on leases of coordination.k8s.io, and get and update on the one named {name}; \
                 retrying"
            );
        } else {
            tracing::warn!(error = %error.words(), "cannot {verb} the lease {namespace}/{name}; retrying");
        }
    }
}

async fn request<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, LeaseError> {
    Ok(tokio::time::timeout(DEADLINE, answer).await.map_err(|_| LeaseError::Deadline)??)
}
