//! Lifecycle of a control plane: boot, supervision, fault and end.
//!
//! [`ControlPlane::start`] takes options and returns a control plane whose components are ready; its methods kill
//! components and start them again. Every process and the directory end with the value, unless [`ControlPlane::keep`]
//! was called.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures::future::{join_all, try_join_all};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client, Config};
use tokio::sync::Mutex;

use super::{
    LabError, ProgressDisplay, Result,
    binaries::ProgramPaths,
    component::Component,
    kubeconfig,
    layout::ControlPlaneLayout,
    options::{ControlPlaneOptions, MutationChoice},
    probe::EndpointProbe,
    process::{ChildProcess, tail},
    wait::eventually,
    watchdog::ProcessWatchdog,
};

/// Timeout of a component's readiness, on a machine that is busy with other things.
const READY_TIMEOUT: Duration = Duration::from_secs(90);

/// A control plane that runs.
///
/// All its processes end when it is dropped, and when this process ends in whatever way. Its
/// directory is removed then, unless [`ControlPlane::keep`] was called or this thread panics.
pub struct ControlPlane {
    // In the order in which they must be dropped: what runs, then its watchdog.
    processes: Mutex<BTreeMap<Component, ChildProcess>>,
    pub(super) watchdog: Arc<ProcessWatchdog>,
    pub(super) layout: ControlPlaneLayout,
    options: ControlPlaneOptions,
    /// Who completes pods from the next installation of the chart and the next start of the operator on.
    mutation: std::sync::Mutex<MutationChoice>,
    admin: Client,
    admin_kubeconfig: PathBuf,
    admin_config: Config,
}

impl ControlPlane {
    /// Boots one on free ports, in a temporary directory, and waits until it is ready.
    ///
    /// When it fails to boot, its directory is kept and standard error says where it is and how
    /// the logs end.
    pub async fn start(options: ControlPlaneOptions) -> Result<Self> {
        let progress = options.progress.unwrap_or_else(ProgressDisplay::detect);
        let binaries = ProgramPaths::locate(options.kubernetes, progress).await?;
        let dir = tempfile::Builder::new()
            .prefix("rempart-lab-")
            .tempdir()
            .map_err(LabError::file("create a directory in", std::env::temp_dir()))?;
        let layout = ControlPlaneLayout::create(dir.path(), binaries, &options)?;
        let admin_kubeconfig = layout.admin_kubeconfig();
        let admin_config = kubeconfig::config(&admin_kubeconfig).await?;
        let this = Self {
            processes: Mutex::default(),
            watchdog: Arc::new(ProcessWatchdog::start(dir)?),
            layout,
            mutation: std::sync::Mutex::new(options.mutation),
            options,
            admin: kubeconfig::client(&admin_kubeconfig, admin_config.clone())?,
            admin_kubeconfig,
            admin_config,
        };
        if let Err(error) = this.boot(progress).await {
            eprintln!("{}{}", this.log_ends(), this.keep());
            return Err(error);
        }
        Ok(this)
    }

