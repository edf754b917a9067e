//! The way between a replica and the API server, with all that goes wrong on it.
//!
//! [`client`] gives a client whose requests are answered by an [`ApiServer`]. Dice decide of each how long it takes, whether
//! it arrives, whether its answer does, and whether it is refused as a busy API server refuses; and of each watch when it is
//! told late, cut off or told to begin anew.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::{BoxError, service_fn};

use crate::{
    call::Call,
    controllers::text,
    invariants::Witness,
    seeded::SeededRng,
    server::{ApiServer, LoggedChange, Refusal, ResourceKind},
};

type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

/// How long a hanging request may be on its way before the API server hears of it.
const LONGEST_DELAY_MILLIS: u64 = 8_000;

/// The way of one replica.
#[derive(Debug)]
pub(crate) struct ReplicaLink {
    /// By what name the replica holds a lease.
    pub(crate) identity: String,
    /// Which lease.
    pub(crate) lease: &'static str,
    dice: Mutex<SeededRng>,
    /// Whether anything goes wrong now.
    storm: Arc<AtomicBool>,
    /// Whether nothing gets through at all.
    cut: AtomicBool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is answered.
    Answered,
    /// It never arrives.
    Lost,
    /// It arrives, and its answer does not.
    AnswerLost,
    /// It is refused before anybody looks at it.
    Refused(u16),
    /// It arrives so much later than it was sent that its sender has given it up.
    Late(Duration),
}

impl ReplicaLink {
    pub(crate) fn new(identity: &str, lease: &'static str, dice: SeededRng, storm: Arc<AtomicBool>) -> Self {
        Self { identity: identity.to_owned(), lease, dice: Mutex::new(dice), storm, cut: AtomicBool::new(false) }
    }

