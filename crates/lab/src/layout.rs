//! Where the files and ports of one control plane are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Error, Options, Result,
    binaries::Binaries,
    component::Component,
    kubeconfig::{self, Identity},
    pki::{Authority, Credentials},
    ports::Reserved,
};

/// What kwok's nodes and pods do (see the comments in the file).
const KWOK_CONFIG: &str = include_str!("kwok.yaml");

/// The ports of the components.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    etcd: u16,
    pub(super) etcd_peer: u16,
    api_server: u16,
    controller_manager: u16,
    scheduler: u16,
    kwok: u16,
}

impl Ports {
    /// The port on which a component serves.
    pub(super) const fn of(self, component: Component) -> u16 {
        match component {
            Component::Etcd => self.etcd,
            Component::ApiServer => self.api_server,
            Component::ControllerManager => self.controller_manager,
            Component::Scheduler => self.scheduler,
            Component::Kwok => self.kwok,
        }
    }

    fn take() -> Result<Self> {
        // Held together, so that they differ, and released at once: a component must bind its own.
        let reserved = [
            Reserved::take()?,
            Reserved::take()?,
            Reserved::take()?,
            Reserved::take()?,
            Reserved::take()?,
            Reserved::take()?,
        ];
        let [etcd, etcd_peer, api_server, controller_manager, scheduler, kwok] = reserved.map(Reserved::release);
        Ok(Self { etcd, etcd_peer, api_server, controller_manager, scheduler, kwok })
    }
}

/// The fixed parts of a control plane, made before anything runs.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) dir: PathBuf,
    pub(super) binaries: Binaries,
    pub(super) ports: Ports,
    pub(super) authority: Authority,
    pub(super) serving: Credentials,
}

impl Layout {
    /// Writes keys, certificates, kubeconfigs and configuration into `dir`.
    pub(super) fn create(dir: &Path, binaries: Binaries, options: &Options) -> Result<Self> {
        for sub in ["logs", "kubeconfig"] {
            let sub = dir.join(sub);
            fs::create_dir_all(&sub).map_err(Error::file("create", sub))?;
        }
        let authority = Authority::create(&dir.join("pki"))?;
        let serving = authority.server("rempart-lab-server")?;
        let layout = Self { dir: dir.to_owned(), binaries, ports: Ports::take()?, authority, serving };
        for component in Component::ALL {
            if let Some((user, group)) = component.user() {
                layout.write_kubeconfig(&layout.kubeconfig(component), user, group)?;
            }
        }
        layout.write_kubeconfig(&layout.admin_kubeconfig(), "rempart-lab:admin", Some("system:masters"))?;
        write(&layout.kwok_config(), KWOK_CONFIG)?;
        if options.audit_log.is_some() {
            write(&layout.audit_policy(), rempart_audit::POLICY)?;
        }
        Ok(layout)
    }

    /// The URL of the API server.
    pub(super) fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.of(Component::ApiServer))
    }

    /// Writes a kubeconfig with a new client certificate.
    pub(super) fn write_kubeconfig(&self, path: &Path, user: &str, group: Option<&str>) -> Result<()> {
        let credentials = self.authority.client(user, group)?;
        let authority = &self.authority.credentials().certificate;
        kubeconfig::write(path, &self.server(), authority, &Identity::Certificate(&credentials))
    }

    pub(super) fn kubeconfig_named(&self, stem: &str) -> PathBuf {
        self.dir.join("kubeconfig").join(format!("{stem}.yaml"))
    }

    pub(super) fn kubeconfig(&self, component: Component) -> PathBuf {
        self.kubeconfig_named(component.program().name())
    }

    pub(super) fn admin_kubeconfig(&self) -> PathBuf {
        self.kubeconfig_named("admin")
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }

    pub(super) fn kwok_config(&self) -> PathBuf {
        self.dir.join("kwok.yaml")
    }

    pub(super) fn audit_policy(&self) -> PathBuf {
        self.dir.join("audit-policy.yaml")
    }
}

fn write(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).map_err(Error::file("write", path))
}