    async fn boot(&self, progress: ProgressDisplay) -> Result<()> {
        let step = progress.step("starting the control plane");
        for component in [Component::Etcd, Component::ApiServer] {
            step.note(component.program().name());
            self.start_again(component).await?;
        }
        if !self.options.kubernetes.has_controllers() {
            step.done();
            return Ok(());
        }
        step.note("kube-controller-manager, kube-scheduler and kwok");
        let rest = [Component::ControllerManager, Component::Scheduler, Component::Kwok];
        try_join_all(rest.map(|component| self.start_again(component))).await?;
        // Pods need the ServiceAccount of their namespace, which a controller makes: when it is
        // there, the API server, its authorizer and the controllers work together.
        step.note("the controllers");
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin(), "default");
        eventually("the ServiceAccount default/default", READY_TIMEOUT, async || {
            accounts.get("default").await.map(drop)
        })
        .await?;
        step.done();
        Ok(())
    }

    /// Has others complete pods, from the next installation of the chart and the next start of the operator on.
    pub fn choose_mutation(&self, choice: MutationChoice) {
        *self.mutation.lock().unwrap_or_else(PoisonError::into_inner) = choice;
    }

    fn mutation_choice(&self) -> MutationChoice {
        *self.mutation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the webhook completes pods.
    pub(super) fn has_webhook(&self) -> bool {
        match self.mutation_choice() {
            MutationChoice::Auto => !self.options.kubernetes.serves_mutations(),
            MutationChoice::Webhook => true,
            MutationChoice::Policies | MutationChoice::None => false,
        }
    }

    /// The URL of the operator's webhook.
    pub fn webhook_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.layout.ports.webhook)
    }

    /// The value `mutation` of the chart.
    pub(super) fn mutation(&self) -> &'static str {
        match self.mutation_choice() {
            MutationChoice::Auto => "Auto",
            MutationChoice::Policies => "Policies",
            MutationChoice::Webhook => "Webhook",
            MutationChoice::None => "None",
        }
    }

    /// A client that may do everything.
    pub fn admin(&self) -> Client {
        self.admin.clone()
    }

    /// The configuration of [`ControlPlane::admin`], to make clients that differ from it.
    pub fn admin_config(&self) -> Config {
        self.admin_config.clone()
    }

    /// A kubeconfig with which one may do everything.
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.admin_kubeconfig
    }

    /// The directory of logs, keys and kubeconfigs.
    pub fn dir(&self) -> &Path {
        &self.layout.dir
    }

    /// The log of a component.
    pub fn log(&self, component: Component) -> PathBuf {
        self.layout.log(component.program().name())
    }

    /// The process id of a component.
    pub async fn pid(&self, component: Component) -> Result<i32> {
        let processes = self.processes.lock().await;
        let process = processes.get(&component).ok_or_else(|| LabError::NotRunning(component.to_string()))?;
        process.check()?;
        Ok(process.pid())
    }

    /// Whether a component has ended by itself.
    pub async fn has_ended(&self, component: Component) -> bool {
        self.processes.lock().await.get(&component).is_some_and(|process| process.check().is_err())
    }

    /// Kills a component as a crash would (SIGKILL).
    pub async fn kill(&self, component: Component) -> Result<()> {
        let process = self.processes.lock().await.remove(&component);
        process.ok_or_else(|| LabError::NotRunning(component.to_string()))?.kill().await;
        Ok(())
    }

    /// Starts a component that was killed, on the same port and data, and waits until it is ready.
    /// Does nothing when it runs.
    pub async fn start_again(&self, component: Component) -> Result<()> {
        let failure = {
            let mut processes = self.processes.lock().await;
            if let Some(process) = processes.get(&component)
                && process.check().is_ok()
            {
                process.failure()
            } else {
                let command = component.command(&self.layout, &self.options);
                let log = self.log(component);
                let process = ChildProcess::spawn(component.to_string(), command, &log, &self.watchdog)?;
                let failure = process.failure();
                processes.insert(component, process);
                failure
            }
        };
        let (server, path) = component.readiness(&self.layout);
        let probe = self.probe(&server)?;
        let answers =
            eventually(format!("{component} to be ready"), READY_TIMEOUT, async || probe.get(path).await.map(drop));
        tokio::select! {
            result = answers => result,
            error = failure => Err(error),
        }
    }

    /// A probe of the health and metrics of a process beside the API server.
    pub(super) fn probe(&self, server: &str) -> Result<EndpointProbe> {
        EndpointProbe::new(server, &self.admin_config)
    }

    /// Fails when a component has ended by itself, with the end of its log.
    pub async fn check(&self) -> Result<()> {
        self.processes.lock().await.values().try_for_each(ChildProcess::check)
    }

    /// Waits until a component ends by itself, and says which.
    pub async fn failure(&self) -> LabError {
        loop {
            if let Err(error) = self.check().await {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// The end of each component's log, for a person who looks for the cause of a failure.
    pub fn log_ends(&self) -> String {
        let logs = Component::ALL.map(|component| self.log(component));
        let written = logs.iter().filter(|log| log.metadata().is_ok_and(|metadata| metadata.len() > 0));
        written.flat_map(|log| [format!("the end of {}:\n", log.display()), tail(log)]).collect()
    }

    /// Keeps the directory, with all logs, at the end. Returns a sentence that says where it is.
    pub fn keep(&self) -> String {
        match self.watchdog.keep() {
            Ok(()) => format!("the control plane's files are kept in {}", self.layout.dir.display()),
            Err(error) => format!("the control plane's files cannot be kept: {error}"),
        }
    }

    /// Ends everything and removes the directory (unless [`ControlPlane::keep`] was called).
    pub async fn stop(self) {
        let processes = std::mem::take(&mut *self.processes.lock().await);
        join_all(processes.values().map(ChildProcess::kill)).await;
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.keep());
        }
    }
}
