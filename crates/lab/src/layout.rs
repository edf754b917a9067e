//! Layout of a control plane: its directory, ports, certificates and configuration files.
//!
//! [`ControlPlaneLayout::create`] takes a directory and the programs, and writes everything that has to be there before
//! any component runs. It does not change afterwards.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    LabError, Result,
    binaries::ProgramPaths,
    component::Component,
    kubeconfig::{self, ClientIdentity},
    options::ControlPlaneOptions,
    pki::{CertificateAuthority, TlsCredentials},
    ports::ComponentPorts,
};

/// Stages of kwok's nodes and pods (see the comments in the file).
const KWOK_CONFIG: &str = include_str!("kwok.yaml");

/// The fixed parts of a control plane, made before anything runs.
#[derive(Debug)]
pub(super) struct ControlPlaneLayout {
    pub(super) dir: PathBuf,
    pub(super) binaries: ProgramPaths,
    pub(super) ports: ComponentPorts,
    pub(super) authority: CertificateAuthority,
    pub(super) serving: TlsCredentials,
}

impl ControlPlaneLayout {
    /// Writes keys, certificates, kubeconfigs and configuration into `dir`.
    pub(super) fn create(dir: &Path, binaries: ProgramPaths, options: &ControlPlaneOptions) -> Result<Self> {
        for sub in ["logs", "kubeconfig"] {
            let sub = dir.join(sub);
            fs::create_dir_all(&sub).map_err(LabError::file("create", sub))?;
        }
        let authority = CertificateAuthority::create(&dir.join("pki"))?;
        let serving = authority.server("rempart-lab-server")?;
        let layout = Self { dir: dir.to_owned(), binaries, ports: ComponentPorts::take()?, authority, serving };
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
        kubeconfig::write(path, &self.server(), authority, &ClientIdentity::Certificate(&credentials))
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
    fs::write(path, content).map_err(LabError::file("write", path))
}