    pub(crate) fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }

    fn dice<T>(&self, throw: impl FnOnce(&mut SeededRng) -> T) -> T {
        throw(&mut self.dice.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_stormy(&self) -> bool {
        self.storm.load(Ordering::Relaxed)
    }

    fn fate(&self) -> Fate {
        if self.cut.load(Ordering::Relaxed) {
            return Fate::Lost;
        }
        if !self.is_stormy() {
            return Fate::Answered;
        }
        self.dice(|dice| match dice.below(1000) {
            0..20 => Fate::Lost,
            20..40 => Fate::AnswerLost,
            40..50 => Fate::Refused(429),
            50..60 => Fate::Refused(500),
            60..70 => Fate::Refused(503),
            70..75 => Fate::Refused(409),
            75..90 => Fate::Late(dice.millis(1_000..LONGEST_DELAY_MILLIS)),
            _ => Fate::Answered,
        })
    }
}

/// A client of `server` over `link`; `witness` sees what is sent.
pub(crate) fn client(server: Arc<ApiServer>, link: Arc<ReplicaLink>, witness: Arc<Witness>) -> kube::Client {
    let service = service_fn(move |request: Request<Body>| {
        answer(Arc::clone(&server), Arc::clone(&link), Arc::clone(&witness), request)
    });
    kube::Client::new(service, "default")
}

async fn answer(
    server: Arc<ApiServer>,
    link: Arc<ReplicaLink>,
    witness: Arc<Witness>,
    request: Request<Body>,
) -> Result<Response<AnswerBody>, BoxError> {
    let (parts, body) = request.into_parts();
    let call = Call::read(&parts);
    let body = body.collect_bytes().await?;
    if let Some(write) = call.write().filter(|_| !call.is_about_leases()) {
        witness.sent(&server, &link, &write);
    }
    let (fate, there, back) = (link.fate(), link.dice(|dice| dice.millis(1..20)), link.dice(|dice| dice.millis(1..20)));
    tokio::time::sleep(there).await;
    match fate {
        Fate::Lost => return Err("connection reset by peer".into()),
        Fate::Late(by) => tokio::time::sleep(by).await,
        Fate::Refused(409) if matches!(call, Call::List { .. } | Call::Watch { .. } | Call::Get { .. }) => {}
        Fate::Refused(code) => {
            let reason = match code {
                409 => "Conflict",
                429 => "TooManyRequests",
                503 => "ServiceUnavailable",
                _ => "InternalError",
            };
            return Ok(reply(&server, &Err(Refusal::new(code, reason, "the API server is busy"))));
        }
        Fate::Answered | Fate::AnswerLost => {}
    }
    if let Call::Watch { kind, from, seconds } = call {
        return Ok(watch(&server, link, kind, from, seconds));
    }
    let name = call.write().map(|name| match &call {
        Call::Create { .. } => format!("{name}{}", created(&body)),
        Call::Patch { key, .. } if key.0 == "nodes" => format!("{name} {}", String::from_utf8_lossy(&body)),
        _ => name,
    });
    let done = carry_out(&server, &link, call, &body);
    if let (Some(name), Ok(_)) = (&name, &done) {
        witness.arrived(&server, &link, name);
    }
    tokio::time::sleep(back).await;
    if fate == Fate::AnswerLost {
        return Err("connection reset by peer".into());
    }
    Ok(reply(&server, &done))
}

/// What is created: the reason of an event and whom it is about, or the name of anything else.
fn created(body: &[u8]) -> String {
    let object: Value = serde_json::from_slice(body).unwrap_or_default();
    match text(&object, "/reason") {
        "" => text(&object, "/metadata/name").to_owned(),
        reason => format!("{reason} of {}: {}", text(&object, "/regarding/name"), text(&object, "/note")),
    }
}

/// An answer with the time that it is.
fn reply(server: &ApiServer, done: &Result<Value, Refusal>) -> Response<AnswerBody> {
    let (code, body) = match done {
        Ok(object) => (200, object.to_string()),
        Err(refusal) => (refusal.code, refusal.status().to_string()),
    };
    let body = http_body_util::Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync();
    respond(server, code, body)
}

fn respond(server: &ApiServer, code: u16, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let now = server.state().epoch.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = now.parse() {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

fn carry_out(server: &ApiServer, link: &ReplicaLink, call: Call, body: &[u8]) -> Result<Value, Refusal> {
    let sent = || -> Result<Value, Refusal> {
        serde_json::from_slice(body).map_err(|error| Refusal::new(400, "BadRequest", error.to_string()))
    };
    match call {
        Call::Version => Ok(json!({
            "major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "", "gitTreeState": "", "buildDate": "",
            "goVersion": "", "compiler": "", "platform": "",
        })),
        Call::AdmissionResources => {
            let of_admission = crate::server::KINDS.iter().filter(|kind| kind.api_version.starts_with("admission"));
            let resources = of_admission.map(|kind| {
                json!({"name": kind.plural, "singularName": "", "namespaced": false, "kind": kind.kind, "verbs": ["get"]})
            });
            let resources: Vec<_> = resources.collect();
            Ok(json!({
                "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "admissionregistration.k8s.io/v1",
                "resources": resources,
            }))
        }
        Call::List { kind, go_on } => {
            // Pages are as short as they may be, and a list that is read on may be forgotten meanwhile.
            let page = link.dice(|dice| dice.pick(&[2, 5, 100])).unwrap_or(100);
            if go_on.is_some() && link.is_stormy() && link.dice(|dice| dice.happens(100)) {
                return Err(Refusal::new(410, "Expired", "The provided continue parameter is too old"));
            }
            let (objects, version, more) = server.state().list(kind.plural, page, go_on.as_deref())?;
            let items: Vec<&Value> = objects.iter().map(|object| &**object).collect();
            Ok(json!({
                "kind": format!("{}List", kind.kind), "apiVersion": kind.api_version,
                "metadata": {"resourceVersion": version.to_string(), "continue": more.unwrap_or_default()}, "items": items,
            }))
        }
        Call::Get { key } => server.state().get(&key).map(|object| Value::clone(&object)),
        Call::Create { kind, namespace } => {
            let mut object = sent()?;
            if kind.namespaced
                && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
            {
                metadata.insert("namespace".to_owned(), namespace.into());
            }
            server.change(|state| state.create(kind, object)).map(|object| Value::clone(&object))
        }
        Call::Evict { key } => {
            let options = sent()?.get("deleteOptions").cloned().unwrap_or_default();
            if link.is_stormy() && link.dice(|dice| dice.happens(100)) {
                let message = "Cannot evict pod as it would violate the pod's disruption budget.";
                return Err(Refusal::new(429, "TooManyRequests", message));
            }
            server.change(|state| state.delete(&key, &options))?;
            Ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}))
        }
        Call::Replace { key } => {
            let object = sent()?;
            server.change(|state| state.update(&key, |there| *there = object)).map(|object| Value::clone(&object))
        }
        Call::Patch { key, kind, apply, status } => {
            let patch = sent()?;
            let is_there = server.state().get(&key).is_ok();
            if apply && !status && !is_there {
                let mut object = patch;
                if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.insert("namespace".to_owned(), key.1.clone().into());
                    metadata.insert("name".to_owned(), key.2.clone().into());
                }
                return server.change(|state| state.create(kind, object)).map(|object| Value::clone(&object));
            }
            let done = server.change(|state| {
                state.update(&key, |there| {
                    if apply {
                        apply_onto(there, &patch, status);
                    } else {
                        json_patch::merge(there, &patch);
                    }
                })
            });
            done.map(|object| Value::clone(&object))
        }
        Call::Delete { key } => {
            let options = if body.is_empty() { Value::Null } else { sent()? };
            server.change(|state| state.delete(&key, &options)).map(|object| Value::clone(&object))
        }
        Call::Watch { .. } => Err(Refusal::new(500, "InternalError", "a watch is no request that ends")),
        Call::Unknown(what) => Err(Refusal::new(404, "NotFound", format!("the API server does not serve {what}"))),
    }
}

