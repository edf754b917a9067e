//! Runs trials on one control plane, with the command line of any other test binary.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Conclusion};
use rempart_lab::{
    ControlPlane, ControlPlaneOptions, KubernetesVersion, OperatorProcess, ProgramPaths, ProgressDisplay, promtool,
};
use serde_json::json;
use tokio::{
    runtime::{Handle, Runtime},
    sync::{Mutex, OnceCell},
};

use crate::world::{self, World};

/// How many trials run side by side unless the command line says so. They mostly wait; but the worlds of all of them are
/// judged against each other, so that with more of them each becomes dearer.
const THREADS: usize = 6;

/// How long a trial may take unless it says so itself. A trial that passes never waits so long; a slow machine may.
const TIMEOUT: Duration = Duration::from_mins(10);

/// What every trial is given.
pub(crate) struct Context {
    /// The control plane that all trials share.
    pub(crate) cluster: ControlPlane,
    operator: Mutex<Option<OperatorProcess>>,
    counter: AtomicU32,
    chart: OnceCell<()>,
    ministry: OnceCell<World>,
    annex: OnceCell<World>,
}

impl Context {
    /// Makes sure that the chart is installed and the operator runs, once for all trials.
    pub(crate) async fn rempart(&self) -> Result<()> {
        let mut operator = self.operator.lock().await;
        if operator.as_ref().is_none_or(|operator| operator.check().is_err()) {
            self.chart.get_or_try_init(async || self.cluster.install_chart(&json!({})).await).await?;
            world::admitting(&self.cluster.admin()).await?;
            *operator = Some(self.cluster.start_operator::<&str>([]).await?);
        }
        Ok(())
    }

    /// What the operator answers at a path such as `/metrics`.
    pub(crate) async fn operator_get(&self, path: &str) -> Result<String> {
        let operator = self.operator.lock().await;
        Ok(operator.as_ref().context("the operator does not run")?.get(path).await?)
    }

    /// The process that the operator is now.
    pub(crate) async fn operator_pid(&self) -> Option<i32> {
        self.operator.lock().await.as_ref().map(OperatorProcess::pid)
    }

    /// Takes the operator away from all trials, to end it. Only for serial trials; the next
    /// [`Context::rempart`] starts another.
    pub(crate) async fn take_operator(&self) -> Result<OperatorProcess> {
        self.rempart().await?;
        self.operator.lock().await.take().context("the operator does not run")
    }

    /// The catalogue, pools, nodes and policy that those trials share which alter none of them.
    pub(crate) async fn ministry(&self) -> Result<&World> {
        self.ministry.get_or_try_init(|| World::ministry(self)).await
    }

    /// Another one, whose nodes come and go.
    pub(crate) async fn annex(&self) -> Result<&World> {
        self.annex.get_or_try_init(|| World::ministry(self)).await
    }

    /// A name that no other trial of this run has, with the given beginning.
    pub(crate) fn unique(&self, prefix: &str) -> String {
        format!("{prefix}-{}", self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes a namespace with labels of the trial's choice, and waits until pods can be made there.
    pub(crate) async fn namespace(&self, prefix: &str, labels: &[(&str, &str)]) -> Result<String> {
        let name = self.unique(prefix);
        let labels: BTreeMap<_, _> = labels.iter().copied().collect();
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": labels},
        });
        world::admitting(&self.cluster.admin()).await?;
        self.cluster.apply(&namespace.to_string()).await?;
        self.cluster
            .kubectl(["wait", "--for=create", "--timeout=30s", "serviceaccount/default", "-n", &name])
            .run()
            .await
            .with_context(|| format!("the namespace {name} has no ServiceAccount"))?;
        Ok(name)
    }
}

type Body = Box<dyn FnOnce(&Handle, &Context, Duration) -> Result<()> + Send>;

/// A test that needs the control plane.
pub(crate) struct Trial {
    name: &'static str,
    /// Whether it is run only by who asks for what takes long.
    asked_for: bool,
    /// The version of Kubernetes whose API server it starts.
    version: KubernetesVersion,
    serial: bool,
    timeout: Duration,
    body: Body,
}

/// A part of a play in a world that several trials share.
pub(crate) type Play<W> = for<'w> fn(&'w W) -> LocalBoxFuture<'w, Result<()>>;

/// Trials that share a world, which the first of them lays.
pub(crate) fn sharing<W: Send + Sync + 'static>(
    lay: impl AsyncFn() -> Result<W> + Copy + Send + 'static,
    plays: impl IntoIterator<Item = (&'static str, Play<W>)>,
) -> Vec<Trial> {
    let shared = Arc::new(OnceCell::new());
    let trial = |(name, play): (&'static str, Play<W>)| {
        let shared = Arc::clone(&shared);
        Trial::new(name, async move |_| play(shared.get_or_try_init(|| lay()).await?).await)
    };
    plays.into_iter().map(trial).collect()
}