/// An apply by the one manager that applies to these fields: what it leaves out goes.
fn apply_onto(there: &mut Value, applied: &Value, status: bool) {
    let fields: &[&str] = if status { &["status"] } else { &["spec", "status"] };
    let Some(object) = there.as_object_mut() else { return };
    for field in fields {
        match applied.get(field) {
            Some(value) => drop(object.insert((*field).to_owned(), value.clone())),
            None => drop(object.remove(*field)),
        }
    }
    if !status
        && let Some(metadata) = object.get_mut("metadata")
        && let Some(said) = applied.get("metadata")
    {
        json_patch::merge(metadata, said);
    }
}

/// Where a watch is.
struct WatchState {
    server: Arc<ApiServer>,
    link: Arc<ReplicaLink>,
    kind: &'static ResourceKind,
    /// The version of the last change that was told.
    told: u64,
    /// How much of the log was looked at.
    seen: usize,
    ends: Instant,
    is_over: bool,
}

/// How often a watch that has nothing to tell says up to where it has nothing.
const BOOKMARKS: Duration = Duration::from_mins(1);

fn watch(
    server: &Arc<ApiServer>,
    link: Arc<ReplicaLink>,
    kind: &'static ResourceKind,
    from: u64,
    seconds: u64,
) -> Response<AnswerBody> {
    // An API server tells it in the stream.
    if from < server.state().forgotten {
        let gone = Refusal::new(410, "Expired", "too old resource version").status();
        let told = futures::stream::iter([Ok::<_, BoxError>(frame("ERROR", &gone))]);
        return respond(server, 200, StreamBody::new(told).boxed_unsync());
    }
    let ends = Instant::now() + Duration::from_secs(seconds);
    let state = WatchState { server: Arc::clone(server), link, kind, told: from, seen: 0, ends, is_over: false };
    let events = futures::stream::unfold(state, |mut state| async move {
        let event = state.next().await?;
        Some((event, state))
    });
    let body: Pin<Box<dyn futures::Stream<Item = Result<Frame<Bytes>, BoxError>> + Send>> = Box::pin(events);
    respond(server, 200, StreamBody::new(body).boxed_unsync())
}

impl WatchState {
    async fn next(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        if self.is_over {
            return None;
        }
        loop {
            let server = Arc::clone(&self.server);
            let changed = server.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(event) = self.logged() {
                if self.link.is_stormy() {
                    match self.link.dice(|dice| dice.below(1000)) {
                        0..10 => {
                            self.is_over = true;
                            return Some(Err("connection reset by peer".into()));
                        }
                        10..20 => return None,
                        20..25 => {
                            self.is_over = true;
                            let gone = Refusal::new(410, "Expired", "too old resource version").status();
                            return Some(Ok(frame("ERROR", &gone)));
                        }
                        25..125 => tokio::time::sleep(self.link.dice(|dice| dice.millis(100..3_000))).await,
                        _ => {}
                    }
                }
                return Some(Ok(frame(event.kind, &event.object)));
            }
            let bookmark = (Instant::now() + BOOKMARKS).min(self.ends);
            tokio::select! {
                biased;
                () = changed => {}
                () = tokio::time::sleep_until(bookmark) => {
                    if Instant::now() >= self.ends || self.link.cut.load(Ordering::Relaxed) {
                        return None;
                    }
                    let version = self.server.state().version;
                    self.told = version;
                    return Some(Ok(frame("BOOKMARK", &json!({
                        "kind": self.kind.kind, "apiVersion": self.kind.api_version,
                        "metadata": {"resourceVersion": version.to_string()},
                    }))));
                }
            }
        }
    }

    /// The next change of its kind in the log.
    fn logged(&mut self) -> Option<LoggedChange> {
        let state = self.server.state();
        while let Some(change) = state.log.get(self.seen) {
            self.seen = self.seen.saturating_add(1);
            if change.version > self.told && change.plural == self.kind.plural {
                self.told = change.version;
                return Some(change.clone());
            }
        }
        None
    }
}

/// An event as an API server writes it: what kind it is of before the object.
fn frame(kind: &str, object: &Value) -> Frame<Bytes> {
    Frame::data(Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")))
}