impl Trial {
    /// A trial that leaves the control plane alone but for objects of its own.
    pub(crate) fn new(name: &'static str, body: impl AsyncFn(&Context) -> Result<()> + Send + 'static) -> Self {
        let body: Body = Box::new(move |runtime, context, timeout| {
            runtime.block_on(async {
                let body = world::tidied(context, body(context));
                tokio::time::timeout(timeout, body)
                    .await
                    .unwrap_or_else(|_| Err(anyhow!("it did not end within {timeout:?}")))
            })
        });
        let version = KubernetesVersion::default();
        Self { name, asked_for: false, version, serial: false, timeout: TIMEOUT, body }
    }

    /// A trial that no other may run beside: it kills components, or changes what all depend on.
    pub(crate) fn serial(name: &'static str, body: impl AsyncFn(&Context) -> Result<()> + Send + 'static) -> Self {
        Self { serial: true, ..Self::new(name, body) }
    }

    /// Gives the trial another time limit.
    #[allow(dead_code, reason = "for the trials that need it")]
    pub(crate) fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Says that it starts an API server of this version, which is built before any trial begins.
    pub(crate) fn on(self, version: KubernetesVersion) -> Self {
        Self { version, ..self }
    }

    /// Leaves it to `make versions`, which runs what others list as ignored.
    pub(crate) fn asked_for(self) -> Self {
        Self { asked_for: true, ..self }
    }

    fn into_libtest(self, runtime: &Handle, context: &Arc<Context>) -> libtest_mimic::Trial {
        let Self { name, asked_for, version: _, serial: _, timeout, body } = self;
        let (runtime, context) = (runtime.clone(), Arc::clone(context));
        libtest_mimic::Trial::test(name, move || {
            body(&runtime, &context, timeout).map_err(|error| format!("{error:#}").into())
        })
        .with_ignored_flag(asked_for)
    }

    fn placeholder(&self) -> libtest_mimic::Trial {
        libtest_mimic::Trial::test(self.name, || Ok(())).with_ignored_flag(self.asked_for)
    }
}

/// Runs the trials that the command line asks for.
pub(crate) fn run(trials: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let wanted = |trial: &Trial| !arguments.is_filtered_out(&trial.placeholder());
    if arguments.list || !trials.iter().any(wanted) {
        let placeholders = trials.iter().map(Trial::placeholder).collect();
        return libtest_mimic::run(&arguments, placeholders).exit_code();
    }
    match boot_and_run(&arguments, trials) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: the control plane does not start, so no test can run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn boot_and_run(arguments: &Arguments, trials: Vec<Trial>) -> Result<ExitCode> {
    let runtime = Runtime::new()?;
    // What takes minutes to build is built before others wait for anything.
    runtime.block_on(promtool(ProgressDisplay::detect()))?;
    for version in KubernetesVersion::ALL {
        let is_run = |trial: &&Trial| {
            let asks = arguments.ignored || arguments.include_ignored;
            (asks || !trial.asked_for) && !arguments.is_filtered_out(&trial.placeholder())
        };
        if trials.iter().filter(is_run).any(|trial| trial.version == version) {
            runtime.block_on(ProgramPaths::locate(version, ProgressDisplay::detect()))?;
        }
    }
    let cluster = runtime.block_on(ControlPlane::start(ControlPlaneOptions::default()))?;
    let context = Arc::new(Context {
        cluster,
        operator: Mutex::default(),
        counter: AtomicU32::new(1),
        chart: OnceCell::new(),
        ministry: OnceCell::new(),
        annex: OnceCell::new(),
    });

    let (serial, parallel): (Vec<_>, Vec<_>) = trials.into_iter().partition(|trial| trial.serial);
    let conclude = |arguments: &Arguments, trials: Vec<Trial>| {
        let trials = trials.into_iter().map(|trial| trial.into_libtest(runtime.handle(), &context)).collect();
        libtest_mimic::run(arguments, trials)
    };
    let first = conclude(arguments, parallel);
    let alone = Arguments { test_threads: Some(1), ..arguments.clone() };
    let second = conclude(&alone, serial);
    let failed = first.has_failed() || second.has_failed();

    let broken = runtime.block_on(async {
        context.cluster.check().await?;
        context.operator.lock().await.as_ref().map_or(Ok(()), OperatorProcess::check)
    });
    if let Err(error) = &broken {
        eprintln!("error: {error}");
    }
    if failed || broken.is_err() {
        eprintln!("{}", context.cluster.keep());
    }
    if let Some(context) = Arc::into_inner(context) {
        runtime.block_on(context.cluster.stop());
    }
    Ok(if broken.is_err() { ExitCode::FAILURE } else { exit_code(&first, &second) })
}

fn exit_code(first: &Conclusion, second: &Conclusion) -> ExitCode {
    if first.has_failed() { first.exit_code() } else { second.exit_code() }
}
